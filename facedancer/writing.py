"""Writes files that appear whole or not at all, and small ones of weights."""

from __future__ import annotations

import contextlib
import os
import pathlib
import shutil
import zipfile
from collections.abc import Iterator

import keras
import numpy as np

from facedancer.errors import InputError


@contextlib.contextmanager
def whole(path: str | os.PathLike, *companions: str) -> Iterator[pathlib.Path]:
    """Gives a temporary path of the same ending, and renames it at the end.

    When the block fails, nothing is left behind.

    Args:
        path: The file or folder to be written. Its folder is made.
        *companions: Endings of further files that are written beside it.

    Raises:
        InputError: If the place cannot be written.
    """
    path = pathlib.Path(path)
    temporary = path.with_name(f".tmp-{os.getpid()}-{path.name}")
    pairs = [(temporary, path)]
    pairs += [(temporary.with_suffix(c), path.with_suffix(c)) for c in companions]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        for made, final in pairs:
            if final.is_dir():
                shutil.rmtree(final)
            os.replace(made, final)
    except (PermissionError, FileExistsError, NotADirectoryError) as error:
        raise InputError(f"{path}: cannot be written ({error})") from None
    finally:
        for made, _ in pairs:
            if made.is_dir():
                shutil.rmtree(made)
            elif made.exists():
                made.unlink()


def round_to_half(model: keras.Model) -> None:
    """Rounds all weights to what 16 bits can hold (11 bits of precision), in place.

    Args:
        model: The model; its weights stay float32.
    """
    top = np.finfo(np.float16).max
    rounded = [w.clip(-top, top).astype(np.float16) for w in model.get_weights()]
    model.set_weights([w.astype(np.float32) for w in rounded])


def compress(path: str | os.PathLike) -> None:
    """Compresses a `.keras` file, which Keras writes uncompressed.

    Args:
        path: The file. Rounded weights (`round_to_half`) shrink to about half.
    """
    with whole(path) as temporary, zipfile.ZipFile(path) as stored:
        with zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED, True, 9) as packed:
            for name in stored.namelist():
                packed.writestr(name, stored.read(name))
