"""The two portraits in the package, both in the public domain.

`collins`: Eileen Collins (NASA, 1999), 512x512, as in scikit-image. `hopper`: Grace
Hopper (US Navy, 1984), 512x600, as in matplotlib.
"""

from __future__ import annotations

import pathlib

import cv2
import numpy as np

from facedancer.imaging import images

_FOLDER = pathlib.Path(__file__).parents[1] / "pretrained"


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


def example_faces(size: int) -> np.ndarray:
    """Returns views of Eileen Collins: light and dark, upright and tilted, mirrored.

    Args:
        size: Side in pixels.

    Returns:
        `(12, size, size, 3)` uint8 RGB.
    """
    photo, views = read("collins")[20:240, 120:340], []
    for i, gain in enumerate((1.0, 0.6, 1.3, 0.35)):
        for angle in (-12.0, 0.0, 15.0):
            turn = cv2.getRotationMatrix2D((110, 110), angle, 1.0)
            view = cv2.warpAffine(
                photo, turn, (220, 220), borderMode=cv2.BORDER_REFLECT
            )
            view = (view[:, :: -1 if i % 2 else 1] * gain).clip(0, 255)
            shape = (size, size)
            view = cv2.resize(
                view.astype(np.uint8), shape, interpolation=cv2.INTER_AREA
            )
            views.append(view)
    return np.stack(views)
