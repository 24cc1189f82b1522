"""A photo as Python gives it: a path, a PIL image or an array."""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np
from PIL import Image

from facedancer.errors import InputError
from facedancer.imaging import images

Photo = str | os.PathLike | np.ndarray | Image.Image


def name_of(photo: Photo) -> str:
    """Returns what messages call a photo."""
    return os.fspath(photo) if isinstance(photo, str | os.PathLike) else "a picture"


def pixels_of(photo: Photo, max_pixels: int = images.MAX_PIXELS) -> np.ndarray:
    """Returns a photo as `(height, width, 3)` uint8 RGB.

    Args:
        photo: A path, a PIL image or such an array.
        max_pixels: The largest file that is read.

    Raises:
        InputError: If it is none of these.
    """
    if isinstance(photo, str | os.PathLike):
        return images.read_image(photo, max_pixels)
    if isinstance(photo, Image.Image):
        return np.array(photo.convert("RGB"))
    image = np.asarray(photo)
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise InputError(
            "A photo as an array must be (height, width, 3) uint8 RGB. Received: "
            f"shape {image.shape}, {image.dtype}"
        )
    return image


def as_list(photos: Photo | Sequence[Photo]) -> tuple[list[Photo], bool]:
    """Returns photos as a list, and whether there was but one, not in a list.

    Args:
        photos: One, or several in a list or tuple.

    Raises:
        InputError: If the list is empty.
    """
    if isinstance(photos, str | os.PathLike | np.ndarray | Image.Image):
        return [photos], True
    if not len(photos):
        raise InputError("At least one photo must be given. Received: none")
    return list(photos), False
