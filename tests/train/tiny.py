"""Networks, batches and steps small enough to be traced in a second or two."""

import functools
import pathlib
import random

import cv2
import keras
import numpy as np

from facedancer import cli
from facedancer.arcface_model import Encoder, build_mobilefacenet
from facedancer.dataset.shards import records
from facedancer.models.families.facedancer.config import (
    DiscriminatorConfig,
    GeneratorConfig,
)
from facedancer.train.frozen.frozen_networks import FrozenNetworks
from facedancer.train.frozen.teachers import Teacher
from facedancer.train.objective import diff_augment
from facedancer.train.objective.terms import values as term_values
from facedancer.train.step import divided_step, state
from facedancer.train.systems import facedancer, facedancer_recipes
from tests import testing

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
# Every term at work; nothing random in the view.
EVERYTHING = facedancer_recipes.PUBLISHED.changed(
    contrast=1.0,
    low_frequency=1.0,
    chroma=1.0,
    outside=1.0,
    perceptual_network="encoder",
    perceptual=0.5,
    r1_gamma=1.0,
    ema=0.9,
)
DIVIDED = EVERYTHING.changed(look=True, cycle_every=2)
# Also the discriminator on frozen features, and changed images.
JUDGED = DIVIDED.changed(adversarial_projected=0.5, augment=diff_augment.AUGMENTATIONS)
# Quick to compile: the generator alone.
QUICK = EVERYTHING.changed(
    **dict.fromkeys(("adversarial", "cycle", "perceptual", "ifsr", "outside"), 0.0)
)


class EagerTestCase(testing.TestCase):
    """Runs what is compiled op by op: for a few steps, tracing costs five times more.

    That the traced step gives the same is said by `test_step.TracedTest` and, with all
    terms and by halves, by the `large` tests.
    """

    eager = True

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        if cls.eager:
            eagerly(True)
            cls.addClassCleanup(eagerly, False)


def eagerly(wanted):
    """Switches compilation off or on."""
    import tensorflow as tf

    tf.config.run_functions_eagerly(wanted)


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


