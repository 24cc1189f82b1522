"""Run a generator above its own size: interleaved pixels as separate images."""

from __future__ import annotations

import numpy as np


def split(image: np.ndarray, boost: int) -> np.ndarray:
    """Returns every `boost`-th pixel of an image, for every offset.

    Args:
        image: `(boost * size, boost * size, 3)`.
        boost: 1 or more.

    Returns:
        `(boost**2, size, size, 3)`; part `i * boost + j` begins at row i, column j.
    """
    size = len(image) // boost
    parts = image.reshape(size, boost, size, boost, 3).transpose(1, 3, 0, 2, 4)
    return parts.reshape(boost * boost, size, size, 3)


def merge(parts: np.ndarray, boost: int) -> np.ndarray:
    """Returns the image of which `split` made the parts.

    Args:
        parts: `(boost**2, size, size, 3)`.
        boost: 1 or more.
    """
    size = parts.shape[1]
    image = parts.reshape(boost, boost, size, size, 3).transpose(2, 0, 3, 1, 4)
    return image.reshape(size * boost, size * boost, 3)
