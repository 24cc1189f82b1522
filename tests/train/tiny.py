"""Networks, batches and steps small enough to be traced in a second or two."""

import dataclasses
import functools

import cv2
import keras
import numpy as np
import tensorflow as tf

from facedancer.arcface_model import Encoder
from facedancer.dataset.shards import records
from facedancer.models.families.facedancer.config import (
    DiscriminatorConfig,
    GeneratorConfig,
)
from facedancer.train.frozen.teachers import Teacher
from facedancer.train.objective.recipes import get_objective
from facedancer.train.step import divided_step, state

SIZE, ENCODED, VECTOR = 16, 20, 8
TAPS = ("first_out", "second_out")
GENERATOR = GeneratorConfig(
    image_size=SIZE,
    base_width=4,
    max_width=8,
    up_types=("no_skip", "affa", "concat"),
    mapping_sizes=(8,),
    identity_size=VECTOR,
    gain_bias=1.0,
)
DISCRIMINATOR = DiscriminatorConfig(image_size=SIZE, base_width=4, max_width=8)
# Every term at work; nothing random in the look.
EVERYTHING = dataclasses.replace(
    get_objective("published"),
    contrast=1.0,
    low_frequency=1.0,
    chroma=1.0,
    outside=1.0,
    perceptual_network="encoder",
    perceptual=0.5,
    r1_gamma=1.0,
    ema=0.9,
)


class TinyEncoder(Encoder):
    """Two convolutions and a dense layer."""

    architecture = "tiny"
    taps = TAPS

    def __init__(self, name="tiny", **kwargs):
        image = keras.Input((ENCODED, ENCODED, 3))
        x = keras.layers.Conv2D(8, 5, 2, activation="elu", name=TAPS[0])(image)
        x = keras.layers.Conv2D(8, 3, 2, activation="elu", name=TAPS[1])(x)
        vector = keras.layers.Dense(VECTOR)(keras.layers.Flatten()(x))
        super().__init__(inputs=image, outputs=vector, name=name, **kwargs)


def encoder(seed=0):
    """An identity encoder with random weights."""
    keras.utils.set_random_seed(seed)
    return TinyEncoder()


def batch(count, seed=0):
    """A batch as the dataset gives it; the first quarter are same pairs."""
    random = np.random.default_rng(seed)
    target, source = random.uniform(-1, 1, (2, count, SIZE, SIZE, 3)).astype("float32")
    same = (np.arange(count) % 4 == 0).astype("float32")
    source = np.where(same[:, None, None, None] > 0, target, source)
    people = np.arange(count)
    return {
        "target": tf.constant(target),
        "source": tf.constant(source),
        "same": tf.constant(same),
        "target_identity": tf.constant(people, tf.int64),
        "source_identity": tf.constant(
            np.where(same > 0, people, people + 100), tf.int64
        ),
    }


def make_step(
    objective=EVERYTHING,
    batch_size=4,
    strategy=None,
    margins=(0.01, 0.01),
    precision="float32",
    sgd=False,
    **options,
):
    """A training step of tiny networks; always the same weights.

    Args:
        objective: The recipe.
        batch_size: The global batch.
        strategy: Where it runs.
        margins: IFSR margins.
        precision: A dtype policy.
        sgd: Plain descent instead of Adam, which hides the size of gradients.
        **options: Of `step.TrainStep`.
    """
    strategy = strategy or tf.distribute.get_strategy()
    with strategy.scope():
        teacher = Teacher(encoder(), TAPS)
        keras.utils.set_random_seed(1)
        new = state.build_state(objective, GENERATOR, DISCRIMINATOR, precision)
        if sgd:
            new.g_optimizer = keras.optimizers.SGD(objective.lr)
            new.g_optimizer.build(new.generator.trainable_variables)
            if new.discriminator is not None:
                new.d_optimizer = keras.optimizers.SGD(objective.lr)
                new.d_optimizer.build(new.discriminator.trainable_variables)
        critics = divided_step.Critics(teacher, margins)
        return divided_step.TrainStep(
            new, critics, objective, batch_size, strategy, **options
        )


@functools.cache
def two_replicas():
    """A strategy of two CPUs; two such in one process confuse each other's sums."""
    return tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])


def halved(batch):
    """The batch split over `two_replicas`."""

    def share(context):
        count = len(batch["same"]) // 2
        first = context.replica_id_in_sync_group * count
        return {name: value[first : first + count] for name, value in batch.items()}

    return two_replicas().experimental_distribute_values_from_function(share)


def run(train_step, batches):
    """Takes steps; returns the values of each by name."""
    found = []
    for one in batches:
        phase, values = train_step(one)
        names = train_step.names[phase]
        found.append(dict(zip(names, values.numpy(), strict=True)))
    return found


def write_shards(folder, count=12, size=24, people=4, name="faces_train"):
    """Writes one shard of random photos with labels; returns its pattern."""
    random = np.random.default_rng(len(name))

    def example(number):
        image = random.integers(0, 255, (size, size, 3), dtype=np.uint8)
        person = number % people
        return records.encode_example(
            {
                "face": cv2.imencode(".png", image)[1].tobytes(),
                "identity": person,
                "identity_name": f"person_{person}",
                "path": f"person_{person}/{number}.png",
            }
        )

    path = folder / f"{name}_00000-of-00001.records"
    records.write_records(path, (example(number) for number in range(count)))
    return str(folder / f"{name}_*.records")
