"""Turns a network into a LiteRT file for phones: 32 or 16 bits, or 8-bit integers.

In `f16` the weights are stored in 16 bits. In `int8` weights and maps are integers,
their ranges measured on a few faces without retraining (Jacob et al., CVPR 2018); what
goes in and comes out stays float32. Needs TensorFlow; running the file does not.
"""

from __future__ import annotations

import importlib
import os
import pathlib
import tempfile
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np

from facedancer.imaging import sample_photos
from facedancer.inference import portable
from facedancer.models import portable_generator, saving
from facedancer.models.choices import PRECISIONS
from facedancer.networks.contract import SwapContract
from facedancer.networks.network import Network
from facedancer.storage import files


def save(network: Network, path: str | os.PathLike, precision: str = "f32") -> None:
    """Writes a LiteRT file, of a generator with what swapping needs to know.

    Args:
        network: The network.
        path: The file.
        precision: One of `PRECISIONS`.
    """
    converted = convert(network, precision)
    if isinstance(getattr(network, "contract", None), SwapContract):
        facts = portable_generator.describe(network) | {"precision": precision}
        portable.write_litert(path, converted, facts)
    else:
        files.write_atomic(path, converted)


def convert(network: Network, precision: str = "f32") -> bytes:
    """Returns a network as a LiteRT model for one example at a time.

    Args:
        network: The network.
        precision: One of `PRECISIONS`.

    Raises:
        ValueError: If the precision is unknown.
    """
    if precision not in PRECISIONS:
        raise ValueError(
            f"`precision` must be one of {', '.join(PRECISIONS)}. Received: {precision}"
        )
    named = saving.with_named_ends(network)
    feeds = network.example_inputs(batch=1)
    named(list(feeds.values()))  # the export wants a network that was called
    one = [
        keras.InputSpec(shape=(1, *feeds[end.name].shape[1:]), dtype=end.dtype)
        for end in named.inputs
    ]
    for spec, end in zip(one, named.inputs, strict=True):
        spec.name = end.name
    with tempfile.TemporaryDirectory() as folder, saving.quiet():
        path = pathlib.Path(folder, "network.tflite")
        named.export(
            str(path),
            format="litert",
            verbose=False,
            input_signature=[one],
            **_options(network, precision),
        )
        return path.read_bytes()


def _options(network: Network, precision: str) -> dict[str, Any]:
    """Returns what the converter is told; no operation may need TensorFlow later."""
    lite = importlib.import_module("tensorflow").lite
    target: dict[str, Any] = {"supported_ops": [lite.OpsSet.TFLITE_BUILTINS]}
    found: dict[str, Any] = {"target_spec": target}
    if precision != "f32":
        found["optimizations"] = [lite.Optimize.DEFAULT]
    if precision == "f16":
        target["supported_types"] = [importlib.import_module("tensorflow").float16]
    if precision == "int8":
        found["representative_dataset"] = lambda: _examples(network)
    return found


def _examples(network: Network) -> Iterator[dict[str, np.ndarray]]:
    """Yields what the ranges of integers are measured on, one face at a time."""
    contract = getattr(network, "contract", None)
    image = getattr(contract, "image", contract)  # an encoder's is that of its image
    size = image.size if image else network.inputs[0].shape[1]
    faces = sample_photos.example_faces(size)
    shown = "target" if "target" in network.feed_names else network.feed_names[0]
    for number in range(len(faces)):
        feeds = network.example_inputs(batch=1, seed=number)
        if image:
            feeds[shown] = image.from_uint8(faces[number : number + 1])
        yield feeds
