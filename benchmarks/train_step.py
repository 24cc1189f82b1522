"""Speed of the training step against a plain transcription of its formulas.

    python benchmarks/train_step.py --preset=facedancer_lite_64 --batch=8
    python benchmarks/train_step.py --sweep --sizes=64,96,128 --batches=2,4,8

The transcription builds the networks as they are written in the paper and runs a
network wherever a formula names it: the encoder once per image and term, the
discriminator once for the generator's loss, once for its own and once for R1. Both
take the same batch from the same weights, their losses are compared, they take turns,
and the smallest time counts, so that other work on the machine matters less. CPU time
of the process is printed too: it hardly depends on what else runs.
"""

from __future__ import annotations

import dataclasses
import time

import keras
import numpy as np
import tensorflow as tf
from absl import app, flags

from facedancer.arcface_model import build_mobilefacenet, build_resnet50, load_encoder
from facedancer.models import get_preset
from facedancer.models.families.facedancer.config import DiscriminatorConfig
from facedancer.train.frozen import teachers
from facedancer.train.objective import ifsr, losses
from facedancer.train.objective.recipes import get_objective
from facedancer.train.step import divided_step, state

FLAGS = flags.FLAGS


def random_batch(size, count):
    """Returns a batch of random images as the dataset gives it."""
    random = np.random.default_rng(0)
    target, source = random.uniform(-1, 1, (2, count, size, size, 3)).astype("f4")
    same = (np.arange(count) % 5 == 0).astype("f4")
    source = np.where(same[:, None, None, None] > 0, target, source)
    people = tf.range(count, dtype=tf.int64)
    return {
        "target": tf.constant(target),
        "source": tf.constant(source),
        "same": tf.constant(same),
        "target_identity": people,
        "source_identity": people + 1000,
    }


def make_step(objective, config, encoder, count, form, precision="float32"):
    """Returns a training step; the same weights for every form."""
    keras.utils.set_random_seed(0)
    discriminator = DiscriminatorConfig(
        config.image_size, base_width=config.base_width, max_width=config.max_width
    )
    new = state.build_state(objective, config, discriminator, precision, form)
    margins = (0.01,) * len(encoder.taps)
    critics = divided_step.Critics(teachers.Teacher(encoder, encoder.taps), margins)
    return divided_step.TrainStep(new, critics, objective, count)


class PlainStep:
    """The published step, formula by formula."""

    def __init__(self, train_step):
        self.state, self.objective = train_step.state, train_step.objective
        self.teacher = train_step.critics.teacher
        self.margins = train_step.critics.margins

    def encode(self, images):
        """Returns maps and vector of whole images."""
        return self.teacher(images, teachers.whole_look(images.shape[0]))

    def generator_loss(self, target, source, same):
        """Returns the swapped images and the generator's loss, term by term."""
        generator, objective = self.state.generator, self.objective
        count = tf.reduce_sum(same)
        swapped = generator([target, self.encode(source)[1]], training=True)
        logits = self.state.discriminator(swapped, training=True)
        adversarial = tf.reduce_mean(tf.nn.softplus(-logits))
        cosine = losses.cosine_similarity
        identity = tf.reduce_mean(
            1.0 - cosine(self.encode(source)[1], self.encode(swapped)[1])
        )
        difference = tf.reduce_mean(tf.abs(target - swapped), axis=(1, 2, 3))
        reconstruction = losses.published_reconstruction(
            tf.reduce_sum(same * difference), count
        )
        back = generator([swapped, self.encode(target)[1]], training=True)
        cycle = tf.reduce_mean(tf.abs(back - target))
        pairs = zip(self.encode(target)[0], self.encode(swapped)[0], strict=True)
        means = tf.stack([tf.reduce_mean(1.0 - cosine(t, s)) for t, s in pairs])
        regularisation = ifsr.hinge(means, self.margins, objective.ifsr_scale)
        perceptual = 0.0
        for t, s in zip(self.encode(target)[0], self.encode(swapped)[0], strict=True):
            axes = range(1, len(t.shape))
            value = tf.reduce_mean(tf.abs(t - s), axis=axes) / (
                tf.reduce_mean(tf.abs(t), axis=axes) + 1e-6
            )
            perceptual += tf.reduce_sum(same * value) / (count + 0.001)
        return swapped, (
            objective.adversarial * adversarial
            + objective.identity * identity
            + objective.reconstruction * reconstruction
            + objective.perceptual * perceptual
            + objective.cycle * cycle
            + objective.ifsr * regularisation
        )

    def discriminator_loss(self, real, swapped):
        """Returns the discriminator's loss with R1."""
        discriminator = self.state.discriminator
        fake = tf.nn.softplus(discriminator(swapped, training=True))
        true = tf.nn.softplus(-discriminator(real, training=True))
        with tf.GradientTape() as tape:
            tape.watch(real)
            total = tf.reduce_sum(discriminator(real, training=True))
        penalty = losses.r1_penalty(tape.gradient(total, real))
        return tf.reduce_mean(fake + true) + tf.reduce_mean(penalty) * (
            0.5 * self.objective.r1_gamma
        )

    @tf.function
    def __call__(self, batch):
        """Takes one step; returns both losses."""
        with tf.GradientTape() as g_tape, tf.GradientTape() as d_tape:
            swapped, g_loss = self.generator_loss(
                batch["target"], batch["source"], batch["same"]
            )
            d_loss = self.discriminator_loss(batch["source"], swapped)
        for tape, loss, model, optimizer in (
            (g_tape, g_loss, self.state.generator, self.state.g_optimizer),
            (d_tape, d_loss, self.state.discriminator, self.state.d_optimizer),
        ):
            weights = model.trainable_variables
            optimizer.apply(tape.gradient(loss, weights), weights)
        return g_loss, d_loss


