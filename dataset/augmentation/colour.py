"""Colour jitter, flips and other changes of training images.

All but the legacy jitter work on single uint8 images with OpenCV, in the threads that
decode them: 0.1 ms an image of 256 pixels. The random numbers come from the caller, so
the same draw gives the same image.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from facedancer.imaging.images import LUMA

if TYPE_CHECKING:
    import tensorflow as tf

JITTERS = ("per_image", "legacy", "none")

# The ranges of upstream FaceDancer; its brightness is meant for [-1, 1].
BRIGHTNESS = 0.3
CONTRAST = (0.9, 1.1)
SATURATION = (0.9, 1.1)

_LUMA = np.array(LUMA)


def jitter_map(image: np.ndarray, draws: np.ndarray) -> np.ndarray:
    """Returns a map to other brightness, contrast and saturation, see `apply_map`.

    Brightness is added, contrast stretches about the mean of each channel, saturation
    about the grey image; clipped at black and white. All three are one linear map of
    the colour, so nothing is rounded or clipped in between.

    Args:
        image: `(height, width, 3)` uint8 RGB; its mean is what contrast keeps.
        draws: Three numbers in [0, 1): for brightness, contrast and saturation.

    Returns:
        `(3, 4)`: a matrix and an offset in grey levels.
    """
    brightness = 255.0 * BRIGHTNESS * (draws[0] - 0.5)
    contrast = CONTRAST[0] + (CONTRAST[1] - CONTRAST[0]) * draws[1]
    saturation = SATURATION[0] + (SATURATION[1] - SATURATION[0]) * draws[2]
    mean = np.array(cv2.mean(np.ascontiguousarray(image))[:3])
    colour = saturation * np.eye(3) + (1.0 - saturation) * _LUMA
    offset = colour @ (mean * (1.0 - contrast) + brightness)
    return np.column_stack([colour * contrast, offset])


def apply_map(image: np.ndarray, colour_map: np.ndarray) -> np.ndarray:
    """Returns an image with its colours mapped, rounded and clipped.

    Args:
        image: `(height, width, 3)` uint8 RGB.
        colour_map: `(3, 4)`: a matrix and an offset in grey levels.
    """
    return cv2.transform(np.ascontiguousarray(image), colour_map)


def jitter_legacy(image_signed: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Returns a batch with the jitter of upstream FaceDancer.

    One draw for the whole batch, on data in [-1, 1] although TensorFlow's saturation
    wants [0, 1], and nothing is clipped. Brightness, contrast and saturation share the
    seed, as upstream. Target and source get different seeds there, also for pairs of
    one photo.

    Args:
        image_signed: `(batch, height, width, 3)` float32 in [-1, 1].
        seed: `(2,)` integers.
    """
    import tensorflow as tf

    image = tf.image.stateless_random_brightness(image_signed, BRIGHTNESS, seed)
    image = tf.image.stateless_random_contrast(image, *CONTRAST, seed)
    return tf.image.stateless_random_saturation(image, *SATURATION, seed)


def jitter_legacy_array(image_signed: np.ndarray, draws: np.ndarray) -> np.ndarray:
    """Returns a batch with the jitter of `jitter_legacy`, without TensorFlow.

    Args:
        image_signed: `(batch, height, width, 3)` float32 in [-1, 1].
        draws: Three numbers in [0, 1): for brightness, contrast and saturation.
    """
    low, high = np.array(
        [
            [-BRIGHTNESS, CONTRAST[0], SATURATION[0]],
            [BRIGHTNESS, CONTRAST[1], SATURATION[1]],
        ],
        np.float32,
    )
    brightness, contrast, saturation = low + (high - low) * draws.astype(np.float32)
    image = image_signed + brightness
    mean = image.mean(axis=(1, 2), keepdims=True)
    image = (image - mean) * contrast + mean
    # Saturation as of [0, 1]: where the largest channel is not positive it is 0.
    value = image.max(axis=-1, keepdims=True)
    span = value - image.min(axis=-1, keepdims=True)
    known = np.where(value > 0.0, span / np.where(value > 0.0, value, 1.0), 0.0)
    wanted = np.clip(known * saturation, 0.0, 1.0)
    fraction = (value - image) / np.where(span > 0.0, span, 1.0)
    return (value * (1.0 - wanted * fraction)).astype(np.float32)


def grey(image: np.ndarray) -> np.ndarray:
    """Returns the image without colour, `(height, width, 3)` uint8.

    Args:
        image: `(height, width, 3)` uint8 RGB.
    """
    return cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
