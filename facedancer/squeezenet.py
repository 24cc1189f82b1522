"""SqueezeNet 1.1, a small network whose maps say how alike two images look."""

from __future__ import annotations

import keras
from keras import layers


def build_squeezenet(image_size: int) -> keras.Model:
    """Returns SqueezeNet 1.1 without its classifier (Iandola et al. 2016).

    Args:
        image_size: Side of the images, pixels.

    Returns:
        A model from images, BGR in [0, 255] less the mean of ImageNet, to the map
        `fire9`; `relu_conv1` and `fire2` to `fire8` are layers in it.
    """
    image = keras.Input((image_size, image_size, 3))
    x = layers.Conv2D(64, 3, 2, padding="valid", name="conv1")(image)
    x = layers.ReLU(name="relu_conv1")(x)
    for number in range(2, 10):
        if number in (2, 4, 6):
            x = layers.MaxPooling2D(3, 2, name=f"pool{number - 1}")(x)
        x = _fire(x, 16 * (number // 2), f"fire{number}")
    return keras.Model(image, x, name="squeezenet")


def _fire(x, squeeze: int, name: str):
    x = layers.Conv2D(squeeze, 1, activation="relu", name=f"{name}_squeeze1x1")(x)
    left = layers.Conv2D(4 * squeeze, 1, activation="relu", name=f"{name}_expand1x1")(x)
    right = layers.Conv2D(
        4 * squeeze, 3, padding="same", activation="relu", name=f"{name}_expand3x3"
    )(x)
    return layers.Concatenate(name=name)([left, right])
