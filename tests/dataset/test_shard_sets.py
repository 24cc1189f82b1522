"""Tests of splits by person and of checking what was written."""

import hashlib

from absl.testing import parameterized

from facedancer.dataset.shards import records, sharding, splits
from facedancer.errors import InputError
from tests.dataset import fixtures
from tests.dataset.test_sharding import SIZE, ShardingTestCase


class SplitTest(ShardingTestCase):
    def test_no_person_is_in_two_sets(self):
        counts = {f"p{number}": 1 + number % 3 for number in range(20)}
        fixtures.write_photos(self.data, counts, **SIZE)
        self.write(split=("train=.7", "val=.2", "test=.1"))
        people = {}
        for part in ("train", "val", "test"):
            paths = sum(self.paths(f"set_{part}"), [])
            people[part] = {path.split("/")[0] for path in paths}
        self.assertEqual([len(people[p]) for p in ("train", "val", "test")], [14, 4, 2])
        self.assertLen(set.union(*people.values()), 20)
        order = sorted(
            counts, key=lambda name: hashlib.sha256(f"0:{name}".encode()).hexdigest()
        )
        self.assertEqual(people["val"], set(order[:4]))
        self.assertEqual(people["test"], set(order[4:6]))

    def test_holdout(self):
        fixtures.write_photos(
            self.data, {f"p{number}": 2 for number in range(9)}, **SIZE
        )
        manifests, _ = self.write(holdout=2)
        self.assertEqual(
            {name: m["num_identities"] for name, m in manifests.items()},
            {"set_train": 7, "set_val": 2},
        )

    def people(self, name):
        return {path.rpartition("/")[0] for path in sum(self.paths(name), [])}

    def test_one_person_in_two_folders(self):
        counts = {f"{size}/p{n}": 2 for n in range(6) for size in (160, 256)}
        fixtures.write_photos(self.data, counts, **SIZE)
        manifests, _ = self.write(holdout=2, identities="name")
        self.assertEqual(manifests["set_train"]["num_identities"], 4)
        names = [f"p{n}" for n in range(6)]
        held_out = splits.hash_order(names, 0)[:2]
        expected = {f"{size}/{name}" for name in held_out for size in (160, 256)}
        self.assertEqual(self.people("set_val"), expected)
        self.assertTrue(expected.isdisjoint(self.people("set_train")))

    def test_excluded_people_do_not_move_the_split(self):
        fixtures.write_photos(self.data, {f"p{n}": 2 for n in range(9)}, **SIZE)
        first, second, *rest = splits.hash_order([f"p{n}" for n in range(9)], 0)
        listed = self.tempdir() / "minors.txt"
        listed.write_text(f"# left out\n\n{first}\n {rest[0]} \n")
        self.write(holdout=2, exclude_people=str(listed))
        self.assertEqual(self.people("set_val"), {second})
        self.assertEqual(self.people("set_train"), set(rest[1:]))

    @parameterized.parameters(
        ("p0\nnobody\n", "names 1 people who have no photo here.*'nobody'"),
        ("p0\np1\np2\n", "leaves nobody in the set train"),
    )
    def test_bad_lists(self, text, words):
        fixtures.write_photos(self.data, {f"p{n}": 2 for n in range(3)}, **SIZE)
        listed = self.tempdir() / "listed.txt"
        listed.write_text(text)
        with self.assertRaisesRegex(InputError, words):
            self.write(exclude_people=str(listed))

    def test_lists_that_cannot_be_read(self):
        fixtures.write_photos(self.data, {"ann": 2}, **SIZE)
        with self.assertRaisesRegex(InputError, "gone.txt: no such file"):
            self.write(exclude_people=str(self.data / "gone.txt"))
        with self.assertRaisesRegex(ValueError, "--exclude_people needs names"):
            self.settings(exclude_people="x", identities="none")

    def test_who_is_held_out_does_not_depend_on_the_others_photos(self):
        one = splits.split_names(["a", "b", "c", "d"], {"train": 0.5, "val": 0.5}, 3)
        two = splits.split_names(
            ["d", "c", "b", "a", "a"], {"train": 0.5, "val": 0.5}, 3
        )
        self.assertEqual(one, two)

    @parameterized.parameters(
        (("train=.9",),),
        (("train=.9", "val=x"),),
        (("train=.5", "train=.5"),),
        (("=1",),),
    )
    def test_bad_split(self, words):
        with self.assertRaisesRegex(InputError, "fractions that add up to 1"):
            splits.parse_sizes(words)

    def test_too_few_people(self):
        fixtures.write_photos(self.data, {"ann": 5}, **SIZE)
        with self.assertRaisesRegex(InputError, "1 identities are too few"):
            self.write(holdout=1)


class VerifyTest(ShardingTestCase):
    def setUp(self):
        super().setUp()
        fixtures.write_photos(self.data, {"ann": 12}, **SIZE)
        self.write()

    def verify(self):
        return sharding.verify(self.target, "set_train")

    def test_whole(self):
        self.assertEqual(self.verify()["count"], 12)

    def test_damaged_record(self):
        shard = self.shards()[2]
        data = bytearray(shard.read_bytes())
        data[records.scan(shard)[1] + 30] ^= 1
        shard.write_bytes(data)
        words = "set_train_00002-of-00004.records: record 1: checksum of the data"
        with self.assertRaisesRegex(InputError, words):
            self.verify()

    def test_a_whole_record_too_few_or_another_one(self):
        shard = self.shards()[1]
        examples = list(records.read_records(shard))
        records.write_records(shard, examples[:-1])
        with self.assertRaisesRegex(InputError, "00001-of.*2 records instead of 3"):
            self.verify()
        records.write_records(shard, examples[::-1])
        with self.assertRaisesRegex(InputError, "not those of the set"):
            self.verify()

    def test_another_photo_in_a_record(self):
        shard = self.shards()[0]
        examples = [records.decode_example(e) for e in records.read_records(shard)]
        examples[2]["face"] += b"x"
        records.write_records(shard, map(records.encode_example, examples))
        with self.assertRaisesRegex(InputError, "record 2: the photo is another one"):
            self.verify()

    def test_missing(self):
        self.shards()[3].unlink()
        with self.assertRaisesRegex(InputError, "00003-of-00004.records: the shard is"):
            self.verify()
        with self.assertRaisesRegex(InputError, "no manifest"):
            sharding.verify(self.target, "other_train")
        (self.target / "set_train.manifest.json").write_text("{")
        with self.assertRaisesRegex(InputError, "not a manifest"):
            self.verify()
