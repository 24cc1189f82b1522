"""Layers that other frameworks have and Keras has not: their borders and corners.

Maps are channels last, `(batch, height, width, channels)`.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from facedancer.models.layers.normalization import need_map
from facedancer.networks.tensors import Shape, Tensor


@keras.saving.register_keras_serializable(package="facedancer")
class ReflectPadding2D(keras.layers.Layer):
    """Adds a border that mirrors the map, the edge itself not repeated.

    Args:
        width: Of the border in pixels; smaller than the map.

    Call arguments:
        inputs: A map.

    Returns:
        A map `(batch, height + 2 * width, width + 2 * width, channels)`.

    Raises:
        ValueError: If the input is no map of known channels.
    """

    def __init__(self, width: int = 1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.width = width

    def build(self, input_shape: Shape) -> None:
        need_map(self, input_shape)

    def call(self, inputs: Tensor) -> Tensor:
        border = (self.width, self.width)
        return ops.pad(inputs, ((0, 0), border, border, (0, 0)), mode="reflect")

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        batch, *sides, channels = input_shape
        padded = [side and side + 2 * self.width for side in sides]
        return (batch, *padded, channels)

    def get_config(self) -> dict:
        return {**super().get_config(), "width": self.width}


@keras.saving.register_keras_serializable(package="facedancer")
class AlignedUpSampling2D(keras.layers.Layer):
    """Doubles height and width by linear interpolation between the corners.

    The first and the last pixel of a row keep their values ("align corners"), unlike
    those of `keras.layers.UpSampling2D`, which stand half a pixel from the edge.

    Call arguments:
        inputs: A map of known height and width, both 2 or more.

    Returns:
        A map `(batch, 2 * height, 2 * width, channels)`.

    Raises:
        ValueError: If the input is no map of known size.
    """

    def build(self, input_shape: Shape) -> None:
        need_map(self, input_shape)
        if any(side is None or side < 2 for side in input_shape[1:3]):
            raise ValueError(
                "`AlignedUpSampling2D` needs a known height and width, both 2 or "
                f"more. Received: shape {tuple(input_shape)}"
            )

    def call(self, inputs: Tensor) -> Tensor:
        return self._along(self._along(inputs, 1), 2)

    @staticmethod
    def _along(x: Tensor, axis: int) -> Tensor:
        """Returns the map with one axis doubled: each pixel lies between two."""
        side = x.shape[axis]
        location = np.arange(2 * side) * (side - 1) / (2 * side - 1)
        before = np.minimum(location.astype("int32"), side - 2)
        shape = [1, 1, 1, 1]
        shape[axis] = 2 * side
        fraction = ops.convert_to_tensor((location - before).reshape(shape), x.dtype)
        low, high = (ops.take(x, i, axis=axis) for i in (before, before + 1))
        return low + fraction * (high - low)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        batch, height, width, channels = input_shape
        return (batch, 2 * height, 2 * width, channels)
