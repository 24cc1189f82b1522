"""A layer of swap-them-all: a convolution with generated kernels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from facedancer.models.layers.normalization import need_map
from facedancer.networks.tensors import Shape, Tensor


@keras.saving.register_keras_serializable(package="facedancer")
class GeneratedConv2D(keras.layers.Layer):
    """A convolution whose kernels are made of a vector, for each example its own.

    One dense map gives `size x size` kernels from all channels to all, and a gain and a
    shift for each channel (Wang et al. 2019, few-shot vid2vid).

    Args:
        size: Side of the kernels, odd.

    Call arguments:
        inputs: A pair `(x, w)`: a map and a vector `(batch, features)`.

    Returns:
        A map of the shape of `x`.

    Raises:
        ValueError: If `x` is no map of known channels.

    Reference:
        - [Wang et al., 2019](https://arxiv.org/abs/1910.12713)
    """

    def __init__(self, size: int = 3, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.size = size

    def build(self, input_shape: Sequence[Shape]) -> None:
        x_shape, w_shape = input_shape
        need_map(self, x_shape)
        channels = x_shape[-1]
        self.kernel = self.add_weight(
            name="kernel",
            shape=(w_shape[-1], (self.size**2 * channels + 2) * channels),
            # Kernels as large as those of an ordinary convolution.
            initializer=keras.initializers.RandomNormal(
                stddev=(2.0 / (self.size**2 * channels * w_shape[-1])) ** 0.5
            ),
        )

    def call(self, inputs: Sequence[Tensor]) -> Tensor:
        x, w = inputs
        channels, size = x.shape[-1], self.size
        made = ops.matmul(w, self.kernel)
        count = size**2 * channels**2
        kernels = ops.reshape(made[:, :count], (-1, size**2, channels, channels))
        gain = made[:, None, None, count : count + channels]
        shift = made[:, None, None, count + channels :]
        height, width = x.shape[1:3]
        border = (size // 2, size // 2)
        padded = ops.pad(x, ((0, 0), border, border, (0, 0)))
        total = 0.0
        for place in range(size**2):
            row, column = divmod(place, size)
            part = padded[:, row : row + height, column : column + width]
            part = ops.reshape(part, (-1, height * width, channels))
            total = total + ops.matmul(part, kernels[:, place])
        total = ops.reshape(total, (-1, height, width, channels))
        return total * (1.0 + gain) + shift

    def multiply_accumulates(self, output_shape: Shape) -> int:
        """Returns those of one example: the dense map and the convolution.

        Args:
            output_shape: Of a call.
        """
        _, height, width, channels = output_shape
        dense = int(self.kernel.shape[0] * self.kernel.shape[1])
        return dense + height * width * self.size**2 * channels**2

    def compute_output_shape(self, input_shape: Sequence[Shape]) -> Shape:
        return input_shape[0]

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "size": self.size}
