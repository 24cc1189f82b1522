"""Tests of the shards: every photo once, same bytes, resume, splits, verify."""

import hashlib
import json

import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from facedancer.dataset.shards import records, shard_index
from facedancer.errors import InputError
from facedancer.imaging import images
from tests.dataset import fixtures
from tests.dataset.fixtures import SIZE, ShardingTestCase


class WriteTest(ShardingTestCase):
    @parameterized.parameters(
        (12, 4, [3, 3, 3, 3]), (11, 4, [3, 3, 3, 2]), (3, 4, [1, 1, 1]), (5, 1, [5])
    )
    def test_every_photo_is_in_one_shard(self, count, num_shards, sizes):
        paths = fixtures.write_photos(self.data, {"ann": count - 1, "bob": 1}, **SIZE)
        self.write(num_shards=num_shards)
        found = self.paths()
        self.assertEqual([len(part) for part in found], sizes)
        self.assertEqual(sorted(sum(found, [])), sorted(paths))
        total = f"-of-{len(sizes):05d}.records"
        self.assertTrue(all(p.name.endswith(total) for p in self.shards()))
        self.assertEqual(self.shards()[0].name, f"set_train_00000{total}")

    def test_features(self):
        fixtures.write_photos(self.data, {"ann": 1, "x/bob": 1, "": 1}, **SIZE)
        self.write(num_shards=1, shuffle=False)
        found = [
            tf.train.Example.FromString(r.numpy()).features.feature
            for r in tf.data.TFRecordDataset(str(self.shards()[0]))
        ]
        names = ["face", "format", "height", "path", "sha256", "width"]
        self.assertEqual(sorted(found[0]), names)  # 000.jpg shows nobody known
        names = sorted([*names, "identity", "identity_name"])
        for features, name, label in zip(
            found[1:], ("ann", "x/bob"), (0, 1), strict=True
        ):
            data = (self.data / name / "000.jpg").read_bytes()
            self.assertEqual(sorted(features), names)
            self.assertEqual(features["face"].bytes_list.value[0], data)
            digest = hashlib.sha256(data).digest()
            self.assertEqual(features["sha256"].bytes_list.value[0], digest)
            self.assertEqual(features["identity"].int64_list.value[0], label)
            self.assertEqual(
                features["identity_name"].bytes_list.value[0], name.encode()
            )
            self.assertEqual(features["height"].int64_list.value[0], 24)
            self.assertEqual(features["width"].int64_list.value[0], 32)
            self.assertEqual(features["format"].bytes_list.value[0], b"jpeg")

    def test_landmarks_of_the_report(self):
        fixtures.write_photos(self.data, {"ann": 2}, **SIZE)
        points = np.arange(10.0).reshape(5, 2).tolist()
        face = {"output": "ann/001.jpg", "crop_landmarks": points}
        entry = {"path": "x", "status": "done", "faces": [face]}
        (self.data / "report.jsonl").write_text(json.dumps(entry) + "\n")
        self.write(num_shards=1, shuffle=False)
        first, second = map(
            records.decode_example, records.read_records(self.shards()[0])
        )
        self.assertNotIn("landmarks", first)
        np.testing.assert_array_equal(second["landmarks"], np.arange(10.0))

    def test_same_bytes_for_any_number_of_workers(self):
        fixtures.write_photos(self.data, {"ann": 9, "bob": 8}, **SIZE)
        self.write()
        one, self.target = self.content(), self.tempdir() / "two"
        self.write(num_workers=2)
        self.assertEqual(self.content(), one)

    def test_seed_and_shuffle(self):
        paths = fixtures.write_photos(self.data, {"ann": 20}, **SIZE)
        orders = {}
        for name, options in {
            "one": {"seed": 1},
            "again": {"seed": 1},
            "two": {"seed": 2},
            "plain": {"shuffle": False},
        }.items():
            self.target = self.tempdir() / name
            self.write(num_shards=1, **options)
            orders[name] = self.paths()[0]
        self.assertEqual(orders["one"], orders["again"])
        self.assertNotEqual(orders["one"], orders["two"])
        self.assertEqual(orders["plain"], paths)

    def test_manifest_and_index(self):
        fixtures.write_photos(self.data, {"a/ann": 9, "b/bob": 4}, **SIZE)
        manifests, broken = self.write()
        manifest = json.loads((self.target / "set_train.manifest.json").read_text())
        self.assertEqual(manifest, manifests["set_train"])
        self.assertEqual(broken, [])
        self.assertEqual(manifest["identities"], {"a/ann": 9, "b/bob": 4})
        self.assertEqual(manifest["folders"], ["a", "b"])
        for shard in manifest["shards"]:
            data = (self.target / shard["file"]).read_bytes()
            self.assertEqual(shard["bytes"], len(data))
            self.assertEqual(shard["sha256"], hashlib.sha256(data).hexdigest())
        stored = shard_index.open_index(str(self.target))
        (self.target / "set_train.index.npz").unlink()
        found = shard_index.open_index(str(self.target))
        for name in ("shard", "number", "offset", "size", "identity", "folder"):
            np.testing.assert_array_equal(
                getattr(stored, name), getattr(found, name), name
            )

    def test_a_stale_index_is_not_used(self):
        fixtures.write_photos(self.data, {"ann": 6}, **SIZE)
        self.write(num_shards=1)
        examples = list(records.read_records(self.shards()[0]))[:4]
        records.write_records(self.shards()[0], examples)
        with self.assertRaisesRegex(InputError, "it is cut off.*on_corrupt=skip"):
            shard_index.open_index(str(self.target))
        index = shard_index.open_index(str(self.target), on_corrupt="skip")
        self.assertLen(index, 4)

    def damage(self, kind):
        """Damages the second of three shards of four photos; returns it."""
        fixtures.write_photos(self.data, {"a/ann": 7, "bob": 5}, **SIZE)
        self.write(num_shards=3)
        shard = self.shards()[1]
        data = shard.read_bytes()
        if kind == "lost":
            shard.unlink()
        else:
            cut = records.scan(shard)[3] + 30
            kinds = {"empty": b"", "cut": data[:cut], "long": data + b"junk" * 9}
            shard.write_bytes(kinds[kind])
        return shard

    @parameterized.parameters(
        ("empty", "it is empty, its manifest says", 8),
        ("cut", "it is cut off", 11),
        ("long", "it is too long, with something behind its end", 12),
        ("lost", "its manifest names it, and it is missing", 8),
    )
    def test_a_damaged_shard_is_noticed_at_the_start(self, kind, words, whole):
        shard = self.damage(kind)
        for data_dir in (str(self.target), f"{self.target}/set_*"):
            with self.assertRaisesRegex(InputError, f"{shard}: .*{words}"):
                shard_index.open_index(data_dir)
            with self.assertLogs(level="WARNING") as logs:
                index = shard_index.open_index(data_dir, on_corrupt="skip")
            self.assertRegex(logs.output[0], f"{shard}: .*{words}")
            self.assertLen(index, whole)
            for photo in range(whole):
                index.image(photo, 16)
            self.assertEqual(len(set(index.identity)), 2)
        (self.target / "set_train.manifest.json").unlink()
        if kind in ("cut", "long"):
            with self.assertRaisesRegex(InputError, "record [34]: "):
                shard_index.open_index(str(self.target))
        index = shard_index.open_index(str(self.target), on_corrupt="skip")
        self.assertLen(index, whole)

    def test_shards_that_are_not_asked_for_are_not_missed(self):
        shard = self.damage("lost")
        others = ",".join(str(path) for path in self.shards() if path != shard)
        self.assertLen(shard_index.open_index(others), 8)
        self.assertLen(shard_index.open_index(f"{self.target}/*_00000-of-*"), 4)

    @parameterized.parameters("empty", "cut", "long", "lost")
    def test_a_damaged_shard_is_written_anew(self, kind):
        self.damage("lost")
        self.write(num_shards=3)
        whole = self.content()
        self.damage(kind)
        self.assertEqual(self.write(num_shards=3)[1], [])
        self.assertEqual(self.content(), whole)

    @parameterized.parameters(
        "[]",
        '{"plan": 3, "shards": []}',
        '{"plan": "", "shards": [3]}',
        '{"plan": "", "shards": [{"file": "../a", "count": 1, "bytes": 1}]}',
    )
    def test_what_is_no_manifest(self, text):
        fixtures.write_photos(self.data, {"ann": 2}, **SIZE)
        self.write(num_shards=1)
        (self.target / "set_train.manifest.json").write_text(text)
        with self.assertRaisesRegex(InputError, "manifest.json: not a manifest"):
            shard_index.open_index(str(self.target))

    def test_broken_photos_are_left_out_and_named(self):
        fixtures.write_photos(self.data, {"ann": 8}, **SIZE)
        torn = self.data / "ann/003.jpg"
        torn.write_bytes(torn.read_bytes()[:-40])
        (self.data / "ann/004.jpg").write_bytes(b"")
        manifests, broken = self.write()
        self.assertEqual([len(part) for part in self.paths()], [2, 2, 1, 1])
        self.assertEqual(manifests["set_train"]["count"], 6)
        self.assertLen(broken, 2)
        self.assertIn("ann/003.jpg: damaged image", broken[0])

    def test_check(self):
        """Damage in the middle is found by decoding only."""
        fixtures.write_photos(self.data, {"ann": 3}, **SIZE)
        path = self.data / "ann/middle.png"
        images.write_image(path, fixtures.photo(**SIZE))
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 0xFF
        path.write_bytes(data)
        self.assertEqual(self.write()[1], [])
        broken = self.write(check="decode", overwrite=True)[1]
        self.assertLen(broken, 1)
        self.assertIn("middle.png: damaged image", broken[0])

    def test_nothing_usable(self):
        self.data.mkdir(parents=True)
        (self.data / "a.jpg").write_text("x")
        with self.assertRaisesRegex(InputError, "none of its images can be read"):
            self.write()
        self.assertFalse(self.target.exists())
