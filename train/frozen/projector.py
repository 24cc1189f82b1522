"""Frozen features for a discriminator, mixed at random over channels and scales.

A network that knows pictures gives maps at several scales. Fixed random convolutions
mix the channels of each, and then, from the coarsest on, the scales, so that a
discriminator must look at all features instead of a few telling ones (Sauer et al.
2021, Projected GANs, arXiv 2111.01007). Nothing here learns.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

import keras
import numpy as np
from keras import ops

from facedancer.models.families.face_parser.loading import load_network
from facedancer.networks.image_networks import load_image_network
from facedancer.networks.tensors import Tensor
from facedancer.train.frozen.perceptual import imagenet

FACE_PARSER = "face_parser"  # instead of a file: the packaged one
_PARSER = "parser"  # its network's name
_TAPS = {
    _PARSER: ("stem_relu", "block1_0", "block2_1", "block3_1"),
    "mobilenet025": ("stage1_3", "stage1_5", "stage2_5", "stage3_1"),
    "squeezenet": ("fire3", "fire5", "fire9"),
    "vgg16": ("block2_pool", "block3_pool", "block4_pool", "block5_pool"),
}
_MIN_SIDE = 128  # smaller images are enlarged for a file's network: four scales
_MAX_CHANNELS = 256


class Projector:
    """Images to mixed maps of one frozen network.

    Attributes:
        network: The frozen network, to its maps, the finest first.
        side: To which images are enlarged, pixels.
        mixers: The fixed kernels, `(size, size, channels in, channels out)` variables.

    Args:
        network: From `image_networks.load_image_network` for images of this side, or a
            face parser.
        seed: Of the mixing.

    Reference:
        - [Projected GANs](https://arxiv.org/abs/2111.01007)
    """

    def __init__(self, network: keras.Model, seed: int = 0):
        outputs = [network.get_layer(name).output for name in _TAPS[network.name]]
        self._prepared = _as_it_is if network.name == _PARSER else imagenet
        self.network = keras.Model(network.input, outputs)
        self.network.trainable = False
        self.side = network.input_shape[1]
        widths = [min(2 * part.shape[-1], _MAX_CHANNELS) for part in outputs]
        random = np.random.default_rng([seed, 301])
        self._channels = [
            _kernel(random, 1, part.shape[-1], width, f"channels{level}")
            for level, (part, width) in enumerate(zip(outputs, widths, strict=True))
        ]
        self._scales = [
            _kernel(random, 3, coarse, fine, f"scales{level}")
            for level, (fine, coarse) in enumerate(
                zip(widths[:-1], widths[1:], strict=True)
            )
        ]
        self.shapes = [
            (*part.shape[1:3], width)
            for part, width in zip(outputs, widths, strict=True)
        ]

    @property
    def variables(self) -> list:
        """All variables; none is trained."""
        return [*self.network.variables, *self._channels, *self._scales]

    def __call__(self, image_signed: Tensor) -> list[Tensor]:
        """Returns the mixed maps, the finest first, float32.

        Args:
            image_signed: `(batch, height, width, 3)` in [-1, 1], square.
        """
        image = ops.cast(image_signed, "float32")
        if image.shape[1] != self.side:
            image = ops.image.resize(image, (self.side, self.side))
        maps = self.network(self._prepared(image), training=False)
        mixed = [
            ops.conv(part, kernel, padding="same")
            for part, kernel in zip(maps, self._channels, strict=True)
        ]
        for level in reversed(range(len(self._scales))):
            coarse = ops.conv(mixed[level + 1], self._scales[level], padding="same")
            coarse = ops.image.resize(coarse, mixed[level].shape[1:3])
            mixed[level] = (mixed[level] + coarse) * 0.5**0.5
        return mixed


def _as_it_is(image_signed: Tensor) -> Tensor:
    return image_signed


def _kernel(
    random: np.random.Generator, size: int, inputs: int, outputs: int, name: str
) -> keras.Variable:
    """Returns a fixed kernel that keeps the variance of what it mixes."""
    value = random.normal(
        0.0, (size * size * inputs) ** -0.5, (size, size, inputs, outputs)
    )
    return keras.Variable(value.astype(np.float32), trainable=False, name=name)


class Features:
    """What all projectors of a discriminator make of images.

    Attributes:
        projectors: One for each network.
        shapes: `(height, width, channels)` of every map.

    Args:
        projectors: At least one.
    """

    def __init__(self, projectors: Sequence[Projector]):
        self.projectors = tuple(projectors)
        self.shapes = [shape for one in self.projectors for shape in one.shapes]

    @property
    def variables(self) -> list:
        """All variables; none is trained."""
        return [variable for one in self.projectors for variable in one.variables]

    def __call__(self, image_signed: Tensor) -> list[Tensor]:
        """Returns the maps of all networks, in their order.

        Args:
            image_signed: `(batch, height, width, 3)` in [-1, 1], square.
        """
        return [part for one in self.projectors for part in one(image_signed)]


def load(
    paths: Sequence[str | os.PathLike], image_size: int, seed: int = 0
) -> Features:
    """Returns the features of the networks of some files.

    Args:
        paths: For `image_networks.load_image_network`, or `FACE_PARSER`.
        image_size: Side of the images, pixels.
        seed: Of the mixing.

    Raises:
        InputError: If a file holds no network that is known.
    """
    return Features(
        [
            Projector(_network(path, image_size), seed + number)
            for number, path in enumerate(paths)
        ]
    )


def _network(path: str | os.PathLike, image_size: int) -> keras.Model:
    if os.fspath(path) == FACE_PARSER:  # it knows faces of this size
        return load_network().resized(16 * -(-image_size // 16))
    side = max(_MIN_SIDE, 32 * -(-image_size // 32))
    return load_image_network(path, side)
