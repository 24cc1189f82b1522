"""The losses of face swapping: plain functions, one value per example.

Images are `(batch, height, width, 3)` in [-1, 1]. What the step does with the values
(flags of same pairs, means over the global batch) is a `terms.Term`; the formulas of
discriminators are in `adversary.py`.
"""

from __future__ import annotations

from collections.abc import Iterable

import keras
from keras import ops

from facedancer.imaging.images import LUMA
from facedancer.networks.tensors import Tensor

# Below so many sure pixels a part hardly counts.
_PART_PIXELS = 4.0
_NEAR = 0.01  # distances of landmarks that hardly count, in eye distances


def squared_kernels(weights: Iterable[Tensor]) -> Tensor:
    """Returns the sum of the squares of all kernels of convolutions, a scalar.

    Args:
        weights: Variables of networks; those with other than four axes do not count.
    """
    kernels = [weight for weight in weights if len(weight.shape) == 4]
    return sum(ops.sum(ops.square(ops.cast(one, "float32"))) for one in kernels)


def cosine_similarity(first: Tensor, second: Tensor) -> Tensor:
    """The cosine between two arrays, flattened per example.

    Args:
        first: `(batch, ...)`.
        second: `(batch, ...)` of the same shape.

    Returns:
        `(batch,)` float32 in [-1, 1]; 0 where one of them is all zero.
    """
    first = ops.cast(ops.reshape(first, (ops.shape(first)[0], -1)), "float32")
    second = ops.cast(ops.reshape(second, (ops.shape(second)[0], -1)), "float32")
    dot = ops.sum(first * second, axis=-1)
    squares = ops.sum(first * first, axis=-1) * ops.sum(second * second, axis=-1)
    return dot * ops.rsqrt(ops.maximum(squares, 1e-24))


def identity_loss(source: Tensor, swapped: Tensor, margin: float = 1.0) -> Tensor:
    """How far the cosine of two identity vectors lies below a margin.

    Two photos of one person have about 0.65, by encoders as they are used here. What is
    pressed beyond that is painted.

    Args:
        source: Embeddings of the source faces, `(batch, features)`.
        swapped: Embeddings of the swapped faces, `(batch, features)`.
        margin: The cosine that is enough; 1, as published, never is.

    Returns:
        `(batch,)` float32 in [0, margin + 1]: 0 from the margin on.
    """
    below = margin - cosine_similarity(source, swapped)
    return below if margin == 1.0 else ops.relu(below)


def identity_contrast(to_target: Tensor, apart: Tensor) -> Tensor:
    """How much of the target's identity is left (Gao et al. 2021, InfoSwap).

    The cosine of swapped face and target shall be that of source and target, which is
    about 0 for two people and 1 for a same pair.

    Args:
        to_target: Cosines of swapped faces and targets, `(batch,)`.
        apart: Cosines of sources and targets, `(batch,)`.

    Returns:
        `(batch,)` float32 in [0, 4].
    """
    return ops.square(to_target - apart)


def absolute_difference(target: Tensor, swapped: Tensor) -> Tensor:
    """The mean absolute difference of two images or feature maps.

    Args:
        target: `(batch, ...)`.
        swapped: `(batch, ...)` of the same shape.

    Returns:
        `(batch,)` float32, in [0, 2] for images in [-1, 1].
    """
    difference = ops.abs(ops.cast(target, "float32") - ops.cast(swapped, "float32"))
    return ops.mean(ops.reshape(difference, (ops.shape(target)[0], -1)), axis=-1)


def squared_difference(target: Tensor, swapped: Tensor) -> Tensor:
    """The mean squared difference of two images or feature maps.

    Args:
        target: `(batch, ...)`.
        swapped: `(batch, ...)` of the same shape.

    Returns:
        `(batch,)` float32, in [0, 4] for images in [-1, 1].
    """
    difference = ops.cast(target, "float32") - ops.cast(swapped, "float32")
    flat = ops.reshape(difference, (ops.shape(target)[0], -1))
    return ops.mean(flat * flat, axis=-1)


