"""VGG16 and SqueezeNet 1.1 without their classifiers, with the weights of a file.

Their inner maps say how alike two images look: the perceptual loss and the perceptual
distance of an evaluation both compare them.
"""

from __future__ import annotations

import os
import pathlib

import h5py
import keras
import numpy as np
from keras import layers

from facedancer import untrusted
from facedancer.errors import InputError
from facedancer.tensors import Tensor

# Mean of ImageNet's blue, green and red, which both networks want subtracted.
IMAGENET_BGR_MEAN = (103.939, 116.779, 123.68)


def load_image_network(path: str | os.PathLike, image_size: int) -> keras.Model:
    """Returns VGG16 or SqueezeNet 1.1, whichever the file holds weights of.

    Args:
        path: HDF5 file of the weights without the classifier.
        image_size: Side of the images in pixels.

    Returns:
        A model from images, BGR in [0, 255] less `IMAGENET_BGR_MEAN`, to its last map;
        its name is `vgg16` or `squeezenet`.

    Raises:
        InputError: If the file is of neither, or the images are too small for it.
    """
    path = pathlib.Path(path)
    arrays = _conv_arrays(path)
    if "block1_conv1" in arrays:
        network = build_vgg16(image_size)
    elif "fire2_squeeze1x1" in arrays:
        network = build_squeezenet(image_size)
    else:
        raise InputError(f"{path}: neither weights of VGG16 nor of SqueezeNet 1.1")
    for layer in network.layers:
        if layer.weights:
            _assign(layer, arrays, path)
    return network


def _assign(
    layer: keras.layers.Layer,
    arrays: dict[str, dict[int, np.ndarray]],
    path: str | os.PathLike,
) -> None:
    found = arrays.get(layer.name, {})
    for rank, variable in ((4, layer.kernel), (1, layer.bias)):
        array = found.get(rank)
        if array is None or array.shape != tuple(variable.shape):
            raise InputError(
                f"{path}: {layer.name} has no weights of shape {tuple(variable.shape)}"
            )
        variable.assign(array)


def _conv_arrays(path: pathlib.Path) -> dict[str, dict[int, np.ndarray]]:
    """Returns kernel and bias, by their rank, of every convolution of a file."""
    arrays: dict[str, dict[int, np.ndarray]] = {}

    def visit(name: str, item: h5py.Group | h5py.Dataset) -> None:
        if isinstance(item, h5py.Dataset) and item.ndim in (1, 4):
            parts = name.split("/")
            fire = parts[0].startswith("fire")
            key = "_".join(parts[:2]) if fire else parts[0]
            arrays.setdefault(key, {})[item.ndim] = item[()]

    with untrusted.open_h5(path, "not an HDF5 file that can be read") as file:
        (file["model_weights"] if "model_weights" in file else file).visititems(visit)
    return arrays


def build_vgg16(image_size: int) -> keras.Model:
    """Returns VGG16 without its classifier and without weights worth anything.

    Args:
        image_size: Side of the images in pixels.

    Raises:
        InputError: If the images are too small.

    Reference:
        - [Simonyan and Zisserman, 2014](https://arxiv.org/abs/1409.1556)
    """
    shape = (image_size, image_size, 3)
    try:
        return keras.applications.VGG16(
            include_top=False, weights=None, input_shape=shape
        )
    except ValueError as error:
        raise InputError(f"VGG16: {error}") from None


def build_squeezenet(image_size: int) -> keras.Model:
    """Returns SqueezeNet 1.1 without its classifier (Iandola et al. 2016).

    Args:
        image_size: Side of the images, pixels.

    Returns:
        A model from images, BGR in [0, 255] less the mean of ImageNet, to the map
        `fire9`; `relu_conv1` and `fire2` to `fire8` are layers in it.
    """
    image = keras.Input((image_size, image_size, 3))
    x = layers.Conv2D(64, 3, 2, padding="valid", name="conv1")(image)
    x = layers.ReLU(name="relu_conv1")(x)
    for number in range(2, 10):
        if number in (2, 4, 6):
            x = layers.MaxPooling2D(3, 2, name=f"pool{number - 1}")(x)
        x = _fire(x, 16 * (number // 2), f"fire{number}")
    return keras.Model(image, x, name="squeezenet")


def _fire(x: Tensor, squeeze: int, name: str) -> Tensor:
    x = layers.Conv2D(squeeze, 1, activation="relu", name=f"{name}_squeeze1x1")(x)
    left = layers.Conv2D(4 * squeeze, 1, activation="relu", name=f"{name}_expand1x1")(x)
    right = layers.Conv2D(
        4 * squeeze, 3, padding="same", activation="relu", name=f"{name}_expand3x3"
    )(x)
    return layers.Concatenate(name=name)([left, right])
