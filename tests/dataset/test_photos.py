"""Tests of listing photos and of measuring how good faces are."""

import cv2
import numpy as np
from absl.testing import parameterized

from facedancer import testing
from facedancer.dataset.photos import listing, quality


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

    @parameterized.parameters((0, 0, 0), (30, 0, 0), (-45, 10, 0), (20, -15, 25))
    def test_pose_of_the_turned_model(self, yaw, pitch, roll):
        y, p, r = np.radians([yaw, pitch, roll])
        # about the vertical (nose to the right), then the horizontal (nose down), then
        # in the image (clockwise), in x right, y down, z towards the camera
        turn = np.array(
            [[np.cos(y), 0, np.sin(y)], [0, 1, 0], [-np.sin(y), 0, np.cos(y)]]
        )
        nod = np.array(
            [[1, 0, 0], [0, np.cos(p), np.sin(p)], [0, -np.sin(p), np.cos(p)]]
        )
        lean = np.array(
            [[np.cos(r), -np.sin(r), 0], [np.sin(r), np.cos(r), 0], [0, 0, 1]]
        )
        points = quality.FIVE_POINTS_MM @ (lean @ nod @ turn).T
        found = quality.pose(1.7 * points[:, :2] + [50, 80])
        nose = lean @ nod @ turn @ [0, 0, 1]
        self.assertAlmostEqual(
            found[0], np.degrees(np.arctan2(nose[0], nose[2])), delta=1e-6
        )
        self.assertAlmostEqual(found[1], np.degrees(np.arcsin(nose[1])), delta=1e-6)
        if not (yaw or pitch):
            self.assertAlmostEqual(found[2], roll, delta=1e-6)
        self.assertGreaterEqual(found[0] * yaw, 0)
