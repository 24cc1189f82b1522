"""Classes that model files name: what computes is known, anything else is refused."""

import keras
import numpy as np
import pytest
from absl.testing import parameterized

from facedancer import arcface_model, retinaface
from facedancer.errors import InputError
from facedancer.networks import foreign, layer_lists
from tests import testing
from tests.hostile import model_files
from tests.hostile.test_model_files import save_detector, save_encoder, save_foreign


class ClassesTest(testing.TestCase):
    """A file may name layers that compute, and nothing else."""

    def poisoned_foreign(self, **layer):
        path = self.tempdir() / "net.keras"
        save_foreign(path)

        def poison(whole):
            whole["config"]["layers"][1] |= layer
            return whole

        path.write_bytes(model_files.with_config(path.read_bytes(), poison))
        return path

    @parameterized.parameters(
        ({"class_name": "TFSMLayer", "config": {"filepath": "x"}}, "TFSMLayer"),
        ({"class_name": "StringLookup", "config": {"vocabulary": "x"}}, "StringLookup"),
        ({"class_name": "Lambda"}, "Lambda"),
        ({"class_name": "get_file", "module": "keras.utils"}, "get_file"),
        (
            {"config": {"kernel_initializer": {"class_name": "__lambda__"}}},
            "__lambda__",
        ),
        (
            {"config": {"activation": {"class_name": "function", "config": "eval"}}},
            "func",
        ),
        ({"class_name": ["Conv2D"]}, "Conv2D"),
        ({"registered_name": "facedancer>None"}, "Conv2D"),
    )
    def test_foreign(self, layer, words):
        with self.assertRaisesRegex(
            InputError, f"net.keras: names .*{words}.*computes"
        ):
            foreign.load_network(self.poisoned_foreign(**layer))

    @pytest.mark.slow
    def test_known_parts(self):
        """Operations, kinds of every sort, and layers of this project."""
        image = keras.Input((8, 8, 3))
        x = keras.layers.Conv2D(
            4,
            3,
            activation=keras.activations.gelu,
            kernel_initializer=keras.initializers.Constant(0.25),
            kernel_regularizer=keras.regularizers.L2(0.1),
            kernel_constraint=keras.constraints.MaxNorm(2.0),
            dtype=keras.dtype_policies.DTypePolicy("float32"),
        )(image)
        x = keras.ops.relu(x * 2.0 + 1.0)[:, 1:3]
        path = self.tempdir() / "net.keras"
        network = keras.Model(image, x)
        network.save(path)
        images = np.random.default_rng(0).uniform(size=(1, 8, 8, 3)).astype("f4")
        self.assert_close(foreign.load_network(path)(images), network(images))
        encoder = self.tempdir() / "encoder.keras"
        save_encoder(encoder)
        self.assertEqual(foreign.load_network(encoder).output_shape, (None, 12))

    @parameterized.parameters(
        ({"class": "TFSMLayer", "config": {"name": "x"}}, "of class TFSMLayer"),
        (
            {"class": "Conv2D", "config": {"name": "x", "activation": {"a": 1}}},
            "the activation {'a': 1}",
        ),
        (
            {"class": "Conv2D", "config": {"name": "x", "kernel_initializer": "ones"}},
            "the argument kernel_initializer='ones'",
        ),
        (
            {
                "class": "Conv2D",
                "config": {"name": "x", "filters": {"class_name": "A"}},
            },
            "the argument filters=",
        ),
    )
    def test_own_trunk(self, layer, words):
        """The trunk of an own file, and with it encoders and detectors."""
        trunk = {"layers": [{"inputs": ["i"], **layer}], "outputs": ["x"]}
        with self.assertRaisesRegex(InputError, words):
            layer_lists.build_layers(trunk, keras.Input((8, 8, 3)))

    @parameterized.parameters("encoder", "detector")
    def test_own_file(self, name):
        path = self.tempdir() / f"{name}.keras"
        if name == "encoder":
            arcface_model.build_resnet50(12, 32, width=2).save(path)
            load = arcface_model.load_encoder
        else:
            save_detector(path)
            load = retinaface.load_detector

        def poison(whole):
            layer = {"class": "TFSMLayer", "config": {"name": "a", "filepath": "b"}}
            trunk = {"layers": [{**layer, "inputs": []}], "outputs": ["a"]}
            whole["config"]["trunk"] = trunk
            return whole

        path.write_bytes(model_files.with_config(path.read_bytes(), poison))
        with self.assertRaisesRegex(
            InputError, f"{path}: .*layer a of class TFSMLayer"
        ):
            load(path)
