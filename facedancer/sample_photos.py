"""The two portraits in the package, both in the public domain.

`collins`: Eileen Collins (NASA, 1999), 512x512, as in scikit-image. `hopper`: Grace
Hopper (US Navy, 1984), 512x600, as in matplotlib.
"""

from __future__ import annotations

import pathlib

import numpy as np

from facedancer import images

_FOLDER = pathlib.Path(__file__).parent / "pretrained"


def read(name: str) -> np.ndarray:
    """Returns a portrait as `(height, width, 3)` uint8 RGB.

    Args:
        name: `"collins"` or `"hopper"`.
    """
    return images.read_image(path(name))


def path(name: str) -> pathlib.Path:
    """Returns the file of a portrait.

    Args:
        name: `"collins"` or `"hopper"`.
    """
    return _FOLDER / f"{name}.jpg"
