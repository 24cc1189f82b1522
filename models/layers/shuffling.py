"""Maps enlarged by moving channels into places, and the kernel that fits it."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from facedancer.models.layers.normalization import need_map
from facedancer.networks.tensors import Shape, Tensor


@keras.saving.register_keras_serializable(package="facedancer")
class PixelShuffle2D(keras.layers.Layer):
    """Makes of every four channels a square of two by two places.

    Channel `(2 * i + j) * c + k` of `4 * c` goes to row `i`, column `j` of channel `k`,
    as `tf.nn.depth_to_space` has it.

    Call arguments:
        inputs: A map `(batch, height, width, 4 * channels)` of known sides.

    Returns:
        A map `(batch, 2 * height, 2 * width, channels)`.

    Raises:
        ValueError: If the channels are not a multiple of four.

    Reference:
        - [Shi et al., 2016](https://arxiv.org/abs/1609.05158)
    """

    def build(self, input_shape: Shape) -> None:
        need_map(self, input_shape)
        if input_shape[-1] % 4:
            raise ValueError(
                "`PixelShuffle2D` needs a multiple of four channels. "
                f"Received: shape {tuple(input_shape)}"
            )

    def call(self, inputs: Tensor) -> Tensor:
        height, width, channels = inputs.shape[1:]
        x = ops.reshape(inputs, (-1, height, width, 2, 2, channels // 4))
        x = ops.transpose(x, (0, 1, 3, 2, 4, 5))
        return ops.reshape(x, (-1, 2 * height, 2 * width, channels // 4))

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        batch, height, width, channels = input_shape
        return (batch, 2 * height, 2 * width, channels // 4)


@keras.saving.register_keras_serializable(package="facedancer")
class ICNR(keras.initializers.Initializer):
    """A kernel whose four channels of a square are alike, so that no grid is seen.

    Args:
        seed: Of the random numbers; None: another one each time.

    Reference:
        - [Aitken et al., 2017](https://arxiv.org/abs/1707.02937)
    """

    def __init__(self, seed: int | None = None) -> None:
        self.seed = seed

    def __call__(self, shape: Shape, dtype: Any = None) -> Tensor:
        """Returns a kernel, He-normal in each quarter of its outputs.

        Args:
            shape: `(rows, columns, inputs, 4 * channels)`.
            dtype: Of the result.
        """
        if self.seed is None:
            seed = int(keras.random.randint((), 0, 2**31 - 1))
        else:
            seed = self.seed
        deviation = float(np.sqrt(2.0 / np.prod(shape[:-1])))
        quarter = (*shape[:-1], shape[-1] // 4)
        kernel = keras.random.truncated_normal(
            quarter, 0.0, deviation / 0.87962566, dtype=dtype, seed=seed
        )
        return ops.tile(kernel, (1, 1, 1, 4))

    def get_config(self) -> dict[str, Any]:
        return {"seed": self.seed}
