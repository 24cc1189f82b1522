"""From gradients to new weights: summed over replicas, clipped, without their scale."""

from __future__ import annotations

import keras
import tensorflow as tf


def loss_scale(optimizer: keras.optimizers.Optimizer | None):
    """Returns the factor on the loss that keeps float16 gradients from vanishing.

    Args:
        optimizer: A Keras optimiser; without a loss scale the factor is 1.
    """
    scale = getattr(optimizer, "dynamic_scale", None)
    return tf.constant(1.0) if scale is None else tf.cast(scale.value, tf.float32)


def apply(
    optimizer: keras.optimizers.Optimizer,
    gradients: list,
    model: keras.Model,
    replicas: int,
    clip_norm: float,
) -> dict:
    """Applies one replica's gradients and returns what is reported of them.

    An optimiser with a loss scale leaves out a step whose gradients are not finite, and
    halves its scale.

    Args:
        optimizer: Of the model.
        gradients: Of the loss times its scale, one per trainable variable.
        model: What is trained.
        replicas: How many replicas there are.
        clip_norm: Clip to this global norm; 0 does not.

    Returns:
        `gradient_norm`, before clipping; with a loss scale also `skipped`, 1 for a step
        that was left out and else 0.
    """
    if replicas > 1:
        context = tf.distribute.get_replica_context()
        gradients = context.all_reduce(tf.distribute.ReduceOp.SUM, gradients)
    norm = tf.linalg.global_norm(gradients) / loss_scale(optimizer)
    factor = 1.0 / replicas  # the optimiser sums over replicas again
    if clip_norm:
        factor *= tf.minimum(1.0, clip_norm / (norm + 1e-12))
    gradients = [gradient * factor for gradient in gradients]
    optimizer.apply(gradients, model.trainable_variables)
    found = {"gradient_norm": norm}
    if hasattr(optimizer, "dynamic_scale"):
        finite = [tf.reduce_all(tf.math.is_finite(part)) for part in gradients]
        found["skipped"] = 1.0 - tf.cast(tf.reduce_all(finite), tf.float32)
    return found
