"""The FaceDancer discriminator: an image to one logit."""

from __future__ import annotations

import keras

from facedancer.models.families.facedancer import blocks
from facedancer.models.families.facedancer.config import DiscriminatorConfig
from facedancer.models.families.facedancer.layer_ops import LayerParts
from facedancer.models.layers.registration import register


def discriminator_graph(config, parts):
    """Returns the discriminator's input and its output.

    Args:
        config: A `DiscriminatorConfig`.
        parts: What to build from, see `parts.LayerParts`.
    """
    size, widths = config.image_size, config.stage_widths
    image = parts.input((size, size, 3), "image")
    x = parts.conv(image, widths[0], 3, "stem")
    for i, width in enumerate(widths[1:], start=1):
        x = blocks.critic_residual(parts, x, width, f"down{size >> i}")
    x = parts.conv(x, widths[-1], size >> config.stages, "head", padding="valid")
    x = parts.leaky(x, "head_leaky")
    x = parts.conv(x, 1, 1, "score")
    return image, parts.flat(x, "logit")


@register
class FaceDancerDiscriminator(keras.Model):
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

    def __init__(self, config, form="composed", dtype=None, name="discriminator"):
        if isinstance(config, dict):
            config = DiscriminatorConfig.from_dict(config)
        dtype = keras.dtype_policies.get(dtype or keras.config.dtype_policy())
        image, logit = discriminator_graph(config, LayerParts(form, dtype))
        super().__init__(inputs=image, outputs=logit, name=name)
        self._config = config
        self.form = form
        self._policy = dtype.name

    @property
    def config(self):
        """The `DiscriminatorConfig` it was built from."""
        return self._config

    def get_config(self):
        return {
            "config": self._config.to_dict(),
            "form": self.form,
            "dtype": self._policy,
            "name": self.name,
        }

    @classmethod
    def from_config(cls, config, custom_objects=None):
        return cls(**config)


def build_discriminator(config, form="composed", dtype=None):
    """Returns a new discriminator with random weights.

    Args:
        config: A `DiscriminatorConfig`.
        form: See `generator.FaceDancerGenerator`.
        dtype: See `generator.FaceDancerGenerator`.
    """
    return FaceDancerDiscriminator(config, form, dtype)
