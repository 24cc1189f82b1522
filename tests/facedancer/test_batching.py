"""Tests of `facedancer.inference.batching`."""

import numpy as np
from absl.testing import parameterized

from facedancer.inference import batching
from tests import testing


class BatchingTest(testing.TestCase):
    @parameterized.parameters((1, 1), (2, 2), (3, 4), (4, 4), (5, 8), (9, 16))
    def test_power_of_two(self, count, expected):
        self.assertEqual(batching.power_of_two(count), expected)

    def test_fill_up_repeats_the_last_row(self):
        filled = batching.fill_up(np.array([[1, 2], [3, 4]]), 4)
        np.testing.assert_array_equal(filled, [[1, 2], [3, 4], [3, 4], [3, 4]])

    @parameterized.parameters((True, [4, 4, 4]), (False, [4, 4, 1]))
    def test_rows_come_back_in_order(self, whole, sizes):
        first, second = np.arange(9.0), np.arange(18.0).reshape(9, 2)
        seen = []

        def add(a, b):
            seen.append(len(a))
            return a + b.sum(axis=1)

        found = batching.in_batches(add, first, second, size=4, whole=whole)
        np.testing.assert_array_equal(found, first + second.sum(axis=1))
        self.assertEqual(seen, sizes)

    def test_few_rows_are_filled_up_to_a_power_of_two(self):
        seen = []

        def same(rows):
            seen.append(len(rows))
            return rows

        found = batching.in_batches(same, np.arange(11), size=8, whole=False)
        np.testing.assert_array_equal(found, np.arange(11))
        self.assertEqual(seen, [8, 4])
