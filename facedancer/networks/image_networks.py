"""VGG16, SqueezeNet 1.1 and a small MobileNet, without their classifiers, from a file.

Their inner maps say how alike two images look: the perceptual loss and the perceptual
distance of an evaluation compare them, and a discriminator may judge by them.
"""

from __future__ import annotations

import os
import pathlib

import h5py
import keras
import numpy as np
from keras import layers

from facedancer.errors import InputError
from facedancer.networks.tensors import Tensor
from facedancer.storage import untrusted

# Mean of ImageNet's blue, green and red, which both networks want subtracted.
IMAGENET_BGR_MEAN = (103.939, 116.779, 123.68)
# What the MobileNet's weights were trained with: RGB in [0, 1], less this, by that.
_TORCH_MEAN, _TORCH_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
# MobileNetV1: name of each block, its channels and stride.
_MOBILENET = (
    *(("stage1_1", 16, 1), ("stage1_2", 32, 2), ("stage1_3", 32, 1)),
    *(("stage1_4", 64, 2), ("stage1_5", 64, 1), ("stage2_0", 128, 2)),
    *((f"stage2_{number}", 128, 1) for number in range(1, 6)),
    *(("stage3_0", 256, 2), ("stage3_1", 256, 1)),
)


def load_image_network(path: str | os.PathLike, image_size: int) -> keras.Model:
    """Returns VGG16, SqueezeNet 1.1 or MobileNetV1 x0.25, whichever the file is of.

    Args:
        path: HDF5 file of the weights without the classifier; or of the MobileNet an
            `.npz` of arrays under PyTorch's names, `stage1.0.0.weight` and so on.
        image_size: Side of the images in pixels.

    Returns:
        A model from images, BGR in [0, 255] less `IMAGENET_BGR_MEAN`, to its last map;
        its name is `vgg16`, `squeezenet` or `mobilenet025`.

    Raises:
        InputError: If the file is of none of them, or the images are too small for it.
    """
    path = pathlib.Path(path)
    if path.suffix == ".npz":
        network, arrays = build_mobilenet(image_size), _mobilenet_arrays(path)
    else:
        arrays = _conv_arrays(path)
        network = _built(arrays, image_size, path)
    for layer in network.layers:
        if layer.weights:
            _assign(layer, arrays, path)
    return network


def _built(
    arrays: dict[str, dict[int, np.ndarray]], image_size: int, path: pathlib.Path
) -> keras.Model:
    if "block1_conv1" in arrays:
        return build_vgg16(image_size)
    if "fire2_squeeze1x1" in arrays:
        return build_squeezenet(image_size)
    raise InputError(f"{path}: neither weights of VGG16 nor of SqueezeNet 1.1")


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


def build_mobilenet(image_size: int) -> keras.Model:
    """Returns MobileNetV1 x0.25 without its classifier (Howard et al. 2017).

    Its batch norms are taken into the convolutions, and its preprocessing into the
    first one.

    Args:
        image_size: Side of the images, pixels.

    Returns:
        A model from images, BGR in [0, 255] less the mean of ImageNet, to the map
        `stage3_1`; the blocks before it are layers in it.
    """
    image = keras.Input((image_size, image_size, 3))
    x = layers.ZeroPadding2D(1, name="stage1_0_pad")(image)  # as PyTorch pads
    x = layers.Conv2D(8, 3, 2, name="stage1_0_conv")(x)
    x = layers.LeakyReLU(negative_slope=0.1, name="stage1_0")(x)
    for name, width, stride in _MOBILENET:
        x = layers.ZeroPadding2D(1, name=f"{name}_pad")(x)
        x = layers.DepthwiseConv2D(3, stride, name=f"{name}_depthwise")(x)
        x = layers.LeakyReLU(negative_slope=0.1, name=f"{name}_middle")(x)
        x = layers.Conv2D(width, 1, name=f"{name}_pointwise")(x)
        x = layers.LeakyReLU(negative_slope=0.1, name=name)(x)
    return keras.Model(image, x, name="mobilenet025")


def _mobilenet_arrays(path: pathlib.Path) -> dict[str, dict[int, np.ndarray]]:
    """Returns kernel and bias, by their rank, with norms and preprocessing in them."""
    arrays = untrusted.load_arrays(path)
    found = {}
    with untrusted.faults(path, "its arrays are not those of MobileNetV1 x0.25"):
        kernel, bias = _with_norm(arrays, "stage1.0.0", "stage1.0.1")
        mean, std = (255.0 * np.array(part) for part in (_TORCH_MEAN, _TORCH_STD))
        shift = (np.array(IMAGENET_BGR_MEAN)[::-1] - mean) / std
        bias = bias + np.einsum("hwio,i->o", kernel, shift)
        kernel = (kernel / std[:, None])[:, :, ::-1]
        found["stage1_0_conv"] = {4: kernel, 1: bias}
        for name, _, _ in _MOBILENET:
            base = name.replace("_", ".")
            for part, at in (("depthwise", 0), ("pointwise", 3)):
                pair = _with_norm(arrays, f"{base}.{at}", f"{base}.{at + 1}")
                found[f"{name}_{part}"] = dict(zip((4, 1), pair, strict=True))
    return found


def _with_norm(
    arrays: dict[str, np.ndarray], conv: str, norm: str
) -> tuple[np.ndarray, np.ndarray]:
    """Returns kernel, channels last, and bias of a convolution with its batch norm."""
    kernel = arrays[f"{conv}.weight"].astype(np.float64)
    variance = arrays[f"{norm}.running_var"].astype(np.float64)
    factor = arrays[f"{norm}.weight"] / np.sqrt(variance + 1e-5)
    bias = arrays[f"{norm}.bias"] - arrays[f"{norm}.running_mean"] * factor
    kernel = kernel * factor[:, None, None, None]
    depthwise = kernel.shape[1] == 1
    return kernel.transpose((2, 3, 0, 1) if depthwise else (2, 3, 1, 0)), bias
