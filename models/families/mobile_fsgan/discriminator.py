"""A MobileFSGAN discriminator: an image to a map of logits, one a patch."""

from __future__ import annotations

import keras

from facedancer.models.families.built_network import BuiltNetwork
from facedancer.models.families.mobile_fsgan import blocks
from facedancer.models.families.mobile_fsgan.config import MobileDiscriminatorConfig
from facedancer.models.layers.registration import register
from facedancer.networks.tensors import Dtype, Tensor


def discriminator_graph(
    config: MobileDiscriminatorConfig, parts: blocks.MobileParts
) -> tuple[Tensor, Tensor]:
    """Returns the discriminator's input and its output.

    Args:
        config: The structure.
        parts: What to build from.
    """
    image = parts.input((config.image_size, config.image_size, 3), "image")
    x = parts.spectral_conv(image, config.base_width, "conv0", strides=2)
    x = parts.leaky(x, "leaky0")
    for i in range(1, config.stages + 1):
        strides = 2 if i < config.stages else 1
        x = parts.spectral_conv(x, config.base_width << i, f"conv{i}", strides)
        x = parts.leaky(parts.batch_norm(x, f"norm{i}"), f"leaky{i}")
    x = parts.spectral_conv(x, 1, "score", strides=1)
    logits = keras.layers.Activation("linear", dtype="float32", name="logits")(x)
    return image, logits


@register
class MobileFSGANDiscriminator(BuiltNetwork):
    """A MobileFSGAN discriminator; there is one for each size of picture.

    Args:
        config: Its structure, a `MobileDiscriminatorConfig` or the dict of one.
        form: Kept for files; both forms are the same here.
        dtype: Policy of the layers; `None` is the global one. The output is float32.
        name: Name of the model.

    Call arguments:
        inputs: Images `(batch, size, size, 3)` in [-1, 1].

    Returns:
        Logits `(batch, n, n, 1)` float32, large for real patches; `n` is 19 at 256
        pixels, 11 at 128, 7 at 64.

    Reference:
        - [Yu et al., 2022](https://arxiv.org/abs/2204.08339)
    """

    config_class = MobileDiscriminatorConfig
    role = "discriminator"
    graph = staticmethod(discriminator_graph)

    def __init__(
        self,
        config: MobileDiscriminatorConfig | dict,
        form: str = "composed",
        dtype: Dtype = None,
        name: str = "discriminator",
    ) -> None:
        record, policy = self.resolve(config, dtype)
        parts = blocks.MobileParts(record.base_width, policy)
        super().__init__(record, parts, name, form=form, dtype=policy.name)
