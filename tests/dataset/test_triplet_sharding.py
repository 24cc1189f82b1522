"""Tests of photos with an edited copy -> shards of triplets -> batches."""

import collections

import numpy as np
from absl.testing import parameterized

from facedancer import cli
from facedancer.dataset import inspect_shards, triplet_sharding
from facedancer.dataset.reading import pairs, triplets
from facedancer.dataset.shards import records, sharding
from facedancer.errors import InputError
from tests import testing
from tests.dataset import fixtures


class TripletShardingTestCase(testing.TestCase):
    def setUp(self):
        super().setUp()
        self.data = self.tempdir() / "edits"
        self.target = self.tempdir() / "triplets"
        self.count = 0

    def add(self, name, edited=True):
        """Writes a pair; originals are 10, 11, ..., edited copies 110, 111, ..."""
        for role, value in (("original", 10), ("edited", 110)):
            if role == "original" or edited:
                path = self.data / f"{name}.{role}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(fixtures.coded(value + self.count, (16, 12)))
        self.count += 1

    def settings(self, **options):
        return triplet_sharding.TripletShardSettings(
            str(self.target), str(self.data), **options
        )

    def write(self, **options):
        return triplet_sharding.write_sets(self.settings(**options))

    def found(self, kind):
        """(source, target, truth, source is real) of the records of a kind."""
        rows = []
        for path in sorted(self.target.glob(f"edits_{kind}_*.records")):
            for record in records.read_records(path):
                features = records.decode_example(record)
                rows.append(
                    (
                        *(self.number(features[role]) for role in triplets.ROLES),
                        features["source_is_real"],
                    )
                )
        return sorted(rows)

    def number(self, data):
        return {fixtures.coded(n, (16, 12)): n for n in range(256)}[data]


