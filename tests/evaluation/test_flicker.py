"""Tests of flicker: a still clip is 0, movement is no flicker, noise is."""

import cv2
import numpy as np

from facedancer.evaluation.metrics import flicker
from tests import testing


def texture(seed=0, size=(90, 120)):
    random = np.random.default_rng(seed)
    image = random.integers(0, 255, (*size, 3), dtype=np.uint8)
    image = cv2.GaussianBlur(image, (0, 0), 4).astype(float)
    image = (image - image.min()) / np.ptp(image) * 255
    return image.astype(np.uint8)


def shifted(image, right, down):
    matrix = np.float64([[1, 0, right], [0, 1, down]])
    return cv2.warpAffine(
        image, matrix, image.shape[1::-1], borderMode=cv2.BORDER_REFLECT
    )


class FlickerTest(testing.TestCase):
    def setUp(self):
        super().setUp()
        self.mask = np.zeros((90, 120), np.float32)
        self.mask[25:65, 30:90] = 1.0

    def test_still_clip(self):
        still = texture()
        made, own = flicker.flicker_pair((still, still), (still, still), self.mask)
        self.assertEqual((made, own), (0.0, 0.0))

    def test_flow_finds_a_shift(self):
        image = texture()
        found = flicker.flow(image, shifted(image, 3, -2))
        middle = found[30:60, 40:80].reshape(-1, 2)
        self.assert_close(np.median(middle, axis=0), np.array([3.0, -2.0]), atol=0.3)

    def test_warp_back_by_hand(self):
        image = texture()
        shift = np.broadcast_to(np.float32([4, 1]), (90, 120, 2))
        back = flicker.warp_back(image, shift)
        self.assert_close(back[10:80, 10:100], image[11:81, 14:104].astype("float32"))

    def test_movement_is_no_flicker_but_noise_is(self):
        target = (texture(), shifted(texture(), 2, 1))
        made = (texture(1), shifted(texture(1), 2, 1))
        moved, own = flicker.flicker_pair(made, target, self.mask)
        noise = np.random.default_rng(0).normal(0, 12, made[1].shape)
        noisy = np.clip(made[1] + noise, 0, 255).astype(np.uint8)
        flickers, _ = flicker.flicker_pair((made[0], noisy), target, self.mask)
        self.assertLess(max(moved, own), 2.0)
        self.assertGreater(flickers, moved + 5.0)

    def test_brighter_frame_by_hand(self):
        dark, bright = np.full((90, 120, 3), 40, np.uint8), None
        bright = dark + np.uint8(7)
        made, own = flicker.flicker_pair((dark, bright), (dark, dark), self.mask)
        self.assertAlmostEqual(made, 7.0, places=4)
        self.assertEqual(own, 0.0)

    def test_no_mask(self):
        still = texture()
        made, _ = flicker.flicker_pair((still, still), (still, still), 0 * self.mask)
        self.assertTrue(np.isnan(made))

    def test_distances_from_mean(self):
        still = np.tile([[3.0, 4.0]], (5, 1)) * np.arange(1, 6)[:, None]
        self.assert_close(flicker.distances_from_mean(still), np.zeros(5), 0, 1e-6)
        spread = np.float32([[1, 0], [0, 1]])  # both 45 degrees off their mean
        expected = np.full(2, 1.0 - np.sqrt(0.5))
        self.assert_close(flicker.distances_from_mean(spread), expected, 1e-6)

    def test_reverted(self):
        target, source = np.float32([[1, 0], [1, 0]]), np.float32([0, 1])
        swapped = np.float32([[1, 0.9], [0.9, 1]])
        found = flicker.reverted(swapped, target, source)
        self.assertEqual(found.tolist(), [True, False])
