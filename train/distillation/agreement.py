"""How far a student is from its teacher: what distillation minimises."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from keras import ops

from facedancer.networks.tensors import Tensor


def relative_error(target: Tensor, output: Tensor) -> Tensor:
    """Squared error as a share of the target's energy, one value an example.

    Args:
        target: `(batch, ...)`.
        output: The same shape.

    Returns:
        `(batch,)` float32, 0 for equal, 1 for an output of zeros.
    """
    axes = tuple(range(1, len(target.shape)))
    error = ops.mean(ops.square(target - output), axis=axes)
    return error / (ops.mean(ops.square(target), axis=axes) + 1e-6)


def distillation_loss(
    teacher: Mapping[str, Tensor],
    student: Mapping[str, Tensor],
    hints: Iterable[tuple[str, str]],
    hint_weight: float,
) -> Tensor:
    """How far the student is from the teacher, one value an example.

    Args:
        teacher: Outputs of the teacher's `tap_model`.
        student: Outputs of the student's.
        hints: Pairs of layer names, student's and teacher's. Maps of another height
            and width are resized to the student's.
        hint_weight: Weight of each hint.

    Returns:
        `(batch,)` float32: one minus the cosine, the relative error of the raw vector
        and the weighted relative errors of the hinted maps.
    """
    target, output = teacher["embedding"], student["embedding"]
    cosine = ops.sum(
        ops.normalize(target, axis=-1) * ops.normalize(output, axis=-1), axis=-1
    )
    loss = 1.0 - cosine + relative_error(target, output)
    for own, other in hints:
        aim, size = teacher[other], student[own].shape[1:3]
        if aim.shape[1:3] != size:
            aim = ops.image.resize(aim, size, antialias=True)
        loss = loss + hint_weight * relative_error(aim, student[own])
    return loss
