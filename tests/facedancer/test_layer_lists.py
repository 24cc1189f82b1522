"""Tests of `facedancer.networks.layer_lists`."""

import json

import keras
import numpy as np

from facedancer.errors import InputError
from facedancer.networks import layer_lists
from tests import testing


def layer(cls, name, inputs, **config):
    """One layer as Keras 2 writes it."""
    nodes = [[[source, 0, 0, {}] for source in inputs]] if inputs else []
    return {
        "class_name": cls,
        "name": name,
        "config": {"name": name, "trainable": True, "dtype": "float32", **config},
        "inbound_nodes": nodes,
    }


def nested(*layers, output="sum"):
    return {"layers": list(layers), "output_layers": [[output, 0, 0]]}


CONV = dict(
    filters=2,
    kernel_size=[1, 1],
    strides=[1, 1],
    padding="valid",
    dilation_rate=[1, 1],
    groups=1,
    use_bias=False,
    activation="linear",
    kernel_initializer={"class_name": "Ones", "config": {}},
)
SUM = layer("Add", "sum", ["a", "b"])
A = layer("Conv2D", "a", ["image"], **CONV)
B = layer("BatchNormalization", "b", ["a"], axis=[3], momentum=0.9, epsilon=0.5)
IMAGE = layer("InputLayer", "image", [], batch_input_shape=[None, 4, 6, 3])


class LayerListsTest(testing.TestCase):
    def build(self, listed):
        image = keras.Input((4, 6, 3))
        tensors = layer_lists.build_layers(listed, image)
        return keras.Model(image, tensors[listed["outputs"][0]])

    def test_values_by_hand(self):
        """conv + norm(conv), with the layers written in the wrong order."""
        listed = layer_lists.read_layers(nested(SUM, B, A, IMAGE), "x.h5")
        model = self.build(listed)
        model.get_layer("a").set_weights([np.ones((1, 1, 3, 2), "float32")])
        self.assertEqual(model.get_layer("b").epsilon, 0.5)
        image = np.full((1, 4, 6, 3), 2.0, "float32")
        expected = 6.0 + 6.0 / np.sqrt(1.5)
        self.assert_close(model(image), np.full((1, 4, 6, 2), expected))

    def test_survives_json(self):
        padding = layer("ZeroPadding2D", "sum", ["image"], padding=[[0, 1], [2, 0]])
        listed = layer_lists.read_layers(nested(IMAGE, padding), "x.h5")
        model = self.build(json.loads(json.dumps(listed)))
        self.assertEqual(model.output_shape, (None, 5, 8, 3))

    def test_leaky_relu_of_keras_2(self):
        leaky = layer("LeakyReLU", "sum", ["image"], alpha=0.25)
        listed = layer_lists.read_layers(nested(IMAGE, leaky), "x.h5")
        image = np.full((1, 4, 6, 3), -4.0, "float32")
        self.assert_close(self.build(listed)(image), image / 4)

    def test_unknown_things_are_refused(self):
        cases = (
            (layer("Lambda", "sum", ["image"]), "a layer sum of class Lambda"),
            (
                layer("Activation", "sum", ["image"], activation="run"),
                "activation 'run'",
            ),
            (layer("Add", "sum", ["image", "gone"]), "layer sum lacks an input"),
            (layer("Add", "sum", ["image", "sum"]), "form a loop"),
            (
                {**layer("Add", "sum", []), "inbound_nodes": [[], []]},
                "layer sum is used 2 times",
            ),
        )
        for wrong, words in cases:
            with self.assertRaisesRegex(InputError, f"x.h5: .*{words}"):
                layer_lists.read_layers(nested(IMAGE, wrong), "x.h5")
