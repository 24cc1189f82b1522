"""Speed of the training step against a plain transcription of its formulas.

    python benchmarks/train_step.py --preset=facedancer_lite_64 --batch=8
    python benchmarks/train_step.py --sweep --sizes=64,96,128 --batches=2,4,8
    python benchmarks/train_step.py --backend=jax --sizes=96 --batches=64,128,256 \\
        --precision=mixed_bfloat16 --recipe=improved --compile_cache=compiled

The transcription builds the networks as they are written in the paper and runs a
network wherever a formula names it: the encoder once per image and term, the
discriminator once for the generator's loss, once for its own and once for R1. Both
take the same batch from the same weights, their losses are compared, they take turns,
and the smallest time counts, so that other work on the machine matters less. CPU time
of the process is printed too: it hardly depends on what else runs.

The sweep prints faces per second by size and batch; with JAX there is no other. Its
first column of times is the first call, which compiles. `--backend=both` runs it with
TensorFlow and with JAX by turns, each in a process of its own, and prints the best of
both beside each other:

    python benchmarks/train_step.py --backend=both --sizes=64,96 --batches=4,8
"""

from __future__ import annotations

from facedancer.programs import choose_backend

choose_backend()  # before anything imports Keras

import dataclasses  # noqa: E402
import re  # noqa: E402
import subprocess  # noqa: E402
import sys  # noqa: E402
import time  # noqa: E402

import keras  # noqa: E402
import numpy as np  # noqa: E402
from absl import app, flags  # noqa: E402

from facedancer.arcface_model import (  # noqa: E402
    build_mobilefacenet,
    build_resnet50,
    load_encoder,
)
from facedancer.models import get_preset  # noqa: E402
from facedancer.models.families.facedancer.config import (  # noqa: E402
    DiscriminatorConfig,
)
from facedancer.train.frozen import teachers  # noqa: E402
from facedancer.train.frozen.frozen_networks import FrozenNetworks  # noqa: E402
from facedancer.train.objective import adversary, ifsr, losses  # noqa: E402
from facedancer.train.step import divided_step, state  # noqa: E402
from facedancer.train.systems.facedancer import FaceDancer  # noqa: E402

if keras.backend.backend() == "tensorflow":
    import tensorflow as tf

FLAGS = flags.FLAGS


def random_batch(size, count):
    """Returns a batch of random images as the dataset gives it."""
    random = np.random.default_rng(0)
    target, source = random.uniform(-1, 1, (2, count, size, size, 3)).astype("f4")
    same = (np.arange(count) % 5 == 0).astype("f4")
    source = np.where(same[:, None, None, None] > 0, target, source)
    people = np.arange(count)
    return {
        "target": target,
        "source": source,
        "same": same,
        "target_identity": people,
        "source_identity": people + 1000,
    }


def make_driver():
    """Returns what Keras runs on."""
    if keras.backend.backend() == "jax":
        from facedancer.train.drivers.jax_driver import JaxDriver

        return JaxDriver(cache_dir=FLAGS.compile_cache)
    from facedancer.train.drivers.tensorflow_driver import TensorFlowDriver

    return TensorFlowDriver()


def make_step(recipe, config, encoder, count, form):
    """Returns a training step; the same weights for every form."""
    driver = make_driver()
    driver.seed(0)
    discriminator = DiscriminatorConfig(
        config.image_size, base_width=config.base_width, max_width=config.max_width
    )
    margins = (0.01,) * len(encoder.taps)
    frozen = FrozenNetworks(teachers.Teacher(encoder, encoder.taps), margins)
    system = FaceDancer(recipe, frozen, count)
    structures = {"generator": config, "discriminator": discriminator}
    builders = FaceDancer.builders(structures, FLAGS.precision, form)
    new = state.build_state(system, builders, FLAGS.precision)
    return divided_step.DividedStep(system, new, driver)


