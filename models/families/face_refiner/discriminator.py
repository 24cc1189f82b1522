"""Tells sharp photos from refined faces, patch by patch."""

from __future__ import annotations

import keras
from keras import layers

from facedancer.models.layers.spectral_convolution import SpectralConv2D

_WIDTHS = (32, 64, 128)
_SLOPE = 0.2


def build_discriminator(image_size: int) -> keras.Model:
    """Returns a discriminator of small patches, of about 34 pixels a side.

    Args:
        image_size: Side of the images in pixels.

    Returns:
        A model from images `(batch, size, size, 3)` in [-1, 1] to logits
        `(batch, n, n, 1)`, large for photos.
    """
    x = image = keras.Input((image_size, image_size, 3), name="image")
    for number, width in enumerate(_WIDTHS):
        x = SpectralConv2D(width, 4, strides=2, padding="same", name=f"conv{number}")(x)
        x = layers.LeakyReLU(_SLOPE, name=f"leaky{number}")(x)
    x = SpectralConv2D(_WIDTHS[-1], 3, padding="same", name="last")(x)
    x = layers.LeakyReLU(_SLOPE, name="leaky_last")(x)
    return keras.Model(image, SpectralConv2D(1, 3, padding="same", name="logits")(x))