def fastest(functions, batch, repeats):
    """Returns the smallest wall and CPU time of each function in milliseconds."""
    best = {name: [np.inf, np.inf] for name in functions}
    for _ in range(repeats):
        for name, function in functions.items():
            start = time.perf_counter(), time.process_time()
            np.asarray(tf.nest.flatten(function(batch))[-1])
            spent = time.perf_counter() - start[0], time.process_time() - start[1]
            best[name] = [
                min(a, 1e3 * b) for a, b in zip(best[name], spent, strict=True)
            ]
    return best


def compare(objective, config, encoder):
    """Prints the ratio of the transcription to the step, and both losses."""
    batch = random_batch(config.image_size, FLAGS.batch)
    ours = make_step(objective, config, encoder, FLAGS.batch, "composed")
    plain = PlainStep(make_step(objective, config, encoder, FLAGS.batch, "plain"))
    phase, values = ours(batch)
    values = dict(zip(ours.names[phase], values.numpy(), strict=True))
    d_loss = values["d_loss"] + 0.5 * objective.r1_gamma * values["r1"]
    g_plain, d_plain = (float(value) for value in plain(batch))
    print(f"generator loss      {values['g_loss']:.6f}  transcription {g_plain:.6f}")
    print(f"discriminator loss  {d_loss:.6f}  transcription {d_plain:.6f}")
    best = fastest({"step": ours, "transcription": plain}, batch, FLAGS.repeats)
    for name, (wall, cpu) in best.items():
        print(f"{name:14s} {wall:8.0f} ms  {cpu:8.0f} ms of CPU")
    wall, cpu = (best["transcription"][k] / best["step"][k] for k in (0, 1))
    print(f"ratio          {wall:8.2f}     {cpu:8.2f}")


def sweep(objective, config, encoder):
    """Prints the step's time over sizes and batches."""
    print("size  batch  ms per step  ms of CPU  ms of CPU per image")
    for size in map(int, FLAGS.sizes):
        sized = dataclasses.replace(config, image_size=size)
        for count in map(int, FLAGS.batches):
            keras.backend.clear_session()
            ours = make_step(objective, sized, encoder, count, "composed")
            batch = random_batch(size, count)
            ours(batch)
            wall, cpu = fastest({"step": ours}, batch, FLAGS.repeats)["step"]
            print(
                f"{size:4d}  {count:5d}  {wall:11.0f}  {cpu:9.0f}  {cpu / count:19.0f}"
            )


def main(argv):
    """Runs the benchmark."""
    del argv
    objective = dataclasses.replace(
        get_objective("published"), perceptual_network="encoder"
    )
    if FLAGS.arcface_path:
        encoder = load_encoder(FLAGS.arcface_path)
    elif FLAGS.encoder == "resnet50":
        encoder = build_resnet50()
    else:
        encoder = build_mobilefacenet()
    config = dataclasses.replace(
        get_preset(FLAGS.preset), identity_size=encoder.embedding_size
    )
    (sweep if FLAGS.sweep else compare)(objective, config, encoder)


if __name__ == "__main__":
    flags.DEFINE_string("preset", "facedancer_lite_64", "Structure of the generator.")
    flags.DEFINE_string("encoder", "mobilefacenet", "mobilefacenet or resnet50.")
    flags.DEFINE_string("arcface_path", "", "An encoder's file instead.")
    flags.DEFINE_integer("batch", 4, "Pairs per step.")
    flags.DEFINE_integer("repeats", 5, "Rounds; the fastest counts.")
    flags.DEFINE_boolean("sweep", False, "Step time over --sizes and --batches.")
    flags.DEFINE_list("sizes", ["64", "96"], "Sides of the images.")
    flags.DEFINE_list("batches", ["2", "4", "8"], "Pairs per step.")
    app.run(main)
