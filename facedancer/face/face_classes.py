"""The classes of a parsed face: 19, in the order of CelebAMask-HQ.

Lee et al. 2020, https://arxiv.org/abs/1907.11922. Left and right are the person's.
"""

from __future__ import annotations

import numpy as np

NAMES = (
    "background",
    "skin",
    "nose",
    "glasses",
    "left eye",
    "right eye",
    "left brow",
    "right brow",
    "left ear",
    "right ear",
    "inner mouth",
    "upper lip",
    "lower lip",
    "hair",
    "hat",
    "earring",
    "necklace",
    "neck",
    "cloth",
)
BACKGROUND, SKIN, NOSE, GLASSES = 0, 1, 2, 3
LEFT_EYE, RIGHT_EYE, LEFT_BROW, RIGHT_BROW = 4, 5, 6, 7
INNER_MOUTH, UPPER_LIP, LOWER_LIP = 10, 11, 12
HAIR, HAT, EARRING, NECKLACE, NECK, CLOTH = 13, 14, 15, 16, 17, 18
EYES, BROWS = (LEFT_EYE, RIGHT_EYE), (LEFT_BROW, RIGHT_BROW)
_PAIRS = ((4, 5), (6, 7), (8, 9))
UNKNOWN = 255  # of a pixel whose class is not known


def _mirrored() -> np.ndarray:
    table = np.arange(256, dtype=np.uint8)
    for one, other in _PAIRS:
        table[[one, other]] = other, one
    return table


_MIRRORED = _mirrored()


def mirror(classes: np.ndarray) -> np.ndarray:
    """Returns the classes of a picture seen in a mirror.

    Args:
        classes: `(height, width)` uint8, indices into `NAMES` or `UNKNOWN`.
    """
    return np.ascontiguousarray(_MIRRORED[classes[:, ::-1]])
