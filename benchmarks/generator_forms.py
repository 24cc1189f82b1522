"""Speed of the forms of a generator: plain, composed, fused.

    python benchmarks/generator_forms.py --preset=facedancer_lite_128 --batch=2

Prints milliseconds per call of inference, and of a training step of the generator alone
(mean absolute error, gradients, Adam), and the ratio to the plain form. Forms take
turns, and the smallest of the repetitions counts, so that other work on the machine
matters less.
"""

from __future__ import annotations

import dataclasses
import time

import keras
import numpy as np
import tensorflow as tf
from absl import app, flags

from facedancer import models
from facedancer.models.families.facedancer import macs
from facedancer.models.layers.forms import FORMS

FLAGS = flags.FLAGS


def compiled_call(model):
    """Returns a compiled function of target and identity."""
    return tf.function(lambda x, w: model([x, w], training=False))


def compiled_step(model):
    """Returns a compiled training step of the generator alone."""
    adam = keras.optimizers.Adam(1e-4, beta_1=0.0)
    adam.build(model.trainable_variables)

    @tf.function
    def step(x, w):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.abs(model([x, w], training=True) - x))
        gradients = tape.gradient(loss, model.trainable_variables)
        adam.apply(gradients, model.trainable_variables)
        return loss

    return step


def fastest(functions, inputs, repeats):
    """Returns the smallest time of each function in milliseconds.

    Args:
        functions: Functions of the inputs, by name.
        inputs: Arrays.
        repeats: Rounds, in each of which every function is called once.
    """
    fed = [tf.constant(array) for array in inputs]
    for function in functions.values():
        function(*fed)  # tracing
    best = dict.fromkeys(functions, np.inf)
    for _ in range(repeats):
        for name, function in functions.items():
            start = time.perf_counter()
            function(*fed).numpy()
            best[name] = min(best[name], 1e3 * (time.perf_counter() - start))
    return best


def table(config, batch, repeats, training):
    """Yields the lines of the result.

    Args:
        config: A `GeneratorConfig`.
        batch: Examples per call.
        repeats: See `fastest`.
        training: Whether training steps are timed too.
    """
    generators = {form: models.build_generator(config, form) for form in FORMS}
    inputs = list(generators["plain"].example_inputs(batch).values())
    calls = {form: compiled_call(model) for form, model in generators.items()}
    calls["fused"] = compiled_call(models.fuse(generators["plain"]))
    yield from _lines("inference", fastest(calls, inputs, repeats))
    if training:
        steps = {form: compiled_step(model) for form, model in generators.items()}
        yield from _lines("training", fastest(steps, inputs, repeats))


def _lines(title, times):
    for form, milliseconds in times.items():
        ratio = times["plain"] / milliseconds
        yield f"{title:10} {form:9} {milliseconds:9.1f} ms   x {ratio:.2f}"


def main(argv):
    del argv
    config = models.get_preset(FLAGS.preset)
    if FLAGS.image_size:
        config = dataclasses.replace(config, image_size=FLAGS.image_size)
    for composed in (False, True):
        cost = macs.count(config, composed)
        print(f"{'composed' if composed else 'plain':9} {cost.macs / 1e9:.2f} GMAC")
    for line in table(config, FLAGS.batch, FLAGS.repeats, FLAGS.training):
        print(line)


if __name__ == "__main__":
    flags.DEFINE_string("preset", "facedancer_lite_128", "Name of the structure.")
    flags.DEFINE_integer("image_size", 0, "Another size in pixels; 0: the preset's.")
    flags.DEFINE_integer("batch", 1, "Examples per call.")
    flags.DEFINE_integer("repeats", 5, "Rounds of timing.")
    flags.DEFINE_boolean("training", True, "Whether training steps are timed too.")
    app.run(main)
