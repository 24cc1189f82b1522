"""Plain graphs as data: read from a Keras 2 configuration, built again in Keras 3.

For backbones nested in published files. Only layers of the table below are made, with
arguments that are plain values, so nothing in a file is executed: neither when the list
is read from a published file nor when it is built from one of our own.
"""

from __future__ import annotations

import os

from keras import layers

from facedancer.errors import InputError
from facedancer.networks.tensors import Tensor

_CONVOLUTION = ("kernel_size", "strides", "padding", "dilation_rate", "use_bias")
_POOLING = ("pool_size", "strides", "padding")
# Class -> the arguments that are taken over.
KNOWN = {
    "Activation": ("activation",),
    "Add": (),
    "AveragePooling2D": _POOLING,
    "BatchNormalization": ("axis", "momentum", "epsilon", "center", "scale"),
    "Concatenate": ("axis",),
    "Conv2D": ("filters", "groups", "activation", *_CONVOLUTION),
    "DepthwiseConv2D": ("depth_multiplier", "activation", *_CONVOLUTION),
    "Dropout": ("rate",),
    "InputLayer": (),
    "LeakyReLU": ("negative_slope",),
    "MaxPooling2D": _POOLING,
    "PReLU": ("shared_axes",),
    "ReLU": ("max_value", "negative_slope", "threshold"),
    "ZeroPadding2D": ("padding",),
}
ACTIVATIONS = ("linear", "relu", "relu6", "sigmoid", "tanh", "swish", "silu", "elu")


def read_layers(config: dict, path: str | os.PathLike) -> dict:
    """Returns the layers of a nested functional model as plain data.

    Args:
        config: Of the nested model, as Keras 2 wrote it.
        path: The file, for messages.

    Returns:
        `{"layers": [{"class", "config", "inputs"}, ...], "outputs": [names]}`, in an
        order in which inputs come first.

    Raises:
        InputError: If it holds a layer, an activation or a connection that is unknown.
    """
    found = [_read_layer(layer, path) for layer in config["layers"]]
    known = {layer["config"]["name"] for layer in found}
    outputs = [node[0] for node in config["output_layers"]]
    for layer in found:
        if not known.issuperset(layer["inputs"]):
            raise InputError(f"{path}: layer {layer['config']['name']} lacks an input")
    return {"layers": _ordered(found, path), "outputs": outputs}


def _read_layer(layer: dict, path: str | os.PathLike) -> dict:
    name, cls, given = layer["name"], layer["class_name"], dict(layer["config"])
    if cls == "LeakyReLU":
        given.setdefault("negative_slope", given.get("alpha", 0.3))
    kept = {key: given[key] for key in KNOWN.get(cls, ()) if key in given}
    nodes = layer.get("inbound_nodes") or [[]]
    if len(nodes) != 1:
        raise InputError(f"{path}: layer {name} is used {len(nodes)} times, expected 1")
    inputs = [node[0] for node in nodes[0]]
    found = {"class": cls, "config": {"name": name, **kept}, "inputs": inputs}
    try:
        _check(found)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    return found


def _check(layer: dict) -> None:
    """Refuses a layer, an activation or an argument that is not of the table."""
    cls, config = layer["class"], layer["config"]
    name = config["name"]
    if cls not in KNOWN:
        raise InputError(
            f"found a layer {name} of class {cls}, expected one of "
            f"{', '.join(sorted(KNOWN))}"
        )
    if config.get("activation", "linear") not in ACTIVATIONS:
        raise InputError(
            f"found the activation {config['activation']!r} in layer {name}, "
            f"expected one of {', '.join(ACTIVATIONS)}"
        )
    for key, value in config.items():
        if key not in ("name", *KNOWN[cls]) or not _is_plain(value):
            raise InputError(
                f"found the argument {key}={value!r} in layer {name}, expected "
                f"numbers or words for {', '.join(KNOWN[cls]) or 'its name'}"
            )


def _is_plain(value: object) -> bool:
    """Whether a value is a number, a word or a list of such: nothing to be made."""
    if isinstance(value, list | tuple):
        return all(map(_is_plain, value))
    return value is None or isinstance(value, bool | int | float | str)


def _ordered(found: list[dict], path: str | os.PathLike) -> list[dict]:
    """Sorts so that every layer stands behind its inputs."""
    done: set[str] = set()
    order, left = [], list(found)
    while left:
        ready = [layer for layer in left if done.issuperset(layer["inputs"])]
        if not ready:
            raise InputError(f"{path}: the layers of its backbone form a loop")
        order += ready
        done |= {layer["config"]["name"] for layer in ready}
        left = [layer for layer in left if layer not in ready]
    return order


def build_layers(listed: dict, inputs: Tensor) -> dict[str, Tensor]:
    """Builds what `read_layers` gave.

    Args:
        listed: Its result.
        inputs: The symbolic tensor that stands for the input layer.

    Returns:
        Symbolic tensors by layer name.

    Raises:
        InputError: If it holds a layer, an activation or an argument that is unknown.
    """
    tensors = {}
    for layer in listed["layers"]:
        _check(layer)
        name = layer["config"]["name"]
        if layer["class"] == "InputLayer":
            tensors[name] = inputs
            continue
        given = [tensors[source] for source in layer["inputs"]]
        made = getattr(layers, layer["class"])(**_arguments(layer["config"]))
        tensors[name] = made(given[0] if len(given) == 1 else given)
    return tensors


def _arguments(config: dict) -> dict:
    """JSON gives lists where layers want tuples or one number."""
    arguments = {}
    for key, value in config.items():
        if isinstance(value, list):
            value = tuple(tuple(v) if isinstance(v, list) else v for v in value)
            if key == "axis":
                value = value[0]
        arguments[key] = value
    return arguments
