"""Tests of the generator, the discriminator and their forms."""

import functools
import importlib.util
import os
import pathlib
import subprocess
import sys

import keras
import numpy as np
import pytest
from absl.testing import parameterized
from keras import ops

from facedancer import models
from facedancer.errors import InputError
from facedancer.models.families.facedancer.config import (
    UP_TYPES,
    DiscriminatorConfig,
    GeneratorConfig,
)
from facedancer.models.published import published_writer
from tests import testing

SMALL = GeneratorConfig(
    image_size=64,
    base_width=4,
    max_width=12,
    up_types=UP_TYPES,
    mapping_sizes=(10, 9),
    identity_size=8,
)
TINY = {"image_size": 16, "stages": 0, "up_types": ["affa", "do_affa", "concat"]}
OPTIONS = {
    "as_published": {},
    "tanh": {"output_activation": "tanh"},
    "no_final_adain": {"final_adain": False},
    "no_mapping": {"mapping_sizes": ()},
    "one_mapping_layer": {"mapping_sizes": (6,)},
    "own_widths": {"image_size": 32, "stages": 2, "widths": (3, 7, 5), "up_types": ()},
    "gain_bias": {"gain_bias": 1.0},
}


def small(**changes):
    return GeneratorConfig.from_dict({**SMALL.to_dict(), **changes})


def narrow(preset):
    """Returns a preset's structure with few channels and a small image."""
    config = models.get_preset(preset).to_dict()
    narrow = {"image_size": 64, "base_width": 2, "max_width": 6}  # five halvings
    return GeneratorConfig.from_dict({**config, **narrow, "mapping_sizes": [5, 5]})


def inputs_of(config, batch=2):
    rng = np.random.default_rng(3)
    size = config.image_size
    target = rng.uniform(-1, 1, (batch, size, size, 3)).astype("float32")
    return [target, rng.normal(size=(batch, config.identity_size)).astype("float32")]


def randomise(model):
    """Moves every weight, biases and norms too, so that none can be forgotten."""
    rng = np.random.default_rng(4)
    model.set_weights([w + 0.1 * rng.normal(size=w.shape) for w in model.get_weights()])
    return model


@functools.cache
def built():
    """A generator for tests that only look at it."""
    return randomise(models.build_generator(SMALL))


class ResizedTest(testing.TestCase):
    def test_weights_go_on_at_another_size(self):
        made = models.build_generator(small())
        other = made.resized(96)
        self.assertEqual(other.output_shape, (None, 96, 96, 3))
        self.assertEqual(other.contract.image.size, 96)
        self.assertEqual(other.config, small(image_size=96))
        self.assert_close(other.get_weights(), made.get_weights())
        self.assertEqual(np.asarray(other(inputs_of(other.config))).shape[1], 96)

    def test_refusals(self):
        with self.assertRaisesRegex(InputError, "of 64 pixels cannot .* of 50: .*32"):
            models.build_generator(small()).resized(50)


