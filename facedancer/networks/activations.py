"""Activations whose gradients are quicker than those that a backend derives."""

from __future__ import annotations

import keras
from keras import layers, ops

from facedancer.networks.tensors import Tensor


# Named as Keras' own, since weights files name layers by their classes.
@keras.saving.register_keras_serializable(package="facedancer")
class PReLU(layers.PReLU):
    """Keras' PReLU with one slope a channel; quicker backward.

    On TensorFlow the sum over places that is the slope's gradient is a product with
    ones, which processors do faster than its sum. Elsewhere it is Keras' own.

    Call arguments:
        inputs: `(batch, height, width, channels)`.

    Returns:
        A tensor of the same shape.
    """

    def call(self, inputs: Tensor) -> Tensor:
        if keras.backend.backend() != "tensorflow" or self.shared_axes != [1, 2]:
            return super().call(inputs)
        return _prelu(inputs, ops.cast(self.alpha, inputs.dtype))


@ops.custom_gradient
def _prelu(inputs: Tensor, slope: Tensor) -> tuple:
    def gradient(upstream: Tensor) -> tuple[Tensor, Tensor]:
        below = ops.reshape(upstream * ops.minimum(inputs, 0.0), (-1, slope.shape[-1]))
        ones = ops.ones((1, ops.shape(below)[0]), inputs.dtype)
        to_slope = ops.reshape(ops.matmul(ones, below), slope.shape)
        return ops.where(inputs > 0.0, upstream, slope * upstream), to_slope

    # In Keras' form, which converters know.
    return ops.relu(inputs) - slope * ops.relu(-inputs), gradient
