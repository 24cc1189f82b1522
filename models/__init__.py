"""Generators and discriminators, published files, the fused form, export."""

import typing

from facedancer import lazy

if typing.TYPE_CHECKING:
    from facedancer.models.architectures import ARCHITECTURES, Architecture, fuse
    from facedancer.models.families.facedancer.config import (
        DiscriminatorConfig,
        GeneratorConfig,
    )
    from facedancer.models.families.facedancer.discriminator import build_discriminator
    from facedancer.models.families.facedancer.generator import build_generator
    from facedancer.models.families.facedancer.presets import PRESETS, get_preset
    from facedancer.models.published.reading import load_discriminator, load_generator

_FAMILY = ".families.facedancer"
__getattr__ = lazy.attributes(
    __name__,
    {
        ".architectures": ("ARCHITECTURES", "Architecture", "fuse"),
        f"{_FAMILY}.config": ("DiscriminatorConfig", "GeneratorConfig"),
        f"{_FAMILY}.discriminator": ("build_discriminator",),
        f"{_FAMILY}.generator": ("build_generator",),
        f"{_FAMILY}.presets": ("PRESETS", "get_preset"),
        ".published.reading": ("load_discriminator", "load_generator"),
    },
)

__all__ = [
    "ARCHITECTURES",
    "PRESETS",
    "Architecture",
    "DiscriminatorConfig",
    "GeneratorConfig",
    "build_discriminator",
    "build_generator",
    "exports",
    "fuse",
    "get_preset",
    "litert",
    "load_discriminator",
    "load_generator",
    "portable_generator",
]