class GeneratorTest(testing.TestCase):
    def test_forms_are_one_function(self):
        self.check_forms(small(**TINY, output_activation="tanh", mapping_sizes=()))

    @parameterized.named_parameters(*OPTIONS.items())
    @pytest.mark.slow
    def test_forms_are_one_function_with(self, changes):
        self.check_forms(small(**({**TINY, **changes} if changes else {})))

    def check_forms(self, config):
        composed = randomise(models.build_generator(config))
        plain = models.build_generator(config, form="plain")
        self.assertEqual(
            [(w.path, w.shape) for w in composed.weights],
            [(w.path, w.shape) for w in plain.weights],
        )
        plain.set_weights(composed.get_weights())
        x = inputs_of(config)
        expected = ops.convert_to_numpy(plain(x))
        self.assertEqual(expected.shape, x[0].shape)
        scale = expected.std()
        self.assert_close(composed(x) / scale, expected / scale, atol=1e-5)

    def test_every_weight_gets_a_gradient(self):
        model = randomise(models.build_generator(SMALL))
        before = model.get_weights()
        model.compile(optimizer=keras.optimizers.SGD(1.0), loss="mse", run_eagerly=True)
        x = inputs_of(SMALL)
        model.fit(x, x[0], verbose=0)
        for weight, old in zip(model.weights, before, strict=True):
            # a constant shift in front of an instance norm has no effect
            if weight.path.endswith("_mask_conv/bias"):
                continue
            self.assertTrue(
                np.any(ops.convert_to_numpy(weight) != old), f"{weight.path} stays"
            )

    @pytest.mark.slow
    def test_tanh_keeps_the_range(self):
        model = randomise(models.build_generator(small(output_activation="tanh")))
        output = ops.convert_to_numpy(model(inputs_of(SMALL)))
        self.assertLessEqual(np.abs(output).max(), 1.0)
        linear = models.build_generator(SMALL)
        linear.set_weights(model.get_weights())
        expected = np.tanh(ops.convert_to_numpy(linear(inputs_of(SMALL))))
        self.assert_close(output, expected, atol=1e-4)

    def test_final_adain(self):
        names = {layer.name for layer in built().layers}
        without = {
            layer.name
            for layer in models.build_generator(small(final_adain=False)).layers
        }
        self.assertEqual(names - without, {"final_adain"})
        self.assertEqual(without - names, set())

    def test_gain_bias_is_where_adain_starts(self):
        model = models.build_generator(small(gain_bias=1.0))
        scale_bias = model.get_layer("latent_adain").get_weights()[1]
        self.assert_close(scale_bias, np.ones(12))

    def test_identity_and_target_both_matter(self):
        model = built()
        target, identity = inputs_of(SMALL)
        base = model([target, identity])
        for other in ([target, identity[::-1]], [target[::-1], identity]):
            self.assertGreater(float(ops.max(ops.abs(model(other) - base))), 1e-2)

    def test_one_example_does_not_depend_on_the_others(self):
        model = built()
        x = inputs_of(SMALL, batch=3)
        alone = model([part[:1] for part in x])
        self.assert_close(model(x)[:1], alone, atol=1e-4, rtol=1e-4)

    def test_inputs_have_names_and_one_order(self):
        model = built()
        self.assertEqual(
            [tensor.name for tensor in model.inputs], ["target", "identity"]
        )
        self.assertEqual(model.outputs[0].dtype, "float32")

    @parameterized.parameters("plain", "composed")
    @pytest.mark.slow
    def test_round_trip_of_all_fusions(self, form):
        config = small(
            encoder="mobilefacenet@1234abcd",
            template="ffhq",
            shrink=0.9,
            final_adain=False,
            output_activation="tanh",
        )
        loaders = [keras.saving.load_model, lambda p: models.load_generator(p, form)]
        model = randomise(models.build_generator(config, form))
        self._check_round_trip(model, loaders)

    @parameterized.parameters(*"bcde", "lite_96")
    @pytest.mark.large  # `test_architectures` writes and reads each of them, too
    def test_round_trip_of_presets(self, preset):
        config = narrow(f"facedancer_{preset}")
        model = randomise(models.build_generator(config))
        self._check_round_trip(model, [keras.saving.load_model])

    def _check_round_trip(self, model, loaders):
        x = inputs_of(model.config, batch=1)
        expected = ops.convert_to_numpy(model(x))
        for ending in (".keras", ".h5"):
            path = self.tempdir() / f"model{ending}"
            model.save(path)
            for again in [load(path) for load in loaders]:
                self.assertEqual(again.config, model.config)
                self.assertEqual(again.contract, model.contract)
                self.assertEqual(again.form, model.form)
                for ours, theirs in zip(again.weights, model.weights, strict=True):
                    np.testing.assert_array_equal(ours, theirs, err_msg=ours.path)
            self.assert_close(again(x), expected)

    @parameterized.parameters("mixed_bfloat16", "mixed_float16")
    @pytest.mark.slow
    def test_mixed_precision(self, policy):
        config = small(**TINY, gain_bias=1.0)
        model = models.build_generator(config)
        half = models.build_generator(config, dtype=policy)
        half.set_weights(model.get_weights())
        x = inputs_of(config)
        expected, output = model(x), half(x)
        self.assertEqual(keras.backend.standardize_dtype(output.dtype), "float32")
        error = float(ops.max(ops.abs(output - expected)))
        self.assertLess(error, 0.1 * float(ops.max(ops.abs(expected))))
        self.assertGreater(error, 0)
        half.compile(optimizer=keras.optimizers.SGD(0.01), loss="mse", run_eagerly=True)
        self.assertTrue(np.isfinite(half.fit(x, x[0], verbose=0).history["loss"][0]))
        again = type(half).from_config(half.get_config())
        self.assertEqual(again.get_layer("stem").dtype_policy.name, policy)

    def test_global_policy_is_followed(self):
        keras.config.set_dtype_policy("mixed_bfloat16")
        model = models.build_generator(SMALL)
        self.assertEqual(model.get_layer("up64_conv").compute_dtype, "bfloat16")
        self.assertEqual(model.get_config()["dtype"], "mixed_bfloat16")


