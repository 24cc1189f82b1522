"""Generators and discriminators, published files, the fused form, export."""

from facedancer.models.architectures import ARCHITECTURES, Architecture, fuse
from facedancer.models.families.facedancer.config import (
    DiscriminatorConfig,
    GeneratorConfig,
)
from facedancer.models.families.facedancer.discriminator import build_discriminator
from facedancer.models.families.facedancer.generator import build_generator
from facedancer.models.families.facedancer.presets import PRESETS, get_preset
from facedancer.models.published.reading import load_discriminator, load_generator

__all__ = [
    "ARCHITECTURES",
    "PRESETS",
    "Architecture",
    "DiscriminatorConfig",
    "GeneratorConfig",
    "build_discriminator",
    "build_generator",
    "fuse",
    "get_preset",
    "load_discriminator",
    "load_generator",
]
