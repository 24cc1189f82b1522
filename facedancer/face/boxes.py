"""Boxes `(x_min, y_min, x_max, y_max)`: their areas and how far they overlap."""

from __future__ import annotations

import numpy as np


def areas(boxes: np.ndarray) -> np.ndarray:
    """Returns the areas of boxes, `(...)`; 0 for one whose corners are swapped.

    Args:
        boxes: `(..., 4)`.
    """
    return (boxes[..., 2:] - boxes[..., :2]).clip(0).prod(axis=-1)


def overlap(one: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Returns intersection over union, in [0, 1]; 0 where both areas are 0.

    Args:
        one: `(..., 4)` boxes.
        others: `(..., 4)` boxes that broadcast against the first.
    """
    common = _common_areas(one, others)
    union = areas(one) + areas(others) - common
    return np.where(union > 0, common / np.maximum(union, 1e-12), 0.0)


def fraction_inside(one: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Returns which fraction of the first's area lies inside the others.

    Args:
        one: `(..., 4)` boxes.
        others: `(..., 4)` boxes that broadcast against the first.

    Returns:
        In [0, 1]; 0 where the first has no area.
    """
    return _common_areas(one, others) / np.maximum(areas(one), 1e-12)


def _common_areas(one: np.ndarray, others: np.ndarray) -> np.ndarray:
    corner_min = np.maximum(one[..., :2], others[..., :2])
    corner_max = np.minimum(one[..., 2:], others[..., 2:])
    return (corner_max - corner_min).clip(0).prod(axis=-1)
