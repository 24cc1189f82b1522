"""Activations whose gradients are quicker than those that a backend derives."""

from __future__ import annotations

import keras
from keras import layers

from facedancer.networks.tensors import Tensor


# Named as Keras' own, since weights files name layers by their classes.
@keras.saving.register_keras_serializable(package="facedancer")
class PReLU(layers.PReLU):
    """Keras' PReLU with one slope a channel; a third quicker forward and backward.

    On TensorFlow the sum over places that is the slope's gradient is a product with
    ones, which processors do many times faster than its sum. Elsewhere it is Keras'.

    Call arguments:
        inputs: `(batch, height, width, channels)`.

    Returns:
        A tensor of the same shape.
    """

    def call(self, inputs: Tensor) -> Tensor:
        if keras.backend.backend() != "tensorflow" or self.shared_axes != [1, 2]:
            return super().call(inputs)
        import tensorflow as tf

        @tf.custom_gradient
        def prelu(x: tf.Tensor, slope: tf.Tensor) -> tuple:
            def gradient(upstream: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
                below = upstream * tf.minimum(x, tf.zeros((), x.dtype))
                places = tf.reshape(below, (-1, x.shape[-1]))
                ones = tf.ones((1, tf.shape(places)[0]), x.dtype)
                to_slope = tf.reshape(ones @ places, tf.shape(slope))
                return tf.where(x > 0, upstream, slope * upstream), to_slope

            # In Keras' form, which converters know.
            return tf.nn.relu(x) - slope * tf.nn.relu(-x), gradient

        return prelu(inputs, tf.convert_to_tensor(self.alpha, inputs.dtype))
