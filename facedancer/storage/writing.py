"""Writes files of weights: whole, and small where asked for (rounded, compressed)."""

from __future__ import annotations

import contextlib
import os
import pathlib
import zipfile
from collections.abc import Iterator

import h5py
import keras
import numpy as np

from facedancer.storage import files


class _InMemory(h5py.File):
    """An HDF5 file in memory, which Keras takes for one of that ending."""

    def __init__(self) -> None:
        super().__init__("memory.h5", "w", driver="core", backing_store=False)

    def __str__(self) -> str:
        return "memory.h5"


@contextlib.contextmanager
def h5_file(path: str | os.PathLike) -> Iterator[h5py.File]:
    """Gives an HDF5 file to be filled, also by `Model.save`; it is written at the end.

    It is made in memory: on a full disk the HDF5 library prints a trace for every
    object that it cannot write, and none of them can be caught.

    Args:
        path: The file.

    Raises:
        OSError: If it cannot be written.
    """
    with _InMemory() as file:
        yield file
        file.flush()
        data = file.id.get_file_image()
    pathlib.Path(path).write_bytes(data)


def round_to_half(model: keras.Model, bits: int = 11) -> None:
    """Rounds all weights to what 16 bits can hold, in place.

    Args:
        model: The model; its weights stay float32.
        bits: Of precision, 11 at most; with fewer a compressed file is smaller.
    """
    top = np.finfo(np.float16).max
    rounded = []
    for weight in model.get_weights():
        mantissa, exponent = np.frexp(weight.clip(-top, top))
        weight = np.ldexp(np.rint(np.ldexp(mantissa, bits)), exponent - bits)
        rounded.append(weight.astype(np.float16))
    model.set_weights([w.astype(np.float32) for w in rounded])


def compress(path: str | os.PathLike) -> None:
    """Compresses a `.keras` file, which Keras writes uncompressed.

    Args:
        path: The file. Rounded weights (`round_to_half`) shrink to about half.
    """
    with files.whole(path) as temporary, zipfile.ZipFile(path) as stored:
        with zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED, True, 9) as packed:
            for name in stored.namelist():
                packed.writestr(name, stored.read(name))
