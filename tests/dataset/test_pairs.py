"""Tests of shards -> batches."""

import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from facedancer.dataset.reading import pairs, photo_cache
from facedancer.dataset.shards import records, shard_index
from facedancer.errors import InputError
from tests import testing
from tests.dataset import fixtures

LABELS = np.repeat(np.arange(8), 5)  # 40 photos of 8 people


class PairsTestCase(testing.TestCase):
    def setUp(self):
        super().setUp()
        self.folder = self.tempdir()
        for shard in range(4):
            fixtures.write_shard(
                self.folder / f"a_train_{shard:05d}-of-00004.records",
                LABELS[shard * 10 : shard * 10 + 10],
                first=shard * 10,
            )

    def settings(self, **options):
        options = {"batch_size": 6, "image_size": 16, "jitter": "none"} | options
        return pairs.PairSettings(str(self.folder), **options)

    def batches(self, count, first_batch=0, pipeline=(0, 1), **options):
        dataset = pairs.make_dataset(self.settings(**options), first_batch, *pipeline)
        return [tree_numpy(batch) for batch in dataset.take(count)]


def tree_numpy(batch):
    return {name: value.numpy() for name, value in batch.items()}


def photo_numbers(images):
    """The red value of the fixtures' photos tells which one it is."""
    return np.rint(images[:, 0, 0, 0] * 127.5 + 127.5).astype(int)


def assert_same_batches(one, two):
    assert len(one) == len(two)
    for a, b in zip(one, two, strict=True):
        for name in a:
            np.testing.assert_array_equal(a[name], b[name], name)


