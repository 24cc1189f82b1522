"""The ResNet50 trunk that the published ArcFace and RetinaFace files share.

Layer names are those of `keras.applications.ResNet50`, by which the files are read.
"""

from __future__ import annotations

from keras import layers

from facedancer.networks.tensors import Tensor

LAYERS = 175  # of the trunk, its input among them
# Stage, number of blocks, inner channels, stride of the first block.
STAGES = ((2, 3, 64, 1), (3, 4, 128, 2), (4, 6, 256, 2), (5, 3, 512, 2))


def trunk(image: Tensor, width: int = 64, folded: bool = False) -> dict[str, Tensor]:
    """Returns the feature maps of ResNet50 without its top (He et al., 2015).

    The first version of the network, with biases in its convolutions and the stride in
    the first 1x1 convolution of a stage.

    Args:
        image: Symbolic `(batch, height, width, 3)` input.
        width: Channels of the first convolution; 64 is ResNet50.
        folded: Without batch norms, for weights they were folded into.

    Returns:
        Dictionary from `conv2_block1_out` ... `conv5_block3_out` to the symbolic map.
        Strides against the image: 4, 8, 16 and 32 for stages 2 to 5.
    """
    x = layers.ZeroPadding2D(3, name="conv1_pad")(image)
    x = _conv_norm(x, width, 7, 2, "conv1", folded, padding="valid")
    x = layers.Activation("relu", name="conv1_relu")(x)
    x = layers.ZeroPadding2D(1, name="pool1_pad")(x)
    x = layers.MaxPooling2D(3, strides=2, name="pool1_pool")(x)
    maps = {}
    for stage, blocks, channels, stride in STAGES:
        for block in range(1, blocks + 1):
            name = f"conv{stage}_block{block}"
            stride_here = stride if block == 1 else 1
            inner = channels * width // 64
            x = _block(x, inner, stride_here, block == 1, name, folded)
            maps[f"{name}_out"] = x
    return maps


def _conv_norm(
    x: Tensor,
    filters: int,
    size: int,
    stride: int,
    name: str,
    folded: bool,
    padding: str = "same",
) -> Tensor:
    x = layers.Conv2D(
        filters, size, strides=stride, padding=padding, name=f"{name}_conv"
    )(x)
    if folded:
        return x
    return layers.BatchNormalization(epsilon=1.001e-5, name=f"{name}_bn")(x)


def _block(
    x: Tensor, channels: int, stride: int, project: bool, name: str, folded: bool
) -> Tensor:
    shortcut = x
    if project:
        shortcut = _conv_norm(x, 4 * channels, 1, stride, f"{name}_0", folded)
    x = _conv_norm(x, channels, 1, stride, f"{name}_1", folded)
    x = layers.Activation("relu", name=f"{name}_1_relu")(x)
    x = _conv_norm(x, channels, 3, 1, f"{name}_2", folded)
    x = layers.Activation("relu", name=f"{name}_2_relu")(x)
    x = _conv_norm(x, 4 * channels, 1, 1, f"{name}_3", folded)
    x = layers.Add(name=f"{name}_add")([shortcut, x])
    return layers.Activation("relu", name=f"{name}_out")(x)
