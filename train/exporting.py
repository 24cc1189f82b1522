"""A trained generator as files for the swapping programs."""

from __future__ import annotations

import os
import pathlib

import keras
import numpy as np

from facedancer.errors import InputError
from facedancer.models import build_generator
from facedancer.models import export as model_export

# Format -> ending of the file.
ENDINGS = {"onnx": ".onnx", "litert": ".tflite", "openvino": ".xml", "saved_model": ""}


def plain_generator(config, arrays: dict[str, np.ndarray]) -> keras.Model:
    """Returns the averaged generator of a checkpoint, else the generator.

    Args:
        config: Its `GeneratorConfig`.
        arrays: Of the checkpoint.

    Raises:
        InputError: If the checkpoint holds another structure.
    """
    average = "average_generator/"
    part = average if f"{average}0000" in arrays else "generator/"
    generator = build_generator(config, "plain", "float32")
    values = [arrays[name] for name in sorted(arrays) if name.startswith(part)]
    try:
        generator.set_weights(values)
    except ValueError as error:
        raise InputError(
            f"The checkpoint does not hold the generator its record names: {error}"
        ) from None
    return generator


def export(
    generator: keras.Model,
    folder: str | os.PathLike,
    name: str,
    formats: tuple[str, ...] = (),
) -> list[tuple[pathlib.Path, float]]:
    """Writes a generator as `.keras` and `.h5`, and in further formats.

    Args:
        generator: What is written.
        folder: Where to; it is made.
        name: Of the files, without ending.
        formats: Keys of `ENDINGS`.

    Returns:
        Each file and the largest difference of its output to the generator's, on a
        seeded random input.

    Raises:
        InputError: If a format needs a package that is missing.
    """
    endings = [".keras", ".h5", *(ENDINGS[kind] for kind in formats)]
    paths = [pathlib.Path(folder, name + ending) for ending in endings]
    for path in paths:
        model_export.check(path)
    return [(path, model_export.export(generator, path)) for path in paths]
