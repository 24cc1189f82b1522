"""From networks as Keras keeps them to portable files, once."""

from __future__ import annotations

import logging
import os
import pathlib
from collections.abc import Callable
from typing import Any

import numpy as np

from facedancer.errors import InputError
from facedancer.inference import portable
from facedancer.process import keras_needed
from facedancer.storage import files, weights


def convert(
    source: str | os.PathLike, destination: str | os.PathLike, kind: str = "auto"
) -> portable.PortableFile:
    """Writes the portable file of a network.

    Args:
        source: A generator, an identity encoder, a face detector or a face parser, in
            any form that `load_generator` and its like read.
        destination: The file, `.onnx`.
        kind: Key of `LOADERS`, or `"auto"`: whichever the file holds.

    Returns:
        The file, read again.

    Raises:
        InputError: If it is none of these, or a package is missing.
    """
    keras_needed.check_writing(source)
    found, network = _load(source, kind)
    _SAVERS[found](network, destination, _facts(source))
    return portable.read(destination, found)


def keep(kind: str, path: str | os.PathLike) -> None:
    """Converts a network into the folder of converted networks, if it is not there.

    Nothing happens where no folder is named (`portable.CACHE`), the network is portable
    already or TensorFlow is missing.

    Args:
        kind: `"generator"`, `"encoder"`, `"detector"`, `"parser"` or `"refiner"`.
        path: Its file.

    Raises:
        InputError: If the file is of another kind or damaged.
    """
    if portable.is_portable(path) or keras_needed.missing_packages():
        return
    kept = portable.cached(path)
    if kept is None or kept.is_file():
        return
    convert(path, kept, kind)
    logging.getLogger("absl").info(
        "%s: converted once, kept as %s; the next start needs no TensorFlow", path, kept
    )


def _facts(source: str | os.PathLike) -> dict[str, Any]:
    """Returns what is known of where a network comes from."""
    facts = {"source": "", "source_file": pathlib.Path(source).name, "licence": ""}
    if pathlib.Path(source).is_file():
        facts["source"] = files.file_hash(source)
    for entry in weights.CATALOGUE.values():
        if entry.sha256 == facts["source"]:
            facts |= {"licence": entry.licence, "trained_on": entry.trained_on}
    return facts


def _load(source: str | os.PathLike, kind: str) -> tuple[str, Any]:
    """Returns the kind of network that a file holds, and the network."""
    if kind != "auto":
        return kind, LOADERS[kind](source)
    refusals = []
    for name, load in LOADERS.items():
        try:
            return name, load(source)
        except InputError as error:
            refusals.append(f"no {name} ({error})")
    raise InputError(f"{source}: {'; '.join(refusals)}")


def _load_generator(path: str | os.PathLike) -> Any:
    from facedancer.models import load_generator

    return load_generator(path)


def _load_encoder(path: str | os.PathLike) -> Any:
    from facedancer.arcface_model import load_encoder

    return load_encoder(path)


def _load_detector(path: str | os.PathLike) -> Any:
    from facedancer.retinaface.loading import read

    return read(path)


def _load_parser(path: str | os.PathLike) -> Any:
    from facedancer.models.families.face_parser import loading

    return loading.load_network(path)


def _load_refiner(path: str | os.PathLike) -> Any:
    from facedancer.models.families.face_refiner import loading

    return loading.load_network(path)


def _save_generator(network: Any, path: Any, facts: dict[str, Any]) -> None:
    from facedancer.models import portable_generator

    portable_generator.save(network, path, facts)


def _save_encoder(network: Any, path: Any, facts: dict[str, Any]) -> None:
    from facedancer.arcface_model import portable_encoder

    portable_encoder.save(network, path, facts)


def _save_detector(found: Any, path: Any, facts: dict[str, Any]) -> None:
    from facedancer.retinaface import portable_network

    network, own = found
    portable_network.save(network, path, own, facts)


def _save_parser(network: Any, path: Any, facts: dict[str, Any]) -> None:
    from facedancer.models.families.face_parser import portable_parser

    portable_parser.save(network, path, facts)


def _save_refiner(network: Any, path: Any, facts: dict[str, Any]) -> None:
    from facedancer.models.families.face_refiner import portable_refiner

    portable_refiner.save(network, path, facts)


LOADERS: dict[str, Callable[[Any], Any]] = {
    "generator": _load_generator,
    "encoder": _load_encoder,
    "detector": _load_detector,
    "parser": _load_parser,
    "refiner": _load_refiner,
}
_SAVERS: dict[str, Callable[[Any, Any, dict], None]] = {
    "generator": _save_generator,
    "encoder": _save_encoder,
    "detector": _save_detector,
    "parser": _save_parser,
    "refiner": _save_refiner,
}


def examples(
    file: portable.PortableFile, source: str | os.PathLike, seed: int = 0
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Returns seeded inputs of a portable file, and what Keras makes of them.

    Args:
        file: The file.
        source: What it was made from.
        seed: Of the inputs: pictures uniform over their range, vectors of variance 1.

    Returns:
        Both by name; of the outputs those that the network gives without being asked.
    """
    network = LOADERS[file.kind](source)
    network = network[0] if file.kind == "detector" else network
    feeds = network.example_inputs(seed=seed)
    if file.kind == "detector":
        feeds = {"image": feeds["image"] * 127.5 + 127.5}
    found = network.named(feeds)
    if file.kind == "encoder":  # whatever its ends are called
        feeds = {"image": next(iter(feeds.values()))}
        found = {"embedding": next(iter(found.values()))}
    return feeds, {name: np.asarray(values) for name, values in found.items()}
