"""The generators of swap-them-all: a masked target, its parts, a face and a vector."""

from __future__ import annotations

import keras

from facedancer.models.families.built_network import SwapperNetwork
from facedancer.models.families.swap_them_all import blocks
from facedancer.models.families.swap_them_all.config import SwapThemAllConfig
from facedancer.models.layers.registration import register
from facedancer.networks.tensors import Dtype, Tensor


def _inputs(config: SwapThemAllConfig, parts: blocks.SpadeParts) -> dict[str, Tensor]:
    size = config.image_size
    shapes: dict[str, tuple[int, ...]] = {
        name: (size, size, 3) for name in config.contract.inputs[:3]
    }
    shapes["identity"] = (config.identity_size,)
    return {name: parts.input(shape, name) for name, shape in shapes.items()}


def _encoded(
    config: SwapThemAllConfig, parts: blocks.SpadeParts, fed: dict[str, Tensor]
) -> list[Tensor]:
    """Returns the maps at a half, a quarter, an eighth and a sixteenth."""
    names = (config.sees, "reference", "semantic_mask")
    x = keras.layers.Concatenate(dtype=parts.dtype, name="seen")(
        [fed[name] for name in names]
    )
    maps = []
    for level, width in enumerate(config.widths, start=1):
        x = parts.down(x, width, f"down{level}")
        maps.append(x)
    return maps


def _with_identity(
    config: SwapThemAllConfig, parts: blocks.SpadeParts, x: Tensor, identity: Tensor
) -> Tensor:
    side = config.image_size // 16
    return parts.concat(x, parts.tiled(identity, side, "identity_map"), "told")


def _res2net_decoder(
    config: SwapThemAllConfig,
    parts: blocks.SpadeParts,
    maps: list[Tensor],
    fed: dict[str, Tensor],
) -> Tensor:
    """Version 1: three SPADE-Res2Nets, two skips."""
    _, second, third, x = maps
    x = _with_identity(config, parts, x, fed["identity"])
    skips = {3: third, 2: second}
    for level in (3, 2, 1):
        x = parts.up(x, config.widths[level], f"up{level}")
        mask = parts.smaller(fed["semantic_mask"], 2**level, f"mask{level}")
        x = blocks.res2net(parts, x, mask, f"res2net{level}")
        if level in skips:
            x = parts.concat(x, skips[level], f"skip{level}")
    x = parts.up(x, config.widths[0], "up0")
    return parts.he_conv(x, 3, 3, "picture")


def _spade_decoder(
    config: SwapThemAllConfig,
    parts: blocks.SpadeParts,
    maps: list[Tensor],
    fed: dict[str, Tensor],
) -> Tensor:
    """Version 2: AdaIN at the bottleneck, then two SPADE blocks."""
    style, identity = fed["identity"], fed["identity"]
    for place in range(3):
        style = parts.dense(style, config.style_width, f"style{place}_dense")
        style = parts.scalar_norm(style, f"style{place}_norm")
        style = parts.relu(style, f"style{place}")
    x = maps[-1]
    for place in range(2):
        name = f"adain{place}"
        x = blocks.adain_block(parts, x, style, name, config.separate_adain)
    x = _with_identity(config, parts, x, identity)
    for level in (3, 2):
        x = parts.up(x, config.widths[level], f"up{level}")
        mask = parts.smaller(fed["semantic_mask"], 2**level, f"mask{level}")
        x = blocks.spade_block(parts, x, mask, f"spade{level}")
        if config.use_nwg:
            x = blocks.generated_block(parts, x, identity, f"generated{level}")
    quarter, half = (
        parts.smaller(fed[config.sees], factor, f"target{factor}") for factor in (4, 2)
    )
    x = parts.up(parts.concat(x, quarter, "with_quarter"), config.widths[1], "up1")
    x = parts.up(parts.concat(x, half, "with_half"), config.widths[0], "up0")
    return parts.he_conv(x, 3, 4, "picture")


_DECODERS = {1: _res2net_decoder, 2: _spade_decoder}


def generator_graph(
    config: SwapThemAllConfig, parts: blocks.SpadeParts
) -> tuple[list[Tensor], Tensor]:
    """Returns the generator's inputs and its output.

    Args:
        config: The structure.
        parts: What to build from.
    """
    fed = _inputs(config, parts)
    maps = _encoded(config, parts, fed)
    picture = _DECODERS[config.version](config, parts, maps, fed)
    swapped = parts.output(picture, "tanh", "swapped")
    return [fed[name] for name in config.contract.inputs], swapped


@register
class SwapThemAllGenerator(SwapperNetwork):
    """A generator of swap-them-all.

    The first version is known from two figures only; its widths are the second's.

    Args:
        config: Its structure, a `SwapThemAllConfig` or the dict of one.
        form: Kept for files; both forms are the same here.
        dtype: Policy of the layers; `None` is the global one. The output is float32.
        name: Name of the model.

    Call arguments:
        inputs: The target with its face blurred, or all of it where the config says so,
            `(batch, size, size, 3)` in [-1, 1]; its semantic mask, `(batch, size, size,
            3)` in [0, 1]; an aligned crop of who it becomes, in [-1, 1]; an identity
            vector of length one.

    Returns:
        The swapped picture, `(batch, size, size, 3)` float32 in [-1, 1].
    """

    config_class = SwapThemAllConfig
    role = "generator"
    graph = staticmethod(generator_graph)

    def __init__(
        self,
        config: SwapThemAllConfig | dict,
        form: str = "composed",
        dtype: Dtype = None,
        name: str = "generator",
    ) -> None:
        record, policy = self.resolve(config, dtype)
        parts = blocks.SpadeParts(record.spade_width, policy)
        super().__init__(record, parts, name, form=form, dtype=policy.name)
