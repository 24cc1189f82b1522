"""Run a generator above its own size: interleaved pixels as separate images."""

from __future__ import annotations

import numpy as np


def split(image: np.ndarray, boost: int) -> np.ndarray:
    """Returns every `boost`-th pixel of an image, for every offset.

    Args:
        image: `(boost * size, boost * size, channels)`.
        boost: 1 or more.

    Returns:
        `(boost**2, size, size, channels)`; part `i * boost + j` begins at row i,
        column j.
    """
    size = len(image) // boost
    parts = image.reshape(size, boost, size, boost, -1).transpose(1, 3, 0, 2, 4)
    return parts.reshape(boost * boost, size, size, -1)


def merge(parts: np.ndarray, boost: int) -> np.ndarray:
    """Returns the image of which `split` made the parts.

    Args:
        parts: `(boost**2, size, size, channels)`.
        boost: 1 or more.
    """
    size = parts.shape[1]
    image = parts.reshape(boost, boost, size, size, -1).transpose(2, 0, 3, 1, 4)
    return image.reshape(size * boost, size * boost, -1)
