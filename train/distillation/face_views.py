"""Altered views of face crops, for networks that should not mind.

All functions take and return `(batch, height, width, 3)` float32 in [0, 1] and draw
from TensorFlow's random state.
"""

from __future__ import annotations

import math

import tensorflow as tf


def vary(images: tf.Tensor) -> tf.Tensor:
    """Each face flipped, moved, turned, scaled, and in other light, at random.

    Up to 10 degrees, 10 % in scale and 4 % of the side in place; brightness by 0.2,
    contrast and saturation by 30 %; one in ten is grey.

    Args:
        images: The faces.
    """
    batch, height, width = tf.shape(images)[0], images.shape[1], images.shape[2]
    transforms = _random_similarities(batch, height, width)
    images = tf.raw_ops.ImageProjectiveTransformV3(
        images=images,
        transforms=transforms,
        output_shape=[height, width],
        fill_value=0.0,
        interpolation="BILINEAR",
        fill_mode="REFLECT",
    )
    return _jitter(images, batch)


def _random_similarities(batch: tf.Tensor, height: int, width: int) -> tf.Tensor:
    """`(batch, 8)` maps from output to input pixels about the centre."""
    angle = tf.random.uniform([batch], -math.pi / 18, math.pi / 18)
    scale = tf.random.uniform([batch], 0.9, 1.1)
    flip = tf.where(tf.random.uniform([batch]) < 0.5, -1.0, 1.0)
    a, b = tf.cos(angle) * scale, tf.sin(angle) * scale
    x, y = (width - 1) / 2.0, (height - 1) / 2.0
    shift_x = tf.random.uniform([batch], -0.04, 0.04) * width
    shift_y = tf.random.uniform([batch], -0.04, 0.04) * height
    zero = tf.zeros([batch])
    rows = [a * flip, -b, x + shift_x - a * flip * x + b * y]
    rows += [b * flip, a, y + shift_y - b * flip * x - a * y]
    return tf.stack([*rows, zero, zero], axis=1)


def _jitter(images: tf.Tensor, batch: tf.Tensor) -> tf.Tensor:
    def draw(low: float, high: float) -> tf.Tensor:
        return tf.random.uniform([batch, 1, 1, 1], low, high)

    grey = tf.image.rgb_to_grayscale(images)
    saturation = tf.where(draw(0.0, 1.0) < 0.1, 0.0, draw(0.7, 1.3))
    images = grey + saturation * (images - grey)
    mean = tf.reduce_mean(images, axis=[1, 2, 3], keepdims=True)
    images = mean + draw(0.7, 1.3) * (images - mean) + draw(-0.2, 0.2)
    return tf.clip_by_value(images, 0.0, 1.0)


def mix(images: tf.Tensor, probability: float) -> tf.Tensor:
    """Every face blended with another one, in some of the batches.

    Args:
        images: The faces.
        probability: Chance that a batch is mixed, in [0, 1].
    """
    if probability == 0.0:
        return images
    batch = tf.shape(images)[0]
    amount = tf.random.uniform([batch, 1, 1, 1], 0.0, 0.5)
    mixed = images + amount * (tf.roll(images, 1, axis=0) - images)
    return tf.where(tf.random.uniform([]) < probability, mixed, images)


def degrade(images: tf.Tensor, probability: float) -> tf.Tensor:
    """Every face of low resolution, noisy and partly covered, in some of the batches.

    Args:
        images: The faces.
        probability: Chance that a batch is degraded, in [0, 1].
    """
    if probability == 0.0:
        return images
    size = tf.random.uniform([], 20, images.shape[1], tf.int32)
    small = tf.image.resize(images, [size, size], antialias=True)
    worse = tf.image.resize(small, images.shape[1:3])
    noise = tf.random.uniform([tf.shape(images)[0], 1, 1, 1], 0.0, 0.06)
    worse += noise * tf.random.normal(tf.shape(images))
    worse = _cover(worse)
    worse = tf.clip_by_value(worse, 0.0, 1.0)
    return tf.where(tf.random.uniform([]) < probability, worse, images)


def _cover(images: tf.Tensor) -> tf.Tensor:
    """A random rectangle of each third image in one colour."""
    batch, height, width = tf.shape(images)[0], images.shape[1], images.shape[2]
    y = tf.range(height, dtype=tf.float32)[None, :, None, None] / height
    x = tf.range(width, dtype=tf.float32)[None, None, :, None] / width

    def inside(position: tf.Tensor) -> tf.Tensor:
        centre = tf.random.uniform([batch, 1, 1, 1])
        half = tf.random.uniform([batch, 1, 1, 1], 0.05, 0.2)
        return tf.abs(position - centre) < half

    chosen = tf.random.uniform([batch, 1, 1, 1]) < 1 / 3
    colour = tf.random.uniform([batch, 1, 1, 3])
    return tf.where(inside(y) & inside(x) & chosen, colour, images)
