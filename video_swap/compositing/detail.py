"""Fine detail of the target for a swapped face that is larger than its generator.

A generator of 96 pixels leaves a face of 300 pixels soft, whatever enlarges it. What
lies above its resolution (pores, lashes, single hairs, grain) is mostly the picture's
and not the person's, so it is taken from the target: where both agree in what the
generator can show, the target's fine part replaces that of the swapped face. Where they
differ (a brow that moved, a beard that went) the target's detail would be a ghost and
stays out.
"""

from __future__ import annotations

import cv2
import numpy as np

from facedancer import alignment

MIN_SCALE = 1.3  # frame pixels a generator's pixel, from which detail is taken over
_MAX_SIDE = 768  # of a refined crop: larger faces are enlarged from it
_BLUR = 0.6  # standard deviation of the fine part's border, in generator's pixels
# Difference of two colours, of 255, at which 1/e of the detail is left.
_AGREEMENT = 15.0
_MEAN = np.full((1, 3), 1 / 3, np.float32)  # of the colours


def refine(
    frame: np.ndarray, swapped: np.ndarray, mask: np.ndarray, matrix: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns a swapped crop with the target's fine detail, at the frame's resolution.

    A face that is less than `MIN_SCALE` times the generator's size comes back as it is.

    Args:
        frame: `(height, width, 3)` uint8 RGB, the target before anything is pasted.
        swapped: `(size, size, 3)` float32 in [0, 255].
        mask: `(size, size)` float32 in [0, 1].
        matrix: `(2, 3)` from the frame to the crop.

    Returns:
        Crop, mask and matrix as they were given, of up to 768 pixels a side.
    """
    size = len(swapped)
    scale = 1.0 / float(np.sqrt(abs(np.linalg.det(matrix[:, :2]))))
    if scale < MIN_SCALE:
        return swapped, mask, matrix
    side = min(round(size * scale), _MAX_SIDE)
    matrix = alignment.rescale(matrix, side / size)
    target = alignment.crop(frame, matrix, side).astype(np.float32)
    large = cv2.resize(swapped, (side, side), interpolation=cv2.INTER_CUBIC)
    mask = cv2.resize(mask, (side, side), interpolation=cv2.INTER_LINEAR)
    return add_detail(large, target, side / size), mask, matrix


def add_detail(swapped: np.ndarray, target: np.ndarray, scale: float) -> np.ndarray:
    """Returns an enlarged face with the fine part of the target where both agree.

    With `low` a Gaussian of 0.6 generator's pixels and `d` the mean difference of the
    colours after one of 0.9: `swapped + exp(-(d / 15)^2) ((target - low(target)) -
    (swapped - low(swapped)))`.

    Args:
        swapped: `(side, side, 3)` float32 in [0, 255].
        target: The target's crop, same form.
        scale: How much `swapped` was enlarged.
    """
    sigma = _BLUR * max(scale, 1.0)
    difference = cv2.subtract(target, swapped)
    fine = cv2.subtract(difference, cv2.GaussianBlur(difference, (0, 0), sigma))
    coarse = cv2.GaussianBlur(difference, (0, 0), 1.5 * sigma)
    distance = cv2.transform(np.abs(coarse), _MEAN)
    weight = cv2.exp(cv2.multiply(distance, distance, scale=-1 / _AGREEMENT**2))
    return cv2.add(swapped, cv2.multiply(fine, cv2.merge([weight] * 3)))
