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
            splits.parse_shares(words)

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
