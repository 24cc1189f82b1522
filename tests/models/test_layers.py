"""Tests of `facedancer.models.layers.resampling`."""

import keras
import numpy as np
from absl.testing import parameterized
from keras import ops

from facedancer.models.layers import resampling
from tests import testing
from tests.models.made import random, slow_conv


def randomise(layer, seed=1):
    """Gives every weight of a built layer its own values."""
    rng = np.random.default_rng(seed)
    layer.set_weights([rng.normal(size=w.shape) for w in layer.get_weights()])


class BlendTest(testing.TestCase):
    def test_mask_of_one_takes_the_second(self):
        a, b = random(2, 3, 4, 2), random(2, 3, 4, 2, seed=1)
        m = np.zeros((2, 3, 4, 1), "float32")
        self.assert_close(resampling.Blend()([m, a, b]), a)
        self.assert_close(resampling.Blend()([m + 1, a, b]), b)
        self.assert_close(resampling.Blend()([m + 0.25, a, b]), 0.75 * a + 0.25 * b)

    def test_layer(self):
        inputs = [random(2, 6, 4, 1), random(2, 6, 4, 3), random(2, 6, 4, 3)]
        self.check_layer(resampling.Blend, inputs, (2, 6, 4, 3), 0)


class PooledConv2DTest(testing.TestCase):
    @parameterized.product(form=("plain", "composed"), size=(1, 3))
    def test_values_by_an_independent_formula(self, form, size):
        x = random(2, 8, 6, 3)
        layer = resampling.PooledConv2D(5, size, form)
        layer.build(x.shape)
        randomise(layer)
        y = slow_conv(x, *layer.get_weights())
        expected = y.reshape(2, 4, 2, 3, 2, 5).mean(axis=(2, 4))
        self.assert_close(layer(x), expected, atol=1e-5)

    @parameterized.parameters("plain", "composed")
    def test_rim_by_hand(self, form):
        # All ones: a pixel counts what of its 3x3 neighbourhood lies in the map.
        layer = resampling.PooledConv2D(1, 3, form)
        layer.build((1, 6, 6, 1))
        layer.set_weights([np.ones((3, 3, 1, 1)), np.zeros(1)])
        counts = (4 + 6 + 6 + 9) / 4, (6 + 6 + 9 + 9) / 4
        expected = np.array([counts, (7.5, 9), counts])[None, :, [0, 1, 0], None]
        self.assert_close(layer(np.ones((1, 6, 6, 1), "float32")), expected)

    @parameterized.product(form=("plain", "composed"), size=(1, 3))
    def test_layer(self, form, size):
        self.check_layer(
            lambda: resampling.PooledConv2D(5, size, form),
            random(2, 8, 6, 3),
            (2, 4, 3, 5),
            2,
        )

    def test_refused(self):
        with self.assertRaisesRegex(ValueError, "form='fused'"):
            resampling.PooledConv2D(4, 3, "fused")
        with self.assertRaisesRegex(ValueError, "kernel_size=5"):
            resampling.PooledConv2D(4, 5)
        with self.assertRaisesRegex(ValueError, r"even.*\(1, 4, 5, 2\)"):
            resampling.PooledConv2D(4)(random(1, 4, 5, 2))


