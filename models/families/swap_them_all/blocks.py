"""The blocks of swap-them-all: SPADE, Res2Net, AdaIN, and the way down.

SPADE is Park et al. 2019, https://arxiv.org/abs/1903.07291, Res2Net Gao et al. 2019,
https://arxiv.org/abs/1904.01169.
"""

from __future__ import annotations

import keras

from facedancer.models.families.layer_ops import LayerParts
from facedancer.models.layers import aligned, spatially_adaptive
from facedancer.models.layers.normalization import AdaIN, InstanceNorm
from facedancer.models.layers.scalar_norm import ScalarNorm
from facedancer.networks.tensors import Dtype, Tensor

EPSILON = 1e-5  # of AdaIN's norm a channel


class SpadeParts(LayerParts):
    """Makes the layers of swap-them-all with the names it is given.

    Args:
        spade_width: Channels that gain and shift are made of in a SPADE.
        dtype: Policy of the layers; `None` is the global one.
    """

    def __init__(self, spade_width: int = 128, dtype: Dtype = None) -> None:
        super().__init__(dtype=dtype)
        self.spade_width = spade_width

    def scalar_norm(self, x: Tensor, name: str) -> Tensor:
        """Returns a norm over the whole map."""
        return ScalarNorm(dtype=self.dtype, name=name)(x)

    def relu(self, x: Tensor, name: str) -> Tensor:
        """Returns a ReLU."""
        return keras.layers.ReLU(dtype=self.dtype, name=name)(x)

    def he_conv(
        self,
        x: Tensor,
        filters: int,
        size: int,
        name: str,
        strides: int = 1,
        padding: str = "same",
        bias: bool = True,
    ) -> Tensor:
        """Returns a convolution that starts as He et al. 2015 say."""
        return keras.layers.Conv2D(
            filters,
            size,
            strides,
            padding,
            use_bias=bias,
            kernel_initializer="he_normal",
            dtype=self.dtype,
            name=name,
        )(x)

    def reflected_conv(
        self, x: Tensor, filters: int, name: str, strides: int = 1, bias: bool = True
    ) -> Tensor:
        """Returns a 3x3 convolution with a mirrored border."""
        x = aligned.ReflectPadding2D(dtype=self.dtype, name=f"{name}_border")(x)
        return self.he_conv(x, filters, 3, name, strides, "valid", bias)

    def down(self, x: Tensor, filters: int, name: str) -> Tensor:
        """Returns a map of half the size: convolution, norm, ReLU."""
        x = self.reflected_conv(x, filters, f"{name}_conv", 2)
        return self.relu(self.scalar_norm(x, f"{name}_norm"), name)

    def up(self, x: Tensor, filters: int, name: str) -> Tensor:
        """Returns a map of twice the size: 4x4 convolution, norm, LeakyReLU."""
        x = keras.layers.UpSampling2D(2, dtype=self.dtype, name=f"{name}_doubled")(x)
        x = self.he_conv(x, filters, 4, f"{name}_conv")
        return self.leaky(self.scalar_norm(x, f"{name}_norm"), name)

    def smaller(self, x: Tensor, factor: int, name: str) -> Tensor:
        """Returns the means of squares of `factor` pixels a side."""
        if factor == 1:
            return x
        return keras.layers.AveragePooling2D(factor, dtype=self.dtype, name=name)(x)

    def spade(self, x: Tensor, mask: Tensor, name: str) -> Tensor:
        """Returns a map, normalised, whose gain and shift the mask decides."""
        channels = x.shape[-1]
        x = self.scalar_norm(x, f"{name}_norm")
        seen = self.he_conv(mask, self.spade_width, 3, f"{name}_seen")
        seen = self.relu(seen, f"{name}_seen_relu")
        gain = self.he_conv(seen, channels, 3, f"{name}_gain")
        shift = self.he_conv(seen, channels, 3, f"{name}_shift")
        x = self.add(x, self.multiply(x, gain, f"{name}_gained"), f"{name}_scaled")
        return self.add(x, shift, name)

    def tiled(self, vector: Tensor, side: int, name: str) -> Tensor:
        """Returns a map that holds the vector at each pixel."""
        x = keras.layers.Reshape(
            (1, 1, vector.shape[-1]), dtype=self.dtype, name=f"{name}_pixel"
        )(vector)
        return keras.layers.UpSampling2D(side, dtype=self.dtype, name=name)(x)


