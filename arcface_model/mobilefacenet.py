"""MobileFaceNet: an identity encoder of 1.2 million parameters."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence

import keras
from keras import layers

from facedancer.arcface_model.encoder import Encoder
from facedancer.arcface_model.shapes import BLOCKS
from facedancer.networks.activations import PReLU
from facedancer.networks.tensors import Tensor

# Stage, channels, expanded channels of the first block and of the others.
STAGES = (
    (2, 64, 128, 128),
    (3, 128, 256, 256),
    (4, 128, 512, 256),
)
MAX_BLOCKS = 24


@keras.saving.register_keras_serializable(package="facedancer")
class MobileFaceNet(Encoder):
    """Identity encoder for aligned 112-pixel crops in [-1, 1].

    Inverted residual blocks with PReLU, one learned weight a position instead of an
    average pool at the end. Convolutions of stride 2 pad both sides alike, so that
    weights from other frameworks give the same values. Block outputs are named
    `stage2_block1_out` ... `stage4_block3_out`, strides 4, 8 and 16.

    Args:
        embedding_size: Length of the identity vector.
        image_size: Side of the input in pixels, a multiple of 16.
        width: Factor on all inner channels but the last 512.
        blocks: Blocks of stages 2, 3 and 4, each in [1, 24].
        folded_from: Empty, or the `name_with_hash` of the encoder whose batch norms
            are folded into this one's convolutions (`fold`).
        name: Name of the model.

    Raises:
        ValueError: If the image size is no multiple of 16, or `blocks` are not three
            numbers in that range.

    Reference:
        - [Chen et al., 2018](https://arxiv.org/abs/1804.07573)
    """

    architecture = "mobilefacenet"
    value_range = "signed"

    @property
    def taps(self) -> tuple[str, ...]:
        """Names of the layers whose maps IFSR compares by default.

        One map at stride 4 and two at stride 8. The maps at stride 16 tell people apart
        too well to be held to those of the target.
        """
        second, third, _ = self.get_config()["blocks"]
        names = (
            f"stage2_block{second}_out",
            f"stage3_block{(third + 1) // 2}_out",
            f"stage3_block{third}_out",
        )
        return tuple(dict.fromkeys(names))

    @staticmethod
    def norm_names(conv: str) -> tuple[str, ...]:
        """Returns the names that the batch norm behind a convolution may have.

        Args:
            conv: Name of the convolution.
        """
        return f"{conv}_bn", conv.replace("_project", "_out")

    def __init__(
        self,
        embedding_size: int = 128,
        image_size: int = 112,
        width: float = 1.0,
        blocks: Sequence[int] = BLOCKS,
        folded_from: str = "",
        name: str = "mobilefacenet",
        **kwargs: object,
    ) -> None:
        if image_size < 16 or image_size % 16:
            raise ValueError(
                "`image_size` must be a multiple of 16. "
                f"Received: image_size={image_size}"
            )
        if len(blocks) != len(STAGES) or not all(1 <= x <= MAX_BLOCKS for x in blocks):
            raise ValueError(
                f"`blocks` must be {len(STAGES)} numbers in [1, {MAX_BLOCKS}]. "
                f"Received: blocks={tuple(blocks)}"
            )
        unit = functools.partial(_unit, folded=bool(folded_from))
        image = layers.Input((image_size, image_size, 3), name="image")
        x = _trunk(image, width, blocks, unit)
        x = unit(x, 512, 1, "head_conv")
        x = unit(x, 0, image_size // 16, "head_global", padding="valid", prelu=False)
        x = layers.Flatten(name="head_flatten")(x)
        x = layers.Dense(
            embedding_size, use_bias=False, dtype="float32", name="head_dense"
        )(x)
        x = layers.BatchNormalization(
            epsilon=1e-5, momentum=0.9, dtype="float32", name="head_bn"
        )(x)
        super().__init__(inputs=image, outputs=x, name=name, **kwargs)
        self._remember(
            embedding_size=embedding_size,
            image_size=image_size,
            width=width,
            blocks=list(blocks),
            folded_from=folded_from,
        )


def build_mobilefacenet(
    embedding_size: int = 128,
    image_size: int = 112,
    width: float = 1.0,
    blocks: Sequence[int] = BLOCKS,
) -> MobileFaceNet:
    """Returns a MobileFaceNet with new weights.

    Args:
        embedding_size: Length of the identity vector.
        image_size: Side of the input in pixels, a multiple of 16.
        width: Factor on the inner channels.
        blocks: Blocks of stages 2, 3 and 4.

    Raises:
        ValueError: If the image size is no multiple of 16, or `blocks` are not three
            numbers in [1, 24].
    """
    return MobileFaceNet(embedding_size, image_size, width, blocks)


def _trunk(
    image: Tensor, width: float, blocks: Sequence[int], unit: Callable[..., Tensor]
) -> Tensor:
    def scaled(channels: int) -> int:
        return max(8, round(channels * width))

    x = unit(image, scaled(64), 3, "stage1_conv", stride=2)
    x = unit(x, 0, 3, "stage1_depthwise")
    for (stage, channels, first, others), count in zip(STAGES, blocks, strict=True):
        for block in range(1, count + 1):
            x = _block(
                x,
                scaled(channels),
                scaled(first if block == 1 else others),
                2 if block == 1 else 1,
                f"stage{stage}_block{block}",
                unit,
            )
    return x


def _block(
    x: Tensor,
    channels: int,
    expanded: int,
    stride: int,
    name: str,
    unit: Callable[..., Tensor],
) -> Tensor:
    """Expand, depthwise, project; the residual where the shape stays."""
    y = unit(x, expanded, 1, f"{name}_expand")
    y = unit(y, 0, 3, f"{name}_depthwise", stride=stride)
    if stride > 1:
        return unit(y, channels, 1, f"{name}_project", prelu=False, out=f"{name}_out")
    y = unit(y, channels, 1, f"{name}_project", prelu=False)
    return layers.Add(name=f"{name}_out")([x, y])


def _unit(
    x: Tensor,
    filters: int,
    size: int,
    name: str,
    stride: int = 1,
    padding: str = "same",
    prelu: bool = True,
    out: str | None = None,
    folded: bool = False,
) -> Tensor:
    """Convolution (depthwise where `filters` is 0), batch norm and PReLU."""
    if stride > 1:
        x = layers.ZeroPadding2D(size // 2, name=f"{name}_pad")(x)
        padding = "valid"
    shared = dict(strides=stride, padding=padding, use_bias=folded, name=name)
    if filters:
        x = layers.Conv2D(filters, size, **shared)(x)
    else:
        x = layers.DepthwiseConv2D(size, **shared)(x)
    out = out or f"{name}_bn"
    if folded:
        x = layers.Identity(name=out)(x)
    else:
        x = layers.BatchNormalization(epsilon=1e-5, momentum=0.9, name=out)(x)
    if not prelu:
        return x
    quarter = keras.initializers.Constant(0.25)
    return PReLU(quarter, shared_axes=[1, 2], name=f"{name}_prelu")(x)
