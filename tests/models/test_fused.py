"""Tests of `facedancer.models.families.facedancer.fused`."""

import functools

import keras
import numpy as np
import pytest
from absl.testing import parameterized
from keras import ops

from facedancer import models
from facedancer.models.families.facedancer import fused, macs
from facedancer.models.families.facedancer.config import UP_TYPES, GeneratorConfig
from facedancer.models.layers import normalization, resampling
from tests import testing

VARIANTS = {
    **{name: {"up_types": (name,) * 5} for name in UP_TYPES},
    "no_mapping": {"mapping_sizes": ()},
    "96": {"image_size": 96, "up_types": UP_TYPES},
}


def generator(**changes):
    values = {
        "image_size": 32,
        "stages": 0,
        "base_width": 4,
        "max_width": 10,
        "up_types": ("affa", "d_affa", "do_affa", "concat"),
        "mapping_sizes": (9, 7),
        "identity_size": 6,
        "gain_bias": 1.0,  # as after training: an untrained AdaIN is mostly noise
    }
    if "up_types" in changes and changes["up_types"] != UP_TYPES:
        changes["up_types"] = changes["up_types"][:4]
    model = models.build_generator(GeneratorConfig(**{**values, **changes}), "plain")
    rng = np.random.default_rng(1)
    model.set_weights(
        [w + 0.08 * rng.normal(size=w.shape) for w in model.get_weights()]
    )
    return model


@functools.cache
def built():
    """A generator and its fused form, for tests that only look at them."""
    model = generator()
    return model, models.fuse(model)


def inputs_of(config):
    rng = np.random.default_rng(2)
    shape = (2, config.image_size, config.image_size, 3)
    identity = rng.normal(size=(2, config.identity_size))
    return [rng.uniform(-1, 1, shape).astype("float32"), identity.astype("float32")]


def ways_of(model):
    kinds = resampling.JoinedConv2D
    return {layer.ways for layer in model.layers if isinstance(layer, kinds)}


class FuseTest(testing.TestCase):
    def test_same_function(self):
        """Of presets it is `test_architectures` that says so."""
        self.check_same_function({"final_adain": False, "output_activation": "tanh"})

    @parameterized.named_parameters(*VARIANTS.items())
    @pytest.mark.slow
    def test_same_function_of(self, changes):
        self.check_same_function(changes)

    def check_same_function(self, changes):
        model = generator(**changes)
        fast = models.fuse(model)
        variant = fast.variant(norm_form="plain")
        self.assertEqual(variant.get_config()["norm_form"], "plain")
        self.assertIs(models.fuse(variant), variant)
        x = inputs_of(model.config)
        expected = ops.convert_to_numpy(model(x))
        self.assertGreater(expected.std(), 0.05)
        scale = max(expected.std(), 1.0)
        for other in (fast, variant):
            self.assert_close(other(x) / scale, expected / scale, rtol=1e-5, atol=2e-5)

    def test_needs_as_few_operations_as_claimed(self):
        model = generator(up_types=UP_TYPES, image_size=64)
        total = 0
        convolutions = (
            keras.layers.Conv2D | resampling.PooledConv2D | resampling.JoinedConv2D
        )
        for layer in models.fuse(model).layers:
            if isinstance(layer, convolutions):
                # A kernel that gives blocks of pixels is zero outside their windows.
                _, height, width, _ = layer.output.shape
                total += height * width * np.count_nonzero(layer.kernel)
            elif isinstance(layer, keras.layers.Dense | normalization.ModulatedNorm):
                total += layer.kernel.shape[0] * layer.kernel.shape[1]
        self.assertEqual(total, macs.count(model.config, composed=True).macs)

    def test_maps_are_joined_nowhere_but_before_a_plain_norm(self):
        for final_adain, expected in ((True, []), (False, ["final_norm_concat"])):
            fast = models.fuse(generator(final_adain=final_adain))
            joined = [
                layer.name
                for layer in fast.layers
                if isinstance(layer, keras.layers.Concatenate)
            ]
            self.assertEqual(joined, expected)

    def test_weights_are_copies(self):
        model = generator()
        fast = models.fuse(model)
        x = inputs_of(model.config)
        before = ops.convert_to_numpy(fast(x))
        model.set_weights([0 * w for w in model.get_weights()])
        self.assert_close(fast(x), before)

    @parameterized.parameters(".keras", ".h5")
    @pytest.mark.slow
    def test_round_trip(self, ending):
        _, fast = built()
        path = self.tempdir() / f"fused{ending}"
        fast.save(path)
        x = inputs_of(fast.config)
        for load in (keras.saving.load_model, models.load_generator):
            again = load(path)
            self.assertIsInstance(again, fused.FaceDancerFused)
            self.assertEqual(again.config, fast.config)
            self.assertEqual(again.contract, fast.contract)
            self.assert_close(again(x), fast(x))

    def test_fused_stays_fused(self):
        _, fast = built()
        self.assertIs(models.fuse(fast), fast)

    @pytest.mark.slow
    def test_variant_with_fast_convolutions(self):
        wide = {"image_size": 64, "base_width": 96, "max_width": 192}
        model = generator(**wide)
        fast = models.fuse(model)
        other = fast.variant(fast_convolutions=True)
        self.assertEqual(ways_of(fast), {None})
        at_once = models.fuse(model, fast_convolutions=True)
        self.assertEqual(at_once.get_config(), other.get_config())
        again = models.fuse(fast, fast_convolutions=True)
        self.assertEqual(again.get_config(), other.get_config())
        self.assertEqual(ways_of(other), {None, ("winograd",), ("direct", "enlarged")})
        x = inputs_of(model.config)
        expected = ops.convert_to_numpy(model(x))
        scale = max(expected.std(), 1.0)
        self.assert_close(other(x) / scale, expected / scale, rtol=1e-4, atol=1e-4)
        for same in (at_once, again):
            self.assert_close(same(x), other(x))
        self.assert_close(other.variant(fast_convolutions=False)(x), fast(x))

    def test_variant_keeps_what_is_not_changed(self):
        fast = models.fuse(built()[0], dtype="mixed_bfloat16")
        config = fast.variant(norm_form="plain").get_config()
        self.assertEqual(config, {**fast.get_config(), "norm_form": "plain"})

    def test_half_precision(self):
        model, _ = built()
        x = inputs_of(model.config)
        half = models.fuse(model, dtype="mixed_bfloat16")(x)
        self.assertEqual(keras.backend.standardize_dtype(half.dtype), "float32")
        expected = ops.convert_to_numpy(model(x))
        error = np.abs(ops.convert_to_numpy(half) - expected).mean()
        self.assertLess(error, 0.1 * expected.std())
