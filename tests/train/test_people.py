"""What an encoder says of a person's other photos, by hand and from shards."""

from unittest import mock

import numpy as np

from facedancer.errors import InputError
from facedancer.networks.vectors import normalize
from facedancer.train.frozen import people
from facedancer.train.frozen.teachers import Teacher
from tests import testing
from tests.train import tiny


class PeopleTest(testing.TestCase):
    def setUp(self):
        super().setUp()
        self.vectors = np.random.default_rng(0).normal(size=(6, 5)).astype("f4")
        self.identity = np.array([0, 2, 0, -1, 0, 1])
        self.made = people.People(self.identity, self.vectors)

    def test_others_by_hand(self):
        found = np.asarray(self.made.others(np.array([0, 0]), self.vectors[[0, 4]]))
        unit = normalize(self.vectors)
        np.testing.assert_allclose(found[0], unit[2] + unit[4], 1e-5, 1e-6)
        np.testing.assert_allclose(found[1], unit[0] + unit[2], 1e-5, 1e-6)

    def test_who_has_no_other_photo_stays(self):
        given = self.vectors[[1, 3, 5]]
        found = self.made.others(np.array([2, -1, 1]), given)
        np.testing.assert_array_equal(found, given)

    def test_nobody_is_known(self):
        with self.assertRaisesRegex(ValueError, "No photo says whom it shows"):
            people.People(np.array([-1]), np.ones((1, 3)))


class ReadTest(testing.TestCase):
    def test_shards(self):
        folder = self.tempdir()
        pattern = tiny.write_shards(folder, count=12, people=4)
        teacher = Teacher(tiny.encoder())
        made = people.read(pattern, tiny.SIZE, teacher)
        np.testing.assert_array_equal(made.counts, [3.0] * 4)
        index = people.shard_index.open_index(pattern)
        images = np.stack([index.image(k, tiny.SIZE) for k in range(12)])
        unit = normalize(teacher.embed(images.astype("f4") / 127.5 - 1.0))
        expected = unit[index.identity == 2].sum(axis=0)
        np.testing.assert_allclose(made.sums[2], expected, 1e-4, 1e-5)

    def test_damaged_records(self):
        folder = self.tempdir()
        pattern = tiny.write_shards(folder, count=12, people=4)
        (path,) = folder.glob("*.records")
        data = bytearray(path.read_bytes())
        data[200] ^= 1  # within the first photo
        path.write_bytes(data)
        teacher = Teacher(tiny.encoder())
        made = people.read(pattern, tiny.SIZE, teacher, "skip")
        self.assertEqual(float(np.sum(made.counts)), 11.0)
        kept = self.tempdir()
        people.read(pattern, tiny.SIZE, teacher, "skip", kept)
        with self.assertRaisesRegex(InputError, path.name):
            people.read(pattern, tiny.SIZE, teacher, "stop", kept)

    def test_kept_until_something_changes(self):
        folder, kept = self.tempdir(), self.tempdir() / "run" / "people"
        pattern = tiny.write_shards(folder, count=12, people=4)
        teacher = Teacher(tiny.encoder())
        first = people.read(pattern, tiny.SIZE, teacher, cache_dir=kept)
        (path,) = kept.iterdir()
        with mock.patch.object(teacher, "embed", side_effect=AssertionError):
            again = people.read(pattern, tiny.SIZE, teacher, cache_dir=kept)
        np.testing.assert_array_equal(again.sums, first.sums)
        np.testing.assert_array_equal(again.counts, first.counts)
        path.write_bytes(path.read_bytes()[:-40])
        damaged = people.read(pattern, tiny.SIZE, teacher, cache_dir=kept)
        np.testing.assert_array_equal(damaged.sums, first.sums)
        other = Teacher(tiny.encoder(seed=1))
        people.read(pattern, tiny.SIZE, other, cache_dir=kept)
        tiny.write_shards(folder, count=12, people=3)
        people.read(pattern, tiny.SIZE, teacher, cache_dir=kept)
        self.assertLen(list(kept.iterdir()), 3)

    def test_without_labels(self):
        folder = self.tempdir()
        pattern = tiny.write_shards(folder, people=0)
        with self.assertRaisesRegex(InputError, "do not say who is on the photos"):
            people.read(pattern, tiny.SIZE, Teacher(tiny.encoder()))
