"""Tests of reading published files: real ones where present, and written ones."""

import dataclasses
import json
import lzma
import shutil
import tempfile
import unittest

import h5py
import keras
import numpy as np
import pytest
from absl.testing import parameterized
from keras import ops

from facedancer import models
from facedancer.models.families.facedancer.config import (
    UP_TYPES,
    DiscriminatorConfig,
    GeneratorConfig,
)
from facedancer.models.published import (
    graph,
    published_writer,
    reading,
    stored_files,
    structure,
)
from facedancer.storage import weights
from tests import testing

PUBLISHED = ("no_skip", "no_skip", "affa", "affa", "affa", "concat")
WIDTHS = (4, 6, 8, 12, 12, 16)
DOUBLED = ("no_skip", "no_skip", "d_affa", "d_affa", "d_affa", "concat")


class RecordedTest(testing.TestCase):
    """Files that the original code wrote, with the outputs it gave."""

    @parameterized.parameters(
        ("tf215/gen_small_C.ckpt", PUBLISHED),
        (
            "tf215/gen_small_mixed.h5",
            ("no_skip", "affa", "d_affa", "do_affa", "add", "concat"),
        ),
        ("tf210/gen_small_d_affa.h5", DOUBLED),
    )
    def test_small_generators(self, name, up_types):
        self.check_generator(name, up_types)

    @parameterized.parameters(
        ("tf215/gen_small_C.h5", PUBLISHED),
        ("tf215/gen_small_C.ckpt/gen.json", PUBLISHED),
        ("tf215/gen_small_C.ckpt/gen_0.h5", PUBLISHED),
        ("tf210/gen_small_C.h5", PUBLISHED),
    )
    @pytest.mark.slow
    def test_more_small_generators(self, name, up_types):
        self.check_generator(name, up_types)

    def check_generator(self, name, up_types):
        model = models.load_generator(testing.shared("interop", name))
        expected = GeneratorConfig(
            image_size=64, widths=WIDTHS, up_types=up_types, mapping_sizes=(20,) * 4
        )
        self.assertEqual(model.config, expected)
        self._check_output(model, name)

    @parameterized.parameters("disc_small.h5", "disc_small.ckpt")
    def test_small_discriminators(self, name):
        name = f"tf215/{name}"
        model = models.load_discriminator(testing.shared("interop", name))
        expected = DiscriminatorConfig(image_size=64, widths=(4, 6, 8, 12, 12))
        self.assertEqual(model.config, expected)
        self._check_output(model, name)

    def _check_output(self, model, name):
        record = name.split(".")[0] + ".npz"
        with np.load(testing.shared("interop", record)) as recorded:
            x = [recorded[key] for key in ("x0", "x1") if key in recorded]
            y = recorded["y0"]
        output = ops.convert_to_numpy(model(x if len(x) > 1 else x[0], training=False))
        self.assertLess(np.abs(output - y).max(), 2e-5)

    def test_keras_loads_them_with_our_layers(self):
        path = testing.shared("interop", "tf215", "gen_small_C.h5")
        model = keras.saving.load_model(
            path, custom_objects=reading.PUBLISHED_OBJECTS, compile=False
        )
        self._check_output(model, "tf215/gen_small_C.h5")

    @parameterized.parameters("gen_small_C", "gen_small_mixed", "disc_small")
    def test_written_files_are_laid_out_like_theirs(self, name):
        path = testing.shared("interop", "tf215", f"{name}.h5")
        again = self.tempdir() / "again.h5"
        published_writer.save_published(reading.load(path, "auto"), again)
        with h5py.File(path) as theirs, h5py.File(again) as ours:
            theirs, ours = theirs["model_weights"], ours["model_weights"]
            names = [str(word) for word in theirs.attrs["layer_names"].astype(str)]
            self.assertEqual(names, ours.attrs["layer_names"].astype(str).tolist())
            for layer in names:
                weights = theirs[layer].attrs["weight_names"].astype(str).tolist()
                written = ours[layer].attrs["weight_names"].astype(str).tolist()
                self.assertEqual(written, weights)
                for weight in weights:
                    np.testing.assert_array_equal(
                        ours[layer][weight], theirs[layer][weight]
                    )
        self._check_descriptions(again, path)

    def _check_descriptions(self, ours, theirs):
        """Keras 2 refuses a word in a layer's config that it does not know."""
        both = []
        for path in (ours, theirs):
            with h5py.File(path) as file:
                both.append(json.loads(file.attrs["model_config"])["config"]["layers"])
        for our, their in zip(*both, strict=True):
            for key in ("class_name", "name", "inbound_nodes"):
                self.assertEqual(our[key], their[key])
            for word, value in our["config"].items():
                if word == "padding" and our["config"].get("kernel_size") == [1, 1]:
                    continue  # either is the same
                if word == "alpha":  # stored as float32 by the original
                    self.assertAlmostEqual(their["config"][word], value, places=6)
                else:
                    self.assertEqual(their["config"][word], value, our["name"])

    @pytest.mark.large
    def test_full_size(self):
        name = "full/facedancer_c_tf215"
        path = self.tempdir() / "full.h5"
        packed = testing.shared("interop", f"{name}.h5.xz")
        with lzma.open(packed) as source, path.open("wb") as target:
            shutil.copyfileobj(source, target)
        model = models.load_generator(path)
        self.assertEqual(model.config, GeneratorConfig())
        self.assertEqual(model.count_params(), 24_505_894)
        self._check_output(model, f"{name}.npz")


