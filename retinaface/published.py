"""Reads RetinaFace weights that others published."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from facedancer.errors import InputError
from facedancer.networks import layer_lists, resnet50
from facedancer.retinaface.network import RetinaFace
from facedancer.storage import model_files, untrusted

PYTORCH_MEAN = (104.0, 117.0, 123.0)
PYRAMID_UNITS = ("output1", "output2", "output3", "merge1", "merge2")
CONTEXT_UNITS = ("3", "5_1", "5_2", "7_2", "7_3")
HEADS = {"BboxHead": "boxes", "ClassHead": "classes", "LandmarkHead": "landmarks"}
_PYTORCH_CONTEXT = {
    "conv3X3": "3",
    "conv5X5_1": "5_1",
    "conv5X5_2": "5_2",
    "conv7X7_2": "7_2",
    "conv7x7_3": "7_3",
}
_PYTORCH_NORM = {
    "weight": "gamma",
    "bias": "beta",
    "running_mean": "moving_mean",
    "running_var": "moving_variance",
}


def is_published_h5(found: model_files.ModelFile) -> bool:
    """Tells whether a file is a RetinaFace of retinaface-tf2.

    Args:
        found: What `model_files.read_model_file` gave.
    """
    classes = [layer.get("class_name") for layer in found.config.get("layers", ())]
    return found.kind == "h5" and {"FPN", "SSH", *HEADS} <= set(classes)


def read_published_h5(found: model_files.ModelFile) -> RetinaFace:
    """Returns the network of a RetinaFace-ResNet50 `.h5` of retinaface-tf2.

    Decoding and suppression inside the file are left out; `anchors` and `suppression`
    do the same.

    Args:
        found: What `model_files.read_model_file` gave.

    Raises:
        InputError: If backbone or weights are not those of the published network.
    """
    named = _names_by_class(found)
    backbone = model_files.group_weights(found.path, named["backbone"][0])
    settings = dict(
        channels=named["channels"],
        trunk=_other_trunk(found, backbone),
        **_preprocessing(found),
    )
    network = model_files.build(
        lambda: RetinaFace("resnet50", **settings),
        model_files.count_numbers(found.path),
        found.path,
    )
    expected = _trunk_layers(network)
    if set(backbone) != expected:
        odd = sorted(set(backbone) ^ expected)[:5]
        raise InputError(
            f"{found.path}: weights do not fit the layers of the backbone: {odd}"
        )
    for name, arrays in backbone.items():
        model_files.assign(network.get_layer(name), arrays, found.path)
    _assign_units(network, found.path, named["FPN"][0], "fpn_", PYRAMID_UNITS)
    for level, name in enumerate(named["SSH"], start=1):
        _assign_units(network, found.path, name, f"ssh{level}_", CONTEXT_UNITS)
    for cls, head in HEADS.items():
        for level, name in enumerate(named[cls], start=1):
            (arrays,) = model_files.group_weights(found.path, name).values()
            layer = network.get_layer(f"{head}{level}_conv")
            model_files.assign(layer, arrays, found.path)
    return network


def _trunk_layers(network: RetinaFace) -> set[str]:
    rest = ("fpn_", "ssh", *HEADS.values())
    return {x.name for x in network.layers if x.weights and not x.name.startswith(rest)}


def _other_trunk(
    found: model_files.ModelFile, weights: dict[str, list[tuple[str, np.ndarray]]]
) -> dict | None:
    """Returns None for ResNet50 as it is, else the layers of the file's own trunk."""
    (trunk,) = [x["config"] for x in found.config["layers"] if "layers" in x["config"]]
    first, last = (weights.get(n) for n in ("conv1_conv", "conv5_block3_3_conv"))
    if first and last and len(trunk["layers"]) == resnet50.LAYERS:
        if (first[0][1].shape[-1], last[0][1].shape[-1]) == (64, 2048):
            return None
    return layer_lists.read_layers(trunk, found.path)


def _preprocessing(found: model_files.ModelFile) -> dict[str, Any]:
    """Returns what is done to the photo first, seen by its steps in the graph."""
    for layer in found.config["layers"]:
        if layer["config"].get("function") == "nn.bias_add":
            bias = layer["inbound_nodes"][0][3]["bias"]
            return {"mean": tuple(-value for value in bias)}
    return {"signed": True}


def _names_by_class(found: model_files.ModelFile) -> dict[str, Any]:
    """Returns the layer names of each class, counters ascending, and the channels."""
    named: dict[str, list[str]] = {
        cls: [] for cls in ("FPN", "SSH", *HEADS, "backbone")
    }
    channels = None
    for layer in found.config["layers"]:
        config = layer["config"]
        cls = "backbone" if "layers" in config else layer["class_name"]
        if cls in named:
            named[cls].append(config["name"])
        if cls == "FPN":
            channels = config["out_ch"]
    counts = {cls: len(names) for cls, names in named.items()}
    expected = {"FPN": 1, "SSH": 3, **{head: 3 for head in HEADS}, "backbone": 1}
    if counts != expected:
        raise InputError(f"{found.path}: found {counts} layers, expected {expected}")
    for names in named.values():
        names.sort(key=_counter)
    return {**named, "channels": channels}


def _counter(name: str) -> int:
    digits = re.search(r"_(\d+)$", name)
    return int(digits.group(1)) if digits else 0


