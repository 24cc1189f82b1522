"""Named structures of the conditional GAN."""

from __future__ import annotations

import dataclasses

from facedancer.models.families.conditional_gan.config import (
    ConditionalConfig,
    ConditionalJudgeConfig,
)

_MLP = ConditionalConfig()
_LITE = ConditionalConfig(
    image_size=64,
    encoder_width=16,
    width=32,
    decoder_width=16,
    mask_width=4,
    label_size=64,
)
PRESETS = {
    "conditional_gan_512": _MLP,
    "conditional_gan_128": dataclasses.replace(_MLP, image_size=128),
    "conditional_gan_cross_512": dataclasses.replace(
        _MLP, bottleneck="cross_attention", label_size=512
    ),
    "conditional_gan_cross_128": dataclasses.replace(
        _MLP, image_size=128, bottleneck="cross_attention", label_size=512
    ),
    # 970 million numbers: for pictures of small size choose `--structure image_size=`.
    "conditional_gan_legacy_attention": dataclasses.replace(
        _MLP, bottleneck="legacy_attention", label_size=5096
    ),
    "conditional_gan_lite_64": _LITE,
}

DISCRIMINATORS = {
    name: ConditionalJudgeConfig(
        image_size=config.image_size, d_base_width=config.encoder_width
    )
    for name, config in PRESETS.items()
}
