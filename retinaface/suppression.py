"""Overlap of boxes, and which of many boxes on one face stays."""

from __future__ import annotations

import numpy as np


def box_areas(boxes: np.ndarray) -> np.ndarray:
    """`(..., 4)` boxes -> their areas; 0 for one turned inside out."""
    return (boxes[..., 2:] - boxes[..., :2]).clip(0).prod(axis=-1)


def overlap(one: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Intersection over union, in [0, 1]; 0 where both areas are 0.

    Args:
        one: `(..., 4)` boxes.
        others: `(..., 4)` boxes that broadcast against the first.
    """
    corner_min = np.maximum(one[..., :2], others[..., :2])
    corner_max = np.minimum(one[..., 2:], others[..., 2:])
    shared = (corner_max - corner_min).clip(0).prod(axis=-1)
    union = box_areas(one) + box_areas(others) - shared
    return np.where(union > 0, shared / np.maximum(union, 1e-12), 0.0)


def suppress(boxes: np.ndarray, scores: np.ndarray, threshold: float) -> np.ndarray:
    """Returns which boxes stay: the best, then the best that overlaps none kept, ...

    Args:
        boxes: `(n, 4)`.
        scores: `(n,)`.
        threshold: A box goes if it overlaps a better one by more than this.

    Returns:
        Indices of the kept boxes, best first.
    """
    order = np.argsort(-scores, kind="stable")
    boxes = boxes[order]
    left = np.arange(len(order))
    kept = []
    while len(left):
        first, left = left[0], left[1:]
        kept.append(first)
        left = left[overlap(boxes[first], boxes[left]) <= threshold]
    return order[np.array(kept, dtype=np.int64)]
