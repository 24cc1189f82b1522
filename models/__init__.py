"""Generators and discriminators, published files, the fused form, export."""

from facedancer.models.config import DiscriminatorConfig, GeneratorConfig
from facedancer.models.discriminator import build_discriminator
from facedancer.models.fused import fuse
from facedancer.models.generator import build_generator
from facedancer.models.presets import PRESETS, get_preset
from facedancer.models.published import load_discriminator, load_generator

__all__ = [
    "PRESETS",
    "DiscriminatorConfig",
    "GeneratorConfig",
    "build_discriminator",
    "build_generator",
    "fuse",
    "get_preset",
    "load_discriminator",
    "load_generator",
]
