"""Tests of `facedancer.networks.activations`."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from facedancer.networks import activations

IMAGE = np.random.default_rng(0).normal(size=(2, 5, 7, 3)).astype("float32")
SLOPES = np.float32([[[-0.5, 0.25, 1.5]]])


def made(kind, shared_axes=(1, 2)):
    layer = kind(shared_axes=shared_axes)
    layer.build(IMAGE.shape)
    layer.set_weights([np.broadcast_to(SLOPES, layer.alpha.shape)])
    return layer


def test_values_by_hand():
    expected = IMAGE * np.where(IMAGE > 0, 1.0, SLOPES)
    np.testing.assert_allclose(made(activations.PReLU)(IMAGE), expected, rtol=1e-6)


@pytest.mark.parametrize("shared_axes", [(1, 2), None])
def test_gradients_are_those_of_keras(shared_axes):
    weights = tf.constant(np.random.default_rng(1).normal(size=IMAGE.shape), tf.float32)
    found = []
    for kind in (keras.layers.PReLU, activations.PReLU):
        layer, image = made(kind, shared_axes), tf.Variable(IMAGE)
        with tf.GradientTape() as tape:
            value = tf.reduce_sum(weights * layer(image))
        found.append(tape.gradient(value, [image, layer.alpha.value]))
    for expected, gradient in zip(*found, strict=True):
        np.testing.assert_allclose(gradient, expected, rtol=1e-5, atol=1e-6)


def test_files_name_it_as_keras_does():
    assert activations.PReLU.__name__ == keras.layers.PReLU.__name__
