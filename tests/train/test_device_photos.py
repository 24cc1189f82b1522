"""Batches that JAX makes on the device equal those of the reader in NumPy."""

import cv2
import numpy as np
import pytest
from absl.testing import parameterized

from facedancer.dataset.reading import photo_plan
from facedancer.dataset.reading.pair_reader import PairReader, PairSettings
from facedancer.dataset.shards import records
from tests import testing

jax = pytest.importorskip("jax")
from facedancer.train.drivers import device_photos, jax_driver  # noqa: E402

SIZE, ROWS = 24, 6
OFF = {"jitter": "none", "same_ratio": 0.3}


def smooth(number):
    """A photo with edges and gradients, other than the next one."""
    y, x = np.mgrid[:SIZE, :SIZE] / SIZE
    shades = [x * 200 + 5 * number, y * 180 + 40, (x + y) * 100 + 9 * number]
    image = np.stack(shades, axis=-1) % 256
    image[number % 8 + 4 : 12, 6:15] = (250 - 20 * number, 30 * number % 255, 90)
    return image.astype(np.uint8)


class DevicePhotosTest(testing.TestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.photos = [smooth(number) for number in range(9)]

    def reader(self, damaged=(), **options):
        folder = self.tempdir()
        examples = []
        for number, image in enumerate(self.photos):
            face = cv2.imencode(".png", image[..., ::-1])[1].tobytes()
            face = face[:40] if number in damaged else face
            values = {"face": face, "identity": number % 3, "path": f"{number}.png"}
            examples.append(records.encode_example(values))
        records.write_records(folder / "a_00000-of-00001.records", iter(examples))
        return PairReader(PairSettings(str(folder), ROWS, SIZE, **OFF | options))

    def both(self, number, **options):
        """Batch `number` from the reader, in [-1, 1], and from the device."""
        reader = self.reader(**options)
        photos = photo_plan.decode(reader)
        plan = photo_plan.PhotoPlan(reader, photos).arrays(number)
        make = jax.jit(device_photos.images, static_argnames="jitter")
        made = make(photos.images, plan, jitter=reader.settings.jitter)
        expected = reader.arrays(number)
        for name in ("target", "source"):
            if expected[name].dtype == np.uint8:
                expected[name] = expected[name].astype("f4") / 127.5 - 1.0
        return expected, {name: np.asarray(value) for name, value in made.items()}

    def test_without_changes_they_are_the_photos(self):
        expected, made = self.both(3)
        self.assertEqual(set(made), set(expected))
        for name, value in expected.items():
            np.testing.assert_allclose(made[name], value, atol=1e-6, err_msg=name)
        self.assertGreater(expected["same"].sum(), 0)

    @parameterized.parameters(
        ({"flip": True}, 1e-3, 1e-4),
        ({"jitter": "per_image"}, 1.01, 0.1),  # values that lie between two greys
        ({"jitter": "legacy"}, 0.01, 0.001),
        ({"colour_match": 1.0}, 1.01, 0.05),
        ({"colour_match": 0.5}, 1.01, 0.05),
        ({"motion_blur": 1.0}, 1.01, 0.05),
        ({"motion_blur": 0.5}, 1.01, 0.05),
        # OpenCV goes by thirty-seconds of a pixel.
        ({"affine": "faceswap_gan"}, 8.0, 0.6),
        ({"affine": "few_shot"}, 8.0, 0.6),
        (
            {"affine": "few_shot", "colour_match": 0.5, "flip": True}
            | {"motion_blur": 0.5, "jitter": "per_image"},
            8.0,
            0.8,
        ),
    )
    def test_every_change(self, options, largest, mean):
        """In grey levels; and each does something, or it would prove nothing."""
        for number in (0, 7):
            expected, made = self.both(number, **options)
            for name in ("target", "source"):
                apart = np.abs(made[name] - expected[name]) * 127.5
                self.assertLess(apart.max(), largest, name)
                self.assertLess(apart.mean(), mean, name)
            plain, _ = self.both(number)
            moved = np.abs(plain["target"] - expected["target"]) * 127.5
            self.assertGreater(moved.mean(), 3 * mean)

    def test_damaged_records_are_replaced_alike(self):
        expected, made = self.both(2, damaged=(1, 4), on_corrupt="skip")
        for name in ("target", "target_identity", "source_identity"):
            np.testing.assert_allclose(made[name], expected[name], atol=1e-6)

    def test_what_fits(self):
        reader = self.reader()
        self.assertEqual(photo_plan.bytes_of(reader), 9 * SIZE * SIZE * 3)
        fits = jax_driver.JaxDriver(("0",), photo_mb=1)._fits
        self.assertTrue(fits(reader))
        self.assertFalse(fits(self.reader(distortion="warp")))
        self.assertFalse(jax_driver.JaxDriver(("0",), photo_mb=0)._fits(reader))
        self.assertFalse(jax_driver.JaxDriver(("0",))._fits(reader))  # a CPU