def randomise(model):
    rng = np.random.default_rng(4)
    model.set_weights([w + 0.1 * rng.normal(size=w.shape) for w in model.get_weights()])
    return model


def small(**changes):
    values = {
        "image_size": 16,
        "widths": (3, 5, 4),
        "up_types": ("affa", "no_skip", "concat"),
        "mapping_sizes": (7, 6),
        "identity_size": 9,
    }
    return GeneratorConfig(**{**values, **changes})


def narrow(config):
    """Returns a preset's structure with few channels and a small image."""
    changes = {"image_size": 64, "base_width": 2, "max_width": 6}
    changes |= {"mapping_sizes": (5, 5), "gain_bias": 0.0}
    return dataclasses.replace(config, **changes)


STRUCTURES = {
    **{f"all_{name}": small(up_types=(name,) * 3) for name in UP_TYPES},
    "every_fusion": small(image_size=64, widths=(5, 8, 4, 9, 6, 7), up_types=UP_TYPES),
    "reversed": small(image_size=64, widths=(4,) * 6, up_types=UP_TYPES[::-1]),
    "one_channel": small(widths=(1, 1, 1), up_types=("do_affa", "d_affa", "add")),
    "no_mapping": small(mapping_sizes=()),
    "one_mapping_layer": small(mapping_sizes=(4,)),
    "six_mapping_layers": small(mapping_sizes=(4, 5, 6, 7, 8, 9)),
    "mapping_like_identity": small(mapping_sizes=(9, 9)),
    "one_stage": small(image_size=10, widths=(3, 4), up_types=("add", "affa")),
    "narrowing": small(widths=(8, 6, 2)),
    "no_final_adain": small(final_adain=False),
    "tanh": small(output_activation="tanh"),
    "normalised": small(normalise_identity=True),
    "normalised_without_mapping": small(normalise_identity=True, mapping_sizes=()),
    **{name: narrow(config) for name, config in models.PRESETS.items()},
}


