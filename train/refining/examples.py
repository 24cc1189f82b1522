"""Examples for a refiner: a soft face, a target that differs, and the right answer.

Where the right answer is known, the soft face is a photo's own, and the target is that
photo after something happened to it: other people's eyes, noses, mouths or a whole face
in it, other places, another light. So the target's detail is right in some parts and
wrong in others, and the soft face tells where, as in a swap. Where it is not known, the
soft face is a stranger's on the photo, which is the target as it is.
"""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np

from facedancer.face import alignment
from facedancer.imaging import degrading
from facedancer.train.refining.photos import SwappedPhoto

_AS_IT_IS = 0.15  # chance of a target that nothing happened to
_PARTS, _WHOLE, _WARPED, _RELIT = 0.6, 0.2, 0.5, 0.3  # of what can happen to it
_COARSE = 0.35  # chance that photo and target are of a lower resolution
# Regions of a face: centre and half axes in units of the crop's side.
_REGIONS = (
    ((0.34, 0.44), (0.15, 0.11)),
    ((0.66, 0.44), (0.15, 0.11)),
    ((0.50, 0.40), (0.34, 0.14)),
    ((0.50, 0.58), (0.13, 0.16)),
    ((0.50, 0.80), (0.20, 0.11)),
    ((0.50, 0.22), (0.34, 0.14)),
    ((0.26, 0.68), (0.14, 0.18)),
    ((0.74, 0.68), (0.14, 0.18)),
)
_FACE = ((0.50, 0.55), (0.36, 0.45))


@dataclasses.dataclass(frozen=True)
class Example:
    """What a refiner is fed and what is wanted, `(side, side, 3)` uint8 RGB each.

    Attributes:
        swapped: The generator's face, enlarged.
        target: The target.
        truth: The right answer; where it is not known, the photo that is as sharp as
            the result should be.
        known: Whether `truth` is the right answer.
    """

    swapped: np.ndarray
    target: np.ndarray
    truth: np.ndarray
    known: bool

    def part(self, row: int, column: int, side: int) -> Example:
        """Returns a square of it.

        Args:
            row: Of the top-left pixel.
            column: Of it.
            side: In pixels.
        """
        window = slice(row, row + side), slice(column, column + side)
        return dataclasses.replace(
            self,
            swapped=self.swapped[window],
            target=self.target[window],
            truth=self.truth[window],
        )

    def mirrored(self) -> Example:
        """Returns it seen in a mirror."""
        return dataclasses.replace(
            self,
            swapped=self.swapped[:, ::-1],
            target=self.target[:, ::-1],
            truth=self.truth[:, ::-1],
        )


def draw(
    photo: SwappedPhoto, other: SwappedPhoto, known: float, random: np.random.Generator
) -> Example:
    """Returns an example.

    Args:
        photo: What it is made of.
        other: Whose parts the target may get.
        known: Chance that the right answer is known.
        random: Draws everything.
    """
    truth, stranger = photo.image, other.image
    if random.random() < _COARSE:
        factor = random.uniform(0.4, 0.9)
        truth, stranger = _coarser(truth, factor), _coarser(stranger, factor)
    size = len(truth)
    if random.random() < known:
        target = _disturbed(truth, stranger, random)
        face = _own_face(photo, random)
        example = Example(_enlarged(face, size), target, truth, True)
    else:
        face = photo.others[int(random.integers(len(photo.others)))]
        example = Example(_enlarged(face, size), truth, truth, False)
    return example.mirrored() if random.random() < 0.5 else example


def _enlarged(face: np.ndarray, size: int) -> np.ndarray:
    return cv2.resize(face, (size, size), interpolation=cv2.INTER_CUBIC)


def _coarser(image: np.ndarray, factor: float) -> np.ndarray:
    small = cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
    return cv2.resize(small, image.shape[1::-1], interpolation=cv2.INTER_CUBIC)


def _own_face(photo: SwappedPhoto, random: np.random.Generator) -> np.ndarray:
    """Returns the photo's own face between what the generator makes and what is."""
    side = photo.own.shape[1::-1]
    small = cv2.resize(photo.image, side, interpolation=cv2.INTER_AREA)
    small = cv2.GaussianBlur(small, (0, 0), random.uniform(0.3, 1.0))
    fraction = float(random.choice((0.0, 1.0, random.random())))
    return cv2.addWeighted(small, fraction, photo.own, 1.0 - fraction, 0.0)


def _disturbed(
    image: np.ndarray, stranger: np.ndarray, random: np.random.Generator
) -> np.ndarray:
    if random.random() < _AS_IT_IS:
        return image
    found = image
    if random.random() < _PARTS:
        count = int(random.integers(1, 4))
        chosen = random.choice(len(_REGIONS), count, replace=False)
        found = _replaced(found, stranger, [_REGIONS[k] for k in chosen], random)
    if random.random() < _WHOLE:
        found = _replaced(found, stranger, [_FACE], random)
    if random.random() < _WARPED:
        found = _warped(found, random)
    if random.random() < _RELIT:
        light = degrading.relight(found, random)
        found = cv2.addWeighted(light, 0.4, found, 0.6, 0.0)
    return found


def _replaced(
    image: np.ndarray, stranger: np.ndarray, regions: list, random: np.random.Generator
) -> np.ndarray:
    """Returns the picture with parts of another, in the colours of the first."""
    size = len(image)
    mask = np.zeros((size, size), np.float32)
    for centre, axes in regions:
        place = (np.array(centre) + random.normal(0.0, 0.015, 2)) * size
        half = np.array(axes) * size * random.uniform(0.8, 1.2)
        box = (place.tolist(), (2.0 * half).tolist(), float(random.normal(0.0, 8.0)))
        cv2.ellipse(mask, box, 1.0, cv2.FILLED)
    soft = cv2.GaussianBlur(mask, (0, 0), size * random.uniform(0.01, 0.04))[..., None]
    weight = float(soft.sum()) + 1e-6
    means = [(soft * one).sum(axis=(0, 1)) / weight for one in (image, stranger)]
    moved = stranger + (means[0] - means[1]).astype(np.float32)
    found = image + soft * (moved - image)
    return np.rint(found).clip(0, 255).astype(np.uint8)


def _warped(image: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Returns the picture with its places moved smoothly, by some pixels."""
    size = len(image)
    coarse = random.normal(0.0, 0.008 * size, (2, 9, 9)).astype(np.float32)
    rows, columns = (
        cv2.resize(one, (size, size), interpolation=cv2.INTER_CUBIC) for one in coarse
    )
    y, x = np.mgrid[:size, :size].astype(np.float32)
    return cv2.remap(
        image, x + columns, y + rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT
    )


def corner(size: int, side: int, random: np.random.Generator) -> tuple[int, int]:
    """Returns row and column of a square in a crop, more often near the face's middle.

    Args:
        size: Side of the crop.
        side: Of the square.
        random: Draws it.
    """
    middle = alignment.template(size).mean(axis=0)
    centre = middle + random.normal(0.0, 0.16, 2) * size
    column, row = np.rint(centre - side / 2.0).clip(0, size - side).astype(int)
    return int(row), int(column)