class DiscriminatorTest(testing.TestCase):
    CONFIG = DiscriminatorConfig(image_size=24, base_width=4, max_width=10)

    def images(self):
        return np.random.default_rng(5).uniform(-1, 1, (3, 24, 24, 3)).astype("float32")

    def test_forms_are_one_function(self):
        composed = randomise(models.build_discriminator(self.CONFIG))
        plain = models.build_discriminator(self.CONFIG, form="plain")
        plain.set_weights(composed.get_weights())
        output = plain(self.images())
        self.assertEqual(tuple(output.shape), (3, 1))
        self.assertGreater(float(ops.std(output)), 1e-3)
        self.assert_close(composed(self.images()), output, rtol=1e-4, atol=1e-4)

    @parameterized.parameters(".keras", ".h5")
    def test_round_trip(self, ending):
        model = randomise(models.build_discriminator(self.CONFIG))
        path = self.tempdir() / f"model{ending}"
        model.save(path)
        for load in (keras.saving.load_model, models.load_discriminator):
            again = load(path)
            self.assertEqual(again.config, self.CONFIG)
            self.assert_close(again(self.images()), model(self.images()))

    def test_mixed_precision(self):
        model = models.build_discriminator(self.CONFIG, dtype="mixed_bfloat16")
        output = model(self.images())
        self.assertEqual(keras.backend.standardize_dtype(output.dtype), "float32")


@pytest.mark.large  # compiling takes a minute and a half
@pytest.mark.skipif(importlib.util.find_spec("jax") is None, reason="jax is absent")
def test_same_output_with_jax(tmp_path):
    keras.utils.set_random_seed(0)
    config = small(**TINY)
    model = randomise(models.build_generator(config))
    x = inputs_of(config)
    published_writer.save_published(model, tmp_path / "model.h5")
    np.savez(tmp_path / "x.npz", *x)
    code = (
        "import sys, keras, numpy as np; from facedancer import models\n"
        "assert keras.backend.backend() == 'jax'\n"
        "x = np.load(sys.argv[1] + '/x.npz'); x = [x['arr_0'], x['arr_1']]\n"
        "model = models.load_generator(sys.argv[1] + '/model.h5')\n"
        "outputs = [m.predict_on_batch(x) for m in (model, models.fuse(model))]\n"
        "np.savez(sys.argv[1] + '/y.npz', *outputs)\n"
        "assert 'tensorflow' not in sys.modules\n"
    )
    subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)],
        check=True,
        env={**os.environ, "KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"},
        cwd=pathlib.Path(__file__).parents[2],
    )
    expected = ops.convert_to_numpy(model(x))
    with np.load(tmp_path / "y.npz") as outputs:
        for output in outputs.values():
            assert np.abs(output - expected).max() < 1e-5 * expected.std()
