"""What the tests share: one base class and one thorough check of a layer."""

import os
import pathlib
import tempfile
import unittest
from collections.abc import Callable

import keras
import numpy as np
from absl.testing import parameterized
from keras import tree

CHECKOUT = pathlib.Path(__file__).parents[1]
SHARED = pathlib.Path(os.environ.get("FACEDANCER_SHARED", CHECKOUT.parent / "shared"))


def shared(*parts: str) -> pathlib.Path:
    """Returns a file or folder of the test material, which is not in the project.

    It is looked for in a folder `shared` beside the checkout, or in the one that the
    environment variable `FACEDANCER_SHARED` names.

    Args:
        *parts: The path below that folder.

    Raises:
        unittest.SkipTest: If it is absent.
    """
    path = SHARED.joinpath(*parts)
    if not path.exists():
        raise unittest.SkipTest(f"test material {'/'.join(parts)} is absent")
    return path


class TestCase(parameterized.TestCase):
    """Base class of the tests.

    Every test starts from the same random state and the float32 policy.
    """

    def setUp(self) -> None:
        super().setUp()
        keras.utils.set_random_seed(0)
        keras.config.set_dtype_policy("float32")

    def tempdir(self) -> pathlib.Path:
        """Returns a new folder that is removed after the test.

        absl's own `create_tempdir` needs parsed flags, which pytest never gives.
        """
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        return pathlib.Path(folder.name)

    def assert_close(
        self, actual: object, expected: object, rtol: float = 1e-5, atol: float = 1e-6
    ) -> None:
        """Compares two nested structures of arrays."""
        tree.assert_same_structure(actual, expected)
        for a, e in zip(tree.flatten(actual), tree.flatten(expected), strict=True):
            np.testing.assert_allclose(
                keras.ops.convert_to_numpy(a), np.asarray(e), rtol=rtol, atol=atol
            )

    def check_layer(
        self,
        make: Callable[[], keras.layers.Layer],
        inputs: object,
        output_shape: tuple[int, ...],
        weights: int,
    ) -> None:
        """Checks what every layer owes.

        The config survives a round trip before and after the build; the
        declared, the symbolic and the real output shape agree; float16 runs;
        every weight gets a gradient; a saved model gives the same output.

        Args:
            make: A function without arguments that returns a new layer.
            inputs: The call argument: an array or a nest of arrays. Give height
                and width different sizes.
            output_shape: The expected output shape.
            weights: The expected number of trainable weights.
        """
        layer = make()
        before = layer.get_config()
        output = layer(inputs)
        self.assertEqual(tuple(output.shape), output_shape)
        self.assertLen(layer.trainable_weights, weights)
        self.assertEqual(layer.get_config(), before, "build() changed the config")

        shapes = tree.map_structure(np.shape, inputs)
        self.assertEqual(tuple(layer.compute_output_shape(shapes)), output_shape)
        symbols = tree.map_structure(lambda a: keras.Input(a.shape[1:]), inputs)
        symbolic = layer(symbols)
        self.assertEqual(tuple(symbolic.shape)[1:], output_shape[1:])

        again = type(layer).from_config(layer.get_config())
        again(inputs)
        self.assertEqual(
            [w.shape for w in again.weights], [w.shape for w in layer.weights]
        )

        if weights:
            model = keras.Model(symbols, symbolic)
            start = [keras.ops.convert_to_numpy(w) for w in layer.trainable_weights]
            model.compile(optimizer=keras.optimizers.SGD(1.0), loss="mse")
            model.fit(inputs, np.ones(output_shape, "float32"), verbose=0)
            for weight, old in zip(layer.trainable_weights, start, strict=True):
                moved = np.any(keras.ops.convert_to_numpy(weight) != old)
                self.assertTrue(moved, f"{weight.path} gets no gradient")
            output = layer(inputs)

        half = type(layer).from_config({**before, "dtype": "mixed_float16"})
        self.assertEqual(keras.backend.standardize_dtype(half(inputs).dtype), "float16")

        path = self.tempdir() / "layer.keras"
        keras.Model(symbols, symbolic).save(path)
        self.assert_close(keras.saving.load_model(path)(inputs), output)
