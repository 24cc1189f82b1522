"""Named structures of MobileFSGAN.

`mobile_fsgan_256` is the published one. The `lite` presets are for a laptop and a 128-d
encoder, and keep the shares of mixes in [0, 1].
"""

from __future__ import annotations

from facedancer.models.families.mobile_fsgan.config import (
    MobileDiscriminatorConfig,
    MobileGeneratorConfig,
)

PRESETS = {
    "mobile_fsgan_256": MobileGeneratorConfig(),
    "mobile_fsgan_128": MobileGeneratorConfig(image_size=128, stages=4),
    "mobile_fsgan_lite_128": MobileGeneratorConfig(
        image_size=128, width=32, stages=4, bounded=True, identity_size=128
    ),
    "mobile_fsgan_lite_64": MobileGeneratorConfig(
        image_size=64, width=32, stages=3, bounded=True, identity_size=128
    ),
}

# The discriminators of the full size that go with them.
DISCRIMINATORS = {
    name: MobileDiscriminatorConfig(image_size=config.image_size)
    for name, config in PRESETS.items()
}
