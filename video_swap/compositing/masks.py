"""Which pixels of an aligned crop the swapped face covers: soft masks in [0, 1]."""

from __future__ import annotations

import functools
from collections.abc import Mapping

import cv2
import numpy as np

from facedancer.face import outlines

_FEATHER = 0.045  # of the crop's side: standard deviation of the soft edge
_FADE = 0.08  # of the crop's side: over which any mask falls to 0 at the border
_HEAD = 1.15  # size of a face in front with its temples and ears, to its outline


@functools.lru_cache(maxsize=8)
def legacy_mask(size: int) -> np.ndarray:
    """Returns the soft rectangle of the original FaceDancer.

    Ones on rows 77 to 240 and columns 32 to 224 of 256, blurred by a Gaussian of
    standard deviation 7; other sizes in proportion.

    Args:
        size: Side of the crop in pixels.

    Returns:
        `(size, size)` float32.
    """
    unit = size / 256.0
    mask = np.zeros((size, size), np.float32)
    rows = slice(round(77 * unit), round(240 * unit))
    mask[rows, round(32 * unit) : round(224 * unit)] = 1.0
    return cv2.GaussianBlur(mask, (0, 0), 7.0 * unit, borderType=cv2.BORDER_CONSTANT)


def face_mask(landmarks: np.ndarray, size: int) -> np.ndarray:
    """Returns a soft mask shaped like the face: brows to chin, cheek to cheek.

    The outline is drawn through points that lie at fixed places relative to eyes and
    mouth, so a turned head gets a narrower mask. It falls to 0 at the crop's border.

    Args:
        landmarks: `(5, 2)` pixels of the crop.
        size: Side of the crop in pixels.

    Returns:
        `(size, size)` float32.
    """
    outline = outlines.face_outline(np.asarray(landmarks, np.float64))
    return _filled(outline, size) * border_fade(size)


def uncovered(fronts: np.ndarray, size: int) -> np.ndarray:
    """Returns where no face stands in front of the one in a crop.

    Args:
        fronts: `(n, 5, 2)` landmarks of the faces in front, pixels of the crop; they
            may lie beside it.
        size: Side of the crop in pixels.

    Returns:
        `(size, size)` float32 in [0, 1].
    """
    free = np.ones((size, size), np.float32)
    for landmarks in fronts:
        outline = outlines.face_outline(np.asarray(landmarks, np.float64))
        middle = outline.mean(axis=0)
        free *= 1.0 - _filled(middle + _HEAD * (outline - middle), size)
    return free


def _filled(outline: np.ndarray, size: int) -> np.ndarray:
    mask = np.zeros((size, size), np.float32)
    fixed = np.rint(outline * 16).astype(np.int32)  # four bits after the point
    cv2.fillPoly(mask, [fixed], 1.0, lineType=cv2.LINE_AA, shift=4)
    return cv2.GaussianBlur(mask, (0, 0), max(_FEATHER * size, 0.8))


@functools.lru_cache(maxsize=8)
def border_fade(size: int) -> np.ndarray:
    """Returns 1 inside a crop, falling smoothly to 0 at its border.

    Args:
        size: Side of the crop in pixels.

    Returns:
        `(size, size)` float32.
    """
    distance = np.minimum(np.arange(size), np.arange(size)[::-1]) / (_FADE * size)
    ramp = np.clip(distance, 0.0, 1.0)
    ramp = (ramp * ramp * (3.0 - 2.0 * ramp)).astype(np.float32)
    return ramp[:, None] * ramp[None, :]


def visible_by_fusion(fusion_mask: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Returns where a generator's own fusion mask says that the face is not covered.

    It is compared with its upper quartile over the middle of the face, since its level
    differs between generators: below 0.4 of it the target stays, from 0.8 on it does
    not.

    Args:
        fusion_mask: `(size, size)` float32, near 1 where the picture comes from the
            identity.
        mask: `(size, size)` float32 in [0, 1], the shape of the face.

    Returns:
        `(size, size)` float32 in [0, 1]; ones where the fusion mask says nothing.
    """
    inside = mask > 0.9
    level = float(np.quantile(fusion_mask[inside], 0.75)) if inside.any() else 0.0
    if level < 0.05:
        return np.ones_like(mask)
    part = np.clip((fusion_mask / level - 0.4) / 0.4, 0.0, 1.0)
    return (part * part * (3.0 - 2.0 * part)).astype(np.float32)


def _alpha(alpha: np.ndarray, mask: np.ndarray) -> np.ndarray:
    return np.clip(alpha, 0.0, 1.0)


# What an output of a swapper makes of the mask that is pasted: each is called with
# the output and the mask and gives a factor.
BY_OUTPUT = {"alpha": _alpha, "fusion_mask": visible_by_fusion}


def by_outputs(made: Mapping[str, np.ndarray], mask: np.ndarray) -> np.ndarray:
    """Returns a mask, less where the swapper itself says that its picture ends.

    Args:
        made: The swapper's outputs by name, `(size, size, channels)`; those that are no
            masks have no effect.
        mask: `(size, size)` float32, the shape of the face.
    """
    for name, factor in BY_OUTPUT.items():
        if name in made:
            mask = mask * factor(made[name][..., 0], mask)
    return mask
