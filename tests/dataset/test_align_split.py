"""Tests of `facedancer align --split`: people in sets, nobody in two."""

from facedancer.dataset.jobs import report
from facedancer.dataset.shards import splits
from facedancer.errors import InputError
from facedancer.face import alignment
from tests.dataset import fixtures
from tests.dataset.test_crop_align import AlignTestCase


class SplitTest(AlignTestCase):
    """Sets of people: nobody in two, known again, nothing left of another split."""

    SPLIT = ("train=.75", "test=.25")

    def setUp(self):
        super().setUp()
        self.people = {name: 2 for name in ("ann", "bob", "cal", "dan")}
        self.paths = fixtures.write_photos(self.data, self.people)

    def sets(self):
        return {
            part: {p.parent.name for p in (self.target / part).rglob("*.jpg")}
            for part in ("train", "test")
        }

    def test_people_are_in_one_set_by_the_rule_of_sharding(self):
        self.assertEqual(self.align(split=self.SPLIT, seed=3), {"done": 8})
        expected = {"train": set(), "test": set()}
        sizes = splits.parse_sizes(self.SPLIT)
        for name, part in splits.split_names(self.people, sizes, 3).items():
            expected[part].add(name)
        self.assertEqual(self.sets(), expected)
        self.assertLen(expected["test"], 1)
        for part in ("train", "test"):
            folder = self.target / part
            self.assertTrue((folder / "report.jsonl").is_file())
            self.assertEqual(report.alignment_of(folder), alignment.Alignment())
        before = self.content()
        self.assertEqual(self.align(split=self.SPLIT, seed=3), {"done": 8})
        self.assertEqual(self.content(), before)

    def test_another_split_leaves_nothing_of_the_first(self):
        self.align(split=self.SPLIT)
        before = self.content()
        self.people["eve"] = 2
        fixtures.write_photos(self.data, {"eve": 2})
        with self.assertRaisesRegex(InputError, "values of --split.*came new"):
            self.align(split=self.SPLIT)
        self.assertEqual(self.content(), before)
        self.align(split=self.SPLIT, overwrite=True, seed=5)
        sets = self.sets()
        self.assertEqual(sets["train"] | sets["test"], set(self.people))
        self.assertFalse(sets["train"] & sets["test"])

    def test_split_and_whole_folders_do_not_mix(self):
        self.align()
        with self.assertRaisesRegex(InputError, "made without --split"):
            self.align(split=self.SPLIT)

    def test_too_few_people(self):
        with self.assertRaisesRegex(InputError, "a part is empty"):
            self.align(split=("train=.99", "test=.01"))
        self.assertFalse(self.target.exists())
