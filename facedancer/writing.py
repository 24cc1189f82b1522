"""Makes files of weights small: rounded, compressed."""

from __future__ import annotations

import os
import zipfile

import keras
import numpy as np

from facedancer import files


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
    with files.whole(path) as temporary, zipfile.ZipFile(path) as stored:
        with zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED, True, 9) as packed:
            for name in stored.namelist():
                packed.writestr(name, stored.read(name))
