"""Encoders in files of Keras: this project's and the published ArcFace `.h5`."""

from __future__ import annotations

import os

import numpy as np

from facedancer.arcface_model.encoder import Encoder
from facedancer.arcface_model.mobilefacenet import MobileFaceNet
from facedancer.arcface_model.onnx_network import OnnxEncoder
from facedancer.arcface_model.resnet50 import ArcFaceResNet50
from facedancer.errors import InputError
from facedancer.networks import layer_lists, resnet50
from facedancer.storage import model_files, untrusted

OWN = {cls.__name__: cls for cls in (MobileFaceNet, ArcFaceResNet50, OnnxEncoder)}
EXPECTED = (
    f"an identity encoder ({', '.join(OWN)}, or the published ArcFace .h5 with a "
    "ResNet50 and an output head nested in it)"
)


def read(path: str | os.PathLike) -> Encoder:
    """Returns an identity encoder from a file, see `loading.load_encoder`.

    Args:
        path: The file.

    Raises:
        InputError: If the file is missing, damaged or of another kind.
    """
    found = model_files.read_model_file(path)
    if found.class_name in OWN:
        return model_files.load_own(found, OWN[found.class_name])
    with untrusted.faults(path, "its description or weights are damaged"):
        parts = _nested_parts(found.config) if found.kind == "h5" else None
        if parts is not None:
            return _published(found, *parts)
    raise InputError(f"{path}: found {found.describe()}, expected {EXPECTED}")


def _nested_parts(config: dict) -> tuple[dict, dict] | None:
    """Returns the nested trunk and head of a published file, None if it has none."""
    trunk = head = None
    for layer in config.get("layers", ()):
        inner = layer["config"].get("layers", ())
        classes = {sub["class_name"] for sub in inner}
        if "Conv2D" in classes:
            trunk = layer["config"]
        elif "Dense" in classes:
            head = layer["config"]
    return (trunk, head) if trunk and head else None


def _published(
    found: model_files.ModelFile, trunk: dict, head: dict
) -> ArcFaceResNet50:
    dense = [sub for sub in head["layers"] if sub["class_name"] == "Dense"]
    shape = trunk["layers"][0]["config"].get("batch_input_shape", [None] * 4)
    if len(dense) != 1 or shape[1] is None or shape[1] != shape[2]:
        raise InputError(
            f"{found.path}: found {len(dense)} dense layers in the head and input "
            f"shape {shape}, expected one and a square input"
        )
    dropout = [s["config"]["rate"] for s in head["layers"] if "rate" in s["config"]]
    weights = model_files.group_weights(found.path, trunk["name"])
    settings = dict(
        embedding_size=dense[0]["config"]["units"],
        image_size=shape[1],
        dropout=dropout[0] if dropout else 0.0,
        trunk=_other_trunk(found, trunk, weights),
    )
    encoder = model_files.build(
        lambda: ArcFaceResNet50(**settings),
        model_files.count_numbers(found.path),
        found.path,
    )
    _assign_trunk(encoder, weights, found.path)
    _assign_head(encoder, found.path, head["name"])
    return encoder


def _other_trunk(
    found: model_files.ModelFile,
    trunk: dict,
    weights: dict[str, list[tuple[str, np.ndarray]]],
) -> dict | None:
    """Returns None for ResNet50 as it is, else the layers of the file's own trunk."""
    first, last = (weights.get(n) for n in ("conv1_conv", "conv5_block3_3_conv"))
    if first and last and len(trunk["layers"]) == resnet50.LAYERS:
        if (first[0][1].shape[-1], last[0][1].shape[-1]) == (64, 2048):
            return None
    return layer_lists.read_layers(trunk, found.path)


def _assign_trunk(
    encoder: ArcFaceResNet50,
    weights: dict[str, list[tuple[str, np.ndarray]]],
    path: str | os.PathLike,
) -> None:
    expected = {layer.name for layer in encoder.layers if layer.weights}
    expected -= {"head_bn", "head_dense", "embedding_bn"}
    if set(weights) != expected:
        odd = sorted(set(weights) ^ expected)[:5]
        raise InputError(f"{path}: weights do not fit the layers of the trunk: {odd}")
    for name, arrays in weights.items():
        model_files.assign(encoder.get_layer(name), arrays, path)


def _assign_head(encoder: ArcFaceResNet50, path: str | os.PathLike, group: str) -> None:
    """The head's layers carry counters that start anywhere: taken by their order."""
    weights = list(model_files.group_weights(path, group).values())
    norms = [arrays for arrays in weights if arrays[0][0] == "gamma"]
    dense = [arrays for arrays in weights if arrays[0][0] == "kernel"]
    if (len(norms), len(dense)) != (2, 1):
        raise InputError(
            f"{path}: the head holds {len(norms)} batch norms and {len(dense)} dense "
            "layers, expected 2 and 1"
        )
    for name, arrays in zip(
        ("head_bn", "head_dense", "embedding_bn"),
        (norms[0], dense[0], norms[1]),
        strict=True,
    ):
        model_files.assign(encoder.get_layer(name), arrays, path)
