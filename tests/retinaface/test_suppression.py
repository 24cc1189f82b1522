"""Tests of `facedancer.retinaface.suppression`."""

import numpy as np
from absl.testing import parameterized

from facedancer.face.boxes import fraction_inside, overlap
from facedancer.retinaface import suppression
from tests import testing


class SuppressionTest(testing.TestCase):
    @parameterized.named_parameters(
        ("same", [0, 0, 4, 2], [0, 0, 4, 2], 1.0),
        ("half_of_a_third", [0, 0, 4, 2], [2, 0, 6, 2], 4 / 12),
        ("inside", [0, 0, 4, 4], [1, 1, 3, 3], 4 / 16),
        ("apart", [0, 0, 4, 2], [5, 0, 6, 2], 0.0),
        ("inside_out", [4, 2, 0, 0], [0, 0, 4, 2], 0.0),
        ("nothing", [1, 1, 1, 1], [1, 1, 1, 1], 0.0),
    )
    def test_overlap(self, one, other, expected):
        value = overlap(np.float32(one), np.float32([other]))
        self.assert_close(value, np.array([expected]))

    def test_suppress_by_hand(self):
        boxes = np.float32(
            [[0, 0, 10, 10], [1, 0, 11, 10], [20, 0, 30, 10], [21, 0, 31, 10]]
        )
        kept = suppression.suppress(boxes, np.float32([0.5, 0.9, 0.8, 0.1]), 0.4)
        self.assertEqual(kept.tolist(), [1, 2])

    def test_the_threshold_itself_is_kept(self):
        boxes = np.float32([[0, 0, 4, 2], [2, 0, 6, 2]])  # overlap 1/3
        scores = np.float32([0.9, 0.8])
        self.assertLen(suppression.suppress(boxes, scores, 0.34), 2)
        self.assertLen(suppression.suppress(boxes, scores, 0.33), 1)

    def test_a_dropped_box_drops_no_other(self):
        """A chain: the middle goes for the first, so the last stays."""
        boxes = np.float32([[0, 0, 10, 10], [4, 0, 14, 10], [8, 0, 18, 10]])
        kept = suppression.suppress(boxes, np.float32([0.9, 0.8, 0.7]), 0.4)
        self.assertEqual(kept.tolist(), [0, 2])

    def test_share_inside_by_hand(self):
        one = np.array([0.0, 0, 4, 2])
        others = np.array([[1.0, 0, 9, 1], [-9, -9, 9, 9], [4, 0, 5, 5], [0, 0, 0, 0]])
        shares = fraction_inside(one, others)
        self.assert_close(shares, np.array([3 / 8, 1.0, 0.0, 0.0]))
        flat = fraction_inside(np.array([1.0, 1, 1, 2]), one)
        self.assertEqual(flat, 0.0)

    def test_vote_by_hand(self):
        boxes = np.float32(
            [[0, 0, 10, 10], [1, 0, 11, 10], [5, 0, 15, 10], [40, 0, 50, 10]]
        )  # overlaps with the first: 1, 9/11, 1/3, 0
        points = np.float32([[[1, 8]], [[4, 2]], [[100, 100]], [[7, 7]]])
        scores, kept = np.float32([0.8, 0.4, 0.7, 0.9]), np.array([3, 0])
        voted = suppression.vote(points, boxes, scores, kept)
        self.assert_close(voted, np.array([[[7, 7]], [[2, 6]]]))
        voted = suppression.vote(points, boxes, scores, kept, min_overlap=9 / 11)
        self.assert_close(voted, points[kept])

    def test_a_box_without_area_has_its_own_vote(self):
        boxes, points = np.float32([[3, 3, 3, 3]]), np.float32([[[1, 2]]])
        voted = suppression.vote(points, boxes, np.float32([0.5]), np.array([0]))
        self.assert_close(voted, points)

    def test_nothing(self):
        kept = suppression.suppress(np.zeros((0, 4)), np.zeros(0), 0.4)
        self.assertEqual(kept.shape, (0,))
        points = np.zeros((0, 5, 2))
        voted = suppression.vote(points, np.zeros((0, 4)), np.zeros(0), kept)
        self.assertEqual(voted.shape, (0, 5, 2))

    def test_equals_a_plain_double_loop(self):
        random = np.random.default_rng(0)
        corner = random.uniform(0, 50, (80, 2))
        boxes = np.concatenate([corner, corner + random.uniform(5, 30, (80, 2))], 1)
        scores = random.uniform(size=80)
        expected = []
        for i in np.argsort(-scores):
            if all(overlap(boxes[i], boxes[j]) <= 0.3 for j in expected):
                expected.append(i)
        kept = suppression.suppress(boxes, scores, 0.3)
        self.assertEqual(kept.tolist(), expected)