def low_frequency_loss(target: Tensor, swapped: Tensor, cells: int = 8) -> Tensor:
    """The mean absolute difference of two images averaged over a coarse grid.

    It holds colour and shading while the details are free to change.

    Args:
        target: `(batch, height, width, 3)`; `cells` divides height and width.
        swapped: Of the same shape.
        cells: Cells of the grid along each side.

    Returns:
        `(batch,)` float32 in [0, 2].
    """
    height, width = target.shape[1:3]
    if height % cells or width % cells:
        raise ValueError(
            f"`cells` must divide the image. Received: cells={cells} for "
            f"{height}x{width}"
        )
    difference = ops.cast(target, "float32") - ops.cast(swapped, "float32")
    pool = (height // cells, width // cells)
    return absolute_difference(ops.average_pool(difference, pool, pool), 0.0)


def chroma_loss(target: Tensor, swapped: Tensor) -> Tensor:
    """The mean absolute difference of two images in colour, not in brightness.

    An encoder can be told of another identity by painted colours; this holds the
    target's. The difference is taken without its luma (ITU-R BT.601).

    Args:
        target: `(batch, height, width, 3)` RGB.
        swapped: Of the same shape.

    Returns:
        `(batch,)` float32; 0 for images that differ by grey values only.
    """
    difference = ops.cast(target, "float32") - ops.cast(swapped, "float32")
    luma = ops.sum(difference * ops.array(LUMA, "float32"), axis=-1, keepdims=True)
    return ops.mean(ops.abs(difference - luma), axis=(1, 2, 3))


def parts_loss(before: Tensor, after: Tensor) -> Tensor:
    """How much the parts of a face are elsewhere, wider, narrower or gone.

    Of each part 1 minus the soft Dice overlap with squares (Milletari et al. 2016,
    https://arxiv.org/abs/1606.04797): |before - after|^2 / (|before|^2 + |after|^2), so
    a small part counts as much as a large one, and an unsure parser that stays as
    unsure costs nothing.

    Args:
        before: `(batch, height, width, parts)`, each pixel's probabilities of them.
        after: Of the same shape.

    Returns:
        `(batch,)` float32 in [0, 1], the mean over parts; a part that is in neither (a
        closed mouth's inside) hardly counts.
    """
    axes = (1, 2)
    apart = ops.sum(ops.square(before - after), axis=axes)
    both = ops.sum(ops.square(before) + ops.square(after), axis=axes)
    return ops.mean(apart / (both + _PART_PIXELS), axis=-1)


def landmark_loss(before: Tensor, after: Tensor, weights: Tensor) -> Tensor:
    """How far apart landmarks are, as several lookers see them.

    Args:
        before: `(batch, lookers, points, 2)` places, in units of one's own.
        after: Of the same shape.
        weights: `(batch, lookers)`, how much each counts; 1 in all.

    Returns:
        `(batch,)` float32: the distance in those units, the mean over points.
    """
    squares = ops.sum(ops.square(after - before), axis=-1)
    distances = ops.sqrt(squares + _NEAR**2) - _NEAR  # smooth where nothing moved
    return ops.sum(weights * ops.mean(distances, axis=-1), axis=-1)


def face_ellipse(height: int, width: int, shrink: float = 1.0) -> Tensor:
    """Returns where an aligned crop is certainly not face.

    Args:
        height: Of the crop, pixels.
        width: Of the crop, pixels.
        shrink: The `shrink` of the crop's alignment.

    Returns:
        `(1, height, width, 1)` float32: 0 inside the ellipse around the face of the
        ArcFace template (centre at 0.5, 0.54 of a crop that is not shrunk; half axes
        0.40 and 0.50), 1 outside, with a smooth border.
    """
    y = ((ops.arange(height, dtype="float32") + 0.5) / height - 0.5) / shrink + 0.5
    x = ((ops.arange(width, dtype="float32") + 0.5) / width - 0.5) / shrink + 0.5
    radius = ops.sqrt(
        ((y[:, None] - 0.54) / 0.50) ** 2 + ((x[None, :] - 0.50) / 0.40) ** 2
    )
    return ops.clip((radius - 0.95) * 10.0, 0.0, 1.0)[None, :, :, None]


def outside_loss(target: Tensor, swapped: Tensor, shrink: float = 1.0) -> Tensor:
    """The absolute difference outside the face, averaged over that region.

    Args:
        target: `(batch, height, width, 3)`.
        swapped: Of the same shape.
        shrink: The `shrink` of the crops' alignment.

    Returns:
        `(batch,)` float32 in [0, 2].
    """
    height, width = target.shape[1:3]
    outside = face_ellipse(height, width, shrink)
    difference = ops.abs(ops.cast(target, "float32") - ops.cast(swapped, "float32"))
    return ops.sum(difference * outside, axis=(1, 2, 3)) / (3.0 * ops.sum(outside))


def published_reconstruction(total: Tensor, count: Tensor) -> Tensor:
    """The published reconstruction term from sums over the global batch.

    `clip(total / (count + 0.001), 0, 100) / 2`, clipped to [0, 5].

    Args:
        total: Sum of the absolute differences of same pairs, scalar.
        count: How many same pairs there are, scalar.

    Returns:
        A scalar float32.
    """
    return ops.clip(ops.clip(same_pair_mean(total, count), 0.0, 100.0) / 2.0, 0.0, 5.0)


def same_pair_mean(total: Tensor, count: Tensor) -> Tensor:
    """The published mean over the same pairs: `total / (count + 0.001)`.

    Args:
        total: Sum over the same pairs, scalar.
        count: How many there are, scalar.
    """
    return total / (ops.cast(count, "float32") + keras.ops.cast(0.001, "float32"))
