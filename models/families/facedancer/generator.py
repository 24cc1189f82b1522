"""The FaceDancer generator: target image and identity vector to a swapped image."""

from __future__ import annotations

from facedancer.models.families.built_network import SwapperNetwork
from facedancer.models.families.facedancer import blocks
from facedancer.models.families.facedancer.config import GeneratorConfig
from facedancer.models.families.layer_ops import LayerParts, Parts, Piece
from facedancer.models.layers.registration import register
from facedancer.networks.tensors import Dtype


def generator_graph(
    config: GeneratorConfig, parts: Parts[Piece]
) -> tuple[list[Piece], Piece]:
    """Returns the generator's inputs and its output.

    Layers are named after the side of the map: `down64` gives a map of 64 pixels,
    `fuse64` joins maps of 64 pixels, `up64` gives one.

    Args:
        config: A `GeneratorConfig`.
        parts: What to build from, see `layer_ops.Parts`.
    """
    size, widths = config.image_size, config.stage_widths
    target = parts.input((size, size, 3), "target")
    identity = parts.input((config.identity_size,), "identity")
    w = identity
    if config.normalise_identity:
        w = parts.normalise(w, "normalised_identity")
    w = blocks.mapping(parts, w, config.mapping_sizes)

    skips = [parts.conv(target, widths[0], 3, "stem")]
    for i, width in enumerate(widths[1:], start=1):
        name = f"down{size >> i}"
        skips.append(blocks.residual(parts, skips[-1], width, name, "down"))
    x = blocks.residual(parts, skips[-1], widths[-1], "middle")
    x = blocks.residual(parts, x, widths[-1], "latent", w=w)

    levels = range(config.stages, -1, -1)
    for level, kind in zip(levels, config.up_types, strict=True):
        name, width = f"fuse{size >> level}", widths[level]
        x = blocks.fuse(parts, kind, skips[level], x, width, name)
        if level:
            name = f"up{size >> (level - 1)}"
            x = blocks.residual(parts, x, widths[level - 1], name, "up", w)
    x = blocks.residual(parts, x, 3, "final", w=w if config.final_adain else None)
    return [target, identity], parts.output(x, config.output_activation, "swapped")


@register
class FaceDancerGenerator(SwapperNetwork):
    """A FaceDancer generator.

    Args:
        config: Its structure, a `GeneratorConfig` or the dict of one.
        form: `"composed"` pools before it convolves, with half the operations at 256
            pixels; `"plain"` as it is written in the paper. The weights are the same,
            in the same order.
        dtype: Policy of the layers; `None` is the global one. The output is float32.
        name: Name of the model.

    Call arguments:
        inputs: A pair: target `(batch, size, size, 3)` in [-1, 1] and identity
            `(batch, identity_size)`.

    Returns:
        `(batch, size, size, 3)` float32, about [-1, 1]; not clipped.

    Example:

    >>> generator = FaceDancerGenerator(GeneratorConfig(image_size=32, base_width=4))
    >>> tuple(generator([np.zeros((2, 32, 32, 3)), np.zeros((2, 512))]).shape)
    (2, 32, 32, 3)

    Reference:
        - [Rosberg et al., 2023](https://arxiv.org/abs/2210.10473)
    """

    config_class = GeneratorConfig
    role = "generator"
    graph = staticmethod(generator_graph)

    def __init__(
        self,
        config: GeneratorConfig | dict,
        form: str = "composed",
        dtype: Dtype = None,
        name: str = "generator",
    ) -> None:
        record, policy = self.resolve(config, dtype)
        parts = LayerParts(form, policy, record.gain_bias)
        super().__init__(record, parts, name, form=form, dtype=policy.name)


def build_generator(
    config: GeneratorConfig, form: str = "composed", dtype: Dtype = None
) -> FaceDancerGenerator:
    """Returns a new generator with random weights.

    Args:
        config: A `GeneratorConfig`.
        form: See `FaceDancerGenerator`.
        dtype: See `FaceDancerGenerator`.
    """
    return FaceDancerGenerator(config, form, dtype)
