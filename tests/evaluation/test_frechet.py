"""Tests of the Frechet distance: closed form, both ways of computing, properties."""

import numpy as np
import scipy.linalg

from facedancer.evaluation.metrics import frechet
from tests import testing


def reference(a, b):
    """The textbook formula, with a matrix square root."""
    first, second = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    root = scipy.linalg.sqrtm(first @ second)
    mean = ((a.mean(0) - b.mean(0)) ** 2).sum()
    return mean + np.trace(first + second - 2 * np.real(root))


def of_moments(mean_a, covariance_a, mean_b, covariance_b):
    """The distance of two Gaussians by symmetric eigenvalues, also of singular ones."""
    values, vectors = np.linalg.eigh(covariance_a)
    half = (vectors * np.sqrt(values.clip(0.0))) @ vectors.T
    root = np.sqrt(np.linalg.eigvalsh(half @ covariance_b @ half).clip(0.0)).sum()
    mean = ((np.asarray(mean_a) - mean_b) ** 2).sum()
    return mean + np.trace(covariance_a) + np.trace(covariance_b) - 2.0 * root


class FrechetTest(testing.TestCase):
    def test_gaussians_in_closed_form(self):
        # Diagonal covariances: |m|^2 + sum (s - t)^2.
        # Four points with these means and variances exactly.
        signs = np.array([[1, 1], [1, -1], [-1, 1], [-1, -1]]) * np.sqrt(0.75)
        a, b = signs * [2.0, 3.0], signs * [1.0, 5.0] + [3.0, 4.0]
        expected = 25.0 + 1.0 + 4.0
        self.assertAlmostEqual(frechet.frechet_distance(a, b), expected)

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
        expected = of_moments(*moments)
        self.assert_close(frechet.frechet_distance(a, b), expected, 1e-5)

    def test_fewer_examples_than_features(self):
        random = np.random.default_rng(2)
        a, b = random.normal(size=(5, 30)), random.normal(size=(9, 30)) * 2.0
        moments = [
            part for x in (a, b) for part in (x.mean(0), np.cov(x, rowvar=False))
        ]
        expected = of_moments(*moments)
        self.assert_close(frechet.frechet_distance(a, b), expected, 1e-6)

    def test_a_set_with_itself(self):
        a = np.random.default_rng(3).normal(size=(50, 8))
        self.assertAlmostEqual(frechet.frechet_distance(a, a), 0.0, places=6)

    def test_one_example(self):
        with self.assertRaisesRegex(ValueError, "two examples. Received: 1 and 4"):
            frechet.frechet_distance(np.zeros((1, 2)), np.zeros((4, 2)))
