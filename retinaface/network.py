"""RetinaFace: backbone, feature pyramid, context modules and three heads.

A photo of any size gives two anchors a cell at strides 8, 16 and 32 (`anchors`), and
for each a face score, a box and five landmarks. Deng et al., 2019,
https://arxiv.org/abs/1905.00641
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import keras
from keras import layers, ops

from facedancer.networks import folding, layer_lists, resnet50
from facedancer.networks.network import Network
from facedancer.networks.tensors import Shape, Tensor

# Channels over those of the first convolution, and stride, of MobileNetV1's blocks up
# to strides 8, 16 and 32 (Howard et al., 2017).
MOBILENET_STAGES = (
    ((2, 1), (4, 2), (4, 1), (8, 2), (8, 1)),
    ((16, 2), (16, 1), (16, 1), (16, 1), (16, 1), (16, 1)),
    ((32, 2), (32, 1)),
)
BACKBONES = {"mobilenet025": (8, 64), "resnet50": (64, 256)}  # width, pyramid channels
ANCHORS_PER_CELL = 2


@keras.saving.register_keras_serializable(package="facedancer")
class SubtractMean(layers.Layer):
    """RGB in [0, 255] -> BGR minus a mean colour.

    Args:
        mean: Blue, green and red to subtract.
        divisor: By which the difference is divided.
        reverse: False keeps the order red, green, blue; `mean` is then in that order.

    Call arguments:
        image: `(batch, height, width, 3)`.

    Returns:
        A tensor of the same shape.
    """

    def __init__(
        self,
        mean: Iterable[float],
        divisor: float = 1.0,
        reverse: bool = True,
        **kwargs: object,
    ) -> None:
        super().__init__(**kwargs)
        self.mean = tuple(mean)
        self.divisor = divisor
        self.reverse = reverse

    def call(self, image: Tensor) -> Tensor:
        image = ops.flip(image, axis=-1) if self.reverse else image
        return (image - ops.cast(self.mean, image.dtype)) / self.divisor

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "mean": self.mean,
            "divisor": self.divisor,
            "reverse": self.reverse,
        }


@keras.saving.register_keras_serializable(package="facedancer")
class UpsampleLike(layers.Layer):
    """Doubles a map by nearest neighbour and cuts it to the size of another.

    The other map has twice the height and width, or one less where the image was odd.

    Call arguments:
        inputs: A pair of maps `(coarse, fine)`.

    Returns:
        The coarse map at the height and width of the fine one.
    """

    def call(self, inputs: Sequence[Tensor]) -> Tensor:
        coarse, fine = inputs
        doubled = ops.repeat(ops.repeat(coarse, 2, axis=1), 2, axis=2)
        shape = ops.shape(fine)
        return doubled[:, : shape[1], : shape[2]]

    def compute_output_shape(self, input_shape: Sequence[Shape]) -> Shape:
        coarse, fine = input_shape
        return (*fine[:3], coarse[3])


@keras.saving.register_keras_serializable(package="facedancer")
class RetinaFace(Network):
    """Face scores, boxes and landmarks for every anchor of a photo.

    The input is RGB in [0, 255] of any size. The outputs are a dictionary: `"boxes"`
    `(batch, n, 4)`, `"landmarks"` `(batch, n, 10)` as offsets against the anchors, and
    `"classes"` `(batch, n, 2)`, logits of background and face.

    Args:
        backbone: `"mobilenet025"` or `"resnet50"`.
        width: Channels of the backbone's first convolution; None for 8 or 64.
        channels: Of the feature pyramid, a multiple of 4; None for 64 or 256. Up to 64
            the activations are LeakyReLU of slope 0.1, above ReLU.
        mean: Blue, green and red that are subtracted from the photo.
        trunk: None for the backbone as named; or the layers of another one with maps of
            strides 8, 16 and 32, as `layer_lists.read_layers` gives them.
        signed: Whether the photo is scaled to [-1, 1], RGB, instead of `mean`.
        folded: Without batch norms, for weights they were folded into (`fold`).
        name: Name of the model.

    Raises:
        ValueError: If the backbone is unknown or `channels` is no multiple of 4.

    Reference:
        - [Deng et al., 2019](https://arxiv.org/abs/1905.00641)
    """

    def __init__(
        self,
        backbone: str = "mobilenet025",
        width: int | None = None,
        channels: int | None = None,
        mean: tuple[float, float, float] = (104.0, 117.0, 123.0),
        trunk: dict | None = None,
        signed: bool = False,
        folded: bool = False,
        name: str = "retinaface",
        **kwargs: object,
    ) -> None:
        if backbone not in BACKBONES:
            raise ValueError(
                f"`backbone` must be one of {sorted(BACKBONES)}. "
                f"Received: backbone={backbone!r}"
            )
        width = width or BACKBONES[backbone][0]
        channels = channels or BACKBONES[backbone][1]
        if channels % 4:
            raise ValueError(
                f"`channels` must be a multiple of 4. Received: channels={channels}"
            )
        image = layers.Input((None, None, 3), name="image")
        x = _preprocess(image, mean, signed)
        unit = functools.partial(_unit, folded=folded)
        if trunk is not None:
            built = layer_lists.build_layers(trunk, x)
            maps = [built[name] for name in trunk["outputs"]]
        elif backbone == "mobilenet025":
            maps = _mobilenet(x, width, unit)
        else:
            maps = _resnet(x, width, folded)
        slope = 0.1 if channels <= 64 else 0.0
        maps = _pyramid(maps, channels, slope, unit)
        maps = [
            _context(x, channels, slope, f"ssh{level}", unit)
            for level, x in enumerate(maps, start=1)
        ]
        outputs = {
            "boxes": _head(maps, 4, "boxes"),
            "classes": _head(maps, 2, "classes"),
            "landmarks": _head(maps, 10, "landmarks"),
        }
        super().__init__(inputs=image, outputs=outputs, name=name, **kwargs)
        self._remember(
            backbone=backbone,
            width=width,
            channels=channels,
            mean=[float(value) for value in mean],
            trunk=trunk,
            signed=signed,
            folded=folded,
        )


def build_retinaface(
    backbone: str = "mobilenet025",
    width: int | None = None,
    channels: int | None = None,
    mean: tuple[float, float, float] = (104.0, 117.0, 123.0),
) -> RetinaFace:
    """Returns a RetinaFace with new weights.

    Args:
        backbone: `"mobilenet025"` or `"resnet50"`.
        width: Channels of the backbone's first convolution; None for its own.
        channels: Of the feature pyramid; None for the backbone's own.
        mean: Blue, green and red that are subtracted from the photo.

    Raises:
        ValueError: If the backbone is unknown or `channels` is no multiple of 4.
    """
    return RetinaFace(backbone, width, channels, mean)


def fold(network: RetinaFace) -> RetinaFace:
    """Returns an equal network with its batch norms folded into the convolutions.

    For inference: it cannot be trained on as before.

    Args:
        network: Any RetinaFace; one that is folded already, or has a trunk of its own,
            is returned as it is.
    """
    config = network.get_config()
    if config["folded"] or config["trunk"] is not None:
        return network
    folded = RetinaFace.from_config({**config, "folded": True})
    folding.transfer(network, folded, _norm_names)
    return folded


def _norm_names(conv: str) -> tuple[str, str]:
    stem = conv.removesuffix("_conv")
    return f"{stem}_norm", f"{stem}_bn"


def _preprocess(
    image: Tensor, mean: tuple[float, float, float], signed: bool
) -> Tensor:
    if signed:
        mean, divisor = (127.5,) * 3, 127.5
        return SubtractMean(mean, divisor, reverse=False, name="subtract_mean")(image)
    return SubtractMean(mean, name="subtract_mean")(image)


def _unit(
    x: Tensor,
    filters: int,
    size: int,
    name: str,
    stride: int = 1,
    slope: float | None = None,
    folded: bool = False,
) -> Tensor:
    """Convolution (depthwise where `filters` is 0), batch norm, LeakyReLU or nothing.

    Pads both sides alike, also at stride 2.
    """
    if stride > 1:
        x = layers.ZeroPadding2D(size // 2, name=f"{name}_pad")(x)
    settings = dict(
        strides=stride,
        padding="valid" if stride > 1 else "same",
        use_bias=folded,
        name=f"{name}_conv",
    )
    if filters:
        x = layers.Conv2D(filters, size, **settings)(x)
    else:
        x = layers.DepthwiseConv2D(size, **settings)(x)
    if not folded:
        norm = layers.BatchNormalization(
            epsilon=1e-5, momentum=0.9, name=f"{name}_norm"
        )
        x = norm(x)
    if slope is None:
        return x
    return _activation(x, slope, f"{name}_act")


def _activation(x: Tensor, slope: float, name: str) -> Tensor:
    if slope == 0.0:
        return layers.ReLU(name=name)(x)
    return layers.LeakyReLU(negative_slope=slope, name=name)(x)


def _mobilenet(x: Tensor, width: int, unit: Callable[..., Tensor]) -> list[Tensor]:
    x = unit(x, width, 3, "stage1_0", stride=2, slope=0.1)
    maps = []
    for stage, blocks in enumerate(MOBILENET_STAGES, start=1):
        for block, (factor, stride) in enumerate(blocks, start=int(stage == 1)):
            name = f"stage{stage}_{block}"
            x = unit(x, 0, 3, f"{name}_depthwise", stride=stride, slope=0.1)
            x = unit(x, factor * width, 1, f"{name}_pointwise", slope=0.1)
        maps.append(x)
    return maps


def _resnet(x: Tensor, width: int, folded: bool) -> list[Tensor]:
    maps = resnet50.trunk(x, width, folded)
    return [maps[f"conv{name}_out"] for name in ("3_block4", "4_block6", "5_block3")]


def _pyramid(
    maps: Sequence[Tensor], channels: int, slope: float, unit: Callable[..., Tensor]
) -> list[Tensor]:
    """Three maps of equal width, each told by the coarser ones (Lin et al., 2017)."""
    fine, middle, coarse = (
        unit(x, channels, 1, f"fpn_output{i + 1}", slope=slope)
        for i, x in enumerate(maps)
    )
    up = UpsampleLike(name="fpn_up3")([coarse, middle])
    middle = layers.Add(name="fpn_add2")([middle, up])
    middle = unit(middle, channels, 3, "fpn_merge2", slope=slope)
    up = UpsampleLike(name="fpn_up2")([middle, fine])
    fine = layers.Add(name="fpn_add1")([fine, up])
    return [unit(fine, channels, 3, "fpn_merge1", slope=slope), middle, coarse]


def _context(
    x: Tensor, channels: int, slope: float, name: str, unit: Callable[..., Tensor]
) -> Tensor:
    """Views of 3, 5 and 7 pixels, side by side (SSH, Najibi et al., 2017)."""
    view3 = unit(x, channels // 2, 3, f"{name}_3")
    inner = unit(x, channels // 4, 3, f"{name}_5_1", slope=slope)
    view5 = unit(inner, channels // 4, 3, f"{name}_5_2")
    inner = unit(inner, channels // 4, 3, f"{name}_7_2", slope=slope)
    view7 = unit(inner, channels // 4, 3, f"{name}_7_3")
    x = layers.Concatenate(name=f"{name}_views")([view3, view5, view7])
    return layers.ReLU(name=f"{name}_act")(x)


def _head(maps: Sequence[Tensor], values: int, name: str) -> Tensor:
    parts = []
    for level, x in enumerate(maps, start=1):
        x = layers.Conv2D(ANCHORS_PER_CELL * values, 1, name=f"{name}{level}_conv")(x)
        x = layers.Reshape((-1, values), dtype="float32", name=f"{name}{level}")(x)
        parts.append(x)
    return layers.Concatenate(axis=1, dtype="float32", name=name)(parts)
