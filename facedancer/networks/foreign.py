"""Loads Keras models of any structure that are made of known parts.

`keras.saving.load_model` makes whatever class of Keras a file names. Some of them run
what lies beside the file (`TFSMLayer`) or read other files (`StringLookup`). Here a
file may name what only computes.
"""

from __future__ import annotations

import os
import types
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np

from facedancer.errors import InputError
from facedancer.storage import model_files, untrusted

LAYERS = frozenset(
    """
    Activation ActivityRegularization Add Attention AdditiveAttention AlphaDropout
    Average AveragePooling1D AveragePooling2D BatchNormalization CenterCrop Concatenate
    Conv1D Conv1DTranspose Conv2D Conv2DTranspose Cropping1D Cropping2D Dense
    DepthwiseConv1D DepthwiseConv2D Dot Dropout ELU EinsumDense Embedding Flatten
    GaussianDropout GaussianNoise GlobalAveragePooling1D GlobalAveragePooling2D
    GlobalMaxPooling1D GlobalMaxPooling2D GroupNormalization GroupQueryAttention
    Identity InputLayer LayerNormalization LeakyReLU Masking MaxPooling1D MaxPooling2D
    Maximum Minimum MultiHeadAttention Multiply Normalization PReLU Permute
    RMSNormalization ReLU RepeatVector Rescaling Reshape Resizing SeparableConv1D
    SeparableConv2D Softmax SpatialDropout1D SpatialDropout2D SpectralNormalization
    Subtract UnitNormalization UpSampling1D UpSampling2D ZeroPadding1D ZeroPadding2D
    """.split()
)
MODELS = frozenset(("Functional", "Model", "Sequential"))
# What stands in a description for a value, not for a class.
_VALUES = frozenset(("__keras_tensor__", "__numpy__", "__ellipsis__", "__slice__"))
# Kinds of which every class only computes, by the modules of Keras that offer them.
_KINDS = {
    keras.initializers: keras.initializers.Initializer,
    keras.regularizers: keras.regularizers.Regularizer,
    keras.constraints: keras.constraints.Constraint,
    keras.dtype_policies: keras.dtype_policies.DTypePolicy,
}
_OPERATIONS = ("keras.src.ops.numpy", "keras.src.ops.nn", "keras.src.ops.image")
_OWN = "facedancer>"
_REACHES = ("dilation_rate", "pool_size", "strides")  # of layers, in pixels
_MAX_REACH = 1024


def load_network(path: str | os.PathLike) -> keras.Model:
    """Returns a whole Keras model of known layers, not compiled.

    Args:
        path: `.keras`, `.h5` or `.hdf5`.

    Raises:
        InputError: If it is missing, damaged, no Keras model or names a class that
            is not known.
    """
    found = model_files.read_model_file(path)
    check_classes(found)
    if found.kind == "h5":
        held = model_files.count_numbers(found.path)
    else:
        with (
            untrusted.faults(path),
            model_files.weights_file(found.path, found.kind) as weights,
        ):
            held = model_files.count_numbers(weights)

    def make() -> keras.Model:
        return keras.saving.load_model(path, compile=False, safe_mode=True)

    with untrusted.faults(path, "not a Keras model"):
        network = model_files.build(make, held, path)
    with untrusted.faults(path, "a network that cannot be run"):
        _try_out(network)
    return network


def _try_out(network: keras.Model) -> None:
    """Calls a network of known input shapes once; some say only then what is wrong."""
    shapes = [tensor.shape[1:] for tensor in network.inputs]
    if all(None not in shape for shape in shapes):
        zeros = [np.zeros((1, *shape), np.float32) for shape in shapes]
        network.predict_on_batch(zeros if len(zeros) > 1 else zeros[0])


def check_classes(found: model_files.ModelFile) -> None:
    """Refuses a description that names a class or function which is not known.

    Args:
        found: What `model_files.read_model_file` gave.

    Raises:
        InputError: If it names one, or a layer reaches farther than any picture; the
            text says which.
    """
    whole = {**found.whole, "compile_config": None}  # how it was trained is not read
    for described in _described(whole):
        if not _is_known(described):
            raise InputError(
                f"{found.path}: names {described['class_name']!r}, which is not a "
                "layer that only computes. Build the network from layers of Keras: "
                "convolutions, norms, activations and the like"
            )
        _check_reach(described, found.path)


def _check_reach(described: dict, path: os.PathLike) -> None:
    """Refuses steps and gaps for which a library would pad pictures without end."""
    config = described.get("config")
    if not isinstance(config, dict):
        return
    for name in _REACHES:
        values = config.get(name)
        for value in values if isinstance(values, list) else [values]:
            if isinstance(value, int) and abs(value) > _MAX_REACH:
                raise InputError(
                    f"{path}: {name} must be at most {_MAX_REACH} in a layer. "
                    f"Received: {value}"
                )


def _described(value: Any) -> Iterator[dict]:
    """Yields every part of a description that stands for a class or function."""
    left = [value]
    while left:
        value = left.pop()
        if isinstance(value, dict):
            if "class_name" in value:
                yield value
            left += value.values()
        elif isinstance(value, list):
            left += value


def _is_known(described: dict) -> bool:
    name, module = described["class_name"], described.get("module")
    if not isinstance(name, str):
        return False
    registered = str(described.get("registered_name") or name)
    if registered.startswith(_OWN):  # by its package: a class of this project
        return keras.saving.get_registered_object(registered) is not None
    if not _is_of_keras(module):
        return False
    if name == "function":  # an activation by its name
        return _offers(keras.activations, described.get("config"), types.FunctionType)
    if module in _OPERATIONS:
        return name.isidentifier()
    if name in LAYERS | MODELS | _VALUES:
        return True
    return any(_offers(module, name, kind) for module, kind in _KINDS.items())


def _is_of_keras(module: Any) -> bool:
    """Keras imports the module that is named; older ones import any."""
    return module is None or str(module).split(".")[0] in ("keras", "builtins")


def _offers(module: types.ModuleType, name: Any, kind: type) -> bool:
    made = vars(module).get(name) if isinstance(name, str) else None
    return isinstance(made, kind) or isinstance(made, type) and issubclass(made, kind)
