"""Tests of listing photos and of measuring how good faces are."""

import cv2
import numpy as np

from facedancer.dataset.photos import listing, quality
from tests import testing


class PhotosTest(testing.TestCase):
    def test_list(self):
        folder = self.tempdir()
        for name in (
            "b/2.JPG",
            "a.png",
            "b/.hidden.jpg",
            ".h/1.jpg",
            "b/c/1.webp",
            "t.txt",
        ):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).touch()
        found = listing.list_photos(folder)
        self.assertEqual(found, ["a.png", "b/2.JPG", "b/c/1.webp"])
        self.assertEqual([listing.position(found, p) for p in found], [0, 1, 2])
        self.assertIsNone(listing.position(found, "b/3.JPG"))


class QualityTest(testing.TestCase):
    def test_blur_lowers_sharpness(self):
        random = np.random.default_rng(0)
        crop = random.integers(0, 255, (112, 112, 3), dtype=np.uint8)
        blurred = cv2.GaussianBlur(crop, (0, 0), 2.0)
        self.assertGreater(quality.sharpness(crop), 20 * quality.sharpness(blurred))
        self.assertEqual(quality.sharpness(np.full_like(crop, 7)), 0.0)
