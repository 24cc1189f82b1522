"""The face refiner: what of the target's detail a swapped face may have, and the rest.

A residual trunk at a quarter of the size (He et al. 2016, without norms, as Lim et al.
2017, https://arxiv.org/abs/1707.02921, for pictures made larger) looks at the enlarged
face and the target, and says for every pixel how much of two bands of their difference
is taken over, and what is added of its own. With `d = target - swapped` and `low_s` a
Gaussian blur of `s` pixels:

    refined = swapped + a (d - low_fine(d)) + b (low_fine(d) - low_coarse(d)) + own
"""

from __future__ import annotations

import dataclasses

import keras
from keras import layers

from facedancer.models.families.built_network import BuiltNetwork
from facedancer.models.families.face_refiner.blurring import GaussianBlur2D
from facedancer.models.families.face_refiner.config import FaceRefinerConfig
from facedancer.models.layers.registration import register
from facedancer.models.layers.shuffling import PixelShuffle2D
from facedancer.networks.tensors import Dtype, Tensor

_SLOPE = 0.1  # of the rectifiers below zero
_GATES = 2


@dataclasses.dataclass(frozen=True)
class RefinerParts:
    """Makes the layers of a refiner.

    Attributes:
        dtype: Policy of the layers.
    """

    dtype: Dtype

    def unit(
        self, x: Tensor, filters: int, name: str, stride: int = 1, active: bool = True
    ) -> Tensor:
        """Returns a convolution of 3 x 3 and a leaky rectifier.

        Args:
            x: The map.
            filters: Channels of the result.
            name: Of the convolution.
            stride: Of the convolution.
            active: False leaves the rectifier out.
        """
        x = layers.Conv2D(
            filters,
            3,
            strides=stride,
            padding="same",
            kernel_initializer="he_normal",
            dtype=self.dtype,
            name=name,
        )(x)
        if not active:
            return x
        return layers.LeakyReLU(_SLOPE, dtype=self.dtype, name=f"{name}_active")(x)

    def block(self, x: Tensor, name: str) -> Tensor:
        """Returns a map and what two convolutions find in it, which begins at zero."""
        y = self.unit(x, x.shape[-1], f"{name}_a")
        y = layers.Conv2D(
            x.shape[-1],
            3,
            padding="same",
            kernel_initializer=keras.initializers.VarianceScaling(0.02),
            dtype=self.dtype,
            name=f"{name}_b",
        )(y)
        return layers.Add(dtype=self.dtype, name=name)([x, y])

    def doubled(self, x: Tensor, filters: int, name: str) -> Tensor:
        """Returns a map of twice the size, its places moved out of channels."""
        x = self.unit(x, 4 * filters, f"{name}_wide", active=False)
        return PixelShuffle2D(dtype=self.dtype, name=name)(x)


def refiner_graph(
    config: FaceRefinerConfig, parts: RefinerParts
) -> tuple[list[Tensor], Tensor]:
    """Returns the refiner's inputs and its picture.

    Args:
        config: The structure.
        parts: What to build from.
    """
    shape = (config.image_size, config.image_size, 3)
    swapped = keras.Input(shape, name="swapped")
    target = keras.Input(shape, name="target")
    x = layers.Concatenate(dtype=parts.dtype, name="both")([swapped, target])
    half = parts.unit(x, config.stem, "down1", stride=2)
    x = first = parts.unit(half, config.width, "down2", stride=2)
    for number in range(config.blocks):
        x = parts.block(x, f"block{number}")
    x = layers.Add(dtype=parts.dtype, name="trunk")([x, first])
    x = parts.doubled(x, config.stem, "up1")
    x = layers.Concatenate(dtype=parts.dtype, name="with_half")([x, half])
    x = parts.unit(x, config.stem, "merge")
    said = layers.Conv2D(
        4 * (_GATES + 3),
        3,
        padding="same",
        kernel_initializer=keras.initializers.VarianceScaling(0.01),
        dtype=parts.dtype,
        name="said_wide",
    )(x)
    said = PixelShuffle2D(dtype="float32", name="said")(said)
    return [swapped, target], _composed(swapped, target, said, config)


def _composed(
    swapped: Tensor, target: Tensor, said: Tensor, config: FaceRefinerConfig
) -> Tensor:
    """Returns the picture: gated bands of the difference, and what is added."""
    exact = "float32"
    difference = layers.Subtract(dtype=exact, name="difference")([target, swapped])
    low = [
        GaussianBlur2D(sigma, dtype=exact, name=name)(difference)
        for name, sigma in (("low_fine", config.fine), ("low_coarse", config.coarse))
    ]
    gates = keras.ops.sigmoid(said[..., :_GATES])
    bands = (difference - low[0], low[0] - low[1])
    x = swapped + said[..., _GATES:]
    for number, band in enumerate(bands):
        x = x + gates[..., number : number + 1] * band
    return layers.Activation("linear", dtype=exact, name="refined")(x)


@register
class FaceRefinerNetwork(BuiltNetwork):
    """A swapped face with detail, from the enlarged face and the target's crop.

    Args:
        config: Its structure, a `FaceRefinerConfig` or the dict of one.
        form: Kept for files; all forms are the same here.
        dtype: Policy of the layers; `None` is the global one. Bands and picture are
            float32.
        name: Name of the model.

    Call arguments:
        swapped: `(batch, size, size, 3)` in [-1, 1], the face enlarged to the size.
        target: The target's crop, same form.

    Returns:
        `(batch, size, size, 3)` float32 in [-1, 1] and a bit beyond.
    """

    config_class = FaceRefinerConfig
    role = "refiner"
    graph = staticmethod(refiner_graph)

    def __init__(
        self,
        config: FaceRefinerConfig | dict,
        form: str = "composed",
        dtype: Dtype = None,
        name: str = "refiner",
    ) -> None:
        record, policy = self.resolve(config, dtype)
        super().__init__(
            record, RefinerParts(policy), name, form=form, dtype=policy.name
        )

    def of_size(self, image_size: int) -> FaceRefinerNetwork:
        """Returns the same network for crops of another size, which shares no weights.

        Args:
            image_size: Side in pixels.
        """
        config = dataclasses.replace(self.config, image_size=image_size)
        return self.variant(config=config.to_dict())
