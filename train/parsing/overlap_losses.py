"""The loss of a face parser: weighted cross entropy, and Dice of the classes."""

from __future__ import annotations

import numpy as np
from keras import ops

from facedancer.networks.tensors import Tensor

DICE = 0.5  # weight beside the cross entropy


def class_weights(counts: np.ndarray) -> np.ndarray:
    """Returns a weight a class: the root of how rare it is, from 0.5 to 4.

    Args:
        counts: `(classes,)` pixels of each.

    Returns:
        `(classes,)` float32; 1 for a class as frequent as the median one.
    """
    counts = np.maximum(np.asarray(counts, np.float64), 1.0)
    rare = np.sqrt(np.median(counts) / counts)
    return np.clip(rare, 0.5, 4.0).astype(np.float32)


def parsing_loss(classes: Tensor, scores: Tensor, weights: np.ndarray) -> Tensor:
    """Returns the loss of a batch, a scalar.

    Scores of a coarser map are compared with the fractions of the classes below each.

    Args:
        classes: `(n, height, width)` int, indices or `face_classes.UNKNOWN`.
        scores: `(n, height / k, width / k, classes)` logits, `k` whole.
        weights: `(classes,)`, see `class_weights`.

    Reference:
        - Dice: [Milletari et al., 2016](https://arxiv.org/abs/1606.04797)
    """
    truth = _fractions(classes, scores)
    known = ops.sum(truth, axis=-1, keepdims=True)
    logs = ops.log_softmax(scores, axis=-1)
    weighted = truth * weights
    entropy = -ops.sum(weighted * logs) / ops.maximum(ops.sum(weighted), 1.0)
    found = ops.exp(logs) * known
    axes = (0, 1, 2)
    total = ops.sum(found, axis=axes) + ops.sum(truth, axis=axes)
    there = ops.cast(ops.sum(truth, axis=axes) > 0.0, scores.dtype)
    dice = 1.0 - (2.0 * ops.sum(found * truth, axis=axes) + 1.0) / (total + 1.0)
    dice = ops.sum(dice * there) / ops.maximum(ops.sum(there), 1.0)
    return entropy + DICE * dice


def _fractions(classes: Tensor, scores: Tensor) -> Tensor:
    """Returns how much of each score's pixels each class has; 0 where unknown."""
    count, factor = scores.shape[-1], classes.shape[1] // scores.shape[1]
    classes = ops.cast(classes, "int32")
    # Beyond the last class: a row of zeros.
    truth = ops.one_hot(ops.minimum(classes, count), count + 1, dtype=scores.dtype)
    truth = truth[..., :count]
    return ops.average_pool(truth, factor) if factor > 1 else truth
