"""Random changes of what a discriminator sees, through which gradients flow.

Real and generated images are changed in the same ways, so that a discriminator cannot
learn few photos by heart and the generator does not learn the changes (Zhao et al.
2020, differentiable augmentation, arXiv 2006.10738).
"""

from __future__ import annotations

from collections.abc import Iterable

from keras import ops

from facedancer.networks.tensors import Tensor

AUGMENTATIONS = ("colour", "translation", "cutout")
NUMBERS = 7  # random ones an image
_SHIFT, _CUT = 0.125, 0.5  # of the side, as published


def changed(image: Tensor, numbers: Tensor, names: Iterable[str]) -> Tensor:
    """Returns images, each changed in its own way.

    Args:
        image: `(batch, height, width, 3)` in [-1, 1].
        numbers: `(batch, NUMBERS)` in [0, 1): brightness, saturation, contrast; shift
            down and to the right; where the hole is.
        names: Of `AUGMENTATIONS`, in this order: `colour` adds up to half of 1 to all
            values, multiplies the differences of the channels by 0 to 2, then those to
            the image's mean by 0.5 to 1.5; `translation` shifts by up to an eighth of
            the side, beyond the border it is 0; `cutout` sets a square of half the side
            to 0.

    Returns:
        The same shape, float32.
    """
    image = ops.cast(image, "float32")
    if "colour" in names:
        image = _colour(image, numbers[:, 0:3])
    if "translation" in names:
        image = _translation(image, numbers[:, 3:5])
    if "cutout" in names:
        image = _cutout(image, numbers[:, 5:7])
    return image


def _colour(image: Tensor, numbers: Tensor) -> Tensor:
    brightness, saturation, contrast = (
        numbers[:, k, None, None, None] for k in range(3)
    )
    image = image + (brightness - 0.5)
    grey = ops.mean(image, axis=3, keepdims=True)
    image = grey + 2.0 * saturation * (image - grey)
    mean = ops.mean(image, axis=(1, 2, 3), keepdims=True)
    return mean + (0.5 + contrast) * (image - mean)


def _translation(image: Tensor, numbers: Tensor) -> Tensor:
    height, width, channels = image.shape[1:]
    rows = _moved(height, numbers[:, 0])
    columns = _moved(width, numbers[:, 1])
    image = ops.reshape(image, (-1, height, width * channels))
    image = ops.reshape(ops.matmul(rows, image), (-1, height, width, channels))
    image = ops.reshape(
        ops.transpose(image, (0, 2, 1, 3)), (-1, width, height * channels)
    )
    image = ops.reshape(ops.matmul(columns, image), (-1, width, height, channels))
    return ops.transpose(image, (0, 2, 1, 3))


def _moved(size: int, number: Tensor) -> Tensor:
    """Returns the `(batch, size, size)` matrices that shift by whole pixels."""
    max_shift = int(_SHIFT * size + 0.5)
    shift = ops.floor(number * (2 * max_shift + 1)) - max_shift
    pixels = ops.arange(size, dtype="float32")
    apart = pixels[None, :, None] - pixels[None, None, :] - shift[:, None, None]
    return ops.cast(ops.abs(apart) < 0.5, "float32")


def _cutout(image: Tensor, numbers: Tensor) -> Tensor:
    rows = _hidden(image.shape[1], numbers[:, 0])
    columns = _hidden(image.shape[2], numbers[:, 1])
    hole = rows[:, :, None, None] * columns[:, None, :, None]
    return image * (1.0 - hole)


def _hidden(size: int, number: Tensor) -> Tensor:
    """Returns 1 where a hole is along one side, else 0, `(batch, size)`."""
    side = int(_CUT * size + 0.5)
    centre = ops.floor(number * (size + 1 - side % 2))
    position = ops.arange(size, dtype="float32")[None] - (centre - side // 2)[:, None]
    inside = ops.logical_and(position > -0.5, position < side - 0.5)
    return ops.cast(inside, "float32")
