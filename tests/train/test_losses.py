"""Losses by hand and by independent formulas."""

import keras
import numpy as np
from absl.testing import parameterized

from facedancer.train.objective import losses
from tests import testing


class LossesTest(testing.TestCase):
    def setUp(self):
        super().setUp()
        random = np.random.default_rng(0)
        shape = (3, 16, 24, 3)  # not square
        self.target = random.uniform(-1, 1, shape).astype("float32")
        self.swapped = random.uniform(-1, 1, shape).astype("float32")

    def test_cosine_by_hand(self):
        first = np.array([[3.0, 4.0], [1.0, 0.0], [0.0, 0.0], [2.0, 0.0]], "float32")
        second = np.array([[3.0, 4.0], [0.0, 5.0], [1.0, 1.0], [-7.0, 0.0]], "float32")
        found = losses.cosine_similarity(first, second)
        self.assert_close(found, np.array([1.0, 0.0, 0.0, -1.0], "float32"))
        self.assert_close(losses.identity_loss(first, second), 1.0 - np.asarray(found))

    def test_contrast_by_hand(self):
        to_target = np.array([1.0, 0.5, -0.5, 0.25], "float32")
        apart = np.array([1.0, 0.0, 0.5, 0.25], "float32")
        found = losses.identity_contrast(to_target, apart)
        self.assert_close(found, np.array([0.0, 0.25, 1.0, 0.0], "float32"))

    def test_differences_equal_numpy(self):
        difference = self.target - self.swapped
        self.assert_close(
            losses.absolute_difference(self.target, self.swapped),
            np.abs(difference).mean(axis=(1, 2, 3)),
        )
        self.assert_close(
            losses.squared_difference(self.target, self.swapped),
            (difference**2).mean(axis=(1, 2, 3)),
        )

    def test_low_frequency_equals_numpy(self):
        cells = (self.target - self.swapped).reshape(3, 8, 2, 8, 3, 3).mean((2, 4))
        self.assert_close(
            losses.low_frequency_loss(self.target, self.swapped),
            np.abs(cells).mean(axis=(1, 2, 3)),
        )

    def test_low_frequency_is_blind_to_detail(self):
        board = np.indices((16, 24)).sum(0) % 2 * 2.0 - 1.0
        board = np.broadcast_to(board[None, :, :, None], (3, 16, 24, 3))
        found = losses.low_frequency_loss(self.target, self.target + board)
        self.assert_close(found, np.zeros(3, "float32"), atol=1e-6)

    def test_low_frequency_wants_cells_that_divide(self):
        with self.assertRaisesRegex(ValueError, "must divide the image. Received: cel"):
            losses.low_frequency_loss(self.target, self.swapped, cells=5)

    def test_chroma_by_hand(self):
        red = np.zeros((1, 2, 4, 3), "float32")
        red[..., 0] = 1.0  # luma 0.299: what is left is 0.701, 0.299, 0.299
        found = losses.chroma_loss(red * 0, red)
        self.assert_close(found, np.array([1.299 / 3], "float32"))

    def test_chroma_is_blind_to_grey(self):
        grey = np.random.default_rng(0).normal(size=(3, 16, 24, 1)).astype("float32")
        found = losses.chroma_loss(self.target, self.target + grey)
        self.assert_close(found, np.zeros(len(self.target), "float32"), atol=1e-6)

    def test_outside_ignores_the_face(self):
        mask = np.asarray(losses.face_ellipse(64, 48))[0, :, :, 0]
        self.assertEqual(mask.shape, (64, 48))
        self.assertEqual(mask[32, 24], 0.0)
        self.assertEqual(mask[0, 0], 1.0)
        inside = np.zeros((1, 64, 48, 3), "float32")
        inside[:, 25:45, 18:30] = 1.0
        self.assert_close(losses.outside_loss(inside * 0, inside), np.zeros(1, "f4"))
        everywhere = np.ones((1, 64, 48, 3), "float32")
        self.assert_close(
            losses.outside_loss(everywhere * 0, everywhere), np.ones(1, "f4")
        )

    @parameterized.parameters(
        (0.0, 0.0, 0.0), (0.6, 2.0, 0.6 / 2.001 / 2.0), (3000.0, 1.0, 5.0)
    )
    def test_published_reconstruction_by_hand(self, total, count, expected):
        found = losses.published_reconstruction(np.float32(total), np.float32(count))
        self.assertAlmostEqual(float(keras.ops.convert_to_numpy(found)), expected, 5)