class WriteTest(TripletShardingTestCase):
    def test_what_is_right(self):
        for kind in ("beard", "bald", "glasses", "mine"):
            self.add(f"{kind}/a")  # 10, 11, 12, 13
        manifests, left_out = self.write()
        self.assertEqual(left_out, [])
        names = [f"edits_{kind}" for kind in ("bald", "beard", "glasses", "mine")]
        self.assertEqual(sorted(manifests), names)
        self.assertEqual(self.found("beard"), [(10, 110, 10, 1)])
        self.assertEqual(self.found("bald"), [(111, 11, 11, 0)])
        both = [(12, 112, 112, 0), (112, 12, 12, 0)]
        self.assertEqual(self.found("glasses"), both)
        self.assertEqual(self.found("mine"), [(113, 13, 13, 0)])

    def test_flags_name_kinds(self):
        for name in ("beard/a", "mine/a", "loose"):
            self.add(name)  # 10, 11, 12
        self.write(kinds=("beard=target", "mine=source"), truth="either")
        self.assertEqual(self.found("beard"), [(110, 10, 10, 0)])
        self.assertEqual(self.found("mine"), [(11, 111, 11, 1)])
        self.assertLen(self.found("pairs"), 2)

    def test_another_photo_of_the_person(self):
        for name in ("ann/1", "ann/2", "ann/3", "bob/1", "bob/2", "cy/1"):
            self.add(f"edited_target/{name}")  # 10 to 15
        seen = collections.defaultdict(set)
        for seed in range(12):
            _, left_out = self.write(seed=seed, overwrite=True)
            for source, target, truth, real in self.found("edited_target"):
                self.assertEqual((target, real), (truth + 100, 1))
                seen[truth].add(source)
        expected = {10: {11, 12}, 11: {10, 12}, 12: {10, 11}, 13: {14}, 14: {13}}
        self.assertEqual(seen, expected)
        self.assertLen(left_out, 1)
        self.assertIn("cy/1.original.png: its folder holds no other", left_out[0])

    def test_what_is_left_out_is_named(self):
        self.add("beard/a")
        self.add("beard/b", edited=False)
        self.add("beard/c")
        (self.data / "beard/c.original.png").write_bytes(b"no image")
        (self.data / "beard/d.png").write_bytes(fixtures.coded(5))
        manifests, left_out = self.write()
        self.assertEqual(manifests["edits_beard"]["count"], 1)
        text = "\n".join(left_out)
        self.assertLen(left_out, 4)
        self.assertIn("beard/b: only the original is usable", text)
        self.assertIn("beard/c: only the edited is usable", text)
        self.assertIn("c.original.png: ", text)
        self.assertIn("beard/d.png: its name holds neither .original.", text)

    def test_no_pair(self):
        self.add("beard/b", edited=False)
        with self.assertRaisesRegex(
            InputError, "no pairs NAME.original.*only the original is usable"
        ):
            self.write()

    def test_resume_and_same_bytes(self):
        for number in range(9):
            self.add(f"beard/{number}")
        self.write(num_shards=4)
        whole = {p.name: p.read_bytes() for p in self.target.iterdir()}
        self.assertLen(whole, 6)  # four shards, manifest, index
        sharding.verify(self.target, "edits_beard")
        (self.target / "edits_beard_00002-of-00004.records").unlink()
        self.write(num_shards=4)
        again = {p.name: p.read_bytes() for p in self.target.iterdir()}
        self.assertEqual(again, whole)
        with self.assertRaisesRegex(InputError, "made from other photos"):
            self.write(num_shards=4, kinds=("beard=target",))

    def test_the_program(self):
        self.add("beard/a")
        words = [f"--data_dir={self.data}", f"--target_dir={self.target}"]
        words += ["--num_shards=1", "--overwrite"]
        for expected in (cli.DONE, cli.PARTIAL):
            settings = cli.parse(triplet_sharding.TripletShardSettings, words)
            self.assertEqual(triplet_sharding.main(settings), expected)
            self.add("beard/b", edited=False)
        shards = [str(path) for path in self.target.glob("*.records")]
        self.assertEqual(inspect_shards.inspect(shards)[0].count, 1)

    @parameterized.parameters(
        ({"num_shards": 0}, "Received: 0"),
        ({"truth": "x"}, "Received: x"),
        ({"kinds": ("beard",)}, "Received: beard=$"),
    )
    def test_bad_values(self, options, words):
        with self.assertRaisesRegex(ValueError, words):
            self.settings(**options)


class BatchesTest(TripletShardingTestCase):
    def test_shares_of_the_kinds(self):
        for number in range(4):
            self.add(f"beard/{number}")  # 10 to 13
        for number in range(2):
            self.add(f"bald/{number}")  # 14 and 15
        self.write()
        photos = self.tempdir()
        fixtures.write_shard(photos / "a_train_00000-of-00001.records", [0] * 6)
        names = ",".join(f"{self.target}/edits_{kind}_*" for kind in ("beard", "bald"))
        settings = triplets.TripletSettings(
            pairs.PairSettings(str(photos), 8, 16), names, (0.2, 0.5), 0.0, False
        )
        seen = []
        for batch in triplets.make_dataset(settings).take(60):
            sources = np.rint(batch["source"][:, 0, 0, 0] * 127.5 + 127.5)
            seen += sources.astype(int).tolist()
        counts = collections.Counter(seen)
        beard = sum(counts[n] for n in range(10, 14)) / len(seen)
        bald = sum(counts[n] for n in (114, 115)) / len(seen)
        self.assertAlmostEqual(beard, 0.2, delta=0.06)
        self.assertAlmostEqual(bald, 0.5, delta=0.07)
        self.assertAlmostEqual(counts[114] / counts[115], 1.0, delta=0.35)

    @parameterized.parameters(
        ((0.2,), "one number for each part"),
        ((0.75, 0.5), "must lie in .0, 1.*Received: 1.2"),
        ((0.7, -0.6), "Received: -0.6"),
    )
    def test_bad_shares(self, shares, words):
        with self.assertRaisesRegex(ValueError, words):
            triplets.TripletSettings(pairs.PairSettings("x"), "a,b", shares)
