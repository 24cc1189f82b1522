"""A faceswap-GAN small enough to be compiled in seconds, and batches for it."""

import numpy as np

from facedancer.models.families.faceswap_gan.config import (
    FaceswapConfig,
    FaceswapCriticConfig,
    FaceswapDiscriminatorConfig,
)
from facedancer.train.frozen.frozen_networks import FrozenNetworks
from facedancer.train.frozen.perceptual import Perceptual
from facedancer.train.frozen.teachers import Teacher
from facedancer.train.systems.faceswap_gan.recipes import CORRECTED
from facedancer.train.systems.faceswap_gan.system import FaceswapGAN
from tests.train import tiny

SIZE, LATENT = 64, 8
SIDES = ("_a", "_b")
CONFIG = FaceswapConfig(width=16, lite=True, latent=LATENT, attention=0, norm="none")
# All at work at once, and no averages.
RECIPE = CORRECTED.changed(
    stages=(), ema=0.0, cycle=10.0, cycle_alpha=0.1, domain=0.1, total=0
)


def structures(**changes):
    """Of the six networks, by name."""
    config = FaceswapConfig(**{**CONFIG.to_dict(), **changes})
    judge = FaceswapDiscriminatorConfig(d_base_width=2, attention=0, norm="none")
    return {
        **dict.fromkeys(("encoder", "decoder_a", "decoder_b"), config),
        **dict.fromkeys(("discriminator_a", "discriminator_b"), judge),
        "critic": FaceswapCriticConfig(LATENT),
    }


def make_system(recipe=RECIPE, batch=2, perceptual=None):
    """The system with a tiny encoder."""
    frozen = FrozenNetworks(
        Teacher(tiny.encoder(), tiny.TAPS), perceptual=perceptual or Perceptual()
    )
    return FaceswapGAN(recipe, frozen, batch)


def batch(count=2, seed=0):
    """Photos of both people as the reader gives them, in [-1, 1]."""
    draws = np.random.default_rng(seed)
    names = ("photo", "distorted", "features", "distorted_features")
    return {
        f"{name}{side}": draws.uniform(-1, 1, (count, SIZE, SIZE, 3)).astype("float32")
        for name in names
        for side in SIDES
    }
