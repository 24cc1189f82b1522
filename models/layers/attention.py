"""Self-attention over the places of a map (Zhang et al. 2018, SAGAN)."""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import ops

from facedancer.models.layers.normalization import need_map
from facedancer.networks.tensors import Shape, Tensor


@keras.saving.register_keras_serializable(package="facedancer")
class SelfAttention2D(keras.layers.Layer):
    """Adds to each place of a map a mix of all places, those most alike most.

    `x + gamma * softmax(g(x) f(x)^T) h(x)` with 1x1 convolutions `f` and `g` to an
    eighth of the channels and `h` to all of them. The scalar `gamma` begins at 0, and
    the products are not divided by the root of their length, as published.

    Args:
        reduction: By how much `f` and `g` have fewer channels.

    Call arguments:
        inputs: A map `(batch, height, width, channels)` of known sides.

    Returns:
        A map of the same shape.

    Raises:
        ValueError: If the input is no map of known sides.

    Reference:
        - [Zhang et al., 2018](https://arxiv.org/abs/1805.08318)
    """

    def __init__(self, reduction: int = 8, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.reduction = reduction

    def build(self, input_shape: Shape) -> None:
        need_map(self, input_shape)
        channels = input_shape[-1]
        inner = max(1, channels // self.reduction)
        if None in input_shape[1:]:
            raise ValueError(
                "`SelfAttention2D` needs a map of known sides. "
                f"Received: shape {tuple(input_shape)}"
            )
        for name, width in (("f", inner), ("g", inner), ("h", channels)):
            kernel = self.add_weight(
                name=f"{name}_kernel", shape=(channels, width), initializer="he_normal"
            )
            bias = self.add_weight(
                name=f"{name}_bias", shape=(width,), initializer="zeros"
            )
            setattr(self, f"{name}_kernel", kernel)
            setattr(self, f"{name}_bias", bias)
        self.gamma = self.add_weight(name="gamma", shape=(1,), initializer="zeros")

    def call(self, inputs: Tensor) -> Tensor:
        height, width, channels = inputs.shape[1:]
        flat = ops.reshape(inputs, (-1, height * width, channels))
        key = ops.matmul(flat, self.f_kernel) + self.f_bias
        query = ops.matmul(flat, self.g_kernel) + self.g_bias
        value = ops.matmul(flat, self.h_kernel) + self.h_bias
        likeness = ops.matmul(query, ops.transpose(key, (0, 2, 1)))
        mixed = ops.matmul(ops.softmax(likeness, axis=-1), value)
        mixed = ops.reshape(mixed, (-1, height, width, channels))
        return inputs + self.gamma * mixed

    def multiply_accumulates(self, output_shape: Shape) -> int:
        """Returns those of one example: three maps, and all places with all others.

        Args:
            output_shape: Of a call.
        """
        _, height, width, channels = output_shape
        places, inner = height * width, self.f_kernel.shape[1]
        kernels = sum(
            math.prod(kernel.shape)
            for kernel in (self.f_kernel, self.g_kernel, self.h_kernel)
        )
        return places * (kernels + places * (inner + channels))

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "reduction": self.reduction}
