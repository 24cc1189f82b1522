"""The three losses of RetinaFace, one value per image.

Sums over an image's anchors are divided by the mean number of counted anchors per image
of the batch: the mean over the batch is then the sum over all anchors by their number.
"""

from __future__ import annotations

from collections.abc import Mapping

from keras import ops

from facedancer.networks.tensors import Tensor
from facedancer.retinaface.training.settings import LANDMARK_WEIGHT

# Of faces against background, boxes and landmarks, as retinaface trainers use them.
WEIGHTS = {"classes": 1.0, "boxes": 2.0, "landmarks": LANDMARK_WEIGHT}
# Landmarks are off by about 0.2 offsets: from here on, every pixel nearer counts alike.
LANDMARK_BETA = 0.1


def smooth_l1(error: Tensor, beta: float = 1.0) -> Tensor:
    """`e^2 / (2 beta)` where `|e| < beta`, else `|e| - beta / 2` (Girshick, 2015).

    Args:
        error: Any tensor.
        beta: Where the square gives way to the line; published is 1.
    """
    size = ops.abs(error)
    return ops.where(size < beta, 0.5 / beta * error * error, size - 0.5 * beta)


def _per_image(values: Tensor, counted: Tensor) -> Tensor:
    """Sums over anchors, by the mean count per image, which is at least 1 a batch."""
    counted = ops.sum(ops.cast(counted, "float32"))
    batch = ops.cast(ops.shape(values)[0], "float32")
    return ops.sum(values, axis=1) * batch / ops.maximum(counted, 1.0)


def hard_negatives(
    background_loss: Tensor, labels: Tensor, ratio: float = 7.0, min_count: int = 16
) -> Tensor:
    """Tells which background anchors count: the worst of each image.

    Args:
        background_loss: `(batch, n)`, how wrongly each anchor is taken for a face.
        labels: `(batch, n)`: 1 face, 0 background, -1 not counted.
        ratio: Background anchors per face anchor of the image.
        min_count: At least so many, so that images without a face teach too.

    Returns:
        `(batch, n)` bool.

    Reference:
        - [Liu et al., 2016](https://arxiv.org/abs/1512.02325), section 2.2
    """
    background = ops.equal(labels, 0)
    losses = ops.where(background, background_loss, -1.0)
    order = ops.argsort(-losses, axis=1)
    rank = ops.argsort(order, axis=1)
    faces = ops.sum(ops.cast(ops.equal(labels, 1), "float32"), axis=1, keepdims=True)
    wanted = ops.maximum(ratio * faces, float(min_count))
    return ops.logical_and(background, ops.cast(rank, "float32") < wanted)


def class_loss(
    labels: Tensor, logits: Tensor, ratio: float = 7.0, min_count: int = 16
) -> Tensor:
    """Cross-entropy of faces and of the hardest background, by the faces' number.

    Args:
        labels: `(batch, n)`: 1 face, 0 background, -1 not counted.
        logits: `(batch, n, 2)`: background, face.
        ratio: See `hard_negatives`.
        min_count: See `hard_negatives`.

    Returns:
        `(batch,)` float32.
    """
    margin = logits[..., 1] - logits[..., 0]
    face_loss, background_loss = ops.softplus(-margin), ops.softplus(margin)
    hard = hard_negatives(ops.stop_gradient(background_loss), labels, ratio, min_count)
    found = ops.equal(labels, 1)
    each = ops.where(found, face_loss, ops.where(hard, background_loss, 0.0))
    return _per_image(each, found)


def box_loss(labels: Tensor, boxes: Tensor, predicted: Tensor) -> Tensor:
    """Smooth L1 of the box offsets over face anchors.

    Args:
        labels: `(batch, n)`.
        boxes: `(batch, n, 4)` offsets wanted.
        predicted: `(batch, n, 4)` offsets given.

    Returns:
        `(batch,)` float32.
    """
    found = ops.cast(ops.equal(labels, 1), "float32")
    each = ops.sum(smooth_l1(predicted - boxes), axis=-1) * found
    return _per_image(each, found)


def landmark_loss(
    has_landmarks: Tensor,
    landmarks: Tensor,
    predicted: Tensor,
    beta: float = LANDMARK_BETA,
) -> Tensor:
    """Smooth L1 of the landmark offsets over anchors of faces that have landmarks.

    Published is a `beta` of 1, in whose square small errors hardly count.

    Args:
        has_landmarks: `(batch, n)`, 1 or 0.
        landmarks: `(batch, n, 10)` offsets wanted.
        predicted: `(batch, n, 10)` offsets given.
        beta: See `smooth_l1`.

    Returns:
        `(batch,)` float32.
    """
    counted = ops.cast(has_landmarks, "float32")
    each = ops.sum(smooth_l1(predicted - landmarks, beta), axis=-1) * counted
    return _per_image(each, counted)


def detection_losses(
    targets: Mapping[str, Tensor],
    outputs: Mapping[str, Tensor],
    ratio: float = 7.0,
    min_count: int = 16,
    weights: Mapping[str, float] = WEIGHTS,
) -> dict[str, Tensor]:
    """Returns the three losses of a batch by name.

    Args:
        targets: Dictionary with the fields of `matching.Targets`, each `(batch, n...)`.
        outputs: Dictionary that the network gives.
        ratio: See `hard_negatives`.
        min_count: See `hard_negatives`.
        weights: Of the three by name.

    Returns:
        `"classes"`, `"boxes"`, `"landmarks"`, each `(batch,)`, and `"total"`, their
        weighted sum.
    """
    labels = targets["labels"]
    losses = {
        "classes": class_loss(labels, outputs["classes"], ratio, min_count),
        "boxes": box_loss(labels, targets["boxes"], outputs["boxes"]),
        "landmarks": landmark_loss(
            targets["has_landmarks"], targets["landmarks"], outputs["landmarks"]
        ),
    }
    total = sum(weights[name] * loss for name, loss in losses.items())
    return {**losses, "total": total}
