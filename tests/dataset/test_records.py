"""Tests of TFRecord files and examples, with TensorFlow as the independent reader."""

import numpy as np
import tensorflow as tf

from facedancer.dataset.shards import records
from facedancer.errors import InputError
from facedancer.storage import files
from tests import testing


class ExampleTest(testing.TestCase):
    def test_tensorflow_reads_what_we_write(self):
        data = records.encode_example(
            {"face": b"\x00\xff", "name": "ä", "n": 300, "m": -2, "x": np.arange(3) / 2}
        )
        features = tf.train.Example.FromString(data).features.feature
        self.assertEqual(features["face"].bytes_list.value[:], [b"\x00\xff"])
        self.assertEqual(features["name"].bytes_list.value[0].decode(), "ä")
        self.assertEqual(features["n"].int64_list.value[:], [300])
        self.assertEqual(features["m"].int64_list.value[:], [-2])
        self.assertEqual(features["x"].float_list.value[:], [0.0, 0.5, 1.0])

    def test_we_read_what_tensorflow_writes(self):
        example = tf.train.Example()
        example.features.feature["face"].bytes_list.value.append(b"x" * 200)
        example.features.feature["n"].int64_list.value.extend([-1, 7])
        example.features.feature["x"].float_list.value.extend([1.5, -2.0])
        example.features.feature["empty"].int64_list.value.extend([])
        found = records.decode_example(example.SerializeToString())
        self.assertEqual(sorted(found), ["face", "n", "x"])
        self.assertEqual(found["face"], b"x" * 200)
        self.assertEqual(found["n"], -1)
        np.testing.assert_array_equal(found["x"], np.float32([1.5, -2.0]))

    def test_bytes_do_not_depend_on_the_order_of_the_features(self):
        one = records.encode_example({"a": 1, "b": b"2"})
        two = records.encode_example({"b": b"2", "a": 1})
        self.assertEqual(one, two)

    def test_foreign_bytes_are_refused(self):
        whole = records.encode_example({"face": b"abc", "n": 5})
        for bad in (whole[:-1], b"\xff\xff\xff\xff", b"\x0b\x00"):
            with self.assertRaisesRegex(InputError, "not a tf.train.Example"):
                records.decode_example(bad)

    def test_one_feature(self):
        example = tf.train.Example()
        for name in ("name", "face", "faces"):
            example.features.feature[name].bytes_list.value.append(name.encode() * 99)
        example.features.feature["n"].int64_list.value.append(3)
        example.features.feature["none"].bytes_list.SetInParent()
        data = example.SerializeToString()
        for name in ("name", "face", "faces"):
            self.assertEqual(records.bytes_feature(data, name), name.encode() * 99)
        for name in ("fac", "n", "none"):
            self.assertIsNone(records.bytes_feature(data, name))
        for bad in (data[:-1], b"\xff\xff\xff\xff", b"\x0b\x00"):
            with self.assertRaisesRegex(InputError, "not a tf.train.Example"):
                records.bytes_feature(bad, "other")

    def test_other_types_are_refused(self):
        with self.assertRaisesRegex(ValueError, "Received: x=1.5"):
            records.encode_example({"x": 1.5})


class FileTest(testing.TestCase):
    def setUp(self):
        super().setUp()
        self.path = self.tempdir() / "a.records"
        self.data = [b"", b"one", b"x" * 1000]

    def test_round_trip_and_tensorflow(self):
        written = records.write_records(self.path, self.data)
        self.assertEqual(list(records.read_records(self.path)), self.data)
        theirs = [r.numpy() for r in tf.data.TFRecordDataset(str(self.path))]
        self.assertEqual(theirs, self.data)
        np.testing.assert_array_equal(written.offsets, [0, 16, 35, 1051])
        np.testing.assert_array_equal(records.scan(self.path), written.offsets)
        self.assertEqual(files.file_hash(self.path), written.sha256)

    def test_reads_what_tensorflow_writes(self):
        with tf.io.TFRecordWriter(str(self.path)) as writer:
            for record in self.data:
                writer.write(record)
        self.assertEqual(list(records.read_records(self.path)), self.data)

    def test_damage_is_named(self):
        records.write_records(self.path, self.data)
        whole = bytearray(self.path.read_bytes())
        for place, index, words in (
            (16 + 12, 1, "checksum of the data is wrong"),
            (16, 1, "checksum of the length is wrong"),
            (35 + 500, 2, "checksum of the data is wrong"),
        ):
            damaged = whole.copy()
            damaged[place] ^= 1
            self.path.write_bytes(damaged)
            with self.assertRaisesRegex(
                records.CorruptRecordError, f"a.records: record {index}: {words}"
            ):
                list(records.read_records(self.path))

    def test_a_torn_end_is_named(self):
        records.write_records(self.path, self.data)
        whole = self.path.read_bytes()
        for kept in (len(whole) - 1, 40, 20):
            self.path.write_bytes(whole[:kept])
            words = "record [12]: the file ends early"
            with self.assertRaisesRegex(records.CorruptRecordError, words):
                list(records.read_records(self.path))
            with self.assertRaisesRegex(records.CorruptRecordError, words):
                records.scan(self.path)

    def test_a_failed_write_leaves_nothing(self):
        def fails():
            yield b"one"
            raise InputError("the photo is gone")

        with self.assertRaisesRegex(InputError, "gone"):
            records.write_records(self.path, fails())
        self.assertEqual(list(self.path.parent.iterdir()), [])
