"""Tests of `facedancer.retinaface.anchors`."""

import numpy as np

from facedancer.retinaface import anchors
from tests import testing


class AnchorsTest(testing.TestCase):
    def test_order_by_hand(self):
        made = anchors.make_anchors(32, 64)
        # stride 8: 4 x 8 cells, stride 16: 2 x 4, stride 32: 1 x 2; two anchors each
        self.assertEqual(made.shape, (2 * (32 + 8 + 2), 4))
        self.assert_close(made[0], np.array([4, 4, 16, 16]))
        self.assert_close(made[1], np.array([4, 4, 32, 32]))
        self.assert_close(made[2], np.array([12, 4, 16, 16]))  # columns first
        self.assert_close(made[2 * 8], np.array([4, 12, 16, 16]))  # then the next row
        self.assert_close(made[64], np.array([8, 8, 64, 64]))
        self.assert_close(made[-1], np.array([48, 16, 512, 512]))

    def test_cells_cover_a_size_that_strides_do_not_divide(self):
        made = anchors.make_anchors(33, 41)
        self.assertLen(made, 2 * (5 * 6 + 3 * 3 + 2 * 2))

    def test_is_kept_and_cannot_be_changed(self):
        made = anchors.make_anchors(32, 64)
        self.assertIs(anchors.make_anchors(32, 64), made)
        with self.assertRaisesRegex(ValueError, "read-only"):
            made[0] = 0

    def test_decode_by_hand(self):
        anchor = np.array([[100.0, 50.0, 16.0, 32.0]])
        boxes = anchors.decode_boxes(np.zeros((1, 4)), anchor)
        self.assert_close(boxes, np.array([[92.0, 34.0, 108.0, 66.0]]))
        # 10 x 0.1 of the width to the right; twice as high
        offsets = np.array([[10.0, 0.0, 0.0, np.log(2.0) / 0.2]])
        boxes = anchors.decode_boxes(offsets, anchor)
        self.assert_close(boxes, np.array([[108.0, 18.0, 124.0, 82.0]]))
        offsets = np.zeros((1, 10))
        offsets[0, 2:4] = [5.0, -5.0]  # the second point
        points = anchors.decode_landmarks(offsets, anchor)
        self.assert_close(points[0, 0], np.array([100.0, 50.0]))
        self.assert_close(points[0, 1], np.array([108.0, 34.0]))

    def test_encode_undoes_decode(self):
        random = np.random.default_rng(0)
        anchor = anchors.make_anchors(40, 72)
        boxes = random.normal(size=(len(anchor), 4))
        decoded = anchors.decode_boxes(boxes, anchor)
        self.assert_close(anchors.encode_boxes(decoded, anchor), boxes, 1e-3, 1e-3)
        points = random.normal(size=(len(anchor), 10))
        decoded = anchors.decode_landmarks(points, anchor)
        self.assert_close(anchors.encode_landmarks(decoded, anchor), points, 1e-3, 1e-3)
