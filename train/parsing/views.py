"""Crops of parsed photos, as a swap cuts them and varied on top."""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np

from facedancer.face import alignment, face_classes
from facedancer.imaging import degrading
from facedancer.train.parsing.covers import cover
from facedancer.train.parsing.parsed_photos import ParsedPhoto

# A mirror shows the other eye and the other corner of the mouth on the left.
_LANDMARKS = [1, 0, 2, 4, 3]
_GOOD = 0.4  # chance that a crop is shown as it is


def plain_crop(
    photo: ParsedPhoto, size: int, aligned: alignment.Alignment
) -> ParsedPhoto:
    """Returns the aligned crop of a photo; beyond its border the class is unknown.

    Args:
        photo: The photo.
        size: Side of the crop in pixels.
        aligned: Where the landmarks go.
    """
    matrix = alignment.similarity(photo.landmarks, aligned.landmarks(size))
    return _cut(photo, matrix, size)


def varied_crop(
    photos: Sequence[ParsedPhoto],
    index: int,
    size: int,
    covered: float,
    random: np.random.Generator,
) -> ParsedPhoto:
    """Returns a crop turned, scaled, mirrored, covered and degraded by chance.

    Args:
        photos: All photos.
        index: Of the one that is shown.
        size: Side of the crop in pixels.
        covered: Chance of something before the face.
        random: Draws everything.
    """
    photo = _random_crop(photos[index], size, random)
    while random.random() < covered:
        other = photos[int(random.integers(len(photos)))]
        photo = cover(photo, _random_crop(other, size, random), random)
        covered *= 0.4
    if random.random() < _GOOD:
        return photo
    image = degrading.degrade(photo.image, random)
    return ParsedPhoto(image, photo.classes, photo.landmarks)


def _random_crop(
    photo: ParsedPhoto, size: int, random: np.random.Generator
) -> ParsedPhoto:
    name = "ffhq" if random.random() < 0.2 else "arcface"
    shrink = 1.0 if random.random() < 0.4 else random.uniform(0.6, 1.0)
    matrix = alignment.crop_matrix(photo.landmarks, size, name, shrink)
    degrees = 40.0 if random.random() < 0.1 else 8.0
    angle = math.radians(random.uniform(-degrees, degrees))
    scale = math.exp(random.uniform(-0.14, 0.14))
    stretch = math.exp(random.uniform(-0.08, 0.08))
    spin = scale * np.array(
        [
            [math.cos(angle) * stretch, math.sin(angle)],
            [-math.sin(angle) * stretch, math.cos(angle)],
        ]
    )
    middle = (size - 1) / 2
    moved = random.uniform(-0.05, 0.05, 2) * size
    shift = spin @ (matrix[:, 2] - middle) + middle + moved
    matrix = np.column_stack([spin @ matrix[:, :2], shift])
    found = _cut(photo, matrix, size)
    return mirrored(found) if random.random() < 0.5 else found


def _cut(photo: ParsedPhoto, matrix: np.ndarray, size: int) -> ParsedPhoto:
    return ParsedPhoto(
        alignment.crop(photo.image, matrix, size),
        cv2.warpAffine(
            photo.classes,
            matrix,
            (size, size),
            flags=cv2.INTER_NEAREST,
            borderValue=face_classes.UNKNOWN,
        ),
        alignment.apply(matrix, photo.landmarks),
    )


def mirrored(photo: ParsedPhoto) -> ParsedPhoto:
    """Returns a photo seen in a mirror: left and right change classes, too.

    Args:
        photo: The photo.
    """
    last = photo.image.shape[1] - 1
    return ParsedPhoto(
        np.ascontiguousarray(photo.image[:, ::-1]),
        face_classes.mirror(photo.classes),
        photo.landmarks[_LANDMARKS] * [-1, 1] + [last, 0],
    )
