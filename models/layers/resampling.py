"""Layers that blend, pool and enlarge maps. Keras operations only.

Maps are channels last, `(batch, height, width, channels)`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from facedancer.models.layers import fast_convolution
from facedancer.models.layers.forms import known_form
from facedancer.models.layers.normalization import need_map
from facedancer.networks.tensors import Shape, Tensor


@keras.saving.register_keras_serializable(package="facedancer")
class Blend(keras.layers.Layer):
    """Mixes two maps by a mask: `(1 - m) * a + m * b`.

    Call arguments:
        inputs: A triple `(m, a, b)` of shapes that broadcast together; `m` in [0, 1].

    Returns:
        A map of the shape of `a`.
    """

    def call(self, inputs: Sequence[Tensor]) -> Tensor:
        m, a, b = inputs
        return a + ops.cast(m, a.dtype) * (b - a)

    def compute_output_shape(self, input_shape: Sequence[Shape]) -> Shape:
        return input_shape[1]


def _means(x: Tensor, strides: int) -> Tensor:
    """Returns the means of 2x2 pixels of a map."""
    return ops.average_pool(x, 2, strides, data_format="channels_last")


@keras.saving.register_keras_serializable(package="facedancer")
class PooledConv2D(keras.layers.Layer):
    """A convolution followed by 2x2 average pooling.

    Args:
        filters: Output channels.
        kernel_size: 1 or 3.
        form: `"plain"` computes it as it is written. `"composed"` computes the same
            function from the same weights with a quarter of the multiplications: means
            of 2x2 pixels come first, then a convolution of stride 2 of these. Both are
            linear and treat all pixels alike, so their order does not matter.

    Call arguments:
        inputs: A map of even height and width.

    Returns:
        A map `(batch, height / 2, width / 2, filters)`.

    Raises:
        ValueError: If the form or the size is unknown, or the map's side is odd.
    """

    def __init__(
        self,
        filters: int,
        kernel_size: int = 3,
        form: str = "composed",
        **kwargs: object,
    ) -> None:
        if kernel_size not in (1, 3):
            raise ValueError(
                f"`kernel_size` must be 1 or 3. Received: kernel_size={kernel_size}"
            )
        super().__init__(**kwargs)
        self.filters = filters
        self.kernel_size = kernel_size
        self.form = known_form(form)

    def build(self, input_shape: Shape) -> None:
        need_map(self, input_shape)
        if any(side is not None and side % 2 for side in input_shape[1:3]):
            raise ValueError(
                "`PooledConv2D` needs even height and width. Received: shape "
                f"{tuple(input_shape)}"
            )
        size = self.kernel_size
        self.kernel = self.add_weight(
            name="kernel",
            shape=(size, size, input_shape[-1], self.filters),
            initializer="glorot_uniform",
        )
        self.bias = self.add_weight(
            name="bias", shape=(self.filters,), initializer="zeros"
        )

    def call(self, inputs: Tensor) -> Tensor:
        if self.form == "plain":
            return _means(self._conv(inputs, 1, "same") + self.bias, 2)
        if self.kernel_size == 1:
            return self._conv(_means(inputs, 2), 1, "valid") + self.bias
        # The plain form's rim of zeros is averaged too.
        x = ops.pad(inputs, ((0, 0), (1, 1), (1, 1), (0, 0)))
        return self._conv(_means(x, 1), 2, "valid") + self.bias

    def _conv(self, x: Tensor, strides: int, padding: str) -> Tensor:
        return ops.conv(x, self.kernel, strides, padding, "channels_last")

    def multiply_accumulates(self, output_shape: Shape) -> int | None:
        """Returns those of one example; the plain form convolves before it pools.

        Args:
            output_shape: Of a call.

        Returns:
            A number, None where the sides are open.
        """
        if None in output_shape[1:3]:
            return None
        times = 4 if self.form == "plain" else 1
        return times * int(np.prod(output_shape[1:3]) * np.prod(self.kernel.shape))

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        batch, *sides, _ = input_shape
        return batch, *(s if s is None else s // 2 for s in sides), self.filters

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "filters": self.filters,
            "kernel_size": self.kernel_size,
            "form": self.form,
        }


# How `JoinedConv2D` can convolve a map, besides directly.
_FAST = {
    "winograd": fast_convolution.winograd,
    "enlarged": fast_convolution.enlarged,
}
_WAYS = ("direct", *_FAST)


@keras.saving.register_keras_serializable(package="facedancer")
class JoinedConv2D(keras.layers.Layer):
    """A convolution over the channels of several maps together.

    The sum of a convolution of each map, so the joined map is never written down.

    Args:
        filters: Output channels.
        kernel_size: Side of the kernel.
        strides: Pixels from one window to the next.
        ways: How each map is convolved, the same function always: `"direct"`,
            `"winograd"`, or `"enlarged"` for a map that is given before it is enlarged
            twofold, see `fast_convolution`. None: all directly.

    Call arguments:
        inputs: Maps of one height and width, multiples of `strides`; half as large if
            they are still to be enlarged.

    Returns:
        A map `(batch, height / strides, width / strides, filters)`.

    Raises:
        ValueError: If a way is unknown, or no way for this stride, or an input is no
            map of known channels, or there are more or fewer than ways.
    """

    def __init__(
        self,
        filters: int,
        kernel_size: int = 3,
        strides: int = 1,
        ways: Sequence[str] | None = None,
        **kwargs: object,
    ) -> None:
        if unknown := set(ways or ()) - set(_WAYS):
            raise ValueError(
                f"`ways` must be of {', '.join(_WAYS)}. Received: {sorted(unknown)}"
            )
        if strides != 1 and set(ways or ()) - {"direct"}:
            raise ValueError(f"`ways` are for stride 1. Received: strides={strides}")
        super().__init__(**kwargs)
        self.filters = filters
        self.kernel_size = kernel_size
        self.strides = strides
        self.ways = tuple(ways) if ways else None

    def build(self, input_shape: Sequence[Shape]) -> None:
        if self.ways and len(self.ways) != len(input_shape):
            raise ValueError(
                f"`JoinedConv2D` needs a map for each of its ways {self.ways}. "
                f"Received: shapes {[tuple(shape) for shape in input_shape]}"
            )
        for shape in input_shape:
            need_map(self, shape)
        channels = sum(shape[-1] for shape in input_shape)
        size = self.kernel_size
        self.kernel = self.add_weight(
            name="kernel",
            shape=(size, size, channels, self.filters),
            initializer="glorot_uniform",
        )
        self.bias = self.add_weight(
            name="bias", shape=(self.filters,), initializer="zeros"
        )

    def call(self, inputs: Sequence[Tensor]) -> Tensor:
        sums, first = [], 0
        for x, way in zip(inputs, self._ways_of(inputs), strict=True):
            kernel = self.kernel[:, :, first : first + x.shape[-1]]
            first += x.shape[-1]
            if way in _FAST:
                sums.append(_FAST[way](x, kernel))
            else:
                sums.append(ops.conv(x, kernel, self.strides, "same", "channels_last"))
        return sum(sums) + self.bias

    def _ways_of(self, inputs: Sequence[object]) -> tuple[str, ...]:
        return self.ways or ("direct",) * len(inputs)

    def compute_output_shape(self, input_shape: Sequence[Shape]) -> Shape:
        batch, *sides, _ = input_shape[0]
        times = 2 if self._ways_of(input_shape)[0] == "enlarged" else 1
        return batch, *(times * side // self.strides for side in sides), self.filters

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "filters": self.filters,
            "kernel_size": self.kernel_size,
            "strides": self.strides,
            "ways": self.ways,
        }


def blockwise_kernel(kernel: np.ndarray) -> np.ndarray:
    """Returns the kernel that convolves 2x2 pixels at once, for `PixelShuffle`.

    A vector unit has 8 or 16 lanes; a convolution to three channels uses three. With
    stride 2 and the kernel shifted by each pixel of the block it uses twelve.

    Args:
        kernel: `(k, k, inputs, outputs)`, k odd, of a convolution of stride 1.

    Returns:
        `(k + 1, k + 1, inputs, 4 * outputs)` of a convolution of stride 2.
    """
    shifted = [
        np.pad(kernel, ((down, 1 - down), (right, 1 - right), (0, 0), (0, 0)))
        for down in (0, 1)
        for right in (0, 1)
    ]
    return np.concatenate(shifted, axis=-1)


@keras.saving.register_keras_serializable(package="facedancer")
class PixelShuffle(keras.layers.Layer):
    """Takes every four channels as a block of 2x2 pixels, row by row.

    Call arguments:
        inputs: A map `(batch, height, width, 4 * channels)`.

    Returns:
        A map `(batch, 2 * height, 2 * width, channels)`.

    Reference:
        - [Shi et al., 2016](https://arxiv.org/abs/1609.05158)
    """

    def call(self, inputs: Tensor) -> Tensor:
        _, height, width, channels = inputs.shape
        x = ops.reshape(inputs, (-1, height, width, 2, 2, channels // 4))
        x = ops.transpose(x, (0, 1, 3, 2, 4, 5))
        return ops.reshape(x, (-1, 2 * height, 2 * width, channels // 4))

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        batch, height, width, channels = input_shape
        return batch, 2 * height, 2 * width, channels // 4


@keras.saving.register_keras_serializable(package="facedancer")
class UpSum(keras.layers.Layer):
    """The sum of two maps, each enlarged twofold by bilinear interpolation.

    Args:
        form: `"plain"` enlarges both; `"composed"` adds first, which is the same.

    Call arguments:
        inputs: A pair of maps of one shape.

    Returns:
        A map `(batch, 2 * height, 2 * width, channels)`.

    Raises:
        ValueError: If the form is unknown.
    """

    def __init__(self, form: str = "composed", **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.form = known_form(form)

    def call(self, inputs: Sequence[Tensor]) -> Tensor:
        a, b = inputs
        if self.form == "composed":
            return self._enlarge(a + b)
        return self._enlarge(a) + self._enlarge(b)

    @staticmethod
    def _enlarge(x: Tensor) -> Tensor:
        size = (2 * x.shape[1], 2 * x.shape[2])
        return ops.image.resize(x, size, "bilinear", data_format="channels_last")

    def compute_output_shape(self, input_shape: Sequence[Shape]) -> Shape:
        batch, height, width, channels = input_shape[0]
        return batch, 2 * height, 2 * width, channels

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "form": self.form}