class PlainStep:
    """The published step, formula by formula."""

    def __init__(self, train_step):
        self.state, self.recipe = train_step.state, train_step.recipe
        self.teacher = train_step.system.frozen.teacher
        self.margins = train_step.system.frozen.margins

    def encode(self, images):
        """Returns maps and vector of whole images."""
        return self.teacher(images, teachers.whole_view(images.shape[0]))

    def generator_loss(self, target, source, same):
        """Returns the swapped images and the generator's loss, term by term."""
        generator, weights = self.state.networks["generator"], self.recipe.weights
        count = tf.reduce_sum(same)
        swapped = generator([target, self.encode(source)[1]], training=True)
        logits = self.state.networks["discriminator"](swapped, training=True)
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
        regularisation = ifsr.hinge(means, self.margins, self.recipe.options.ifsr_scale)
        perceptual = 0.0
        for t, s in zip(self.encode(target)[0], self.encode(swapped)[0], strict=True):
            axes = range(1, len(t.shape))
            value = tf.reduce_mean(tf.abs(t - s), axis=axes) / (
                tf.reduce_mean(tf.abs(t), axis=axes) + 1e-6
            )
            perceptual += tf.reduce_sum(same * value) / (count + 0.001)
        return swapped, (
            weights["adversarial"] * adversarial
            + weights["identity"] * identity
            + weights["reconstruction"] * reconstruction
            + weights["perceptual"] * perceptual
            + weights["cycle"] * cycle
            + weights["ifsr"] * regularisation
        )

    def discriminator_loss(self, real, swapped):
        """Returns the discriminator's loss with R1."""
        discriminator = self.state.networks["discriminator"]
        fake = tf.nn.softplus(discriminator(swapped, training=True))
        true = tf.nn.softplus(-discriminator(real, training=True))
        with tf.GradientTape() as tape:
            tape.watch(real)
            total = tf.reduce_sum(discriminator(real, training=True))
        penalty = adversary.r1_penalty(tape.gradient(total, real))
        return tf.reduce_mean(fake + true) + tf.reduce_mean(penalty) * (
            0.5 * self.recipe.adversary.r1_gamma
        )

    def compiled(self):
        """Returns the step as one compiled function."""
        return tf.function(self.step)

    def step(self, batch):
        """Takes one step; returns both losses."""
        with tf.GradientTape() as g_tape, tf.GradientTape() as d_tape:
            swapped, g_loss = self.generator_loss(
                batch["target"], batch["source"], batch["same"]
            )
            d_loss = self.discriminator_loss(batch["source"], swapped)
        for tape, loss, player in ((g_tape, g_loss, "g"), (d_tape, d_loss, "d")):
            weights, optimizer = (
                self.state.variables_of(player),
                self.state.optimizers[player],
            )
            optimizer.apply(tape.gradient(loss, weights), weights)
        return g_loss, d_loss


def fastest(functions, batch, repeats):
    """Returns the smallest wall and CPU time of each function in milliseconds."""
    best = {name: [np.inf, np.inf] for name in functions}
    for _ in range(repeats):
        for name, function in functions.items():
            start = time.perf_counter(), time.process_time()
            np.asarray(keras.tree.flatten(function(batch))[-1])
            spent = time.perf_counter() - start[0], time.process_time() - start[1]
            best[name] = [
                min(a, 1e3 * b) for a, b in zip(best[name], spent, strict=True)
            ]
    return best


def compare(recipe, config, encoder):
    """Prints the ratio of the transcription to the step, and both losses."""
    batch = random_batch(config.image_size, FLAGS.batch)
    ours = make_step(recipe, config, encoder, FLAGS.batch, "composed")
    plain = PlainStep(make_step(recipe, config, encoder, FLAGS.batch, "plain"))
    plain = plain.compiled()
    phase, values = ours(batch)
    values = dict(zip(ours.names[phase], np.asarray(values), strict=True))
    d_loss = values["d_loss"] + 0.5 * recipe.adversary.r1_gamma * values["r1"]
    g_plain, d_plain = (float(value) for value in plain(batch))
    print(f"generator loss      {values['g_loss']:.6f}  transcription {g_plain:.6f}")
    print(f"discriminator loss  {d_loss:.6f}  transcription {d_plain:.6f}")
    functions = {"step": lambda one: ours(one)[1], "transcription": plain}
    best = fastest(functions, batch, FLAGS.repeats)
    for name, (wall, cpu) in best.items():
        print(f"{name:14s} {wall:8.0f} ms  {cpu:8.0f} ms of CPU")
    wall, cpu = (best["transcription"][k] / best["step"][k] for k in (0, 1))
    print(f"ratio          {wall:8.2f}     {cpu:8.2f}")


