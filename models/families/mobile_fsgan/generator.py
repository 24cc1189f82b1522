"""The MobileFSGAN generator: target and identity vector to three swapped pictures."""

from __future__ import annotations

from facedancer.models.families.built_network import SwapperNetwork
from facedancer.models.families.mobile_fsgan import blocks
from facedancer.models.families.mobile_fsgan.config import (
    ENDINGS,
    MobileGeneratorConfig,
)
from facedancer.models.layers.registration import register
from facedancer.networks.tensors import Dtype, Tensor


def _attributes(
    config: MobileGeneratorConfig, parts: blocks.MobileParts, x: Tensor
) -> list[list[Tensor]]:
    """Returns the attribute stream's maps, a list for each size, the largest first."""
    sizes = []
    for level, count in enumerate(config.blocks):
        side = config.image_size >> level
        if level:
            x = blocks.down(parts, x, f"attribute_down{side}")
        maps = [x]
        for i in range(count):
            x = blocks.attribute_block(parts, x, f"attribute{side}_{i}")
            maps.append(x)
        sizes.append(maps)
    return sizes


def _identity(
    config: MobileGeneratorConfig,
    parts: blocks.MobileParts,
    x: Tensor,
    identity: Tensor,
) -> Tensor:
    """Returns the identity stream's map of the smallest picture's size."""
    side, skips = config.image_size, []
    x = blocks.identity_block(parts, x, identity, f"identity{side}")
    for _ in range(config.stages):
        skips.append(x)
        side //= 2
        x = blocks.down(parts, x, f"identity_down{side}")
        x = blocks.identity_block(parts, x, identity, f"identity{side}")
    smallest = config.image_size >> (len(ENDINGS) - 1)
    while side < smallest:
        side *= 2
        x = blocks.up(parts, x, f"identity_up{side}")
        x = parts.add(x, skips.pop(), f"identity_skip{side}")
        x = blocks.identity_block(parts, x, identity, f"identity_back{side}")
    return x


def generator_graph(
    config: MobileGeneratorConfig, parts: blocks.MobileParts
) -> tuple[list[Tensor], list[Tensor]]:
    """Returns the generator's inputs and its outputs, the full size first.

    Args:
        config: The structure.
        parts: What to build from.
    """
    size = config.image_size
    target = parts.input((size, size, 3), "target")
    identity = parts.input((config.identity_size,), "identity")
    x = parts.activate(parts.conv(target, config.width, 3, "head"), "head_leaky")
    attributes = _attributes(config, parts, x)
    x = parts.activate(parts.pointwise(x, "head_point"), "head_leaky2")
    x = parts.bare_conv(x, 3, "head_identity")
    x = _identity(config, parts, x, identity)
    outputs = {}
    for level in reversed(range(len(ENDINGS))):
        side = size >> level
        if level < len(ENDINGS) - 1:
            x = blocks.up(parts, x, f"decode_up{side}")
        for i, attribute in reversed(list(enumerate(attributes[level]))):
            x = blocks.decoder_block(parts, x, attribute, f"decode{side}_{i}")
        picture = parts.conv(x, 3, 3, f"picture{side}")
        name = f"swapped{ENDINGS[level]}"
        outputs[name] = parts.output(picture, "tanh", name)
    return [target, identity], [outputs[f"swapped{ending}"] for ending in ENDINGS]


@register
class MobileFSGANGenerator(SwapperNetwork):
    """A MobileFSGAN generator.

    It is small in memory, not in computation: 2.5 million parameters in 64 channels,
    yet the maps of full size cost as much as FaceDancer's at 256 pixels.

    Args:
        config: Its structure, a `MobileGeneratorConfig` or the dict of one.
        form: Kept for files; both forms are the same here.
        dtype: Policy of the layers; `None` is the global one. The outputs are float32.
        name: Name of the model.

    Call arguments:
        inputs: A pair: target `(batch, size, size, 3)` in [-1, 1] and identity
            `(batch, identity_size)`, of length one.

    Returns:
        Pictures of full, half and quarter size, `(batch, side, side, 3)` float32 in
        [-1, 1].

    Reference:
        - [Yu et al., 2022](https://arxiv.org/abs/2204.08339)
    """

    config_class = MobileGeneratorConfig
    role = "generator"
    graph = staticmethod(generator_graph)

    def __init__(
        self,
        config: MobileGeneratorConfig | dict,
        form: str = "composed",
        dtype: Dtype = None,
        name: str = "generator",
    ) -> None:
        record, policy = self.resolve(config, dtype)
        parts = blocks.MobileParts(record.width, policy, record.bounded)
        super().__init__(record, parts, name, form=form, dtype=policy.name)
