"""The conditional GAN's discriminator: a picture and whom it should show."""

from __future__ import annotations

import keras

from facedancer.models.families.built_network import BuiltNetwork
from facedancer.models.families.conditional_gan import bottlenecks
from facedancer.models.families.conditional_gan.config import ConditionalJudgeConfig
from facedancer.models.layers.registration import register
from facedancer.networks.tensors import Dtype, Tensor


def discriminator_graph(
    config: ConditionalJudgeConfig, dtype: Dtype
) -> tuple[list[Tensor], Tensor]:
    """Returns the discriminator's inputs and how real it takes the picture for.

    Args:
        config: The structure.
        dtype: Policy of the layers.
    """
    size = config.image_size
    image = x = keras.Input((size, size, 3), name="image")
    label = keras.Input((1,), dtype="int32", name="label")

    def leaky(x: Tensor, name: str) -> Tensor:
        return keras.layers.LeakyReLU(0.1, dtype=dtype, name=name)(x)

    for i in range(2):
        x = keras.layers.Conv2D(
            config.d_base_width, 3, padding="same", dtype=dtype, name=f"conv{i}"
        )(x)
        x = keras.layers.MaxPooling2D(dtype=dtype, name=f"pool{i}")(
            leaky(x, f"leaky{i}")
        )
    x = keras.layers.Flatten(dtype=dtype, name="flat")(x)
    table = bottlenecks.person_table(config.people, 2, dtype)
    person = keras.layers.Reshape((2,), dtype=dtype, name="person_flat")(table(label))
    x = keras.layers.Concatenate(dtype=dtype, name="both")([x, person])
    for units in (128, 64):
        x = keras.layers.Dense(units, dtype=dtype, name=f"dense{units}")(x)
        x = leaky(x, f"leaky{units}")
    x = keras.layers.Dense(1, dtype=dtype, name="score")(x)
    real = keras.layers.Activation("sigmoid", dtype="float32", name="real")(x)
    return [image, label], real


@register
class ConditionalJudge(BuiltNetwork):
    """Tells a person's photos from pictures that were pasted into them.

    Args:
        config: Its structure, a `ConditionalJudgeConfig` or the dict of one.
        form: Kept for files; both forms are the same here.
        dtype: Policy of the layers; `None` is the global one. The output is float32.
        name: Name of the model.

    Call arguments:
        inputs: A pair: pictures `(batch, size, size, 3)` in [0, 1], and labels
            `(batch, 1)` int32.

    Returns:
        How real they look, `(batch, 1)` float32 in [0, 1].
    """

    config_class = ConditionalJudgeConfig
    role = "discriminator"
    graph = staticmethod(discriminator_graph)

    def __init__(
        self,
        config: ConditionalJudgeConfig | dict,
        form: str = "composed",
        dtype: Dtype = None,
        name: str = "discriminator",
    ) -> None:
        record, policy = self.resolve(config, dtype)
        super().__init__(record, policy, name, form=form, dtype=policy.name)
