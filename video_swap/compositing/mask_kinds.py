"""The shapes that a swapped face may be pasted with, by the names that flags say.

A shape is a function here and its line in `MASKS`: settings, page and evaluation list
the table's names. Settings are read where no image library is, so a function imports
what it draws with when it draws.
"""

from __future__ import annotations

import typing
from collections.abc import Callable, Mapping

if typing.TYPE_CHECKING:
    import numpy as np


def face(landmarks: np.ndarray, size: int) -> np.ndarray:
    """Returns the shape of the face, brows to chin, see `masks.face_mask`.

    Args:
        landmarks: `(5, 2)` pixels of the crop.
        size: Side of the crop in pixels.

    Returns:
        `(size, size)` float32 in [0, 1].
    """
    from facedancer.video_swap.compositing import masks

    return masks.face_mask(landmarks, size)


def legacy(landmarks: np.ndarray, size: int) -> np.ndarray:
    """Returns the original's soft rectangle, see `masks.legacy_mask`.

    Args:
        landmarks: Not looked at.
        size: Side of the crop in pixels.

    Returns:
        `(size, size)` float32 in [0, 1].
    """
    from facedancer.video_swap.compositing import masks

    return masks.legacy_mask(size)


MASKS: Mapping[str, Callable[[np.ndarray, int], np.ndarray]] = {
    "face": face,
    "legacy": legacy,
}
