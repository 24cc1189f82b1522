"""A trained generator as files for the swapping programs."""

from __future__ import annotations

import os
import pathlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from facedancer.errors import InputError
from facedancer.models import exports
from facedancer.networks.network import Network
from facedancer.train.systems.base import System

# Format -> ending of the file.
ENDINGS = {
    "onnx": ".onnx",
    "litert": ".tflite",
    "coreml": ".mlpackage",
    "openvino": ".xml",
    "saved_model": "",
}


def trained_swappers(
    system: type[System], record: Mapping[str, Any], arrays: Mapping[str, np.ndarray]
) -> dict[str, Network]:
    """Returns what a checkpoint's networks swap with, averaged where it has averages.

    By the ending of the file's name; most systems have one swapper with none.

    Args:
        system: What was trained.
        record: Of the checkpoint: the structure of each network by name.
        arrays: Of the checkpoint.

    Raises:
        InputError: If the checkpoint holds another structure.
    """
    roles = system.family().networks
    structures = {
        name: roles[system.networks[name]].config_class.from_dict(record[name])
        for name in system.generators
    }
    builders = system.builders(structures, "float32", "plain")
    networks = {name: build() for name, build in builders.items()}
    for name, network in networks.items():
        average = f"average_{name}/"
        part = average if f"{average}0000" in arrays else f"{name}/"
        values = [arrays[key] for key in sorted(arrays) if key.startswith(part)]
        try:
            network.set_weights(values)
        except ValueError as error:
            raise InputError(
                f"The checkpoint does not hold the {name} its record names: {error}"
            ) from None
    return system.swappers(networks)


def check(formats: tuple[str, ...]) -> None:
    """Refuses formats that cannot be written here, before anything is read or written.

    Args:
        formats: Keys of `ENDINGS`.

    Raises:
        InputError: If a package is missing.
    """
    for kind in formats:
        exports.check(pathlib.Path(f"export{ENDINGS[kind]}"))


def export(
    generator: Network,
    folder: str | os.PathLike,
    name: str,
    formats: tuple[str, ...] = (),
) -> list[tuple[pathlib.Path, float | None]]:
    """Writes a generator as `.keras` and `.h5`, and in further formats.

    Args:
        generator: What is written.
        folder: Where to; it is made.
        name: Of the files, without ending.
        formats: Keys of `ENDINGS`.

    Returns:
        Each file and the largest difference of its output to the generator's, on a
        seeded random input; None where it cannot be run here.

    Raises:
        InputError: If a format needs a package that is missing.
    """
    check(formats)
    endings = [".keras", ".h5", *(ENDINGS[kind] for kind in formats)]
    paths = [pathlib.Path(folder, name + ending) for ending in endings]
    return [(path, exports.export(generator, path)) for path in paths]
