"""faceswap-GAN's discriminators: of a picture and its distorted copy, and of a code."""

from __future__ import annotations

import keras

from facedancer.models.families.built_network import BuiltNetwork
from facedancer.models.families.faceswap_gan.blocks import FaceswapParts
from facedancer.models.families.faceswap_gan.config import (
    FaceswapCriticConfig,
    FaceswapDiscriminatorConfig,
)
from facedancer.models.layers.registration import register
from facedancer.networks.tensors import Dtype, Tensor

_SMALLEST = 8  # places a side of the last map


def discriminator_graph(
    config: FaceswapDiscriminatorConfig, parts: FaceswapParts
) -> tuple[list[Tensor], Tensor]:
    """Returns the discriminator's inputs and its logits.

    Args:
        config: The structure.
        parts: What to build from.
    """
    size, width = config.image_size, config.d_base_width
    image, distorted = (
        parts.input((size, size, 3), name) for name in ("image", "distorted")
    )
    x, i = parts.join(image, distorted, "both"), 0
    while size > _SMALLEST:
        filters = width << min(i, 2)
        x = parts.filtered(x, filters, 4, f"conv{i}", strides=2, bias=False)
        x = parts.leaky(x, f"leaky{i}")
        if i in (1, 2):
            x = parts.normed(x, f"norm{i}")
        if i > 1:
            x = parts.attend(x, f"attention{i}")
        size, i = size // 2, i + 1
    x = parts.filtered(x, 1, 4, "score", bias=False)
    return [image, distorted], parts.end(x, "linear", "logits")


@register
class FaceswapDiscriminator(BuiltNetwork):
    """Tells one person's photos from what the decoder makes of distorted ones.

    Args:
        config: Its structure, a `FaceswapDiscriminatorConfig` or the dict of one.
        form: Kept for files; both forms are the same here.
        dtype: Policy of the layers; `None` is the global one. The output is float32.
        name: Name of the model.

    Call arguments:
        inputs: A pair: pictures, and the distorted photos they were or are made of,
            `(batch, size, size, 3)` in [-1, 1].

    Returns:
        Logits `(batch, 8, 8, 1)` float32.
    """

    config_class = FaceswapDiscriminatorConfig
    role = "discriminator"
    graph = staticmethod(discriminator_graph)

    def __init__(
        self,
        config: FaceswapDiscriminatorConfig | dict,
        form: str = "composed",
        dtype: Dtype = None,
        name: str = "discriminator",
    ) -> None:
        record, policy = self.resolve(config, dtype)
        parts = FaceswapParts(record.norm, record.attention, policy)
        super().__init__(record, parts, name, form=form, dtype=policy.name)


def critic_graph(config: FaceswapCriticConfig, dtype: Dtype) -> tuple[Tensor, Tensor]:
    """Returns the critic's input and its logit.

    Args:
        config: The structure.
        dtype: Policy of the layers.
    """
    code = x = keras.Input((config.latent,), name="code")
    for units in (256, 128, 32):
        x = keras.layers.Dense(units, "relu", dtype=dtype, name=f"dense{units}")(x)
    x = keras.layers.Dense(1, dtype=dtype, name="score")(x)
    return code, keras.layers.Activation("linear", dtype="float32", name="logit")(x)


@register
class FaceswapCritic(BuiltNetwork):
    """Tells from the encoder's code whose picture it was.

    Args:
        config: Its structure, a `FaceswapCriticConfig` or the dict of one.
        form: Kept for files; both forms are the same here.
        dtype: Policy of the layers; `None` is the global one. The output is float32.
        name: Name of the model.

    Call arguments:
        inputs: Codes `(batch, latent)`.

    Returns:
        Logits `(batch, 1)` float32, large for the first person.
    """

    config_class = FaceswapCriticConfig
    role = "critic"
    graph = staticmethod(critic_graph)

    def __init__(
        self,
        config: FaceswapCriticConfig | dict,
        form: str = "composed",
        dtype: Dtype = None,
        name: str = "critic",
    ) -> None:
        record, policy = self.resolve(config, dtype)
        super().__init__(record, policy, name, form=form, dtype=policy.name)
