"""The FaceDancer discriminator: an image to one logit."""

from __future__ import annotations

from facedancer.models.families.built_network import BuiltNetwork
from facedancer.models.families.facedancer import blocks
from facedancer.models.families.facedancer.config import DiscriminatorConfig
from facedancer.models.families.layer_ops import LayerParts, Parts, Piece
from facedancer.models.layers.registration import register
from facedancer.networks.tensors import Dtype


def discriminator_graph(
    config: DiscriminatorConfig, parts: Parts[Piece]
) -> tuple[Piece, Piece]:
    """Returns the discriminator's input and its output.

    Args:
        config: A `DiscriminatorConfig`.
        parts: What to build from, see `layer_ops.Parts`.
    """
    size, widths = config.image_size, config.stage_widths
    image = parts.input((size, size, 3), "image")
    x = parts.conv(image, widths[0], 3, "stem")
    for i, width in enumerate(widths[1:], start=1):
        x = blocks.discriminator_residual(parts, x, width, f"down{size >> i}")
    x = parts.conv(x, widths[-1], size >> config.stages, "head", padding="valid")
    x = parts.leaky(x, "head_leaky")
    x = parts.conv(x, 1, 1, "score")
    return image, parts.flat(x, "logit")


@register
class FaceDancerDiscriminator(BuiltNetwork):
    """A FaceDancer discriminator.

    Args:
        config: Its structure, a `DiscriminatorConfig` or the dict of one.
        form: See `generator.FaceDancerGenerator`.
        dtype: Policy of the layers; `None` is the global one. The output is float32.
        name: Name of the model.

    Call arguments:
        inputs: Images `(batch, size, size, 3)` in [-1, 1].

    Returns:
        `(batch, 1)` float32 logits, large for real images.
    """

    config_class = DiscriminatorConfig
    role = "discriminator"
    graph = staticmethod(discriminator_graph)

    def __init__(
        self,
        config: DiscriminatorConfig | dict,
        form: str = "composed",
        dtype: Dtype = None,
        name: str = "discriminator",
    ) -> None:
        record, policy = self.resolve(config, dtype)
        parts = LayerParts(form, policy)
        super().__init__(record, parts, name, form=form, dtype=policy.name)


def build_discriminator(
    config: DiscriminatorConfig, form: str = "composed", dtype: Dtype = None
) -> FaceDancerDiscriminator:
    """Returns a new discriminator with random weights.

    Args:
        config: A `DiscriminatorConfig`.
        form: See `generator.FaceDancerGenerator`.
        dtype: See `generator.FaceDancerGenerator`.
    """
    return FaceDancerDiscriminator(config, form, dtype)