def _assign_units(
    network: RetinaFace,
    path: str | os.PathLike,
    group: str,
    prefix: str,
    units: Sequence[str],
) -> None:
    """The sublayers carry counters that start anywhere: taken by their order."""
    weights = model_files.group_weights(path, group)
    kernels = [arrays for arrays in weights.values() if arrays[0][0] == "kernel"]
    norms = [arrays for arrays in weights.values() if arrays[0][0] == "gamma"]
    if (len(kernels), len(norms)) != (len(units), len(units)):
        raise InputError(
            f"{path}: layer {group!r} holds {len(kernels)} convolutions and "
            f"{len(norms)} batch norms, expected {len(units)} of each"
        )
    for unit, kernel, norm in zip(units, kernels, norms, strict=True):
        model_files.assign(network.get_layer(f"{prefix}{unit}_conv"), kernel, path)
        model_files.assign(network.get_layer(f"{prefix}{unit}_norm"), norm, path)


def read_state_dict(path: str | os.PathLike) -> RetinaFace:
    """Returns RetinaFace-MobileNet0.25 from the arrays of the PyTorch weights.

    Args:
        path: An `.npz` file with one array a name of the PyTorch state dict
            (`body.stage1.0.0.weight`, ...), channels first.

    Raises:
        InputError: If names or shapes are not those of the network.
    """
    arrays = untrusted.load_arrays(path)
    first = arrays.get("body.stage1.0.0.weight")
    channels = arrays.get("fpn.output1.0.weight")
    if first is None or channels is None:
        raise InputError(
            f"{path}: found arrays {sorted(arrays)[:3]} ..., expected the state dict "
            "of a RetinaFace with MobileNet0.25 (body.stage1.0.0.weight, ...)"
        )
    with untrusted.faults(path, "its arrays are not those of the network"):
        width, num_channels = len(first), len(channels)
        network = model_files.build(
            lambda: RetinaFace("mobilenet025", width, num_channels, PYTORCH_MEAN),
            sum(array.size for array in arrays.values()),
            path,
        )
        _assign_state(network, arrays, path)
    return network


def read_backbone(network: RetinaFace, path: str | os.PathLike) -> None:
    """Sets the MobileNet of a network from the arrays of ImageNet weights.

    Args:
        network: With the backbone `"mobilenet025"`.
        path: An `.npz` file with names `stage1.0.0.weight`, ...; others are ignored.

    Raises:
        InputError: If names or shapes are not those of the backbone.
    """
    arrays = {
        f"body.{name}": value
        for name, value in untrusted.load_arrays(path).items()
        if name.startswith("stage")
    }
    with untrusted.faults(path, "its arrays are not those of the network"):
        _assign_state(network, arrays, path, prefix="stage")


def _assign_state(
    network: RetinaFace,
    arrays: Mapping[str, np.ndarray],
    path: str | os.PathLike,
    prefix: str = "",
) -> None:
    """Sets every weighted layer whose name starts with the prefix."""
    given: dict[str, list] = {}
    for name, array in arrays.items():
        if not name.endswith("num_batches_tracked"):
            layer, kind = _keras_name(name, array)
            given.setdefault(layer, []).append((kind, _channels_last(array, kind)))
    wanted = [x.name for x in network.layers if x.weights and x.name.startswith(prefix)]
    if set(given) != set(wanted):
        odd = sorted(set(given) ^ set(wanted))[:5]
        raise InputError(f"{path}: layers missing or unknown: {odd}")
    for name in wanted:
        model_files.assign(network.get_layer(name), given[name], path)


def _keras_name(name: str, array: np.ndarray) -> tuple[str, str]:
    """`body.stage1.2.3.weight` -> `stage1_2_pointwise_conv`, `kernel`; and so on."""
    *parts, kind = name.split(".")
    if parts[0] == "body" and len(parts) == 4:
        first = parts[1:3] == ["stage1", "0"]
        part = "" if first else ("_depthwise", "_pointwise")[int(parts[3]) > 2]
        return _unit_name(f"{parts[1]}_{parts[2]}{part}", kind, array)
    if parts[0] == "fpn" and len(parts) == 3:
        return _unit_name(f"fpn_{parts[1]}", kind, array)
    if parts[0] in ("ssh1", "ssh2", "ssh3") and parts[1] in _PYTORCH_CONTEXT:
        return _unit_name(f"{parts[0]}_{_PYTORCH_CONTEXT[parts[1]]}", kind, array)
    if parts[0] in HEADS and len(parts) == 3:
        layer = f"{HEADS[parts[0]]}{int(parts[1]) + 1}_conv"
        return layer, "kernel" if kind == "weight" else "bias"
    return name, kind


def _unit_name(unit: str, kind: str, array: np.ndarray) -> tuple[str, str]:
    if array.ndim == 4:
        return f"{unit}_conv", "kernel"
    return f"{unit}_norm", _PYTORCH_NORM.get(kind, kind)


def _channels_last(array: np.ndarray, kind: str) -> np.ndarray:
    if kind != "kernel" or array.ndim != 4:
        return array
    if array.shape[1] == 1:  # depthwise
        return array.transpose(2, 3, 0, 1)
    return array.transpose(2, 3, 1, 0)
