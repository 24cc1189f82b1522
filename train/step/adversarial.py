"""The discriminator's side of a step, and what it asks of the swapped images."""

from __future__ import annotations

import tensorflow as tf

from facedancer.train.objective import losses
from facedancer.train.objective.recipes import Objective
from facedancer.train.step import gradient_updates
from facedancer.train.step.state import State


def discriminate(
    state: State,
    objective: Objective,
    real,
    swapped,
    batch_size: int,
    with_r1: bool,
    shared: bool = True,
):
    """Returns the discriminator's gradients, the generator's at its images, and sums.

    Args:
        state: Discriminator and its optimiser.
        objective: The recipe.
        real: Real images, `(batch, height, width, 3)` in [-1, 1].
        swapped: Swapped images of the same shape.
        batch_size: The global batch; `batch` may be a part of it.
        with_r1: Add the penalty R1.
        shared: One backward pass for both networks; only for losses whose gradients
            are softplus' (`nonsaturating`, `relativistic`).

    Returns:
        Gradients of the discriminator's loss, times its loss scale; the gradient of
        the mean adversarial loss of the generator at `swapped`; sums over the batch.
    """
    fake, scale = (
        tf.stop_gradient(swapped),
        gradient_updates.loss_scale(state.d_optimizer),
    )
    kind = objective.kind
    with tf.GradientTape(persistent=not shared) as tape:
        tape.watch(fake)
        fake_logits, real_logits, penalty = _logits(state, fake, real, with_r1)
        sums = _sums(kind, fake_logits, real_logits)
        loss = sums["d_fake"] + sums["d_real"]
        if with_r1:
            sums["r1"] = tf.reduce_sum(penalty)
            # Every so-manieth step with so many times the weight.
            loss += 0.5 * objective.r1_gamma * objective.r1_every * sums["r1"]
        loss *= scale / batch_size
        wanted = sums["adversarial"] * scale / batch_size
    weights = [w.value for w in state.discriminator.trainable_variables]
    if not shared:
        return tape.gradient(loss, weights), tape.gradient(wanted, fake) / scale, sums
    *gradients, at_fake = tape.gradient(loss, [*weights, fake])
    # Examples do not see each other in the discriminator. Both losses depend on an
    # image through its own logit only, so their gradients there differ by one factor
    # per example: that of softplus(-x) to that of softplus(x).
    logit = _flat(fake_logits)
    if kind == "relativistic":
        logit -= _flat(real_logits)
    ratio = -tf.exp(-tf.maximum(logit, -60.0)) / scale
    return gradients, at_fake * ratio[:, None, None, None], sums


def _logits(state: State, fake, real, with_r1: bool):
    """Returns the logits of both, and R1 per example where it is due."""
    discriminator = state.discriminator
    if not with_r1:
        both = discriminator(tf.concat([fake, real], 0), training=True)
        return *tf.split(tf.cast(both, tf.float32), 2), None
    with tf.GradientTape() as tape:
        tape.watch(real)
        logits = tf.cast(discriminator(real, training=True), tf.float32)
        total = tf.reduce_sum(logits)
    penalty = losses.r1_penalty(tape.gradient(total, real))
    fake_logits = tf.cast(discriminator(fake, training=True), tf.float32)
    return fake_logits, logits, penalty


def _sums(kind: str, fake_logits, real_logits) -> dict:
    parts = losses.discriminator_adversarial_loss(kind, fake_logits, real_logits)
    wanted = losses.generator_adversarial_loss(kind, fake_logits, real_logits)
    fooled, trusted = losses.judged_real(kind, fake_logits, real_logits)
    return {
        "adversarial": tf.reduce_sum(wanted),
        "d_fake": tf.reduce_sum(parts[0]),
        "d_real": tf.reduce_sum(parts[1]),
        "fooled": tf.reduce_sum(fooled),
        "trusted": tf.reduce_sum(trusted),
    }


def _flat(logits):
    return tf.reshape(logits, [-1])
