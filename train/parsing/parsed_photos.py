"""Photos whose faces are parsed: a class for every pixel, and where the face lies."""

from __future__ import annotations

import dataclasses
import os
import pathlib

import cv2
import numpy as np

from facedancer.dataset.shards.splits import hash_order
from facedancer.errors import InputError
from facedancer.face import face_classes, face_labels
from facedancer.imaging import image_formats, images


@dataclasses.dataclass(frozen=True)
class ParsedPhoto:
    """A photo with the classes of its pixels.

    Attributes:
        image: `(height, width, 3)` uint8 RGB.
        classes: `(height, width)` uint8, indices into `face_classes.NAMES` or
            `face_classes.UNKNOWN`.
        landmarks: `(5, 2)` pixels of the face.
    """

    image: np.ndarray
    classes: np.ndarray
    landmarks: np.ndarray


def read_classes(path: str | os.PathLike) -> np.ndarray:
    """Returns the classes in a file of masks, `(height, width)` uint8.

    Args:
        path: A PNG file of one number a pixel, grey or with a palette.

    Raises:
        InputError: If it is missing, damaged, of colours, or holds other numbers.
    """
    with image_formats.open_image(path, formats=("PNG",)) as image:
        mode, classes = image.mode, np.array(image)
    count = len(face_classes.NAMES)
    if mode not in ("P", "L") or classes.max(initial=0) >= count:
        raise InputError(
            f"{path}: must hold one number below {count} a pixel, grey or with a "
            f"palette. Received: mode {mode}, numbers up to {classes.max(initial=0)}"
        )
    return classes


def read_photos(
    folder: str | os.PathLike,
    table: str | os.PathLike,
    masks: str | os.PathLike,
    longest: int,
) -> dict[str, ParsedPhoto]:
    """Returns the photos of a table of labels that have masks, by file name.

    Args:
        folder: Folder that the table's names are relative to.
        table: Of `facedancer label`: where the faces lie.
        masks: Folder of the classes: `STEM.png` for a photo `STEM.jpg`.
        longest: Longer side above which photos are made smaller, in pixels.

    Raises:
        InputError: If a file is missing or damaged, or photo and mask differ in size.
    """
    found = {}
    for photo in face_labels.read_labels(table, folder):
        classes = read_classes(pathlib.Path(masks, f"{photo.path.stem}.png"))
        image = images.read_image(photo.path)
        if image.shape[:2] != classes.shape:
            raise InputError(
                f"{photo.path}: photo and mask must have the same size. Received: "
                f"{image.shape[1]}x{image.shape[0]} and {classes.shape[1]}x"
                f"{classes.shape[0]} pixels"
            )
        made = ParsedPhoto(image, classes, photo.faces.landmarks[0])
        found[photo.path.name] = smaller(made, longest)
    return found


def smaller(photo: ParsedPhoto, longest: int) -> ParsedPhoto:
    """Returns a photo whose longer side is at most `longest` pixels.

    Args:
        photo: The photo.
        longest: Pixels.
    """
    factor = longest / max(photo.classes.shape)
    if factor >= 1.0:
        return photo
    width, height = (round(side * factor) for side in photo.classes.shape[::-1])
    image = cv2.resize(photo.image, (width, height), interpolation=cv2.INTER_AREA)
    classes = cv2.resize(
        photo.classes, (width, height), interpolation=cv2.INTER_NEAREST
    )
    landmarks = (photo.landmarks + 0.5) * factor - 0.5
    return ParsedPhoto(image, classes, landmarks)


def split(
    photos: dict[str, ParsedPhoto], holdout: int
) -> tuple[list[ParsedPhoto], list[ParsedPhoto]]:
    """Returns the photos to learn from and those held out.

    Held out are the first by the SHA-256 of `0:NAME`, see `splits.hash_order`: a rule
    that depends on the names alone.

    Args:
        photos: By file name.
        holdout: How many are held out.

    Raises:
        InputError: If none would be left.
    """
    if holdout >= len(photos):
        raise InputError(
            f"--holdout: must be below the number of photos, {len(photos)}. Received: "
            f"{holdout}"
        )
    names = hash_order(photos, seed=0)
    return (
        [photos[name] for name in names[holdout:]],
        [photos[name] for name in names[:holdout]],
    )
