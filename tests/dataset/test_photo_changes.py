"""Tests of what `PairSettings` may do to photos: colours, affine, blur, distortion."""

import cv2
import numpy as np
from absl.testing import parameterized

from facedancer.dataset.augmentation import photo_changes
from facedancer.dataset.reading import pairs
from facedancer.dataset.shards import records, shard_index
from facedancer.errors import InputError
from facedancer.face import alignment
from facedancer.imaging import images
from tests import testing

SIZE = 48
ALL = {"colour_match": 0.7, "affine": "faceswap_gan", "motion_blur": 0.5}


def smooth(seed, height=SIZE, width=SIZE):
    random = np.random.default_rng(seed)
    small = random.uniform(20, 230, (5, 4, 3)).astype(np.float32)
    large = cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)
    return large.clip(0, 255).astype(np.uint8)


class ChangesTestCase(testing.TestCase):
    def setUp(self):
        super().setUp()
        self.path = self.tempdir() / "a_train_00000-of-00001.records"
        self.write(lambda number: {})

    def write(self, more, height=SIZE, width=SIZE):
        records.write_records(
            self.path,
            (
                records.encode_example(
                    {
                        "face": images.encode_image(smooth(n, height, width), ".png"),
                        "height": height,
                        "width": width,
                        **more(n),
                    }
                )
                for n in range(12)
            ),
        )

    def batches(self, count, first=0, pipeline=(0, 1), **options):
        options = {"jitter": "none"} | options
        settings = pairs.PairSettings(str(self.path), 6, SIZE, **options)
        dataset = pairs.make_dataset(settings, first, *pipeline)
        return [{k: v.numpy() for k, v in b.items()} for b in dataset.take(count)]


class BatchesTest(ChangesTestCase):
    def test_off(self):
        """Every target is one of the photos as it is."""
        photos = np.stack([smooth(n) for n in range(12)]) / 127.5 - 1.0
        for batch in self.batches(3):
            self.assertNotIn("distorted", batch)
            for role in ("target", "source"):
                error = np.abs(batch[role][:, None] - photos).max(axis=(2, 3, 4))
                np.testing.assert_allclose(error.min(axis=1), 0.0, atol=1e-6)

    @parameterized.parameters(
        {"colour_match": 1.0}, {"affine": "few_shot"}, {"motion_blur": 1.0}
    )
    def test_each_alone(self, **option):
        plain, changed = self.batches(1)[0], self.batches(1, **option)[0]
        for role in ("target", "source"):
            difference = np.abs(plain[role] - changed[role]).max(axis=(1, 2, 3))
            # a photo may be matched with itself, or only a little
            self.assertGreaterEqual((difference > 0.02).sum(), 3)
        same = changed["same"] == 1.0
        np.testing.assert_array_equal(changed["target"][same], changed["source"][same])
        self.assertNotIn("distorted", changed)

    @parameterized.parameters("none", "warp", "corruption")
    def test_resume_and_two_pipelines(self, distortion):
        options = ALL | {"distortion": distortion, "jitter": "per_image", "flip": True}
        whole = self.batches(4, **options)
        rest = self.batches(2, 2, **options)
        parts = [self.batches(4, pipeline=(i, 2), **options) for i in range(2)]
        for number, batch in enumerate(whole):
            for name, value in batch.items():
                joined = np.concatenate([part[number][name] for part in parts])
                np.testing.assert_array_equal(joined, value)
                if number >= 2:
                    np.testing.assert_array_equal(rest[number - 2][name], value)

    def test_corruption(self):
        mask = photo_changes.face_mask(SIZE)
        near = cv2.dilate(mask, np.ones((5, 5))) > 0
        for batch in self.batches(3, distortion="corruption"):
            change = np.abs(batch["distorted"] - batch["target"]).mean(axis=-1)
            self.assertLess(change[:, ~near].max(), 1e-6)
            self.assertGreater(change[:, 20:30, 20:30].mean(axis=(1, 2)).min(), 0.004)
            same = batch["same"] == 1.0
            np.testing.assert_array_equal(batch["target"][same], batch["source"][same])

    def test_warp(self):
        for batch in self.batches(3, distortion="warp"):
            change = np.abs(batch["distorted"] - batch["target"])
            self.assertBetween(change.mean(), 0.001, 0.2)
            # the source keeps the whole photo, the target is its middle
            same = np.flatnonzero(batch["same"])[0]
            source, target = batch["source"][same], batch["target"][same]
            errors = {}
            for part in np.linspace(0.5, 1.0, 26):
                side = round(SIZE * part / 2) * 2
                at = (SIZE - side) // 2
                middle = source[at : at + side, at : at + side]
                middle = cv2.resize(middle, (SIZE, SIZE))
                errors[part] = np.abs(middle - target).mean()
            self.assertBetween(min(errors, key=errors.get), 0.58, 0.80)

    @parameterized.parameters("warp", "corruption")
    def test_jitter_and_flip_are_those_of_the_target(self, distortion):
        options = {"distortion": distortion, "jitter": "per_image", "flip": True}
        for batch in self.batches(3, **options):
            self.assertLess(
                np.abs(batch["distorted"] - batch["target"])[:, :3, :3].mean(), 0.1
            )
            means = batch["distorted"].mean((1, 2)), batch["target"].mean((1, 2))
            np.testing.assert_allclose(*means, atol=0.25)

    def test_legacy_jitter_of_the_distorted_copy_is_the_targets(self):
        options = {"distortion": "corruption", "jitter": "legacy"}
        batch = self.batches(1, **options)[0]
        corners = batch["distorted"][:, :2], batch["target"][:, :2]
        np.testing.assert_allclose(*corners, atol=5e-3)  # contrast is about the mean

    @parameterized.parameters(
        ({"colour_match": 1.5}, "Received: 1.5"),
        ({"motion_blur": -0.5}, "`motion_blur` must lie"),
        ({"affine": "x"}, "affine='x'"),
        ({"distortion": "x"}, "must be one of .'none', 'warp', 'corruption'"),
    )
    def test_bad_values(self, options, words):
        with self.assertRaisesRegex(ValueError, words):
            pairs.PairSettings("x", **options)