class JoinedConv2DTest(testing.TestCase):
    @parameterized.parameters(1, 3)
    def test_values_by_an_independent_formula(self, size):
        a, b = random(2, 6, 5, 3), random(2, 6, 5, 4, seed=1)
        layer = resampling.JoinedConv2D(5, size)
        layer.build([a.shape, b.shape])
        randomise(layer)
        both = np.concatenate([a, b], axis=-1)
        self.assert_close(
            layer([a, b]), slow_conv(both, *layer.get_weights()), atol=1e-5
        )

    @parameterized.parameters(1, 2)
    def test_layer(self, strides):
        inputs = [random(2, 6, 4, 1), random(2, 6, 4, 3)]
        self.check_layer(
            lambda: resampling.JoinedConv2D(5, 4, strides),
            inputs,
            (2, 6 // strides, 4 // strides, 5),
            2,
        )

    def test_needs_maps(self):
        with self.assertRaisesRegex(ValueError, "`JoinedConv2D` needs a map"):
            resampling.JoinedConv2D(2)([random(2, 6, 4, 1), random(2, 3)])

    @parameterized.parameters(
        (("direct", "winograd"),),
        (("winograd", "enlarged"),),
        (("enlarged", "direct"),),
    )
    def test_each_way_gives_the_same(self, ways):
        small, large = random(2, 4, 8, 3), random(2, 8, 16, 3, seed=1)
        maps = [small if way == "enlarged" else large for way in ways]
        layer = resampling.JoinedConv2D(5, 3, ways=ways)
        layer.build([x.shape for x in maps])
        randomise(layer)
        up = keras.layers.UpSampling2D(interpolation="bilinear")(small)
        seen = [ops.convert_to_numpy(up) if x is small else x for x in maps]
        expected = slow_conv(np.concatenate(seen, axis=-1), *layer.get_weights())
        self.assert_close(layer(maps), expected, atol=1e-4)

    def test_layer_with_ways(self):
        inputs = [random(2, 4, 8, 2), random(2, 8, 16, 3)]
        ways = ("enlarged", "winograd")
        self.check_layer(
            lambda: resampling.JoinedConv2D(4, ways=ways), inputs, (2, 8, 16, 4), 2
        )

    def test_ways_refused(self):
        with self.assertRaisesRegex(ValueError, "direct, winograd.*'fft'"):
            resampling.JoinedConv2D(2, ways=("direct", "fft"))
        with self.assertRaisesRegex(ValueError, "strides=2"):
            resampling.JoinedConv2D(2, 3, 2, ways=("winograd",))
        with self.assertRaisesRegex(ValueError, "a map for each.*winograd"):
            resampling.JoinedConv2D(2, ways=("winograd",))([random(1, 8, 8, 1)] * 2)


class PixelShuffleTest(testing.TestCase):
    def test_by_hand(self):
        x = np.arange(8.0, dtype="float32").reshape(1, 1, 2, 4)
        expected = np.array([[0, 1, 4, 5], [2, 3, 6, 7]])[None, :, :, None]
        self.assert_close(resampling.PixelShuffle()(x), expected)

    def test_layer(self):
        self.check_layer(resampling.PixelShuffle, random(2, 3, 5, 8), (2, 6, 10, 2), 0)

    def test_a_blockwise_kernel_gives_the_convolution(self):
        a, b = random(2, 6, 4, 3), random(2, 6, 4, 2, seed=1)
        kernel, bias = random(3, 3, 5, 2, seed=2), random(2, seed=3)
        layer = resampling.JoinedConv2D(8, 4, 2)
        layer.build([a.shape, b.shape])
        layer.set_weights([resampling.blockwise_kernel(kernel), np.tile(bias, 4)])
        both = np.concatenate([a, b], axis=-1)
        self.assert_close(
            resampling.PixelShuffle()(layer([a, b])),
            slow_conv(both, kernel, bias),
            atol=1e-5,
        )


class UpSumTest(testing.TestCase):
    @parameterized.parameters("plain", "composed")
    def test_is_the_sum_of_enlarged_maps(self, form):
        a, b = random(2, 3, 5, 2), random(2, 3, 5, 2, seed=1)
        up = keras.layers.UpSampling2D(interpolation="bilinear")
        self.assert_close(resampling.UpSum(form)([a, b]), up(a) + up(b), atol=1e-5)

    def test_bilinear_by_hand(self):
        x = np.array([0.0, 4.0], "float32").reshape(1, 1, 2, 1)
        row = [0.0, 1.0, 3.0, 4.0]  # pixel centres at a quarter, edges repeated
        expected = np.array([row, row]).reshape(1, 2, 4, 1)
        self.assert_close(resampling.UpSum()([x, np.zeros_like(x)]), expected)

    @parameterized.parameters("plain", "composed")
    def test_layer(self, form):
        inputs = [random(2, 3, 5, 2), random(2, 3, 5, 2, seed=1)]
        self.check_layer(lambda: resampling.UpSum(form), inputs, (2, 6, 10, 2), 0)

    def test_refused(self):
        with self.assertRaisesRegex(ValueError, "form=''"):
            resampling.UpSum("")
