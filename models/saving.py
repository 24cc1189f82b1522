"""Writes models to files that appear whole or not at all, and compares them."""

from __future__ import annotations

import contextlib
import os
import pathlib
from collections.abc import Iterator

import keras
import numpy as np
from absl import logging
from keras import ops

from facedancer.errors import InputError
from facedancer.models.choices import LAYOUTS
from facedancer.models.published import published_writer
from facedancer.networks.network import Network
from facedancer.storage import files, writing


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Leaves out absl's warnings, such as the one that `.h5` is an old format."""
    before = logging.get_verbosity()
    logging.set_verbosity(logging.ERROR)
    try:
        yield
    finally:
        logging.set_verbosity(before)


def save(model: keras.Model, path: str | os.PathLike, layout: str = "native") -> None:
    """Writes a generator or discriminator.

    Args:
        model: The model.
        path: A name that ends in `.keras` or `.h5`.
        layout: `"native"` keeps everything of the model; `"published"`, for `.h5`
            only, is read by the original programs and forgets encoder and template.

    Raises:
        InputError: If the ending or the layout does not fit.
    """
    check(path, layout)
    with files.whole(path) as temporary, quiet():
        if layout == "published":
            published_writer.save_published(model, temporary)
        elif temporary.suffix == ".h5":
            with writing.h5_file(temporary) as file:
                model.save(file, include_optimizer=False)
        else:
            model.save(temporary, include_optimizer=False)


def check(path: str | os.PathLike, layout: str = "native") -> None:
    """Refuses what `save` cannot write.

    Args:
        path: See `save`.
        layout: See `save`.

    Raises:
        InputError: If the ending or the layout does not fit.
    """
    path = pathlib.Path(path)
    if path.suffix not in (".keras", ".h5"):
        raise InputError(f"{path}: expected a name that ends in .keras or .h5")
    if layout not in LAYOUTS or (layout == "published" and path.suffix != ".h5"):
        raise InputError(
            f"The layout must be native, or published for .h5. Received: {layout!r} "
            f"for {path.name}"
        )


def with_named_ends(model: Network) -> keras.Model:
    """Returns the network with a dict of outputs, so that files keep their names.

    Args:
        model: Any network; its inputs have names already.
    """
    if isinstance(model.output, dict):  # its `outputs` stand in another order
        outputs = model.output
    else:
        outputs = dict(zip(model.result_names, model.outputs, strict=True))
    return keras.Model(model.inputs, outputs, name=model.name)


def difference(first: dict, second: dict) -> float:
    """Returns the largest difference between outputs of the same names.

    Args:
        first: Arrays or tensors by name.
        second: The same.

    Raises:
        KeyError: If a name is missing.
    """
    apart = [
        np.abs(ops.convert_to_numpy(values) - ops.convert_to_numpy(second[name])).max()
        for name, values in first.items()
    ]
    return float(max(apart))


def bytes_of(path: str | os.PathLike) -> int:
    """Returns how large an exported network is, with what belongs to it.

    Args:
        path: A file, or a folder of files; of OpenVINO the `.xml`.
    """
    path = pathlib.Path(path)
    if path.is_dir():
        return sum(one.stat().st_size for one in path.rglob("*") if one.is_file())
    weights = path.with_suffix(".bin")
    beside = weights.stat().st_size if path.suffix == ".xml" else 0
    return path.stat().st_size + beside
