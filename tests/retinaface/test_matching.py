"""Tests of `facedancer.retinaface.training.matching`."""

import numpy as np

from facedancer.retinaface import anchors
from facedancer.retinaface.training import matching
from tests import testing

ANCHORS = np.float32(
    [[8, 8, 16, 16], [16, 8, 16, 16], [100, 100, 16, 16], [8, 8, 32, 32]]
)
POINTS = np.arange(10, dtype=np.float32).reshape(1, 5, 2)


class MatchingTest(testing.TestCase):
    def test_corners(self):
        self.assert_close(matching.corners(ANCHORS)[1], np.array([8, 0, 24, 16]))

    def test_labels_by_hand(self):
        # overlaps with the four anchors: 1, 1/3, 0, 1/4
        found = matching.match([[0, 0, 16, 16]], POINTS, ANCHORS)
        self.assertEqual(found.labels.tolist(), [1, -1, 0, 0])
        found = matching.match([[0, 0, 16, 16]], POINTS, ANCHORS, 0.33, 0.3)
        self.assertEqual(found.labels.tolist(), [1, 1, 0, 0])
        found = matching.match([[0, 0, 16, 16]], POINTS, ANCHORS, 0.5, 0.2)
        self.assertEqual(found.labels.tolist(), [1, -1, 0, -1])

    def test_offsets_decode_to_the_face(self):
        box = np.float32([[1, 2, 15, 18]])
        found = matching.match(box, POINTS, ANCHORS)
        self.assertEqual(found.labels[0], 1)
        first = found.boxes[:1], ANCHORS[:1]
        self.assert_close(anchors.decode_boxes(*first), box, 1e-5, 1e-4)
        first = found.landmarks[:1], ANCHORS[:1]
        self.assert_close(anchors.decode_landmarks(*first), POINTS, 1e-5, 1e-4)
        self.assertEqual(found.has_landmarks.tolist(), [1, 0, 0, 0])
        self.assert_close(found.boxes[1:], np.zeros((3, 4)))

    def test_best_anchor_of_a_small_face_is_forced(self):
        # overlap 9 x 9 of 16 x 16: 0.316, below every threshold but the best there is
        found = matching.match([[0, 0, 9, 9]], POINTS, ANCHORS, 0.5, 0.4)
        self.assertEqual(found.labels.tolist(), [1, 0, 0, 0])

    def test_a_face_that_fits_no_anchor_forces_none(self):
        found = matching.match([[0, 0, 4, 4]], POINTS, ANCHORS)
        self.assertEqual(found.labels.tolist(), [0, 0, 0, 0])

    def test_each_anchor_takes_the_face_it_overlaps_most(self):
        boxes = np.float32([[0, 0, 16, 16], [9, 0, 25, 16]])
        points = np.concatenate([POINTS, POINTS + 50])
        found = matching.match(boxes, points, ANCHORS)
        self.assertEqual(found.labels[:2].tolist(), [1, 1])
        decoded = anchors.decode_boxes(found.boxes[:2], ANCHORS[:2])
        self.assert_close(decoded, boxes, 1e-5, 1e-4)

    def test_faces_without_landmarks(self):
        found = matching.match(
            [[0, 0, 16, 16]], np.full((1, 5, 2), np.nan, np.float32), ANCHORS
        )
        self.assertEqual(found.labels[0], 1)
        self.assertEqual(found.has_landmarks.sum(), 0)
        self.assertTrue(np.isfinite(found.landmarks).all())

    def test_no_face_and_empty_boxes(self):
        for boxes, points in (
            (np.zeros((0, 4)), np.zeros((0, 5, 2))),
            ([[5, 5, 5, 9]], POINTS),
        ):
            found = matching.match(boxes, points, ANCHORS)
            self.assertEqual(found.labels.tolist(), [0, 0, 0, 0])
            self.assertTrue(np.isfinite(found.boxes).all())

    def test_thresholds_in_the_wrong_order(self):
        with self.assertRaisesRegex(ValueError, "Received: negative=0.5, positive=0.3"):
            matching.match([[0, 0, 16, 16]], POINTS, ANCHORS, 0.3, 0.5)

    def test_every_size_of_face_has_an_anchor(self):
        made = anchors.make_anchors(640, 480)
        for side in (14, 20, 33, 60, 100, 200, 400):
            box = np.float32([[30, 50, 30 + side, 50 + 1.2 * side]])
            found = matching.match(box, POINTS, made)
            self.assertGreater((found.labels == 1).sum(), 0, side)


class LeaveOutTest(testing.TestCase):
    def test_by_hand(self):
        grid = np.float32([[8, 8, 16, 16], [24, 8, 16, 16], [60, 8, 16, 16]])
        faces, points = np.array([[0, 0, 16, 16]]), np.full((1, 5, 2), np.nan)
        targets = matching.match(faces, points, grid)
        found = matching.leave_out(targets, np.array([[18.0, 0, 34, 16]]), grid)
        self.assertEqual(found.labels.tolist(), [1, -1, 0])
        found = matching.leave_out(targets, np.zeros((0, 4)), grid)
        self.assertEqual(found.labels.tolist(), [1, 0, 0])
        found = matching.leave_out(targets, np.array([[0.0, 0, 16, 16]]), grid)
        self.assertEqual(found.labels.tolist(), [1, 0, 0])  # a face stays a face
