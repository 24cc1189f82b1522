"""A norm over a whole map with one gain, as faceswap-GAN and its kin have it."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from facedancer.networks.tensors import Shape, Tensor


@keras.saving.register_keras_serializable(package="facedancer")
class ScalarNorm(keras.layers.Layer):
    """Normalises each example over all its values together.

    `gamma * (x - mean) / (deviation + epsilon) + beta`: epsilon is added to the
    standard deviation, `gamma` and `beta` are one number each. It is keras-contrib's
    `InstanceNormalization(axis=None)`: a layer norm, whatever its name there. The
    statistics are computed in float32 whatever the policy.

    Args:
        epsilon: Added to the standard deviation.

    Call arguments:
        inputs: `(batch, ...)`, a map or a vector.

    Returns:
        A tensor of the same shape.
    """

    def __init__(self, epsilon: float = 1e-3, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.epsilon = epsilon

    def build(self, input_shape: Shape) -> None:
        self.gamma, self.beta = (
            self.add_weight(name=name, shape=(1,), initializer=start, autocast=False)
            for name, start in (("gamma", "ones"), ("beta", "zeros"))
        )

    def call(self, inputs: Tensor) -> Tensor:
        x = ops.cast(inputs, "float32")
        gain, offset = (ops.cast(one, "float32") for one in (self.gamma, self.beta))
        return ops.cast(scalar_normed(x, self.epsilon) * gain + offset, inputs.dtype)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "epsilon": self.epsilon}


def scalar_normed(x: Tensor, epsilon: float = 1e-3) -> Tensor:
    """Returns examples less their mean, divided by their deviation.

    Args:
        x: `(batch, ...)` float32.
        epsilon: Added to the standard deviation.

    Returns:
        The same shape; each example has mean 0.
    """
    axes = tuple(range(1, len(x.shape)))
    apart = x - ops.mean(x, axis=axes, keepdims=True)
    variance = ops.mean(ops.square(apart), axis=axes, keepdims=True)
    # An example that is the same everywhere has a gradient, too.
    return apart / (ops.sqrt(variance + 1e-12) + epsilon)
