"""Tests of intervals: known coverage, repeatable, pairs against themselves."""

import numpy as np

from facedancer.evaluation.metrics import bootstrap
from tests import testing


class BootstrapTest(testing.TestCase):
    def test_mean_and_standard_error(self):
        values = np.random.default_rng(0).normal(3.0, 2.0, 400)
        found = bootstrap.mean(values, seed=1)
        error = values.std(ddof=1) / np.sqrt(400)
        self.assertAlmostEqual(found.value, values.mean())
        self.assert_close(found.low, values.mean() - 1.96 * error, atol=0.15 * error)
        self.assert_close(found.high, values.mean() + 1.96 * error, atol=0.15 * error)
        self.assertEqual(found.count, 400)

    def test_same_seed_same_interval(self):
        values = np.arange(20.0)
        self.assertEqual(bootstrap.mean(values, 5), bootstrap.mean(values, 5))
        self.assertNotEqual(bootstrap.mean(values, 5), bootstrap.mean(values, 6))

    def test_missing_values_are_not_counted(self):
        found = bootstrap.mean([1.0, np.nan, 3.0], draws=50)
        self.assertEqual((found.value, found.count), (2.0, 2))
        nothing = bootstrap.mean([np.nan, np.nan])
        self.assertEqual(nothing.count, 0)
        self.assertTrue(np.isnan(nothing.value))

    def test_covers_the_truth_as_often_as_it_says(self):
        random = np.random.default_rng(7)
        hits = 0
        for trial in range(200):
            found = bootstrap.mean(random.exponential(1.0, 60), trial, draws=200)
            hits += found.low <= 1.0 <= found.high
        self.assertBetween(hits, 176, 199)  # 95 % less what skewness costs

    def test_statistic(self):
        values = np.random.default_rng(0).normal(size=200)
        median = bootstrap.statistic(lambda at: np.median(values[at]), 200)
        self.assertEqual(median.value, np.median(values))
        self.assertLess(median.low, median.value)
        self.assertGreater(median.high, median.value)
        self.assertEqual(bootstrap.statistic(lambda at: 1.0, 0).count, 0)

    def test_jackknife_of_a_mean_is_its_standard_error(self):
        values = np.random.default_rng(2).normal(size=300)
        found = bootstrap.jackknife(lambda at: values[at].mean(), 300, groups=300)
        error = values.std(ddof=1) / np.sqrt(300)
        self.assert_close(found.high - found.value, 1.959964 * error)
        self.assertEqual(found.method, "jackknife")

    def test_jackknife_of_one_example(self):
        found = bootstrap.jackknife(lambda at: 4.0, 1)
        self.assertEqual(found.value, 4.0)
        self.assertTrue(np.isnan(found.low))

    def test_blocks_widen_the_interval_of_a_slow_series(self):
        slow = np.repeat(np.random.default_rng(0).normal(size=20), 12)
        blocks = bootstrap.mean_of_blocks(slow, block=12)
        single = bootstrap.mean(slow)
        self.assertAlmostEqual(blocks.value, single.value)
        wider = (blocks.high - blocks.low) / (single.high - single.low)
        self.assertGreater(wider, 2.5)  # the root of 12 in the limit

    def test_blocks_with_gaps(self):
        found = bootstrap.mean_of_blocks([1.0, np.nan, 3.0, 5.0], block=2)
        self.assertEqual((found.value, found.count), (3.0, 3))
        self.assertEqual(bootstrap.mean_of_blocks([np.nan] * 3).count, 0)

    def test_paired_difference_is_narrower(self):
        random = np.random.default_rng(0)
        a = random.normal(0, 10, 100)
        b = a + random.normal(0.5, 0.1, 100)
        paired = bootstrap.difference(a, b)
        apart = bootstrap.independent_difference(bootstrap.mean(a), bootstrap.mean(b))
        self.assertGreater(paired.low, 0.4)
        self.assertLess(apart.low, 0.0)
        self.assertAlmostEqual(paired.value, apart.value)
        self.assertEqual(apart.method, "independent")
