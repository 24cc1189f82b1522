"""The losses of a face refiner; all are means of a batch."""

from __future__ import annotations

from collections.abc import Sequence

from keras import ops

from facedancer.networks.tensors import Tensor

_CELL = 4  # pixels; coarser than that, a face must stay the generator's


def known_loss(truth: Tensor, refined: Tensor, known: Tensor) -> Tensor:
    """Returns the difference from the truth, and that of the slopes, where it is known.

    Args:
        truth: `(batch, height, width, 3)` in [-1, 1].
        refined: Same form.
        known: `(batch,)`, 1 where the truth is the right answer, else 0.
    """
    difference = refined - truth
    each = ops.mean(ops.abs(difference), axis=(1, 2, 3))
    for axis in (1, 2):
        slope = _step(difference, axis)
        each = each + ops.mean(ops.abs(slope), axis=(1, 2, 3))
    return ops.sum(each * known) / ops.maximum(ops.sum(known), 1.0)


def coarse_loss(swapped: Tensor, refined: Tensor, known: Tensor) -> Tensor:
    """Returns how far the result is from the generator's face, coarsely seen.

    Of the examples whose right answer is not known: what a face looks like in cells of
    4 x 4 pixels is whom it shows.

    Args:
        swapped: `(batch, height, width, 3)` in [-1, 1].
        refined: Same form.
        known: `(batch,)`, see `known_loss`.
    """
    cells = ops.average_pool(refined - swapped, _CELL, strides=_CELL)
    each = ops.mean(ops.abs(cells), axis=(1, 2, 3))
    return ops.sum(each * (1.0 - known)) / ops.maximum(ops.sum(1.0 - known), 1.0)


def feature_loss(
    truth: Sequence[Tensor], refined: Sequence[Tensor], known: Tensor
) -> Tensor:
    """Returns the difference of feature maps in units of the truth's mean feature.

    Args:
        truth: Maps of the truth, `(batch, ...)` each.
        refined: Those of the result.
        known: `(batch,)`, see `known_loss`.
    """
    total = 0.0
    for right, found in zip(truth, refined, strict=True):
        each = ops.mean(ops.abs(found - right), axis=(1, 2, 3))
        unit = ops.mean(ops.abs(right)) + 1e-6
        total = total + ops.sum(each * known) / unit
    return total / ops.maximum(ops.sum(known), 1.0) / len(truth)


def hinge(real: Tensor, fake: Tensor) -> Tensor:
    """Returns the discriminator's loss.

    Args:
        real: Its logits for photos.
        fake: Those for results.
    """
    return ops.mean(ops.relu(1.0 - real)) + ops.mean(ops.relu(1.0 + fake))


def _step(x: Tensor, axis: int) -> Tensor:
    return x[:, 1:] - x[:, :-1] if axis == 1 else x[:, :, 1:] - x[:, :, :-1]
