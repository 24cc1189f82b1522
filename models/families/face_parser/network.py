"""The face parser: a small residual encoder and a pyramid back to full size.

Residual blocks (He et al. 2016, https://arxiv.org/abs/1512.03385) down to a sixteenth,
what the whole crop shows as a gate of the channels (Hu et al. 2018,
https://arxiv.org/abs/1709.01507), and a pyramid of sums up to a half (Lin et al. 2017,
https://arxiv.org/abs/1612.03144). Scores are enlarged to the full size.
"""

from __future__ import annotations

import dataclasses

import keras
from keras import layers

from facedancer.face import face_classes
from facedancer.models.families.built_network import BuiltNetwork
from facedancer.models.families.face_parser.config import FaceParserConfig
from facedancer.models.layers.registration import register
from facedancer.networks import folding
from facedancer.networks.tensors import Dtype, Tensor


@dataclasses.dataclass(frozen=True)
class ParserParts:
    """Makes the layers of a parser.

    Attributes:
        dtype: Policy of the layers.
        folded: Without batch norms.
    """

    dtype: Dtype
    folded: bool

    def unit(
        self,
        x: Tensor,
        filters: int,
        size: int,
        name: str,
        stride: int = 1,
        active: bool = True,
    ) -> Tensor:
        """Returns a convolution, batch norm and ReLU.

        Args:
            x: The map.
            filters: Channels of the result.
            size: Side of the kernel.
            name: Of the convolution.
            stride: Of the convolution; pads both sides alike, also at 2.
            active: False leaves the ReLU out.
        """
        if stride > 1:
            x = layers.ZeroPadding2D(size // 2, dtype=self.dtype, name=f"{name}_pad")(x)
        x = layers.Conv2D(
            filters,
            size,
            strides=stride,
            padding="valid" if stride > 1 else "same",
            use_bias=self.folded,
            dtype=self.dtype,
            name=name,
        )(x)
        if not self.folded:
            x = layers.BatchNormalization(
                momentum=0.97, epsilon=1e-4, dtype=self.dtype, name=f"{name}_norm"
            )(x)
        return self.relu(x, f"{name}_relu") if active else x

    def relu(self, x: Tensor, name: str) -> Tensor:
        """Returns a ReLU."""
        return layers.ReLU(dtype=self.dtype, name=name)(x)

    def sum(self, a: Tensor, b: Tensor, name: str) -> Tensor:
        """Returns the sum of two maps."""
        return layers.Add(dtype=self.dtype, name=name)([a, b])

    def doubled(self, x: Tensor, name: str, dtype: Dtype = None) -> Tensor:
        """Returns a map of twice the size, bilinear."""
        return layers.UpSampling2D(
            2, interpolation="bilinear", dtype=dtype or self.dtype, name=name
        )(x)

    def gated(self, x: Tensor, name: str) -> Tensor:
        """Returns a map whose channels are weighed by what all of it shows."""
        gate = layers.GlobalAveragePooling2D(
            keepdims=True, dtype=self.dtype, name=f"{name}_mean"
        )(x)
        gate = layers.Conv2D(
            x.shape[-1], 1, activation="sigmoid", dtype=self.dtype, name=f"{name}_gate"
        )(gate)
        return layers.Multiply(dtype=self.dtype, name=name)([x, gate])


def parser_graph(config: FaceParserConfig, parts: ParserParts) -> tuple[Tensor, Tensor]:
    """Returns the parser's input and its scores.

    Args:
        config: The structure.
        parts: What to build from.
    """
    image = keras.Input((config.image_size, config.image_size, 3), name="image")
    x = fine = parts.unit(image, config.stem, 3, "stem", stride=2)
    maps = []
    stages = zip(config.widths, config.blocks, strict=True)
    for stage, (width, count) in enumerate(stages, start=1):
        x = parts.unit(x, width, 3, f"down{stage}", stride=2)
        for block in range(count):
            name = f"block{stage}_{block}"
            y = parts.unit(x, width, 3, f"{name}_a")
            y = parts.unit(y, width, 3, f"{name}_b", active=False)
            x = parts.relu(parts.sum(x, y, f"{name}_sum"), name)
        maps.append(x)
    x = parts.unit(parts.gated(maps.pop(), "context"), config.decoder, 1, "side3")
    for level in (2, 1):
        side = parts.unit(maps.pop(), config.decoder, 1, f"side{level}")
        x = parts.sum(parts.doubled(x, f"up{level}"), side, f"sum{level}")
        x = parts.unit(x, config.decoder, 3, f"merge{level}")
    side = parts.unit(fine, config.fine, 1, "side0")
    x = parts.unit(x, config.fine, 1, "narrow")
    x = parts.sum(parts.doubled(x, "up0"), side, "sum0")
    x = parts.unit(x, config.fine, 3, "merge0")
    classes = len(face_classes.NAMES)
    x = layers.Conv2D(classes, 1, dtype=parts.dtype, name="classes")(x)
    return image, parts.doubled(x, "scores", "float32")


@register
class FaceParserNetwork(BuiltNetwork):
    """A score a pixel for each class of `face_classes.NAMES`.

    Args:
        config: Its structure, a `FaceParserConfig` or the dict of one.
        form: Kept for files; all forms are the same here.
        dtype: Policy of the layers; `None` is the global one. The scores are float32.
        name: Name of the model.

    Call arguments:
        image: `(batch, size, size, 3)` in [-1, 1], an aligned crop.

    Returns:
        `(batch, size, size, 19)` float32, logits.
    """

    config_class = FaceParserConfig
    role = "parser"
    graph = staticmethod(parser_graph)

    def __init__(
        self,
        config: FaceParserConfig | dict,
        form: str = "composed",
        dtype: Dtype = None,
        name: str = "parser",
    ) -> None:
        record, policy = self.resolve(config, dtype)
        parts = ParserParts(policy, record.folded)
        super().__init__(record, parts, name, form=form, dtype=policy.name)


def fold(network: FaceParserNetwork) -> FaceParserNetwork:
    """Returns an equal network with its batch norms folded into the convolutions.

    For inference: it cannot be trained on as before.

    Args:
        network: A parser; one that is folded already is returned as it is.
    """
    if network.config.folded:
        return network
    folded = FaceParserNetwork(dataclasses.replace(network.config, folded=True))
    folding.transfer(network, folded, lambda name: (f"{name}_norm",))
    return folded
