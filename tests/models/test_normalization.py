"""Tests of `facedancer.models.layers.normalization`."""

import keras
import numpy as np
from absl.testing import parameterized
from keras import ops

from facedancer.models.layers import normalization
from tests import testing
from tests.models.made import random


def randomise(layer, seed=1):
    """Gives every weight of a built layer its own values."""
    rng = np.random.default_rng(seed)
    layer.set_weights([rng.normal(size=w.shape) for w in layer.get_weights()])


class InstanceNormTest(testing.TestCase):
    @parameterized.parameters("plain", "composed")
    def test_values_by_an_independent_formula(self, form):
        x = random(2, 5, 3, 4) * 3 + 2
        layer = normalization.InstanceNorm(form=form)
        layer.build(x.shape)
        randomise(layer)
        gamma, beta = layer.get_weights()
        mean = x.astype("float64").mean(axis=(1, 2), keepdims=True)
        var = x.astype("float64").var(axis=(1, 2), keepdims=True)
        expected = gamma * (x - mean) / np.sqrt(var + 1e-3) + beta
        self.assert_close(layer(x), expected, atol=1e-5)

    def test_hand_computed(self):
        x = np.array([1.0, 3.0], "float32").reshape(1, 1, 2, 1)
        expected = np.array([-1.0, 1.0]).reshape(1, 1, 2, 1) / np.sqrt(1.001)
        self.assert_close(normalization.InstanceNorm(affine=False)(x), expected)
        scaled = np.array([-1.0, 1.0]).reshape(1, 1, 2, 1) / np.sqrt(1.5)
        self.assert_close(normalization.InstanceNorm(epsilon=0.5)(x), scaled)

    def test_is_group_norm_with_one_channel_per_group(self):
        x = random(2, 7, 4, 6)
        theirs = keras.layers.GroupNormalization(groups=-1, epsilon=1e-3)
        self.assert_close(normalization.InstanceNorm()(x), theirs(x), atol=1e-5)

    @parameterized.parameters("plain", "composed")
    def test_statistics_in_float32_under_half_precision(self, form):
        # a sum of 64 x 40 values of 60 overflows float16; bfloat16 would lose the
        # differences of 0.5
        x = 60 + 0.5 * np.sign(random(1, 64, 40, 3))
        for policy in ("mixed_float16", "mixed_bfloat16"):
            layer = normalization.InstanceNorm(form=form, dtype=policy)
            output = layer(x)
            self.assertIn(keras.backend.standardize_dtype(output.dtype), policy)
            output = ops.cast(output, "float32")
            exact = normalization.InstanceNorm(dtype="float32")(x)
            self.assertLess(float(ops.max(ops.abs(output - exact))), 0.6)

    @parameterized.product(affine=(True, False), form=("plain", "composed"))
    def test_layer(self, affine, form):
        self.check_layer(
            lambda: normalization.InstanceNorm(0.01, affine, form),
            random(2, 6, 4, 3),
            (2, 6, 4, 3),
            2 * affine,
        )

    def test_refused(self):
        with self.assertRaisesRegex(ValueError, r"height, width.*\(2, 3\)"):
            normalization.InstanceNorm()(random(2, 3))
        for kind in (normalization.InstanceNorm, normalization.ModulatedNorm):
            with self.assertRaisesRegex(ValueError, "one of .*form='fused'"):
                kind(form="fused")


class InstanceNormalizationTest(testing.TestCase):
    CONFIG = {
        "name": "instance_normalization_3",
        "trainable": True,
        "dtype": "float32",
        "groups": 4,
        "axis": -1,
        "epsilon": 0.001,
        "center": True,
        "scale": True,
        "beta_initializer": {"class_name": "Zeros", "config": {}},
        "gamma_initializer": {"class_name": "Ones", "config": {}},
        "beta_regularizer": None,
        "gamma_regularizer": None,
        "beta_constraint": None,
        "gamma_constraint": None,
    }

    def test_from_the_config_of_tensorflow_addons(self):
        layer = keras.saving.get_registered_object("Addons>InstanceNormalization")
        layer = layer.from_config(dict(self.CONFIG))
        x = random(2, 3, 5, 4)
        self.assert_close(layer(x), normalization.InstanceNorm()(x))

    def test_layer(self):
        self.check_layer(
            lambda: normalization.InstanceNormalization(groups=3),
            random(2, 6, 4, 3),
            (2, 6, 4, 3),
            2,
        )

    @parameterized.parameters(
        ({"axis": 1}, "axis=1"),
        ({"center": False}, "center=False"),
        ({"scale": False}, "scale=False"),
    )
    def test_another_layer_is_refused(self, change, words):
        with self.assertRaisesRegex(ValueError, words):
            normalization.InstanceNormalization(**{**self.CONFIG, **change})

    def test_group_norm_is_refused(self):
        with self.assertRaisesRegex(ValueError, "channels, 4. Received: groups=2"):
            normalization.InstanceNormalization(groups=2)(random(1, 2, 2, 4))


class AdaINTest(testing.TestCase):
    def test_scale_first_shift_second(self):
        x, w = random(2, 3, 5, 4), random(2, 6, seed=1)
        layer = normalization.AdaIN()
        layer.build((x.shape, w.shape))
        randomise(layer)
        scale_kernel, scale_bias, shift_kernel, shift_bias = layer.get_weights()
        scale = w @ scale_kernel + scale_bias
        shift = w @ shift_kernel + shift_bias
        expected = scale[:, None, None] * x + shift[:, None, None]
        self.assert_close(layer([x, w]), expected, atol=1e-5)

    def test_gain_bias_starts_at_one(self):
        x = random(2, 3, 5, 4)
        layer = normalization.AdaIN(gain_bias=1.0)
        self.assert_close(layer([x, np.zeros((2, 6), "float32")]), x)

    @parameterized.parameters(0.0, 1.0)
    def test_layer(self, gain_bias):
        inputs = [random(2, 6, 4, 3), random(2, 5)]
        self.check_layer(
            lambda: normalization.AdaIN(gain_bias), inputs, (2, 6, 4, 3), 4
        )

    def test_needs_a_map(self):
        with self.assertRaisesRegex(ValueError, "known channels"):
            normalization.AdaIN()([random(2, 3), random(2, 3)])


class ModulatedNormTest(testing.TestCase):
    @parameterized.parameters("plain", "composed")
    def test_is_norm_then_adain(self, form):
        x, w = random(2, 3, 5, 4), random(2, 6, seed=1)
        norm, adain = normalization.InstanceNorm(affine=False), normalization.AdaIN()
        expected = adain([norm(x), w])
        layer = normalization.ModulatedNorm(form=form)
        layer.build((x.shape, w.shape))
        a, b, c, d = adain.get_weights()
        layer.set_weights([np.concatenate([a, c], 1), np.concatenate([b, d])])
        self.assert_close(layer([x, w]), expected, atol=1e-5)

    @parameterized.parameters("plain", "composed")
    def test_layer(self, form):
        inputs = [random(2, 6, 4, 3), random(2, 5)]
        self.check_layer(
            lambda: normalization.ModulatedNorm(0.01, form), inputs, (2, 6, 4, 3), 2
        )

    def test_several_maps_are_one_with_the_channels_of_all(self):
        a, b, w = random(2, 6, 4, 3), random(2, 6, 4, 2, seed=1), random(2, 5)
        layer = normalization.ModulatedNorm()
        expected = layer([np.concatenate([a, b], axis=-1), w])
        found = layer([a, b, w])
        self.assertLen(found, 2)
        self.assert_close(np.concatenate(found, axis=-1), expected, atol=1e-6)