class WrittenTest(testing.TestCase):
    """Files in the original's format, of every structure, with shifted counters."""

    def inputs_of(self, config):
        rng = np.random.default_rng(2)
        shape = (2, config.image_size, config.image_size, 3)
        identity = rng.normal(size=(2, config.identity_size)).astype("float32")
        return [rng.uniform(-1, 1, shape).astype("float32"), identity]

    @parameterized.parameters("all_d_affa", "one_channel", "no_mapping", "normalised")
    def test_structure_and_weights_are_found(self, name):
        self.check_structure(STRUCTURES[name])

    @parameterized.named_parameters(*STRUCTURES.items())
    @pytest.mark.slow
    def test_every_structure_is_found(self, config):
        self.check_structure(config)

    def check_structure(self, config):
        model = randomise(models.build_generator(config))
        path = self.tempdir() / "anything.h5"
        published_writer.save_published(model, path, first=len(config.up_types) * 3)
        again = models.load_generator(path)
        self.assertEqual(again.config, config)
        for ours, theirs in zip(again.weights, model.weights, strict=True):
            if not np.array_equal(ours, theirs):
                # one-channel masks of `do_affa` are a product: either may be first
                self.assertIn("fuse", ours.path)
                self.assertEqual(config.stage_widths, (1, 1, 1))
        if min(config.stage_widths) == 1:  # either order is the same function
            x = self.inputs_of(config)
            self.assert_close(again(x), model(x), atol=1e-5)

    @parameterized.parameters((7, 6), ())
    def test_keras_computes_the_same_with_normalised_identities(self, *sizes):
        """What the written layers do, by another reader than ours."""
        config = small(normalise_identity=True, mapping_sizes=sizes)
        model = randomise(models.build_generator(config))
        path = self.tempdir() / "written.h5"
        published_writer.save_published(model, path)
        theirs = keras.saving.load_model(path, reading.PUBLISHED_OBJECTS, False)
        x = self.inputs_of(config)
        expected = ops.convert_to_numpy(model(x))
        self.assert_close(theirs(x), expected, atol=1e-5 * expected.std())
        longer = ops.convert_to_numpy(theirs([x[0], 3 * x[1]]))
        self.assert_close(longer, expected, atol=1e-5 * expected.std())

    @pytest.mark.slow
    def test_packaged_generator(self):
        model = models.load_generator(weights.find("generator"))
        path = self.tempdir() / "packaged.h5"
        published_writer.save_published(model, path)
        again = models.load_generator(path)
        self.assertTrue(again.config.normalise_identity)
        x = self.inputs_of(model.config)
        np.testing.assert_array_equal(again(x), model(x))

    @parameterized.parameters(
        DiscriminatorConfig(image_size=12, widths=(3, 5, 4)),
        DiscriminatorConfig(image_size=10, widths=(4, 4)),
        DiscriminatorConfig(image_size=32, base_width=2, max_width=9),
    )
    def test_discriminators(self, config):
        model = randomise(models.build_discriminator(config))
        path = self.tempdir() / "anything.h5"
        published_writer.save_published(model, path, first=33)
        again = models.load_discriminator(path)
        self.assertEqual(again.config, config)
        for ours, theirs in zip(again.weights, model.weights, strict=True):
            np.testing.assert_array_equal(ours, theirs, err_msg=ours.path)

    def test_weight_names_without_the_layer(self):
        """Names after the original's own export are just `gamma:0`."""
        model = randomise(models.build_generator(small()))
        path = self.tempdir() / "exported.h5"
        published_writer.save_published(model, path)
        with h5py.File(path, "a") as file:
            for group in file["model_weights"].values():
                names = group.attrs["weight_names"].astype(str)
                short = [name.partition("/")[2] for name in names]
                for old, new in zip(names, short, strict=True):
                    group.move(old, new)
                group.attrs["weight_names"] = [name.encode() for name in short]
        again = models.load_generator(path)
        for ours, theirs in zip(again.weights, model.weights, strict=True):
            np.testing.assert_array_equal(ours, theirs)

    def test_long_lists_of_names_are_split(self):
        model = randomise(models.build_generator(small()))
        path = self.tempdir() / "model.h5"
        published_writer.save_published(model, path)
        with h5py.File(path, "a") as file:
            group = file["model_weights"]
            names = group.attrs["layer_names"]
            del group.attrs["layer_names"]
            for i, part in enumerate(np.array_split(names, 12)):
                group.attrs[f"layer_names{i}"] = part
        again = models.load_generator(path)
        self.assert_close(again.get_weights(), model.get_weights())

    def test_product_as_a_layer(self):
        model = randomise(models.build_generator(small(up_types=("do_affa",) * 3)))
        config, _ = published_writer.describe(model)
        for layer in config["config"]["layers"]:
            if layer["class_name"] == "TFOpLambda":
                call = layer["inbound_nodes"][0]
                layer["class_name"] = "Multiply"
                layer["inbound_nodes"] = [[call[:3] + [{}], call[3]["y"] + [{}]]]
                del layer["config"]["function"]
        read = structure.read_generator(graph.from_config(config))
        self.assertEqual(read.config, model.config)

    def test_description_in_the_style_of_keras_3(self):
        model = models.build_generator(small(up_types=("affa", "add", "concat")))
        config, _ = published_writer.describe(model)
        for layer in config["config"]["layers"]:
            tensors = [
                {
                    "class_name": "__keras_tensor__",
                    "config": {"keras_history": source[:3]},
                }
                for call in layer["inbound_nodes"]
                for source in call
            ]
            if tensors:
                layer["inbound_nodes"] = [{"args": [tensors], "kwargs": {}}]
        read = structure.read_generator(graph.from_config(config))
        self.assertEqual(read.config, model.config)