class MakeDatasetTest(PairsTestCase):
    def test_batches(self):
        for batch in self.batches(7):
            self.assertEqual(batch["target"].shape, (6, 16, 16, 3))
            self.assertEqual(batch["target"].dtype, np.float32)
            target = photo_numbers(batch["target"])
            source = photo_numbers(batch["source"])
            np.testing.assert_array_equal(batch["target_identity"], LABELS[target])
            np.testing.assert_array_equal(batch["source_identity"], LABELS[source])
            np.testing.assert_array_equal(batch["same"] > 0, batch["same"] == 1.0)
            self.assertGreaterEqual(batch["same"].sum(), 1.0)
            same = batch["same"] == 1.0
            np.testing.assert_array_equal(target[same], source[same])
            # [0, 255] becomes [-1, 1]: 200 is 72.5 / 127.5
            np.testing.assert_allclose(
                batch["target"][:, 2, 2, 1], 72.5 / 127.5, atol=2e-7
            )
            np.testing.assert_allclose(batch["target"][:, 12, 2, 1], -1.0)

    def test_every_photo_once_an_epoch(self):
        seen = [photo_numbers(b["target"]) for b in self.batches(4, batch_size=10)]
        np.testing.assert_array_equal(np.sort(np.concatenate(seen)), np.arange(40))

    @parameterized.parameters("per_image", "legacy", "none")
    def test_exact_resume(self, jitter):
        options = {"jitter": jitter, "flip": True, "seed": 5}
        whole = self.batches(12, **options)
        resumed = self.batches(5, first_batch=7, **options)
        assert_same_batches(whole[7:], resumed)

    @parameterized.parameters("per_image", "legacy", "none")
    def test_two_pipelines_share_the_batch_of_one(self, jitter):
        options = {"jitter": jitter, "flip": True}
        whole = self.batches(4, **options)
        parts = [self.batches(4, pipeline=(i, 2), **options) for i in range(2)]
        joined = [
            {name: np.concatenate([a[name], b[name]]) for name in a}
            for a, b in zip(*parts, strict=True)
        ]
        assert_same_batches(whole, joined)

    def test_the_number_of_threads_changes_nothing(self):
        one = self.batches(8, num_parallel_calls=1)
        assert_same_batches(one, self.batches(8, num_parallel_calls=6))

    def test_memory_for_photos_changes_nothing(self):
        one = self.batches(12, cache_mb=0)
        assert_same_batches(one, self.batches(12, cache_mb=64))

    def test_each_photo_is_decoded_once_a_window(self):
        settings = self.settings(batch_size=10, same_ratio=0.0)
        reader = pairs.PairReader(settings)
        for number in range(4):
            reader.rows(number, 0, 10)
        self.assertEqual((reader.cache.hits, reader.cache.misses), (40, 40))

    def test_signed(self):
        image = np.arange(256, dtype=np.uint8).reshape(4, 64)
        expected = (image.astype(np.float64) - 127.5) / 127.5
        actual = pairs.signed(tf.constant(image)).numpy()
        self.assertEqual(actual.dtype, np.float32)
        np.testing.assert_allclose(actual, expected, atol=2e-7)

    def test_seeds_differ(self):
        one, two = self.batches(1, seed=1)[0], self.batches(1, seed=2)[0]
        self.assertFalse(np.array_equal(one["target"], two["target"]))

    def test_two_batches_get_different_jitter(self):
        options = {"shuffle": False, "batch_size": 40, "jitter": "per_image"}
        one, two = self.batches(2, **options)
        self.assertFalse(np.allclose(one["target"], two["target"]))

    def test_resize_only_when_needed(self):
        exact = self.batches(1, shuffle=False)[0]["target"]
        self.assertEqual(photo_numbers(exact).tolist(), list(range(6)))
        small = self.batches(1, shuffle=False, image_size=8)[0]["target"]
        self.assertEqual(small.shape, (6, 8, 8, 3))
        mean = exact.reshape(6, 8, 2, 8, 2, 3).mean(axis=(2, 4))  # areas
        np.testing.assert_allclose(small, mean, atol=1e-6)
        large = self.batches(1, shuffle=False, image_size=24)[0]["target"]
        self.assertEqual(large.shape, (6, 24, 24, 3))

    def test_upstream_shards(self):
        """Only `face`, written by TensorFlow, under a name with upstream's total."""
        folder = self.tempdir()
        with tf.io.TFRecordWriter(
            str(folder / "vgg_train_00000-of-00000.records")
        ) as w:
            for number in range(7):
                example = tf.train.Example()
                face = fixtures.coded(number)
                example.features.feature["face"].bytes_list.value.append(face)
                w.write(example.SerializeToString())
        settings = pairs.PairSettings(f"{folder}/*.records", 7, 16, jitter="none")
        batch = tree_numpy(next(iter(pairs.make_dataset(settings))))
        numbers = sorted(photo_numbers(batch["target"]))
        self.assertEqual(numbers, list(range(7)))
        np.testing.assert_array_equal(batch["target_identity"], -1)

    def test_pairings_reach_the_batch(self):
        for batch in self.batches(8, pairing="different"):
            equal = batch["target_identity"] == batch["source_identity"]
            np.testing.assert_array_equal(equal, batch["same"] == 1.0)
        for batch in self.batches(8, pairing="same_person"):
            np.testing.assert_array_equal(
                batch["target_identity"], batch["source_identity"]
            )

    def test_pairs_within_the_batch(self):
        options = {"pairing": "batch", "same_ratio": 0.0, "jitter": "per_image"}
        for batch in self.batches(3, **options | {"jitter": "none"}):
            target, source = map(photo_numbers, (batch["target"], batch["source"]))
            np.testing.assert_array_equal(np.sort(target), np.sort(source))
            np.testing.assert_array_equal(batch["source_identity"], LABELS[source])
        batch = self.batches(1, **options)[0]  # the roles have jitter of their own
        means = [np.sort(batch[r].mean(axis=(1, 2, 3))) for r in ("target", "source")]
        self.assertFalse(np.allclose(*means))

    def test_bad_arguments(self):
        for options, words in (
            ({"pairing": "x"}, "pairing"),
            ({"jitter": "x"}, "jitter"),
            ({"balance": "x"}, "balance"),
            ({"on_corrupt": "x"}, "on_corrupt"),
            ({"batch_size": 0}, "Received: batch_size=0"),
            ({"image_size": 0}, "image_size"),
            ({"seed": -1}, "seed"),
            ({"window": -1}, "Received: window=-1"),
            ({"cache_mb": -1}, "cache_mb"),
        ):
            with self.assertRaisesRegex(ValueError, words):
                self.settings(**options)
        with self.assertRaisesRegex(ValueError, "multiple of the number of input"):
            pairs.make_dataset(self.settings(), 0, 0, 4)
        with self.assertRaisesRegex(ValueError, "input_pipeline_id"):
            pairs.make_dataset(self.settings(), 0, 2, 2)

    def test_missing_shards(self):
        with self.assertRaisesRegex(InputError, "no shards there"):
            pairs.make_dataset(pairs.PairSettings(str(self.folder / "x")))
        empty = self.folder / "empty.records"
        empty.touch()
        for on_corrupt, words in (("stop", "it is empty"), ("skip", "hold no record")):
            with self.assertRaisesRegex(InputError, words):
                pairs.make_dataset(
                    pairs.PairSettings(str(empty), on_corrupt=on_corrupt)
                )


