"""Image networks whose inner maps are compared: SqueezeNet, VGG16, InceptionV3.

Their weights come from a file; nothing is downloaded.
"""

from __future__ import annotations

import dataclasses
import os
import pathlib
from collections.abc import Callable

import h5py
import keras
import numpy as np

from facedancer.errors import InputError
from facedancer.networks import foreign
from facedancer.networks.image_networks import IMAGENET_BGR_MEAN, load_image_network
from facedancer.storage import files, untrusted

_UNKNOWN = "not a network that is known"
_BGR_MEAN = np.array(IMAGENET_BGR_MEAN, np.float32)
_VGG_TAPS = (
    "block1_conv2",
    "block2_conv2",
    "block3_conv3",
    "block4_conv3",
    "block5_conv3",
)
_SQUEEZE_TAPS = (
    "relu_conv1",
    "fire3",
    "fire5",
    "fire6",
    "fire7",
    "fire8",
    "fire9",
)


@dataclasses.dataclass(frozen=True)
class Backbone:
    """An image network without its classifier.

    Attributes:
        name: Architecture and first hex digits of the file's SHA-256.
        size: Side of the square input in pixels.
        prepare: From `(n, size, size, 3)` uint8 RGB to what the network wants.
        network: Gives a list of maps; the last one is the deepest.
        official: Whether it is the network of the published Frechet distance.
    """

    name: str
    size: int
    prepare: Callable[[np.ndarray], np.ndarray]
    network: keras.Model
    official: bool = False

    def maps(self, crops: np.ndarray) -> list[np.ndarray]:
        """Returns the maps of all taps, `(n, height, width, channels)` each.

        Args:
            crops: `(n, size, size, 3)` uint8 RGB.
        """
        found = self.network.predict_on_batch(self.prepare(crops))
        found = found if isinstance(found, list | tuple) else [found]
        return [np.asarray(one, np.float32) for one in found]

    def vectors(self, crops: np.ndarray) -> np.ndarray:
        """Returns the deepest map averaged over its places, `(n, channels)` float32.

        Args:
            crops: `(n, size, size, 3)` uint8 RGB.
        """
        last = self.maps(crops)[-1]
        return last.mean(axis=(1, 2)) if last.ndim == 4 else last


def load_backbone(path: str | os.PathLike, size: int = 128) -> Backbone:
    """Returns an image network with the weights of a file.

    Args:
        path: Weights without the classifier of SqueezeNet 1.1, of
            `keras.applications.VGG16` or `InceptionV3`, or a whole Keras model from
            images in [-1, 1] to one vector or map.
        size: Side of the input for the first two; InceptionV3 takes 299, a whole model
            what it was made for.

    Raises:
        InputError: If the file is missing or none of these.
    """
    path = pathlib.Path(path)
    digest = files.file_hash(path)[:8]
    names = _groups(path)
    with untrusted.faults(path, _UNKNOWN):
        if "mixed10" in names or "conv2d_93" in names:
            return _inception(path, f"inceptionv3@{digest}")
        if "block5_conv3" in names or "fire9" in names:
            return _perceptual(path, digest, size)
        if names:
            raise ValueError(f"weights of the layers {', '.join(sorted(names)[:5])}")
        return _whole(path, f"{path.stem}@{digest}")


def _groups(path: str | os.PathLike) -> set[str]:
    """Returns the layers of a file of weights alone; nothing for a whole model."""
    if not h5py.is_hdf5(path):
        return set()
    with untrusted.open_h5(path, _UNKNOWN) as file:
        return set() if "model_config" in file.attrs else set(file)


def _signed(crops: np.ndarray) -> np.ndarray:
    return crops.astype(np.float32) / 127.5 - 1.0


def _less_mean(crops: np.ndarray) -> np.ndarray:
    return crops[..., ::-1].astype(np.float32) - _BGR_MEAN


def _inception(path: str | os.PathLike, name: str) -> Backbone:
    network = keras.applications.InceptionV3(
        include_top=False, weights=str(path), input_shape=(299, 299, 3), pooling="avg"
    )
    return Backbone(name, 299, _signed, network, official=True)


def _whole(path: str | os.PathLike, name: str) -> Backbone:
    network = foreign.load_network(path)
    shape = network.input_shape
    if len(shape) != 4 or shape[1] is None or shape[1] != shape[2] or shape[3] != 3:
        raise InputError(
            f"{path}: must take one square RGB image of a fixed size. Received: {shape}"
        )
    return Backbone(name, shape[1], _signed, network)


def _perceptual(path: str | os.PathLike, digest: str, size: int) -> Backbone:
    network = load_image_network(path, size)
    taps = _VGG_TAPS if network.name == "vgg16" else _SQUEEZE_TAPS
    outputs = [network.get_layer(tap).output for tap in taps]
    name = f"{network.name}@{digest}"
    return Backbone(name, size, _less_mean, keras.Model(network.input, outputs))


def read_channel_weights(
    path: str | os.PathLike, backbone: Backbone
) -> list[np.ndarray]:
    """Returns the channel weights of a perceptual distance, one array a level.

    Args:
        path: An `.npz` with arrays named 0, 1, ... of the lengths of the maps.
        backbone: The network they belong to.

    Raises:
        InputError: If the file does not fit.
    """
    if not pathlib.Path(path).is_file():
        raise InputError(f"{path}: no such file")
    wanted = [(shape[-1],) for shape in backbone.network.output_shape]
    with untrusted.faults(path, "no channel weights in it"):
        arrays = untrusted.load_arrays(path)
        weights = [arrays[str(level)] for level in range(len(wanted))]
    if [w.shape for w in weights] != wanted:
        raise InputError(
            f"{path}: does not fit {backbone.name}: expected {wanted}. "
            f"Received: {[w.shape for w in weights]}"
        )
    return weights