class Features:
    """Frozen features for a discriminator: one convolution."""

    def __init__(self, seed=0):
        draws = np.random.default_rng(seed)
        convolution = keras.layers.Conv2D(6, 3, 2, activation="elu", padding="same")
        self.network = keras.Sequential([keras.Input((SIZE, SIZE, 3)), convolution])
        kernel = draws.normal(0, 0.5, (3, 3, 3, 6)).astype("float32")
        convolution.set_weights([kernel, np.full(6, 0.1, "float32")])  # no zeros
        self.network.trainable = False
        self.shapes = [(SIZE // 2, SIZE // 2, 6)]
        self.variables = self.network.variables

    def __call__(self, image):
        return [self.network(image)]


def seed_weights(seed):
    """Makes new weights a function of a number, without TensorFlow where it can be."""
    if keras.backend.backend() == "jax":  # what Keras calls imports TensorFlow
        random.seed(seed)
    else:
        keras.utils.set_random_seed(seed)


def encoder(seed=0):
    """An identity encoder with random weights."""
    seed_weights(seed)
    return TinyEncoder()


def batch(count, seed=0):
    """A batch as the dataset gives it; the first quarter are same pairs."""
    draws = np.random.default_rng(seed)
    target, source = draws.uniform(-1, 1, (2, count, SIZE, SIZE, 3)).astype("float32")
    same = (np.arange(count) % 4 == 0).astype("float32")
    source = np.where(same[:, None, None, None] > 0, target, source)
    people = np.arange(count)
    return {
        "target": target,
        "source": source,
        "same": same,
        "target_identity": people,
        "source_identity": np.where(same > 0, people, people + 100),
    }


def builders(precision="float32", form="composed"):
    """What makes the tiny networks anew."""
    structures = {"generator": GENERATOR, "discriminator": DISCRIMINATOR}
    return facedancer.FaceDancer.builders(structures, precision, form)


def make_system(recipe=EVERYTHING, batch_size=4, margins=(0.01, 0.01)):
    """FaceDancer with a tiny encoder, and features where a discriminator wants them."""
    features = Features() if recipe.weights["adversarial_projected"] else None
    teacher = Teacher(encoder(), TAPS)
    frozen = FrozenNetworks(teacher, margins, features=features)
    return facedancer.FaceDancer(recipe, frozen, batch_size)


def tensorflow_driver(strategy=None, **options):
    """A driver of TensorFlow, which is imported only where it is wanted."""
    from facedancer.train.drivers.tensorflow_driver import TensorFlowDriver

    return TensorFlowDriver(strategy, **options)


def make_step(
    recipe=EVERYTHING,
    batch_size=4,
    driver=None,
    margins=(0.01, 0.01),
    precision="float32",
    sgd=False,
    **options,
):
    """A training step of tiny networks; always the same weights.

    Args:
        recipe: The recipe.
        batch_size: The global batch.
        driver: What it runs on; None: TensorFlow on one device.
        margins: IFSR margins.
        precision: A dtype policy.
        sgd: Plain descent instead of Adam, which hides the size of gradients.
        **options: Of `DividedStep`.
    """
    driver = driver or tensorflow_driver()
    with driver.scope():
        system = make_system(recipe, batch_size, margins)
        driver.seed(1)
        new = state.build_state(system, builders(precision), precision)
        if sgd:
            for player in new.optimizers:
                new.optimizers[player] = keras.optimizers.SGD(recipe.optimisation.lr)
                new.optimizers[player].build(new.variables_of(player))
        return divided_step.DividedStep(system, new, driver, **options)


@functools.cache
def two_replicas():
    """A driver of two CPUs; two such in one process confuse each other's sums."""
    import tensorflow as tf

    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    return tensorflow_driver(strategy)


def halved(batch):
    """The batch split over `two_replicas`."""

    import tensorflow as tf

    def share(context):
        count = len(batch["same"]) // 2
        first = context.replica_id_in_sync_group * count
        rows = {name: value[first : first + count] for name, value in batch.items()}
        return {name: tf.constant(value) for name, value in rows.items()}

    return two_replicas().strategy.experimental_distribute_values_from_function(share)


def run(train_step, batches):
    """Takes steps; returns the values of each by name."""
    found = []
    for one in batches:
        phase, values = train_step(one)
        names = train_step.names[phase]
        found.append(dict(zip(names, np.asarray(values), strict=True)))
    return found


def values_of(terms, seen, made, count):
    """The value of each term by name, from sums over all examples."""
    sums = {}
    for term in terms:
        sums |= term.sums(seen, made)
    found = term_values(terms, sums, count)
    return {name: float(value) for name, value in found.items()}


def train_and_export(words, steps=(2, 3)):
    """Trains in the working folder, started anew for each number of steps.

    Args:
        words: Flags of the program.
        steps: At which a run ends; of the last the swappers are exported.

    Returns:
        The `.keras` files, sorted.
    """
    from facedancer.train import train
    from facedancer.train.config import TrainConfig

    runs = [[f"--steps={count}"] for count in steps]
    for more in (*runs, [f"--load={steps[-1]}", "--export"]):
        assert train.main(cli.parse(TrainConfig, [*words, *more])) == 0
    return sorted(pathlib.Path("exports").rglob("*.keras"))


def small_mobilefacenet(size=VECTOR):
    """A MobileFaceNet of 32 pixels, narrow and shallow, that gives `size` numbers."""
    return build_mobilefacenet(size, 32, width=0.125, blocks=(1, 1, 1))


def write_encoder(folder):
    """Writes a small MobileFaceNet of `VECTOR` numbers; returns its file."""
    path = folder / "encoder.keras"
    small_mobilefacenet().save(path)
    return path


def write_shards(folder, count=12, size=24, people=4, name="faces_train"):
    """Writes one shard of random photos, labelled if of people; returns its pattern."""
    draws = np.random.default_rng(len(name))

    def example(number):
        image = draws.integers(0, 255, (size, size, 3), dtype=np.uint8)
        features = {"face": cv2.imencode(".png", image)[1].tobytes()}
        if people:
            person = number % people
            features |= {"identity": person, "identity_name": f"person_{person}"}
            features["path"] = f"person_{person}/{number}.png"
        return records.encode_example(features)

    path = folder / f"{name}_00000-of-00001.records"
    records.write_records(path, (example(number) for number in range(count)))
    return str(folder / f"{name}_*.records")
