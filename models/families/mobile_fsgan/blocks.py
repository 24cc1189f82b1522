"""The blocks of MobileFSGAN. All maps have the same number of channels.

The published network is PyTorch's: its batch norm has epsilon 1e-5 and moves its
averages by a tenth a step, its enlargement keeps the corners.
"""

from __future__ import annotations

import keras

from facedancer.models.families.layer_ops import LayerParts
from facedancer.models.layers import aligned
from facedancer.models.layers.spectral_convolution import SpectralConv2D
from facedancer.models.layers.synchronized import SynchronizedBatchNorm
from facedancer.networks.tensors import Dtype, Tensor

SLOPE = 0.01


class MobileParts(LayerParts):
    """Makes the layers of MobileFSGAN with the names it is given.

    Args:
        width: Channels of every map.
        dtype: Policy of the layers; `None` is the global one.
        bounded: See `config.MobileGeneratorConfig`.
    """

    def __init__(self, width: int, dtype: Dtype = None, bounded: bool = False) -> None:
        super().__init__(dtype=dtype)
        self.width, self.bounded = width, bounded

    def batch_norm(self, x: Tensor, name: str, affine: bool = True) -> Tensor:
        """Returns a batch norm over all replicas."""
        return SynchronizedBatchNorm(
            momentum=0.9,
            epsilon=1e-5,
            center=affine,
            scale=affine,
            dtype=self.dtype,
            name=name,
        )(x)

    def activate(self, x: Tensor, name: str) -> Tensor:
        """Returns a leaky ReLU of the generator's slope."""
        return keras.layers.LeakyReLU(SLOPE, dtype=self.dtype, name=name)(x)

    def bare_conv(
        self, x: Tensor, size: int, name: str, strides: int = 1, padding: str = "same"
    ) -> Tensor:
        """Returns a convolution without bias."""
        return keras.layers.Conv2D(
            self.width,
            size,
            strides,
            padding,
            use_bias=False,
            dtype=self.dtype,
            name=name,
        )(x)

    def pointwise(self, x: Tensor, name: str) -> Tensor:
        """Returns a 1x1 convolution with bias."""
        return self.conv(x, self.width, 1, name)

    def share(self, x: Tensor, name: str) -> Tensor:
        """Returns a map of one channel: how much of `x` a mix takes."""
        kind = "sigmoid" if self.bounded else None
        return keras.layers.Conv2D(1, 1, activation=kind, dtype=self.dtype, name=name)(
            x
        )

    def aligned_up(self, x: Tensor, name: str) -> Tensor:
        """Returns a map of twice the size, the corners kept."""
        return aligned.AlignedUpSampling2D(dtype=self.dtype, name=name)(x)

    def reflect(self, x: Tensor, name: str) -> Tensor:
        """Returns a map with a mirrored border of one pixel."""
        return aligned.ReflectPadding2D(dtype=self.dtype, name=name)(x)

    def zeros_around(self, x: Tensor, name: str, width: int = 1) -> Tensor:
        """Returns a map with a border of zeros."""
        return keras.layers.ZeroPadding2D(width, dtype=self.dtype, name=name)(x)

    def modulated(self, x: Tensor, identity: Tensor, name: str) -> Tensor:
        """Returns a batch norm without weights, scaled and shifted by the identity."""
        x = self.batch_norm(x, f"{name}_norm", affine=False)
        gain, shift = (
            keras.layers.Reshape((1, 1, self.width), dtype=self.dtype, name=named)(
                self.dense(identity, self.width, f"{named}_dense")
            )
            for named in (f"{name}_gain", f"{name}_shift")
        )
        return self.add(self.multiply(x, gain, f"{name}_scaled"), shift, name)

    def spectral_conv(self, x: Tensor, filters: int, name: str, strides: int) -> Tensor:
        """Returns a 4x4 convolution of spectral norm one, two zeros around the map."""
        x = self.zeros_around(x, f"{name}_border", 2)
        return SpectralConv2D(filters, 4, strides, dtype=self.dtype, name=name)(x)


def branch(parts: MobileParts, x: Tensor, name: str) -> Tensor:
    """Returns what a residual block adds: norm, 1x1 and 3x3 convolution.

    Args:
        parts: What to build from.
        x: A map.
        name: Begins the layers' names.
    """
    y = parts.batch_norm(x, f"{name}_norm")
    y = parts.activate(parts.pointwise(y, f"{name}_point"), f"{name}_leaky")
    return parts.bare_conv(y, 3, f"{name}_conv")


def attribute_block(parts: MobileParts, x: Tensor, name: str) -> Tensor:
    """Returns a residual block that knows nothing of the identity.

    Args:
        parts: What to build from.
        x: A map.
        name: Begins the layers' names.
    """
    return parts.add(x, branch(parts, x, name), name)


def identity_block(
    parts: MobileParts, x: Tensor, identity: Tensor, name: str
) -> Tensor:
    """Returns a residual block whose norm is scaled and shifted by the identity.

    Args:
        parts: What to build from.
        x: A map.
        identity: `(batch, identity_size)`.
        name: Begins the layers' names.
    """
    y = parts.modulated(x, identity, f"{name}_modulated")
    y = parts.activate(y, f"{name}_leaky")
    y = parts.activate(parts.pointwise(y, f"{name}_point"), f"{name}_leaky2")
    return parts.add(x, parts.bare_conv(y, 3, f"{name}_conv"), name)


def down(parts: MobileParts, x: Tensor, name: str) -> Tensor:
    """Returns a map of half the size.

    Args:
        parts: What to build from.
        x: A map of even side.
        name: Begins the layers' names.
    """
    y = parts.zeros_around(parts.batch_norm(x, f"{name}_norm"), f"{name}_border")
    y = parts.bare_conv(y, 4, f"{name}_conv", strides=2, padding="valid")
    return parts.activate(y, name)


def up(parts: MobileParts, x: Tensor, name: str) -> Tensor:
    """Returns a map of twice the size.

    Args:
        parts: What to build from.
        x: A map.
        name: Begins the layers' names.
    """
    y = parts.aligned_up(parts.batch_norm(x, f"{name}_norm"), f"{name}_enlarged")
    y = parts.reflect(y, f"{name}_border")
    y = parts.bare_conv(y, 3, f"{name}_conv", padding="valid")
    return parts.activate(y, name)


def decoder_block(
    parts: MobileParts, x: Tensor, attribute: Tensor, name: str
) -> Tensor:
    """Returns a residual block of the map mixed with the target's attributes.

    `p * x + (1 - p) * attribute` with `p` of a 1x1 convolution of `x`; as published it
    is not bounded.

    Args:
        parts: What to build from.
        x: A map.
        attribute: The attribute stream's map of the same shape.
        name: Begins the layers' names.
    """
    p = parts.share(x, f"{name}_share")
    mixed = parts.blend(p, attribute, x, f"{name}_mixed")
    return parts.add(x, branch(parts, mixed, name), name)
