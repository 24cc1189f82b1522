"""A Gaussian blur whose width does not change."""

from __future__ import annotations

import math
from typing import Any

import keras
import numpy as np
from keras import ops

from facedancer.models.layers.normalization import need_map
from facedancer.networks.tensors import Shape, Tensor


@keras.saving.register_keras_serializable(package="facedancer")
class GaussianBlur2D(keras.layers.Layer):
    """Blurs each channel by a Gaussian, first along columns, then along rows.

    The kernel reaches three standard deviations to each side and sums to one; beyond
    the border there are zeros.

    Args:
        sigma: Standard deviation in places of the map, above 0.
        **kwargs: Of `keras.layers.Layer`.

    Call arguments:
        inputs: A map `(batch, height, width, channels)`.

    Returns:
        A map of the same shape.

    Raises:
        ValueError: If `sigma` is not positive.
    """

    def __init__(self, sigma: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not sigma > 0.0:
            raise ValueError(f"`sigma` must be positive. Received: sigma={sigma}")
        self.sigma = float(sigma)

    def build(self, input_shape: Shape) -> None:
        need_map(self, input_shape)

    def call(self, inputs: Tensor) -> Tensor:
        kernel = np.tile(self.line()[:, None], (1, inputs.shape[-1]))
        for shape in ((-1, 1), (1, -1)):
            one = kernel.reshape(*shape, inputs.shape[-1], 1)
            weights = ops.convert_to_tensor(one, dtype=inputs.dtype)
            inputs = ops.depthwise_conv(inputs, weights, padding="same")
        return inputs

    def line(self) -> np.ndarray:
        """Returns the kernel along one side, float32, of odd length."""
        reach = math.ceil(3.0 * self.sigma)
        line = np.exp(-0.5 * (np.arange(-reach, reach + 1) / self.sigma) ** 2)
        return (line / line.sum()).astype(np.float32)

    def multiply_accumulates(self, shape: Shape) -> int | None:
        """Returns those of one call, None where the map's size is open.

        Args:
            shape: Of the result, with the batch.
        """
        if None in shape[1:]:
            return None
        return 2 * len(self.line()) * math.prod(shape[1:])

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "sigma": self.sigma}
