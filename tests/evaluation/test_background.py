"""Tests of comparisons by pixels."""

import numpy as np

from facedancer.evaluation.metrics import background
from tests import testing


def noise(seed, size=(40, 56)):
    return np.random.default_rng(seed).integers(0, 255, (*size, 3), dtype=np.uint8)


def naive_ssim(a, b, row, column):
    """SSIM of one pixel of one channel by the paper's formula."""
    offsets = np.arange(-5, 6)
    window = np.exp(-(offsets**2) / (2 * 1.5**2))
    window = np.outer(window, window) / np.outer(window, window).sum()
    part = np.s_[row - 5 : row + 6, column - 5 : column + 6]
    x, y = a[part].astype(float), b[part].astype(float)
    mx, my = (window * x).sum(), (window * y).sum()
    vx, vy = (window * x * x).sum() - mx**2, (window * y * y).sum() - my**2
    cov = (window * x * y).sum() - mx * my
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    over = (2 * mx * my + c1) * (2 * cov + c2)
    return over / ((mx**2 + my**2 + c1) * (vx + vy + c2))


class BackgroundTest(testing.TestCase):
    def test_ssim_by_the_paper(self):
        a, b = noise(0), noise(1)
        b = (0.7 * a + 0.3 * b).astype(np.uint8)
        found = background.ssim_map(a, b)
        self.assertEqual(found.shape, (40, 56))
        expected = np.mean([naive_ssim(a[..., c], b[..., c], 20, 31) for c in range(3)])
        self.assertAlmostEqual(found[20, 31], expected, places=4)

    def test_ssim_of_a_picture_with_itself(self):
        self.assert_close(background.ssim_map(noise(0), noise(0)), np.ones((40, 56)))

    def test_inside_and_outside(self):
        values = np.array([[1.0, 1.0, 5.0, 9.0], [3.0, 3.0, 7.0, 9.0]])
        mask = np.array([[1.0, 0.9, 0.3, 0.0], [1.0, 0.6, 0.5, 0.0]])
        inside, outside = background.inside_and_outside(values, mask)
        self.assertEqual((inside, outside), (2.0, 9.0))  # the soft edge is left out

    def test_no_outside(self):
        inside, outside = background.inside_and_outside(
            np.ones((2, 3)), np.ones((2, 3))
        )
        self.assertEqual(inside, 1.0)
        self.assertTrue(np.isnan(outside))

    def test_unchanged_fraction(self):
        a = np.full((2, 4, 3), 100, np.uint8)
        b = a.copy()
        b[0, 0] = 102  # within two steps
        b[0, 1, 2] = 103
        b[1, 3] = 0  # outside the mask
        mask = np.array([[1.0, 1.0, 1.0, 0.0], [1.0, 0.0, 0.0, 0.0]])
        self.assertEqual(background.unchanged_fraction(a, b, mask), 0.75)

    def test_perceptual_maps_by_hand(self):
        a = np.array([3.0, 4.0]).reshape(1, 1, 1, 2)  # length 5
        b = np.array([0.0, 2.0]).reshape(1, 1, 1, 2)
        plain = background.perceptual_maps([a], [b])[0]
        self.assert_close(plain, np.array([[[0.36 + 0.04]]]))
        weighted = background.perceptual_maps([a], [b], [np.array([10.0, 100.0])])[0]
        self.assert_close(weighted, np.array([[[3.6 + 4.0]]]))

    def test_perceptual_distances_sum_over_levels(self):
        small = np.array([[[1.0, 3.0], [1.0, 3.0]]])
        large = np.repeat(np.repeat(small, 2, 1), 2, 2) * 10.0
        mask = np.zeros((1, 4, 4))
        mask[0, :, :2] = 1.0
        inside, outside = background.perceptual_distances([small, large], mask)
        self.assert_close(inside, np.array([11.0]), rtol=1e-2)
        self.assert_close(outside, np.array([33.0]), rtol=1e-2)
