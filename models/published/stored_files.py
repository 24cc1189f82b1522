"""Reads model files as plain data: a config and arrays by layer.

HDF5 of Keras 2 and 3 (`.h5`), the original's checkpoints (`gen.json` beside
`gen_12.h5`), and `.keras` archives. Nothing in a file is executed or looked up.
"""

from __future__ import annotations

import dataclasses
import os
import pathlib
import re
from typing import Any

import h5py
import numpy as np

from facedancer.errors import InputError
from facedancer.storage import untrusted


@dataclasses.dataclass(frozen=True)
class StoredModel:
    """What a model file holds.

    Attributes:
        path: The file with the weights.
        config: The model's config, `class_name` and `config`.
        weights: Arrays of each layer that has some, in the file's order; empty for
            a `.keras` archive, whose layout is Keras's own.
    """

    path: pathlib.Path
    config: dict[str, Any]
    weights: dict[str, list[np.ndarray]]


def read(path: str | os.PathLike, stem: str) -> StoredModel:
    """Returns what a model file holds.

    Args:
        path: A `.h5` or `.keras` file; a checkpoint's `.h5` or `.json` file; or a
            folder of checkpoints.
        stem: Which checkpoint of a folder to take: `"gen"` or `"dis"`.

    Raises:
        InputError: If it is missing, damaged or no model.
    """
    path = pathlib.Path(path)
    if path.is_dir():
        return _read_checkpoint(_in_folder(path, stem))
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    if path.suffix == ".json":
        return _read_checkpoint(path)
    untrusted.check_not_empty(path, "no model file")
    with path.open("rb") as file:
        start = file.read(8)
    if start.startswith(b"PK"):
        return StoredModel(path, _archive_config(path), {})
    if start != b"\x89HDF\r\n\x1a\n":
        raise InputError(
            f"{path}: not a model file. Expected HDF5 (.h5), a .keras archive or a "
            f"checkpoint's .json, found a file that starts with {start!r}"
        )
    return _read_h5(path)


def _in_folder(folder: pathlib.Path, stem: str) -> pathlib.Path:
    """Returns the `.json` of a folder's checkpoint."""
    found = sorted(folder.glob("*.json"))
    named = [path for path in found if path.stem == stem] or found
    if len(named) != 1:
        raise InputError(
            f"{folder}: expected a checkpoint, {stem}.json beside {stem}_*.h5; found "
            f"{', '.join(path.name for path in found) or 'no .json file'}"
        )
    return named[0]


def _read_checkpoint(
    description: pathlib.Path, weights: pathlib.Path | None = None
) -> StoredModel:
    if weights is None:
        pattern = re.compile(rf"{re.escape(description.stem)}_(\d+)\.h5")
        saved = {
            int(match[1]): path
            for path in description.parent.iterdir()
            if (match := pattern.fullmatch(path.name))
        }
        if not saved:
            raise InputError(
                f"{description}: its weights are missing. Expected "
                f"{description.stem}_<number>.h5 beside it"
            )
        weights = saved[max(saved)]
    with untrusted.faults(description):
        config = untrusted.parse_json(description.read_bytes(), description)
    return dataclasses.replace(_read_h5(weights, config), config=config)


def _read_h5(path: pathlib.Path, config: dict | None = None) -> StoredModel:
    with untrusted.open_h5(path, "the file is damaged or truncated") as file:
        stored = file.attrs.get("model_config")
        if stored is None and config is None:
            return _read_checkpoint(_description_of(path, file), path)
        group = file["model_weights"] if "model_weights" in file else file
        weights = _read_weights(group, path)
        return StoredModel(path, config or untrusted.parse_json(stored, path), weights)


def _description_of(path: pathlib.Path, file: h5py.File) -> pathlib.Path:
    """Returns the `.json` that belongs to a file of weights alone."""
    description = path.with_name(re.sub(r"_\d+$", "", path.stem) + ".json")
    if not description.is_file():
        what = "weights only" if _is_weights(file) else "no Keras model"
        raise InputError(
            f"{path}: the file holds {what}. Expected a whole model, or the "
            f"checkpoint's description {description.name} beside it"
        )
    return description


def _is_weights(file: h5py.File) -> bool:
    return bool({"layer_names", "layer_names0"} & set(file.attrs)) or "layers" in file


def _attribute(group: h5py.Group, name: str) -> list[str]:
    """Returns a list of names, which Keras splits where it is long."""
    if name in group.attrs:
        parts = [group.attrs[name]]
    else:
        count = sum(bool(re.fullmatch(rf"{name}\d+", key)) for key in group.attrs)
        parts = [group.attrs[f"{name}{i}"] for i in range(count)]
    words = [word for part in parts for word in np.asarray(part).tolist()]
    return [word.decode() if isinstance(word, bytes) else word for word in words]


def _read_weights(group: h5py.Group, path: pathlib.Path) -> dict[str, list[np.ndarray]]:
    layers = _attribute(group, "layer_names")
    if not layers:
        raise InputError(f"{path}: no weights in it, expected a list of layers")
    weights = {}
    for layer in layers:
        names = _attribute(group[layer], "weight_names")
        arrays = [np.asarray(group[layer][name]) for name in names]
        if arrays:
            weights[layer] = arrays
    return weights


def _archive_config(path: pathlib.Path) -> dict[str, Any]:
    with untrusted.open_zip(path, "damaged, or no .keras archive") as archive:
        return untrusted.parse_json(untrusted.read_entry(archive, "config.json"), path)
