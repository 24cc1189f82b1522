"""Which of many boxes on one face stays, and what they say together."""

from __future__ import annotations

import numpy as np

from facedancer.face.boxes import overlap


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
    min_overlap: float = 0.6,
) -> np.ndarray:
    """Returns what all boxes on a face say together, instead of the best one alone.

    Args:
        values: `(n, ...)`, such as the landmarks that belong to each box.
        boxes: `(n, 4)`.
        scores: `(n,)`, positive: how much each counts.
        kept: `(k,)` indices, see `suppress`.
        min_overlap: Boxes count that overlap the kept one by more than this.

    Returns:
        `(k, ...)`, the mean over the boxes weighted with their scores.

    Reference:
        - [Gidaris and Komodakis, 2015](https://arxiv.org/abs/1505.01749), who let
          boxes vote
    """
    voted = values[kept].copy()
    for row, index in enumerate(kept):
        near = overlap(boxes[index], boxes) > min_overlap
        if near.any():
            voted[row] = np.average(values[near], axis=0, weights=scores[near])
    return voted
