"""Discriminators of swap-them-all: an image with its mask, and pairs of photos."""

from __future__ import annotations

import keras

from facedancer.models.families.built_network import BuiltNetwork
from facedancer.models.families.swap_them_all import blocks
from facedancer.models.families.swap_them_all.config import (
    PairDiscriminatorConfig,
    SemanticDiscriminatorConfig,
)
from facedancer.models.layers.registration import register
from facedancer.networks.tensors import Dtype, Tensor


def _conv(
    parts: blocks.SpadeParts,
    x: Tensor,
    filters: int,
    name: str,
    strides: int = 2,
    norm: bool = False,
) -> Tensor:
    x = parts.reflected_conv(x, filters, f"{name}_conv", strides)
    x = parts.scalar_norm(x, f"{name}_norm") if norm else x
    return parts.leaky(x, name)


def _residual(parts: blocks.SpadeParts, x: Tensor, name: str) -> Tensor:
    """Returns a residual block: convolution, norm, ReLU, convolution, norm."""
    y = parts.reflected_conv(x, x.shape[-1], f"{name}_0_conv")
    y = parts.relu(parts.scalar_norm(y, f"{name}_0_norm"), f"{name}_relu")
    y = parts.reflected_conv(y, x.shape[-1], f"{name}_1_conv")
    return parts.add(x, parts.scalar_norm(y, f"{name}_1_norm"), name)


def semantic_graph(
    config: SemanticDiscriminatorConfig, parts: blocks.SpadeParts
) -> tuple[list[Tensor], list[Tensor]]:
    """Returns inputs, and outputs: logits and, if asked for, the identity it sees.

    Args:
        config: The structure.
        parts: What to build from.
    """
    shape, width = (config.image_size, config.image_size, 3), config.base_width
    image, mask = parts.input(shape, "image"), parts.input(shape, "mask")
    x = _conv(parts, parts.concat(image, mask, "seen"), width, "down0")
    x = _conv(parts, x, width, "down1")
    x = _conv(parts, x, 2 * width, "down2", norm=True)
    x = _conv(parts, x, 4 * width, "down3", norm=True)
    x = _residual(parts, x, "residual0")
    x = _conv(parts, x, 8 * width, "down4", norm=True)
    x = _residual(parts, x, "residual1")
    x = _conv(parts, x, 16 * width, "wide", strides=1)
    score = parts.he_conv(x, 1, 4, "score", bias=False)
    logits = parts.output(score, "linear", "logits")
    if not config.vector_size:
        return [image, mask], [logits]
    told = keras.layers.GlobalAveragePooling2D(dtype=parts.dtype, name="mean")(x)
    for place in range(2):
        told = parts.dense(told, 8 * width, f"told{place}")
        told = parts.relu(told, f"told{place}_relu")
    told = parts.dense(told, config.vector_size, "told")
    return [image, mask], [logits, parts.output(told, "linear", "identity")]


@register
class SemanticDiscriminator(BuiltNetwork):
    """A discriminator that sees an image with its semantic mask.

    Args:
        config: Its structure, a `SemanticDiscriminatorConfig` or the dict of one.
        form: Kept for files; both forms are the same here.
        dtype: Policy of the layers; `None` is the global one. The outputs are float32.
        name: Name of the model.

    Call arguments:
        inputs: An image in [-1, 1] and a mask in [0, 1], `(batch, size, size, 3)` both.

    Returns:
        Logits `(batch, size / 32, size / 32, 1)`; with `vector_size` also the identity
        vector that it takes the image for, `(batch, vector_size)`.
    """

    config_class = SemanticDiscriminatorConfig
    role = "discriminator"
    graph = staticmethod(semantic_graph)

    def __init__(
        self,
        config: SemanticDiscriminatorConfig | dict,
        form: str = "composed",
        dtype: Dtype = None,
        name: str = "discriminator",
    ) -> None:
        record, policy = self.resolve(config, dtype)
        parts = blocks.SpadeParts(record.base_width, policy)
        super().__init__(record, parts, name, form=form, dtype=policy.name)


def pair_graph(
    config: PairDiscriminatorConfig, parts: blocks.SpadeParts
) -> tuple[list[Tensor], Tensor]:
    """Returns inputs and logits.

    Args:
        config: The structure.
        parts: What to build from.
    """
    size, width = config.image_size, config.base_width
    inputs = [parts.input((size, size, 6), "images")]
    for level, shape in enumerate(config.map_shapes):
        inputs.append(parts.input(shape, f"map{level}"))

    def aware(x: Tensor, level: int) -> Tensor:
        """Returns a map beside what the frozen network saw at its size."""
        if level >= len(inputs) - 1:
            return x
        seen = parts.he_conv(inputs[level + 1], 4 * width, 1, f"squeezed{level}")
        return parts.concat(x, parts.leaky(seen, f"squeezed{level}_leaky"), f"x{level}")

    x = inputs[0]
    for place, factor in enumerate((1, 2, 4)):
        x = _conv(parts, x, factor * width, f"down{place}")
    x = aware(_residual(parts, x, "residual0"), 0)
    x = _conv(parts, x, 8 * width, "down3")
    x = aware(_residual(parts, x, "residual1"), 1)
    x = aware(_conv(parts, x, 16 * width, "down4"), 2)
    score = parts.he_conv(x, 1, 4, "score")
    return inputs, parts.output(score, "linear", "logits")


@register
class PairDiscriminator(BuiltNetwork):
    """A discriminator that sees two photos: real ones of one person, or not.

    Args:
        config: Its structure, a `PairDiscriminatorConfig` or the dict of one.
        form: Kept for files; both forms are the same here.
        dtype: Policy of the layers; `None` is the global one. The output is float32.
        name: Name of the model.

    Call arguments:
        inputs: Two images in [-1, 1] as one of six channels, `(batch, size, size, 6)`;
            then, with `tap_widths`, a frozen network's maps of both at an eighth, a
            sixteenth and a 32nd of the size.

    Returns:
        Logits `(batch, size / 32, size / 32, 1)`.
    """

    config_class = PairDiscriminatorConfig
    role = "pair_discriminator"
    graph = staticmethod(pair_graph)

    def __init__(
        self,
        config: PairDiscriminatorConfig | dict,
        form: str = "composed",
        dtype: Dtype = None,
        name: str = "pair_discriminator",
    ) -> None:
        record, policy = self.resolve(config, dtype)
        parts = blocks.SpadeParts(record.base_width, policy)
        super().__init__(record, parts, name, form=form, dtype=policy.name)
