"""The network whose feature maps the perceptual loss compares.

VGG16 with its ImageNet weights (published), SqueezeNet 1.1 or MobileNetV1 x0.25 from a
small file, the maps of the identity encoder, or none. Nothing is downloaded.
"""

from __future__ import annotations

import dataclasses
import os
import pathlib
from collections.abc import Callable, Sequence

import keras
from keras import ops

from facedancer.errors import InputError
from facedancer.networks.image_networks import IMAGENET_BGR_MEAN, load_image_network
from facedancer.networks.tensors import Tensor

BLOCKS = {
    "vgg16": tuple(f"block{i}_pool" for i in range(1, 6)),
    "squeezenet": ("relu_conv1", "fire3", "fire5", "fire7", "fire9"),
    "mobilenet025": ("stage1_0", "stage1_3", "stage1_5", "stage2_5", "stage3_1"),
}
LEGACY_FACTOR = 0.85
VGG16_WEIGHTS = (  # those of keras.applications, under the name it keeps them by
    "https://storage.googleapis.com/tensorflow/keras-applications/vgg16/"
    "vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5"
)


@dataclasses.dataclass(frozen=True)
class Perceptual:
    """How the perceptual loss sees images.

    Attributes:
        features: From images `(batch, height, width, 3)` in [-1, 1] to a list of maps;
            None for the maps of the identity encoder.
        relative: Compare in units of the target's mean feature. The maps of a network
            with its preprocessing are orders of magnitude larger than the published
            ones.
        network: The network behind the features, or None.
    """

    features: Callable | None = None
    relative: bool = True
    network: keras.Model | None = None


def load(
    name: str,
    image_size: int,
    blocks: tuple[str, ...] = (),
    legacy: bool = False,
    finest: int = 0,
) -> Perceptual:
    """Returns the perceptual network of a name.

    Args:
        name: `vgg16` (the file that Keras keeps in its home folder, if it does),
            `encoder`, `none` or a file for `image_networks.load_image_network`.
        image_size: Side of the images, pixels.
        blocks: Layers to compare; empty for the network's default.
        legacy: Feed VGG16 raw images in [-1, 1], as published.
        finest: How many of the default's maps, the finest first; 0: all.

    Raises:
        InputError: If the weights cannot be downloaded, or a block is unknown.
    """
    if name in ("encoder", "none"):
        if blocks or legacy:
            raise InputError(
                "--p_blocks and --legacy_perceptual belong to a perceptual network, "
                f"such as --perceptual=vgg16. Received: --perceptual={name}"
            )
        return Perceptual()
    path = _kept_by_keras() if name == "vgg16" else pathlib.Path(name)
    network, known = _from_file(path, image_size)
    network.trainable = False
    known = known[: finest or len(known)]
    try:
        outputs = [network.get_layer(block).output for block in blocks or known]
    except ValueError:
        names = [layer.name for layer in network.layers]
        raise InputError(
            f"--p_blocks must be layers of {network.name}: {', '.join(names)}. "
            f"Received: {','.join(blocks)}"
        ) from None
    taps = keras.Model(network.input, outputs)
    prepare = _as_it_is if legacy else imagenet

    def features(image_signed: Tensor) -> list[Tensor]:
        maps = taps(prepare(image_signed), training=False)
        maps = maps if isinstance(maps, list) else [maps]
        return [LEGACY_FACTOR * part for part in maps] if legacy else maps

    return Perceptual(features, not legacy, taps)


def _as_it_is(image_signed: Tensor) -> Tensor:
    return image_signed


def imagenet(image_signed: Tensor) -> Tensor:
    """Returns images as the networks of ImageNet want them: BGR less its mean.

    Args:
        image_signed: `(batch, height, width, 3)` RGB in [-1, 1].
    """
    image = (ops.flip(image_signed, axis=-1) + 1.0) * 127.5
    return image - ops.convert_to_tensor(IMAGENET_BGR_MEAN, "float32")


def _kept_by_keras() -> pathlib.Path:
    """Returns the file of VGG16's ImageNet weights that Keras once downloaded."""
    file = pathlib.Path("models", VGG16_WEIGHTS.rpartition("/")[2])
    homes = (os.environ.get("KERAS_HOME", ""), os.path.expanduser("~/.keras"))
    paths = [pathlib.Path(home) / file for home in homes]
    found = [path for path in paths if path.is_file()]
    if not found:
        raise InputError(
            f"--perceptual=vgg16 needs the file {VGG16_WEIGHTS}, and nothing is "
            "downloaded here. Give it with --perceptual=FILE or put it into "
            "~/.keras/models; or use --perceptual=encoder or --perceptual=none"
        )
    return found[0]


def _from_file(
    path: pathlib.Path, image_size: int
) -> tuple[keras.Model, Sequence[str]]:
    if not path.is_file():
        raise InputError(
            f"--perceptual must be vgg16, encoder, none or a file. Received: {path}"
        )
    network = load_image_network(path, image_size)
    return network, BLOCKS[network.name]
