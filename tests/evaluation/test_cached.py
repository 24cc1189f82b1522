"""Tests of the cache: only what is missing is made, on disk it comes back."""

import numpy as np

from facedancer.evaluation.inputs.cache import Cache
from tests import testing


class CacheTest(testing.TestCase):
    def setUp(self):
        super().setUp()
        self.made = []

    def rows(self, keys):
        def make(places):
            self.made.append([keys[i] for i in places])
            return np.array([[float(ord(keys[i])), 0.5] for i in places])

        return make

    def compute(self, cache, keys, network="n", **options):
        return cache.compute(network, keys, self.rows(keys), **options)

    def test_only_missing_keys_are_made_and_doubles_once(self):
        cache = Cache()
        found = self.compute(cache, ["a", "b", "a"])
        self.assert_close(found[:, 0], np.array([97.0, 98.0, 97.0]))
        self.compute(cache, ["b", "c"])
        self.compute(cache, ["c", "a"])
        self.assertEqual(self.made, [["a", "b"], ["c"]])

    def test_networks_are_apart(self):
        cache = Cache()
        self.compute(cache, ["a"], "one@11")
        self.compute(cache, ["a"], "one@22")
        self.assertEqual(self.made, [["a"], ["a"]])

    def test_disk(self):
        folder = self.tempdir() / "cache"
        cache = Cache(folder)
        first = self.compute(cache, ["a", "b"])
        cache.save()
        again = Cache(folder)
        self.assert_close(self.compute(again, ["b", "a"]), first[::-1])
        self.assertLen(self.made, 1)
        self.assertLen(list(folder.iterdir()), 1)  # no temporary file is left

    def test_not_kept(self):
        cache = Cache()
        self.compute(cache, ["a"], keep=False)
        self.compute(cache, ["a"])
        self.assertEqual(self.made, [["a"], ["a"]])

    def test_damaged_file_is_made_again(self):
        folder = self.tempdir()
        cache = Cache(folder)
        self.compute(cache, ["a"])
        cache.save()
        (file,) = folder.iterdir()
        file.write_bytes(file.read_bytes()[:40])
        other = Cache(folder)
        self.compute(other, ["a"])
        other.save()
        self.assertEqual(self.made, [["a"], ["a"]])
        self.compute(Cache(folder), ["a"])
        self.assertLen(self.made, 2)
