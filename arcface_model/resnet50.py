"""ArcFace with a ResNet50: the identity encoder of the published FaceDancer."""

from __future__ import annotations

import re

import keras
from keras import layers

from facedancer.arcface_model.encoder import Encoder
from facedancer.networks import layer_lists, resnet50

# The maps that the published training compares (Rosberg et al., 2023).
TAPS = (
    *(f"conv4_block{block}_out" for block in range(6, 0, -1)),
    *(f"conv3_block{block}_out" for block in range(4, 0, -1)),
    "conv2_block3_out",
)


@keras.saving.register_keras_serializable(package="facedancer")
class ArcFaceResNet50(Encoder):
    """Identity encoder for aligned 112-pixel crops in [0, 1].

    ResNet50 without its top, then batch norm, dropout, one dense layer and batch norm;
    40,375,680 parameters. Taps carry the names of `keras.applications`.

    Args:
        embedding_size: Length of the identity vector.
        image_size: Side of the input in pixels.
        width: Channels of the first convolution; 64 is ResNet50.
        dropout: Share of features dropped in training.
        trunk: None for ResNet50; or the layers of another trunk, as
            `layer_lists.read_layers` gives them.
        folded_from: Empty, or the `name_with_hash` of the encoder whose batch norms
            are folded into this one's convolutions (`fold`).
        name: Name of the model.

    Reference:
        - [He et al., 2015](https://arxiv.org/abs/1512.03385)
        - [Deng et al., 2019](https://arxiv.org/abs/1801.07698)
    """

    architecture = "resnet50"
    value_range = "unit"

    @property
    def taps(self) -> tuple[str, ...]:
        """Names of the maps IFSR compares; of another trunk, those of its blocks."""
        trunk = self.get_config()["trunk"]
        if trunk is None:
            return TAPS
        names = [layer.name for layer in self.layers]
        blocks = [n for n in names if re.fullmatch(r"conv[2-4]_block\d+_out", n)]
        return tuple(reversed(blocks)) or (trunk["outputs"][-1],)

    @staticmethod
    def norm_names(conv: str) -> tuple[str, ...]:
        """Returns the names that the batch norm behind a convolution may have.

        Args:
            conv: Name of the convolution.
        """
        return (f"{conv.removesuffix('_conv')}_bn",)

    def __init__(
        self,
        embedding_size: int = 512,
        image_size: int = 112,
        width: int = 64,
        dropout: float = 0.5,
        trunk: dict | None = None,
        folded_from: str = "",
        name: str = "arcface_resnet50",
        **kwargs: object,
    ) -> None:
        image = layers.Input((image_size, image_size, 3), name="image")
        if trunk is None:
            maps = resnet50.trunk(image, width, bool(folded_from))
            x = maps["conv5_block3_out"]
        else:
            maps = layer_lists.build_layers(trunk, image)
            x = maps[trunk["outputs"][-1]]
        x = layers.BatchNormalization(name="head_bn")(x)
        x = layers.Dropout(dropout, name="head_dropout")(x)
        x = layers.Flatten(name="head_flatten")(x)
        x = layers.Dense(
            embedding_size,
            kernel_regularizer=keras.regularizers.L2(5e-4),
            dtype="float32",
            name="head_dense",
        )(x)
        x = layers.BatchNormalization(dtype="float32", name="embedding_bn")(x)
        super().__init__(inputs=image, outputs=x, name=name, **kwargs)
        self._remember(
            embedding_size=embedding_size,
            image_size=image_size,
            width=width,
            dropout=dropout,
            trunk=trunk,
            folded_from=folded_from,
        )


def build_resnet50(
    embedding_size: int = 512,
    image_size: int = 112,
    width: int = 64,
    dropout: float = 0.5,
) -> ArcFaceResNet50:
    """Returns an ArcFace ResNet50 with new weights.

    Args:
        embedding_size: Length of the identity vector.
        image_size: Side of the input in pixels.
        width: Channels of the first convolution; 64 is ResNet50.
        dropout: Share of features dropped in training.
    """
    return ArcFaceResNet50(embedding_size, image_size, width, dropout)
