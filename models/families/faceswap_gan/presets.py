"""Named structures of faceswap-GAN: standard and lite, at three sizes."""

from __future__ import annotations

from facedancer.models.families.faceswap_gan.config import (
    SIZES,
    FaceswapConfig,
    FaceswapCriticConfig,
    FaceswapDiscriminatorConfig,
)

PRESETS = {
    **{f"faceswap_gan_{size}": FaceswapConfig(image_size=size) for size in SIZES},
    **{
        f"faceswap_gan_lite_{size}": FaceswapConfig(
            image_size=size, width=32, lite=True, latent=1024 if size == 64 else 2048
        )
        for size in SIZES
    },
}

# The original's discriminators have the same width for both.
DISCRIMINATORS = {
    name: FaceswapDiscriminatorConfig(image_size=config.image_size)
    for name, config in PRESETS.items()
}

CRITICS = {
    name: FaceswapCriticConfig(latent=config.latent) for name, config in PRESETS.items()
}
