"""Tests of `facedancer.models.layers.fast_convolution`."""

import keras
import numpy as np
import pytest
from keras import ops

from facedancer.models.layers import fast_convolution
from tests import testing
from tests.models.made import random, slow_conv


def test_matrices_give_a_convolution_of_one_axis():
    window, kernel = random(6).astype("float64"), random(3, seed=1).astype("float64")
    there, of_kernel, back = fast_convolution.winograd_matrices()
    expected = np.correlate(window, kernel)
    found = back @ ((of_kernel @ kernel) * (there @ window))
    np.testing.assert_allclose(found, expected, atol=1e-13)


@pytest.mark.parametrize(
    "shape, filters, expected",
    [
        ((None, 32, 32, 512), 256, True),
        ((None, 64, 48, 256), 128, True),
        ((None, 64, 64, 256), 64, False),  # too few channels
        ((None, 128, 128, 256), 256, False),  # too large
        ((None, 8, 8, 512), 512, False),  # too small
        ((None, 18, 32, 512), 512, False),  # no multiple of 4
    ],
)
def test_winograd_pays(shape, filters, expected):
    assert fast_convolution.winograd_pays(shape, filters) is expected


@pytest.mark.parametrize(
    "shape, expected",
    [
        ((None, 16, 16, 512), True),
        ((None, 32, 16, 128), True),
        ((None, 16, 33, 128), False),
    ],
)
def test_enlarged_pays(shape, expected):
    assert fast_convolution.enlarged_pays(shape) is expected


class FastConvolutionTest(testing.TestCase):
    def test_winograd_is_the_convolution(self):
        for height, width in ((4, 8), (20, 12)):
            x, kernel = random(2, height, width, 5), random(3, 3, 5, 7, seed=1)
            found = fast_convolution.winograd(x, ops.convert_to_tensor(kernel))
            self.assert_close(found, slow_conv(x, kernel), atol=3e-5, rtol=1e-5)

    def test_winograd_refuses_other_sides(self):
        with self.assertRaisesRegex(ValueError, "multiples of 4.*8x10"):
            fast_convolution.winograd(random(1, 8, 10, 2), random(3, 3, 2, 2))

    def test_enlarged_is_the_convolution_of_the_enlarged_map(self):
        up = keras.layers.UpSampling2D(interpolation="bilinear")
        for size in (1, 3, 5):
            x, kernel = random(2, 6, 5, 4), random(size, size, 4, 3, seed=1)
            found = fast_convolution.enlarged(x, ops.convert_to_tensor(kernel))
            expected = slow_conv(ops.convert_to_numpy(up(x)), kernel)
            self.assert_close(found, expected, atol=1e-5)

    def test_enlarged_by_hand(self):
        # One axis: 0 and 4 enlarged are 0, 1, 3 and 4; their neighbours' sums follow.
        x = np.array([[0.0, 4.0]], "float32").reshape(1, 1, 2, 1)
        kernel = np.zeros((3, 3, 1, 1), "float32")
        kernel[1] = 1.0
        row = [1.0, 4.0, 8.0, 7.0]
        found = fast_convolution.enlarged(x, ops.convert_to_tensor(kernel))
        self.assert_close(found, np.reshape([row, row], (1, 2, 4, 1)))
