"""Tests of `facedancer.networks.folding`."""

import keras
import numpy as np
from absl.testing import parameterized

from facedancer.networks import folding
from tests import testing


class FoldingTest(testing.TestCase):
    def norm(self, channels):
        norm = keras.layers.BatchNormalization(epsilon=0.25)
        norm.build((None, 4, 6, channels))
        random = np.random.default_rng(0)
        norm.set_weights([random.uniform(0.5, 2, w.shape) for w in norm.weights])
        return norm

    def test_by_hand(self):
        norm = keras.layers.BatchNormalization(epsilon=1.0)
        norm.build((None, 1))
        norm.set_weights([np.array([v]) for v in (6.0, 5.0, 2.0, 3.0)])
        # factor 6 / sqrt(3 + 1) = 3; bias 5 + (1 - 2) * 3
        kernel, bias = folding.fold(np.full((1, 1, 1, 1), 7.0), 1.0, norm, False)
        self.assert_close(kernel, np.full((1, 1, 1, 1), 21.0))
        self.assert_close(bias, np.array([2.0]))

    @parameterized.product(depthwise=[True, False], use_bias=[True, False])
    def test_equals_both_steps(self, depthwise, use_bias):
        make = keras.layers.DepthwiseConv2D if depthwise else keras.layers.Conv2D
        first = () if depthwise else (5,)
        conv = make(*first, 3, use_bias=use_bias, padding="same")
        random = np.random.default_rng(1)
        image = random.normal(size=(2, 4, 6, 3)).astype("float32")
        channels = conv(image).shape[-1]
        weights = [random.normal(size=w.shape) for w in conv.weights]
        conv.set_weights(weights)
        norm = self.norm(channels)
        expected = norm(conv(image), training=False)

        both = make(*first, 3, padding="same")
        both.build(image.shape)
        bias = weights[1] if use_bias else 0.0
        both.set_weights(folding.fold(weights[0], bias, norm, depthwise))
        self.assert_close(both(image), expected, 1e-4, 1e-5)
