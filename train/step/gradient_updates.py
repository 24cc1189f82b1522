"""From gradients to new weights: summed over replicas, clipped, without their scale."""

from __future__ import annotations

import keras
from keras import ops

from facedancer.networks.tensors import Tensor
from facedancer.train.step.driver import Driver


def loss_scale(optimizer: keras.optimizers.Optimizer | None) -> Tensor:
    """Returns the factor on the loss that keeps float16 gradients from vanishing.

    Args:
        optimizer: A Keras optimiser; without a loss scale the factor is 1.
    """
    scale = getattr(optimizer, "dynamic_scale", None)
    if scale is None:
        return ops.convert_to_tensor(1.0, "float32")
    return ops.cast(scale.value, "float32")


def apply(
    driver: Driver,
    optimizer: keras.optimizers.Optimizer,
    gradients: list,
    variables: list,
    clip_norm: float,
) -> dict:
    """Applies one replica's gradients and returns what is reported of them.

    An optimiser with a loss scale leaves out a step whose gradients are not finite, and
    halves its scale.

    Args:
        driver: What the step runs on.
        optimizer: Of the variables.
        gradients: Of the loss times its scale, one per variable.
        variables: What is trained.
        clip_norm: Clip to this global norm; 0 does not.

    Returns:
        `gradient_norm`, before clipping; with a loss scale also `skipped`, 1 for a step
        that was left out and else 0.
    """
    gradients = driver.sum_over_replicas(gradients)
    squares = [ops.sum(ops.square(ops.cast(part, "float32"))) for part in gradients]
    norm = ops.sqrt(sum(squares)) / loss_scale(optimizer)
    factor = 1.0 / driver.optimizer_replicas  # the optimiser adds them up again
    if clip_norm:
        factor *= ops.minimum(1.0, clip_norm / (norm + 1e-12))
    gradients = [gradient * factor for gradient in gradients]
    optimizer.apply(gradients, variables)
    found = {"gradient_norm": norm}
    if hasattr(optimizer, "dynamic_scale"):
        finite = [ops.all(ops.isfinite(part)) for part in gradients]
        found["skipped"] = 1.0 - ops.cast(ops.all(ops.stack(finite)), "float32")
    return found