class LandmarksTest(ChangesTestCase):
    def test_landmarks_at_another_size(self):
        """The centre of a pixel stays one: 0 of 96 pixels lies at -0.25 of 48."""
        points = np.array([[0, 0], [95, 35], [10, 20], [30, 5], [50, 11]], np.float32)
        self.write(lambda n: {"landmarks": points.ravel()} if n else {}, 36, 96)
        index = shard_index.open_index(str(self.path))
        self.assertIsNone(index.landmarks(0, 48))
        found = index.landmarks(1, 48)
        np.testing.assert_allclose(found[0], [-0.25, 1 / 6], atol=1e-6)
        np.testing.assert_allclose(found[1], [47.25, 35.5 * 4 / 3 - 0.5], atol=1e-6)

    def test_corruption_follows_the_landmarks(self):
        away = alignment.template(SIZE) * 0.4 + [26, 2]  # small, at the top right
        self.write(lambda n: {"landmarks": away.ravel().astype(np.float32)})
        for batch in self.batches(3, distortion="corruption"):
            change = np.abs(batch["distorted"] - batch["target"])
            self.assertLess(change[:, 28:].max(), 1e-6)
            self.assertLess(change[:, :, :20].max(), 1e-6)
            self.assertGreater(change[:, 8:16, 32:40].mean(), 0.01)

    def test_mask(self):
        mask = photo_changes.face_mask(200)
        rows, columns = np.nonzero(mask)
        centre = [columns.mean() + 0.5, rows.mean() + 0.5]
        np.testing.assert_allclose(centre, [100, 112], atol=1.0)
        area = (mask > 0).mean()
        self.assertAlmostEqual(area, np.pi * 0.36 * 0.46, delta=0.02)
        inside = mask[tuple(np.rint(alignment.template(200)).astype(int)[:, ::-1].T)]
        np.testing.assert_array_equal(inside, 255)

    def test_a_missing_photo_is_named(self):
        index = shard_index.open_index(str(self.path))
        data = bytearray(self.path.read_bytes())
        data[records.scan(self.path)[2] + 40] ^= 0xFF
        self.path.write_bytes(data)
        with self.assertRaisesRegex(InputError, "record 2: checksum"):
            index.landmarks(2, 48)
