"""Overlap of boxes, which of many on one face stays, and what they say together."""

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
    shared = _shared_areas(one, others)
    union = box_areas(one) + box_areas(others) - shared
    return np.where(union > 0, shared / np.maximum(union, 1e-12), 0.0)


def share_inside(one: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Share of the first's area that lies inside the others; 0 where it has none.

    Args:
        one: `(..., 4)` boxes.
        others: `(..., 4)` boxes that broadcast against the first.
    """
    return _shared_areas(one, others) / np.maximum(box_areas(one), 1e-12)


def _shared_areas(one, others):
    corner_min = np.maximum(one[..., :2], others[..., :2])
    corner_max = np.minimum(one[..., 2:], others[..., 2:])
    return (corner_max - corner_min).clip(0).prod(axis=-1)


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
    left, boxes = order, boxes[order]
    kept = []
    while len(left):
        kept.append(left[0])
        apart = overlap(boxes[0], boxes[1:]) <= threshold
        left, boxes = left[1:][apart], boxes[1:][apart]
    return np.array(kept, dtype=np.int64)


def vote(
    values: np.ndarray,
    boxes: np.ndarray,
    scores: np.ndarray,
    kept: np.ndarray,
    least: float = 0.6,
) -> np.ndarray:
    """Returns what all boxes on a face say together, instead of the best one alone.

    Args:
        values: `(n, ...)`, such as the landmarks that belong to each box.
        boxes: `(n, 4)`.
        scores: `(n,)`, positive: how much each counts.
        kept: `(k,)` indices, see `suppress`.
        least: Boxes count that overlap the kept one by more than this.

    Returns:
        `(k, ...)`, the mean over the boxes weighted with their scores.

    Reference:
        - [Gidaris and Komodakis, 2015](https://arxiv.org/abs/1505.01749), who let
          boxes vote
    """
    voted = values[kept].copy()
    for row, index in enumerate(kept):
        near = overlap(boxes[index], boxes) > least
        if near.any():
            voted[row] = np.average(values[near], axis=0, weights=scores[near])
    return voted
