"""A MobileFSGAN small enough to be compiled in seconds, and batches for it."""

import keras
import numpy as np

from facedancer.models.families.mobile_fsgan.config import (
    MobileDiscriminatorConfig,
    MobileGeneratorConfig,
)
from facedancer.train.frozen.frozen_networks import FrozenNetworks
from facedancer.train.frozen.perceptual import Perceptual
from facedancer.train.frozen.teachers import Teacher
from facedancer.train.step import divided_step, state
from facedancer.train.systems import mobile_fsgan
from facedancer.train.systems.mobile_fsgan_recipes import CORRECTED
from tests.train import tiny

SIZE = 32
ENDINGS = ("", "_half", "_quarter")
GENERATOR = MobileGeneratorConfig(
    image_size=SIZE,
    width=4,
    blocks=(1, 1, 1),
    stages=3,
    identity_size=tiny.VECTOR,
    shrink=1.0,
)
RECIPE = CORRECTED.changed(perceptual_network="encoder")


def structures():
    """Of the four networks, by name."""
    return {
        "generator": GENERATOR,
        **{
            f"discriminator{ending}": MobileDiscriminatorConfig(
                SIZE >> level, base_width=2, stages=2
            )
            for level, ending in enumerate(ENDINGS)
        },
    }


def make_system(recipe=RECIPE, perceptual=None, batch=5):
    """The system with a tiny encoder."""
    teacher = Teacher(tiny.encoder(), tiny.TAPS)
    frozen = FrozenNetworks(teacher, perceptual=perceptual or Perceptual())
    return mobile_fsgan.MobileFSGAN(recipe, frozen, batch)


def make_step(driver, recipe=RECIPE, batch=4):
    """A step by plain descent with rate 1: a weight moves by its gradient."""
    with driver.scope():
        system = make_system(recipe, batch=batch)
        driver.seed(1)
        new = state.build_state(system, system.builders(structures()))
        for player in new.optimizers:
            new.optimizers[player] = keras.optimizers.SGD(1.0)
            new.optimizers[player].build(new.variables_of(player))
        return divided_step.DividedStep(system, new, driver)


def batch(count=5, truth=True):
    """Rows: one photo, a known truth twice, other people from there on."""
    draws = np.random.default_rng(0)
    images = draws.uniform(-1, 1, (3, count, SIZE, SIZE, 3)).astype("float32")
    source, target, right = images
    source[0] = right[0] = target[0]
    right[1, 20:24, 10:15] = -1.0  # truly black, inside the face
    rows = np.arange(count)
    found = {"source": source, "target": target}
    found["same"] = (rows == 0).astype("float32")
    if truth:
        found["truth"] = right
        found["has_truth"] = (rows < 3).astype("float32")
        found["source_is_real"] = (rows != 1).astype("float32")
    return found
