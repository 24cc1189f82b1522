"""Tests of the Frechet distance: closed form, both ways of computing, properties."""

import numpy as np
import scipy.linalg

from facedancer import testing
from facedancer.evaluation.metrics import frechet


def reference(a, b):
    """The textbook formula, with a matrix square root."""
    first, second = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    root = scipy.linalg.sqrtm(first @ second)
    mean = ((a.mean(0) - b.mean(0)) ** 2).sum()
    return mean + np.trace(first + second - 2 * np.real(root))


class FrechetTest(testing.TestCase):
    def test_gaussians_in_closed_form(self):
        # Diagonal covariances: |m|^2 + sum (s - t)^2.
        distance = frechet.distance_of_moments(
            [0.0, 0.0], np.diag([4.0, 9.0]), [3.0, 4.0], np.diag([1.0, 25.0])
        )
        self.assertAlmostEqual(distance, 25.0 + 1.0 + 4.0)

    def test_samples_near_the_closed_form(self):
        random = np.random.default_rng(0)
        a = random.normal(0.0, 2.0, (20000, 3))
        b = random.normal(1.0, 1.0, (20000, 3))
        self.assertAlmostEqual(frechet.frechet_distance(a, b), 6.0, delta=0.15)

    def test_against_the_textbook(self):
        random = np.random.default_rng(1)
        mixing = random.normal(size=(6, 6))
        for count in (40, 7):
            a = random.normal(size=(count, 6)) @ mixing
            b = random.normal(size=(count + 3, 6)) + 0.5
            self.assert_close(frechet.frechet_distance(a, b), reference(a, b), 1e-6)

    def test_features_that_never_vary_or_depend_on_each_other(self):
        random = np.random.default_rng(4)
        a, b = random.normal(size=(30, 5)), random.normal(size=(40, 5)) * 1.5
        a[:, 2] = 3.0  # never varies in one sample
        a[:, 4], b[:, 4] = a[:, 0] + a[:, 1], b[:, 0] - b[:, 3]
        moments = [
            part for x in (a, b) for part in (x.mean(0), np.cov(x, rowvar=False))
        ]
        expected = frechet.distance_of_moments(*moments)
        self.assert_close(frechet.frechet_distance(a, b), expected, 1e-5)

    def test_fewer_examples_than_features(self):
        random = np.random.default_rng(2)
        a, b = random.normal(size=(5, 30)), random.normal(size=(9, 30)) * 2.0
        moments = [
            part for x in (a, b) for part in (x.mean(0), np.cov(x, rowvar=False))
        ]
        expected = frechet.distance_of_moments(*moments)
        self.assert_close(frechet.frechet_distance(a, b), expected, 1e-6)

    def test_a_set_with_itself(self):
        a = np.random.default_rng(3).normal(size=(50, 8))
        self.assertAlmostEqual(frechet.frechet_distance(a, a), 0.0, places=6)

    def test_one_example(self):
        with self.assertRaisesRegex(ValueError, "two examples. Received: 1 and 4"):
            frechet.frechet_distance(np.zeros((1, 2)), np.zeros((4, 2)))