def rate(step, batch, repeats):
    """Returns milliseconds a step, several in a row without waiting for each."""
    start = time.perf_counter()
    for _ in range(repeats):
        values = step(batch)[1]
    np.asarray(values)
    return 1e3 * (time.perf_counter() - start) / repeats


def sweep(recipe, config, encoder):
    """Prints the step's time and faces per second over sizes and batches."""
    print(f"{keras.backend.backend()}, {FLAGS.precision}, {FLAGS.recipe}")
    print("size  batch  first call s  ms per step  faces/s", flush=True)
    for size in map(int, FLAGS.sizes):
        sized = dataclasses.replace(config, image_size=size)
        for count in map(int, FLAGS.batches):
            keras.backend.clear_session()
            ours = make_step(recipe, sized, encoder, count, "composed")
            batch = random_batch(size, count)
            start = time.perf_counter()
            np.asarray(ours(batch)[1])
            first = time.perf_counter() - start
            best = min(rate(ours, batch, FLAGS.repeats) for _ in range(3))
            print(
                f"{size:4d}  {count:5d}  {first:12.1f}  {best:11.1f}  "
                f"{1e3 * count / best:9.1f}",
                flush=True,
            )


_ROW = re.compile(r"\s*(\d+)\s+(\d+)\s+([\d.]+)\s+([\d.]+)\s+([\d.]+)\s*")
BACKENDS = ("tensorflow", "jax")


def both(words):
    """Prints the sweep of both backends side by side: faces per second, and ratio."""
    best = {}
    for turn in range(FLAGS.turns):
        for backend in BACKENDS:
            command = [sys.executable, __file__, *words, f"--backend={backend}"]
            done = subprocess.run(
                [*command, "--sweep"], stdout=subprocess.PIPE, text=True, check=True
            )
            for line in done.stdout.splitlines():
                if found := _ROW.fullmatch(line):
                    size, count, _, _, faces = found.groups()
                    new = dict.fromkeys(BACKENDS, 0.0)
                    row = best.setdefault((int(size), int(count)), new)
                    row[backend] = max(row[backend], float(faces))
            print(f"turn {turn + 1}, {backend}: done", flush=True)
    print(f"faces/s, {FLAGS.precision}, {FLAGS.recipe}, best of {FLAGS.turns} turns")
    print("size  batch  tensorflow       jax  jax/tensorflow")
    for (size, count), found in best.items():
        first, second = (found[backend] for backend in BACKENDS)
        ratio = second / first if first else float("nan")
        print(f"{size:4d}  {count:5d}  {first:10.1f}  {second:8.1f}  {ratio:14.2f}")


def main(argv):
    """Runs the benchmark."""
    del argv
    if FLAGS.backend == "both":
        both([word for word in sys.argv[1:] if not word.startswith("--backend")])
        return
    recipe = FaceDancer.recipes[FLAGS.recipe].changed(
        perceptual_network="encoder", warmup_steps=0
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
    alone = FLAGS.sweep or keras.backend.backend() == "jax"
    (sweep if alone else compare)(recipe, config, encoder)


if __name__ == "__main__":
    flags.DEFINE_string("backend", "tensorflow", "tensorflow, jax or both.")
    flags.DEFINE_string("compile_cache", "", "Folder of programs that JAX compiled.")
    flags.DEFINE_string("precision", "float32", "A dtype policy.")
    flags.DEFINE_string("recipe", "published", "published or improved.")
    flags.DEFINE_string("preset", "facedancer_lite_64", "Structure of the generator.")
    flags.DEFINE_string("encoder", "mobilefacenet", "mobilefacenet or resnet50.")
    flags.DEFINE_string("arcface_path", "", "An encoder's file instead.")
    flags.DEFINE_integer("batch", 4, "Pairs per step.")
    flags.DEFINE_integer("repeats", 5, "Rounds; the fastest counts.")
    flags.DEFINE_integer("turns", 2, "Rounds of --backend=both.")
    flags.DEFINE_boolean("sweep", False, "Step time over --sizes and --batches.")
    flags.DEFINE_list("sizes", ["64", "96"], "Sides of the images.")
    flags.DEFINE_list("batches", ["2", "4", "8"], "Pairs per step.")
    app.run(main)