def res2net(parts: SpadeParts, x: Tensor, mask: Tensor, name: str) -> Tensor:
    """Returns a residual block whose units look through growing windows.

    `h = U0(x)`, its channels in four groups; `y1 = g1`, `y2 = U2(g2)`, `y3 = U3(g3 +
    y2)`, `y4 = U4(g4 + y3)`; `ReLU(x + U5(y1..y4))`. A unit is SPADE, ReLU, 3x3.

    Args:
        parts: What to build from.
        x: A map whose channels are a multiple of 4.
        mask: `(batch, height, width, 3)` of the map's size.
        name: Begins the layers' names.
    """
    width = x.shape[-1]

    def unit(y: Tensor, filters: int, place: int) -> Tensor:
        y = parts.spade(y, mask, f"{name}_{place}_spade")
        y = parts.relu(y, f"{name}_{place}_relu")
        return parts.he_conv(y, filters, 3, f"{name}_{place}_conv")

    hidden = unit(x, width, 0)
    groups = [
        Channels(i, 4, dtype=parts.dtype, name=f"{name}_group{i + 1}")(hidden)
        for i in range(4)
    ]
    found = [groups[0], unit(groups[1], width // 4, 2)]
    for place, group in ((3, groups[2]), (4, groups[3])):
        both = parts.add(group, found[-1], f"{name}_{place}_sum")
        found.append(unit(both, width // 4, place))
    joined = keras.layers.Concatenate(dtype=parts.dtype, name=f"{name}_joined")(found)
    whole = parts.add(x, unit(joined, width, 5), f"{name}_sum")
    return parts.relu(whole, name)


def spade_block(parts: SpadeParts, x: Tensor, mask: Tensor, name: str) -> Tensor:
    """Returns a residual block of two SPADEs, each with ReLU and 3x3 convolution.

    Args:
        parts: What to build from.
        x: A map.
        mask: `(batch, height, width, 3)` of the map's size.
        name: Begins the layers' names.
    """
    y = x
    for place in range(2):
        y = parts.spade(y, mask, f"{name}_{place}_spade")
        y = parts.relu(y, f"{name}_{place}_relu")
        y = parts.he_conv(y, x.shape[-1], 3, f"{name}_{place}_conv")
    return parts.relu(parts.add(x, y, f"{name}_sum"), name)


def adain_block(
    parts: SpadeParts, x: Tensor, style: Tensor, name: str, separate: bool
) -> Tensor:
    """Returns a residual block whose gains and shifts the style decides.

    Args:
        parts: What to build from.
        x: A map.
        style: `(batch, style_width)`.
        name: Begins the layers' names.
        separate: The second convolution has gains and shifts of its own.
    """
    adain = AdaIN(1.0, dtype=parts.dtype, name=f"{name}_adain")
    y = x
    for place in range(2):
        y = parts.reflected_conv(y, x.shape[-1], f"{name}_{place}_conv", bias=False)
        y = InstanceNorm(
            EPSILON, affine=False, dtype=parts.dtype, name=f"{name}_{place}_norm"
        )(y)
        if place and separate:
            adain = AdaIN(1.0, dtype=parts.dtype, name=f"{name}_adain2")
        y = adain([y, style])
        if not place:
            y = parts.relu(y, f"{name}_relu")
    return parts.relu(parts.add(x, y, f"{name}_sum"), name)


def generated_block(
    parts: SpadeParts, x: Tensor, identity: Tensor, name: str
) -> Tensor:
    """Returns a residual block whose kernels are made of the identity vector.

    A quarter of the channels from 256 on, half of them below, go through it.

    Args:
        parts: What to build from.
        x: A map.
        identity: `(batch, identity_size)`.
        name: Begins the layers' names.
    """
    channels = x.shape[-1]
    inner = max(1, channels // (4 if channels >= 256 else 2))
    y = parts.he_conv(x, inner, 1, f"{name}_narrow")
    y = spatially_adaptive.GeneratedConv2D(dtype=parts.dtype, name=f"{name}_made")(
        [y, identity]
    )
    y = parts.leaky(y, f"{name}_leaky")
    return parts.add(x, parts.he_conv(y, channels, 1, f"{name}_wide"), name)


@keras.saving.register_keras_serializable(package="facedancer")
class Channels(keras.layers.Layer):
    """One of several equal groups of channels.

    Args:
        index: Of the group.
        groups: How many there are; they divide the channels.

    Call arguments:
        inputs: A map.

    Returns:
        A map of `channels / groups` channels.
    """

    def __init__(self, index: int, groups: int, **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.index, self.groups = index, groups

    def call(self, inputs: Tensor) -> Tensor:
        width = inputs.shape[-1] // self.groups
        return inputs[..., self.index * width : (self.index + 1) * width]

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        return (*input_shape[:-1], input_shape[-1] // self.groups)

    def get_config(self) -> dict:
        return {**super().get_config(), "index": self.index, "groups": self.groups}