class PhotoCacheTest(testing.TestCase):
    def test_the_photos_used_last_are_kept(self):
        read = []

        def reading(photo):
            read.append(photo)
            return np.full((2, 3, 3), photo), photo + 100

        cache = photo_cache.PhotoCache(reading, 2)
        for photo in (1, 2, 1, 3, 1, 2):  # 3 drives out 2, then 2 drives out 3
            image, used = cache.get(photo)
            self.assertEqual((image[0, 0, 0], used), (photo, photo + 100))
        self.assertEqual(read, [1, 2, 3, 2])
        self.assertEqual((cache.hits, cache.misses, len(cache)), (2, 4, 2))


class CorruptTest(PairsTestCase):
    def damage(self, shard, record):
        file = self.folder / f"a_train_{shard:05d}-of-00004.records"
        data = bytearray(file.read_bytes())
        data[records.scan(file)[record] + 40] ^= 0xFF
        file.write_bytes(data)
        return str(file)

    def test_stop_names_file_and_record(self):
        file = self.damage(2, 3)
        dataset = pairs.make_dataset(self.settings())
        with self.assertRaises(InputError) as raised, pairs.clear_errors():
            for _ in dataset.take(20):
                pass
        self.assertIn(f"{file}: record 3: checksum of the data", str(raised.exception))

    def test_skip_counts_and_goes_on(self):
        files = [self.damage(2, 3), self.damage(3, 9)]
        settings = self.settings(on_corrupt="skip", shuffle=False, batch_size=10)
        reader = pairs.PairReader(settings)
        with self.assertLogs(level="WARNING") as logs:
            batches = list(pairs.make_dataset(settings, reader=reader).take(12))
        self.assertEqual(set(reader.skipped), {(files[0], 3), (files[1], 9)})
        self.assertLen(logs.output, 2)  # each once, though met three times
        numbers = photo_numbers(batches[2]["target"].numpy())
        # the next record stands in, also for its label
        self.assertEqual(numbers.tolist(), [20, 21, 22, 24, 24, 25, 26, 27, 28, 29])
        np.testing.assert_array_equal(batches[3]["target_identity"][-1], 0)

    def test_undecodable_image_and_missing_feature(self):
        for features, words in (
            ({"face": b"no image"}, "its image cannot be decoded"),
            ({"other": b"x"}, "no feature `face`"),
        ):
            path = self.tempdir() / "b.records"
            records.write_records(path, [records.encode_example(features)])
            reader = pairs.PairReader(pairs.PairSettings(str(path)))
            with self.assertRaisesRegex(InputError, f"b.records: record 0.*{words}"):
                reader.photo(0)

    def test_nothing_left(self):
        path = self.tempdir() / "b.records"
        records.write_records(path, [records.encode_example({"face": b"x"})])
        settings = pairs.PairSettings(str(path), 2, 16, on_corrupt="skip")
        with self.assertRaisesRegex(InputError, "no record can be read"):
            with pairs.clear_errors():
                next(iter(pairs.make_dataset(settings)))

    def test_other_errors_pass(self):
        with self.assertRaises(tf.errors.OutOfRangeError), pairs.clear_errors():
            raise tf.errors.OutOfRangeError(None, None, "end")


class ShardIndexTest(PairsTestCase):
    def test_index(self):
        index = shard_index.open_index(str(self.folder))
        self.assertLen(index, 40)
        np.testing.assert_array_equal(index.identity, LABELS)
        np.testing.assert_array_equal(index.folder, LABELS % 2)
        np.testing.assert_array_equal(index.shard, np.repeat(np.arange(4), 10))
        np.testing.assert_array_equal(index.number, np.tile(np.arange(10), 4))

    def test_labels_of_two_sets_stay_apart(self):
        other = self.tempdir()
        fixtures.write_shard(other / "b_train_00000-of-00001.records", [0, 0, 1])
        index = shard_index.open_index(f"{self.folder},{other}")
        self.assertLen(np.unique(index.identity), 10)
        self.assertLen(np.unique(index.folder), 4)

    def test_upstream_records_are_not_read_through(self):
        path = self.tempdir() / "u_train_00000-of-00000.records"
        fixtures.write_shard(path, [0, 1], with_labels=False)
        np.testing.assert_array_equal(shard_index.index_of(str(path))["identity"], -1)

    def test_a_file_is_taken_once(self):
        found = shard_index.find_shards(f"{self.folder},{self.folder}/*0-of*.records")
        self.assertLen(found, 4)
