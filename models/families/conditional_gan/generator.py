"""The conditional GAN's generator: target and label to a picture of that person."""

from __future__ import annotations

from typing import Any

import keras

from facedancer.models.families.built_network import SwapperNetwork
from facedancer.models.families.conditional_gan.bottlenecks import Bottleneck
from facedancer.models.families.conditional_gan.config import (
    HALVINGS,
    ConditionalConfig,
)
from facedancer.models.layers.registration import register
from facedancer.models.layers.shuffling import PixelShuffle2D
from facedancer.networks.tensors import Dtype, Tensor


class _Layers:
    """Makes the layers of a decoder with the names it is given."""

    def __init__(self, dtype: Any) -> None:
        self.dtype = dtype

    def conv(self, x: Tensor, filters: int, name: str, size: int = 3) -> Tensor:
        return keras.layers.Conv2D(
            filters, size, padding="same", dtype=self.dtype, name=name
        )(x)

    def leaky(self, x: Tensor, slope: float, name: str) -> Tensor:
        return keras.layers.LeakyReLU(slope, dtype=self.dtype, name=name)(x)

    def shuffle(self, x: Tensor, name: str) -> Tensor:
        return PixelShuffle2D(dtype=self.dtype, name=name)(x)

    def up(self, x: Tensor, filters: int, name: str) -> Tensor:
        x = self.conv(x, 4 * filters, f"{name}_conv")
        return self.shuffle(self.leaky(x, 0.1, f"{name}_leaky"), name)

    def residual(self, x: Tensor, name: str) -> Tensor:
        y = self.conv(x, x.shape[-1], f"{name}_conv0")
        y = self.conv(
            self.leaky(y, 0.2, f"{name}_leaky0"), x.shape[-1], f"{name}_conv1"
        )
        y = keras.layers.Add(dtype=self.dtype, name=f"{name}_sum")([x, y])
        return self.leaky(y, 0.2, name)

    def end(self, x: Tensor, name: str) -> Tensor:
        return keras.layers.Activation("sigmoid", dtype="float32", name=name)(x)


def generator_graph(
    config: ConditionalConfig, dtype: Dtype
) -> tuple[list[Tensor], list[Tensor]]:
    """Returns the generator's inputs and its outputs.

    Args:
        config: The structure.
        dtype: Policy of the layers.
    """
    size, layers = config.image_size, _Layers(dtype)
    target = x = keras.Input((size, size, 3), name="target")
    label = keras.Input((1,), dtype="int32", name="label")
    for i in range(HALVINGS):
        filters = config.encoder_width << i
        x = keras.layers.Conv2D(filters, 5, 2, dtype=dtype, name=f"encode{i}_conv")(x)
        x = layers.leaky(x, 0.1, f"encode{i}")
    x = Bottleneck(config, dtype)(x, label)
    x = first = layers.up(x, config.width, "inter")
    for i in (8, 4, 2):
        x = layers.up(x, i * config.decoder_width, f"decode{i}")
        x = layers.residual(x, f"decode{i}_residual")
    parts = [layers.conv(x, 3, f"picture{i}", 3 if i else 1) for i in range(4)]
    x = keras.layers.Concatenate(dtype=dtype, name="pictures")(parts)
    outputs = [layers.end(layers.shuffle(x, "picture"), "swapped")]
    if config.mask_width:
        x = first
        for i in (8, 4, 2, 1):
            x = layers.up(x, i * config.mask_width, f"mask{i}")
        outputs.append(layers.end(layers.conv(x, 1, "mask", 1), "alpha"))
    return [target, label], outputs


@register
class ConditionalGenerator(SwapperNetwork):
    """An autoencoder that is told by a label whom to show.

    Args:
        config: Its structure, a `ConditionalConfig` or the dict of one.
        form: Kept for files; both forms are the same here.
        dtype: Policy of the layers; `None` is the global one. The outputs are float32.
        name: Name of the model.

    Call arguments:
        inputs: A pair: target `(batch, size, size, 3)` in [0, 1], and label `(batch,
            1)` int32.

    Returns:
        The picture `(batch, size, size, 3)` in [0, 1], and with `mask_width` where the
        face is, `(batch, size, size, 1)` in [0, 1].
    """

    config_class = ConditionalConfig
    role = "generator"
    graph = staticmethod(generator_graph)

    def __init__(
        self,
        config: ConditionalConfig | dict,
        form: str = "composed",
        dtype: Dtype = None,
        name: str = "generator",
    ) -> None:
        record, policy = self.resolve(config, dtype)
        super().__init__(record, policy, name, form=form, dtype=policy.name)
