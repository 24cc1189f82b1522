"""FaceDancer: generator, discriminator, fused form, presets."""
