"""The blocks of faceswap-GAN v2.2."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import keras

from facedancer.models.families.layer_ops import LayerParts
from facedancer.models.layers.aligned import ReflectPadding2D
from facedancer.models.layers.attention import SelfAttention2D
from facedancer.models.layers.normalization import InstanceNorm
from facedancer.models.layers.scalar_norm import ScalarNorm
from facedancer.models.layers.shuffling import ICNR, PixelShuffle2D
from facedancer.models.layers.synchronized import SynchronizedBatchNorm
from facedancer.networks.tensors import Dtype, Tensor

_GROUPS = 16


class FaceswapParts(LayerParts):
    """Makes the layers of faceswap-GAN with the names it is given.

    Args:
        norm: One of `config.NORMS`.
        attention: Largest side of a map with self-attention.
        dtype: Policy of the layers; `None` is the global one.
        known: Layers by name that are used instead of new ones, so that a network
            shares the weights of others.
    """

    def __init__(
        self,
        norm: str,
        attention: int = 64,
        dtype: Dtype = None,
        known: Mapping[str, keras.layers.Layer] | None = None,
    ) -> None:
        super().__init__(dtype=dtype)
        self.kind, self.attention, self.known = norm, attention, known or {}

    def put(self, layer: keras.layers.Layer, x: Any) -> Tensor:
        """Returns what a layer, or the known one of its name, makes of maps.

        Args:
            layer: A new layer.
            x: A map, or a list of maps.
        """
        return self.known.get(layer.name, layer)(x)

    def filtered(
        self,
        x: Tensor,
        filters: int,
        size: int,
        name: str,
        strides: int = 1,
        bias: bool = True,
        start: Any = "he_normal",
        activation: str | None = None,
    ) -> Tensor:
        """Returns a convolution that keeps or divides the side.

        Args:
            x: A map.
            filters: Channels of the result.
            size: Side of the kernel.
            name: Of the layer.
            strides: By what the side is divided.
            bias: Whether there is a bias.
            start: Initialiser of the kernel.
            activation: What follows.
        """
        layer = keras.layers.Conv2D(
            filters,
            size,
            strides,
            "same",
            use_bias=bias,
            activation=activation,
            kernel_initializer=start,
            dtype=self.dtype,
            name=name,
        )
        return self.put(layer, x)

    def leaky(self, x: Tensor, name: str) -> Tensor:
        """Returns a leaky ReLU of slope 0.2."""
        return self.put(keras.layers.LeakyReLU(0.2, dtype=self.dtype, name=name), x)

    def normed(self, x: Tensor, name: str) -> Tensor:
        """Returns a map after the norm of the structure."""
        channels = x.shape[-1]
        if self.kind == "none":
            return x
        if self.kind == "hybrid":
            if channels % 2:
                return x
            half = [
                self.filtered(x, channels // 2, 1, f"{name}_{i}") for i in ("as", "in")
            ]
            half[1] = self.put(ScalarNorm(dtype=self.dtype, name=name), half[1])
            together = keras.layers.Concatenate(dtype=self.dtype, name=f"{name}_both")
            return self.put(together, half)
        settings: dict[str, Any] = {"dtype": self.dtype, "name": name}
        layer = {
            "batch": lambda: SynchronizedBatchNorm(**settings),
            "instance": lambda: InstanceNorm(**settings),
            "layer": lambda: ScalarNorm(**settings),
            "group": lambda: keras.layers.GroupNormalization(
                math.gcd(_GROUPS, channels), **settings
            ),
        }[self.kind]()
        return self.put(layer, x)

    def attend(self, x: Tensor, name: str) -> Tensor:
        """Returns a map after self-attention, if it is small enough."""
        if x.shape[1] > self.attention:
            return x
        return self.put(SelfAttention2D(dtype=self.dtype, name=name), x)

    def join(self, a: Tensor, b: Tensor, name: str) -> Tensor:
        """Returns the channels of both maps."""
        return self.put(keras.layers.Concatenate(dtype=self.dtype, name=name), [a, b])

    def end(self, x: Tensor, activation: str, name: str) -> Tensor:
        """Returns a result in float32."""
        layer = keras.layers.Activation(activation, dtype="float32", name=name)
        return self.put(layer, x)


def down(parts: FaceswapParts, x: Tensor, filters: int, name: str) -> Tensor:
    """Returns a map of half the side: convolution, ReLU.

    Args:
        parts: What to build from.
        x: A map.
        filters: Channels of the result.
        name: Begins the layers' names.
    """
    x = parts.filtered(x, filters, 3, f"{name}_conv", strides=2, bias=False)
    return parts.put(keras.layers.ReLU(dtype=parts.dtype, name=f"{name}_relu"), x)


def up(parts: FaceswapParts, x: Tensor, filters: int, name: str, lite: bool) -> Tensor:
    """Returns a map of twice the side.

    Args:
        parts: What to build from.
        x: A map.
        filters: Channels of the result.
        name: Begins the layers' names.
        lite: Repeat places instead of moving channels into places.
    """
    if lite:
        layer = keras.layers.UpSampling2D(dtype=parts.dtype, name=f"{name}_twice")
        x = parts.put(layer, x)
        x = parts.put(ReflectPadding2D(dtype=parts.dtype, name=f"{name}_border"), x)
        conv = keras.layers.Conv2D(
            filters,
            3,
            kernel_initializer="he_normal",
            dtype=parts.dtype,
            name=f"{name}_conv",
        )
        return parts.normed(parts.put(conv, x), f"{name}_norm")
    x = parts.filtered(x, 4 * filters, 3, f"{name}_conv", start=ICNR())
    x = parts.normed(parts.leaky(x, f"{name}_leaky"), f"{name}_norm")
    return parts.put(PixelShuffle2D(dtype=parts.dtype, name=f"{name}_shuffle"), x)


def residual(parts: FaceswapParts, x: Tensor, name: str) -> Tensor:
    """Returns a map plus two convolutions of it; it has no norm.

    Args:
        parts: What to build from.
        x: A map.
        name: Begins the layers' names.
    """
    y = parts.filtered(x, x.shape[-1], 3, f"{name}_conv0")
    y = parts.filtered(
        parts.leaky(y, f"{name}_leaky0"), x.shape[-1], 3, f"{name}_conv1"
    )
    y = parts.put(keras.layers.Add(dtype=parts.dtype, name=f"{name}_sum"), [x, y])
    return parts.leaky(y, name)
