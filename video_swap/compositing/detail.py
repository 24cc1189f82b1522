"""Fine detail of the target for a swapped face that is larger than its generator.

A generator of 96 pixels leaves a face of 300 pixels soft, whatever enlarges it. What
lies above its resolution (pores, lashes, single hairs, grain) is mostly the picture's
and not the person's, so it is taken from the target: where both agree in what the
generator can show, the target's fine part replaces that of the swapped face. Where they
differ (a brow that moved, a beard that went) the target's detail would be a ghost and
stays out.
"""

from __future__ import annotations

import math

import cv2
import numpy as np

from facedancer.face import alignment
from facedancer.models.families.face_refiner.refiner import FaceRefiner
from facedancer.video_swap.compositing import paste

MIN_SCALE = 1.3  # frame pixels a generator's pixel, from which detail is taken over
_MAX_SIDE = 768  # of a refined crop: larger faces are enlarged from it
_FINEST = 2.0  # standard deviation of a blur, in pixels of the grid it is computed on
_BLUR = 0.6  # standard deviation of the fine part's border, in generator's pixels
# Difference of two colours, of 255, at which 1/e of the detail is left.
_AGREEMENT = 15.0
# The same of what is finer than a refiner's picture: pores and grain are nobody's.
_AGREEMENT_ABOVE = 40.0
_MEAN = np.full((1, 3), 1 / 3, np.float32)  # of the colours


Crop = tuple[np.ndarray, np.ndarray, np.ndarray]  # face, mask, matrix


def refine(
    frame: np.ndarray,
    swapped: np.ndarray,
    mask: np.ndarray,
    matrix: np.ndarray,
    agreement: float = _AGREEMENT,
) -> Crop:
    """Returns a swapped crop with the target's fine detail, at the frame's resolution.

    A face that is less than `MIN_SCALE` times the generator's size comes back as it is.

    Args:
        frame: `(height, width, 3)` uint8 RGB, the target before anything is pasted.
        swapped: `(size, size, 3)` float32 in [0, 255].
        mask: `(size, size)` float32 in [0, 1].
        matrix: `(2, 3)` from the frame to the crop.
        agreement: See `add_detail`.

    Returns:
        Crop, mask and matrix as they were given, of up to 768 pixels a side.
    """
    size, scale = len(swapped), _scale(matrix)
    if scale < MIN_SCALE:
        return swapped, mask, matrix
    side = min(round(size * scale), _MAX_SIDE)
    large, mask, matrix = _enlarged(swapped, mask, matrix, side)
    # Only what will be seen, and what its blurs reach.
    part = paste.inside(mask, math.ceil(6 * _BLUR * side / size))
    if large[part].size:
        target = _part_of_crop(frame, matrix, part).astype(np.float32)
        large[part] = add_detail(large[part], target, side / size, agreement)
    return large, mask, matrix


def _part_of_crop(
    frame: np.ndarray, matrix: np.ndarray, part: tuple[slice, slice]
) -> np.ndarray:
    """Returns rows and columns of what `alignment.crop` gives."""
    rows, columns = part
    height, width = rows.stop - rows.start, columns.stop - columns.start
    shifted = matrix.copy()
    shifted[:, 2] -= columns.start, rows.start
    return alignment.crop(frame, shifted, max(height, width))[:height, :width]


def refine_by_network(
    frame: np.ndarray,
    swapped: np.ndarray,
    mask: np.ndarray,
    matrix: np.ndarray,
    refiner: FaceRefiner,
) -> Crop:
    """Returns a swapped crop that a network made sharp, see `refine`.

    What a face has above the network's own size is the target's, as in `refine`.

    Args:
        frame: See `refine`.
        swapped: See `refine`.
        mask: See `refine`.
        matrix: See `refine`.
        refiner: The network.
    """
    if _scale(matrix) < MIN_SCALE:
        return swapped, mask, matrix
    large, mask, matrix = _enlarged(swapped, mask, matrix, refiner.size)
    target = alignment.crop(frame, matrix, refiner.size)
    sharp = refiner.refine(large, target)
    return refine(frame, sharp, mask, matrix, _AGREEMENT_ABOVE)


def _scale(matrix: np.ndarray) -> float:
    """Returns how many pixels of the frame one of the crop covers, along a side."""
    return 1.0 / float(np.sqrt(abs(np.linalg.det(matrix[:, :2]))))


def _enlarged(
    swapped: np.ndarray, mask: np.ndarray, matrix: np.ndarray, side: int
) -> Crop:
    factor = side / len(swapped)
    return (
        cv2.resize(swapped, (side, side), interpolation=cv2.INTER_CUBIC),
        cv2.resize(mask, (side, side), interpolation=cv2.INTER_LINEAR),
        alignment.rescale(matrix, factor),
    )


def add_detail(
    swapped: np.ndarray,
    target: np.ndarray,
    scale: float,
    agreement: float = _AGREEMENT,
) -> np.ndarray:
    """Returns an enlarged face with the fine part of the target where both agree.

    With `low` a Gaussian of 0.6 generator's pixels and `d` the mean difference of the
    colours after one of 0.9: `swapped + exp(-(d / agreement)^2) ((target -
    low(target)) - (swapped - low(swapped)))`.

    Args:
        swapped: `(side, side, 3)` float32 in [0, 255].
        target: The target's crop, same form.
        scale: How much `swapped` was enlarged.
        agreement: Difference of two colours, of 255, at which 1/e of the detail is
            left.
    """
    sigma = _BLUR * max(scale, 1.0)
    size_wh = (swapped.shape[1], swapped.shape[0])
    difference = cv2.subtract(target, swapped)
    fine = cv2.subtract(difference, _resized(_soft(difference, sigma), size_wh))
    coarse = _soft(difference, 1.5 * sigma)
    distance = cv2.transform(np.abs(coarse), _MEAN)
    weight = cv2.exp(cv2.multiply(distance, distance, scale=-1 / agreement**2))
    weight = _resized(weight, size_wh)
    return cv2.add(swapped, cv2.multiply(fine, cv2.merge([weight] * 3)))


def _soft(image: np.ndarray, sigma: float) -> np.ndarray:
    """Returns an image after a Gaussian blur, on a grid as coarse as it then allows.

    What is that soft loses next to nothing there, and takes a tenth of the time.
    """
    step = int(sigma / _FINEST)
    if step < 2:
        return cv2.GaussianBlur(image, (0, 0), sigma)
    height, width = image.shape[:2]
    size_wh = (max(1, round(width / step)), max(1, round(height / step)))
    small = cv2.resize(image, size_wh, interpolation=cv2.INTER_AREA)
    # The averages of the resizing, and of the enlarging that follows, blur too.
    variance = (sigma**2 - (step**2 - 1) / 12 - step**2 / 6) / step**2
    return cv2.GaussianBlur(small, (0, 0), float(np.sqrt(variance)))


def _resized(image: np.ndarray, size_wh: tuple[int, int]) -> np.ndarray:
    if image.shape[1::-1] == size_wh:
        return image
    return cv2.resize(image, size_wh, interpolation=cv2.INTER_LINEAR)