class EverySwapMattersTest(testing.TestCase):
    """Negative control: two layers of one shape exchanged change the output."""

    def test_swapped_layers_change_the_output(self):
        config = small(
            image_size=32, widths=(4, 4, 4), up_types=("do_affa", "d_affa", "concat")
        )
        model = randomise(models.build_generator(config))
        rng = np.random.default_rng(0)
        x = [
            rng.uniform(-1, 1, (1, 32, 32, 3)).astype("float32"),
            rng.normal(size=(1, 9)).astype("float32"),
        ]
        expected = ops.convert_to_numpy(model(x))
        shapes = {}
        for layer in model.layers:
            if len(layer.weights) == 2 and len(layer.weights[0].shape) == 4:
                shapes.setdefault(tuple(layer.weights[0].shape), []).append(layer)
        pairs = [
            pair
            for same in shapes.values()
            for pair in zip(same, same[1:], strict=False)
        ]
        self.assertGreater(len(pairs), 10)
        for a, b in pairs:
            first, second = a.get_weights(), b.get_weights()
            a.set_weights(second)
            b.set_weights(first)
            change = np.abs(ops.convert_to_numpy(model(x)) - expected).max()
            self.assertGreater(change, 1e-2, f"{a.name}, {b.name}")
            a.set_weights(first)
            b.set_weights(second)


class DepthOrderTest(unittest.TestCase):
    def test_order_is_that_of_keras(self):
        model = models.build_generator(small(up_types=("affa", "do_affa", "concat")))
        config, arrays = published_writer.describe(model)
        names = [layer["name"] for layer in config["config"]["layers"]]
        assert names == list(arrays)
        position = {name: i for i, name in enumerate(names)}
        for node in graph.from_config(config).nodes.values():
            assert all(position[name] < position[node.name] for name in node.inputs)

    def test_files_read_keeps_the_order_of_arrays(self):
        folder = self.enterContext(tempfile.TemporaryDirectory())
        model = models.build_generator(small())
        published_writer.save_published(model, f"{folder}/m.h5")
        stored = stored_files.read(f"{folder}/m.h5", "gen")
        shapes = [array.shape for array in stored.weights["ada_in"]]
        assert shapes == [(6, 4), (4,), (6, 4), (4,)]
