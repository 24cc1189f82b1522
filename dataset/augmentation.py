"""Colour jitter and flips for batches of pairs, in TensorFlow.

Every function is pure: the same seed gives the same draw, so a resumed run sees the
same images as one that was never stopped.
"""

from __future__ import annotations

import tensorflow as tf

JITTERS = ("per_image", "legacy", "none")

# The ranges of upstream FaceDancer.
BRIGHTNESS = 0.3
CONTRAST = (0.9, 1.1)
SATURATION = (0.9, 1.1)

_LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601


def _draw(shape, seed, rows, batch):
    """Returns uniform numbers `(*shape, len(batch))`, a part of the global batch's.

    Args:
        shape: What is drawn for each row.
        seed: `(2,)` integers.
        rows: `(first row, rows of the global batch)`, None for a whole batch.
        batch: Rows that are wanted.
    """
    first, total = rows or (0, batch)
    draws = tf.random.stateless_uniform((*shape, total), seed)
    return draws[..., first : first + batch]


def jitter_pairs(target, source, same, seed, rows=None):
    """Returns both images with a colour jitter drawn for each image.

    Brightness is added, contrast stretches about the mean of each channel, saturation
    about the grey image, all on [0, 1] and clipped. Both images of a pair of one photo
    get the same draw, so that reconstructing the target from it stays possible.

    Args:
        target: `(batch, height, width, 3)` float32 in [-1, 1].
        source: The same.
        same: `(batch,)` bool, the two images of the pair are one photo.
        seed: `(2,)` integers.
        rows: `(first row, rows of the global batch)` when this is a part of one.
    """
    draws = _draw((2, 3), seed, rows, tf.shape(target)[0])[..., None, None, None]
    source_draws = tf.where(same[:, None, None, None], draws[0], draws[1])
    return _jitter(target, draws[0]), _jitter(source, source_draws)


def _jitter(image_signed, draws):
    brightness = BRIGHTNESS * (2.0 * draws[0] - 1.0) / 2.0  # of [0, 1], not [-1, 1]
    contrast = CONTRAST[0] + (CONTRAST[1] - CONTRAST[0]) * draws[1]
    saturation = SATURATION[0] + (SATURATION[1] - SATURATION[0]) * draws[2]
    image = image_signed * 0.5 + 0.5 + brightness
    mean = tf.reduce_mean(image, axis=(1, 2), keepdims=True)
    image = (image - mean) * contrast + mean
    grey = tf.reduce_sum(image * _LUMA, axis=-1, keepdims=True)
    image = grey + (image - grey) * saturation
    return tf.clip_by_value(image, 0.0, 1.0) * 2.0 - 1.0


def jitter_legacy(image_signed, seed):
    """Returns a batch with the jitter of upstream FaceDancer.

    One draw for the whole batch, on data in [-1, 1] although TensorFlow's saturation
    wants [0, 1], and nothing is clipped. Brightness, contrast and saturation share the
    seed, as upstream. Target and source get different seeds there, also for pairs of
    one photo.

    Args:
        image_signed: `(batch, height, width, 3)` float32 in [-1, 1].
        seed: `(2,)` integers.
    """
    image = tf.image.stateless_random_brightness(image_signed, BRIGHTNESS, seed)
    image = tf.image.stateless_random_contrast(image, *CONTRAST, seed)
    return tf.image.stateless_random_saturation(image, *SATURATION, seed)


def flip_pairs(target, source, same, seed, rows=None):
    """Returns both images, each mirrored with probability one half.

    Target and source are drawn independently; the two images of a pair of one photo
    are mirrored together.

    Args:
        target: `(batch, height, width, 3)`.
        source: The same.
        same: `(batch,)` bool, the two images of the pair are one photo.
        seed: `(2,)` integers.
        rows: `(first row, rows of the global batch)` when this is a part of one.
    """
    draws = _draw((2,), seed, rows, tf.shape(target)[0]) < 0.5
    flip_source = tf.where(same, draws[0], draws[1])
    return _flip(target, draws[0]), _flip(source, flip_source)


def _flip(image, flips):
    return tf.where(flips[:, None, None, None], tf.reverse(image, axis=[2]), image)
