"""Tests of `facedancer.face.outlines`: which finds are faces, which stand in front."""

import numpy as np
from absl.testing import parameterized

from facedancer.face import alignment, outlines
from tests import testing


def face(left, top, side):
    """Landmarks of a face whose aligned crop is this square."""
    return alignment.template(side) + [left, top]


class GhostsTest(testing.TestCase):
    def ghosts(self, *finds):
        points = np.array([face(*find[:3]) for find in finds])
        return outlines.ghosts(points, np.array([find[3] for find in finds])).tolist()

    def test_find_between_two_heads(self):
        finds = [(0, 0, 100, 0.99), (35, 0, 100, 0.9), (70, 0, 100, 0.95)]
        self.assertEqual(self.ghosts(*finds), [False, True, False])

    def test_the_surer_one_stays(self):
        first, second = [False, True], [True, False]
        for scores, expected in (((0.9, 0.8), first), ((0.8, 0.9), second)):
            finds = [(0, 0, 100, scores[0]), (20, 0, 100, scores[1])]
            self.assertEqual(self.ghosts(*finds), expected)

    def test_a_ghost_makes_no_ghosts(self):
        # The second lies on the first, the third on the second only.
        finds = [(0, 0, 100, 0.99), (35, 0, 100, 0.98), (72, 0, 100, 0.97)]
        self.assertEqual(self.ghosts(*finds), [False, True, False])

    def test_small_find_inside_a_face(self):
        finds = [(0, 0, 200, 0.9), (80, 80, 40, 0.8)]
        self.assertEqual(self.ghosts(*finds), [False, True])

    def test_faces_side_by_side_and_half_hidden_stay(self):
        self.assertEqual(self.ghosts((0, 0, 100, 0.9), (76, 0, 100, 0.8)), [False] * 2)
        self.assertEqual(self.ghosts((0, 0, 100, 0.9), (200, 9, 50, 0.6)), [False] * 2)
        self.assertEqual(self.ghosts(), [])


class InFrontTest(testing.TestCase):
    def test_the_larger_of_two_that_touch(self):
        points = np.array([face(0, 0, 60), face(15, -10, 100), face(400, 0, 50)])
        expected = np.zeros((3, 3), bool)
        expected[0, 1] = True
        np.testing.assert_array_equal(outlines.in_front(points), expected)

    def test_the_one_whose_landmarks_are_hidden_is_behind(self):
        # The smaller face stands lower and covers a corner of the other's mouth.
        front_of = outlines.in_front(np.array([face(0, 0, 100), face(40, 50, 90)]))
        np.testing.assert_array_equal(front_of, [[False, True], [False, False]])

    @parameterized.parameters(0, 1)
    def test_few_faces(self, count):
        points = np.array([face(0, 0, 60)] * count).reshape(-1, 5, 2)
        self.assertEqual(outlines.in_front(points).shape, (count, count))
        self.assertFalse(outlines.in_front(points).any())
