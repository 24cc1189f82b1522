"""What the conditional GAN compares by: similarity of structure, soft masks."""

from __future__ import annotations

import numpy as np
from keras import ops

from facedancer.networks.tensors import Tensor

_C1, _C2 = 0.01**2, 0.03**2  # of pictures in [0, 1]
_SIGMA = 1.5 / 11  # of the window


def gaussian(size: int, sigma: float) -> np.ndarray:
    """Returns the weights of a window along one side, `(size,)`, whose sum is 1.

    Args:
        size: Odd.
        sigma: Standard deviation, pixels.
    """
    place = np.arange(size) - (size - 1) / 2
    weights = np.exp(-np.square(place) / (2.0 * sigma**2))
    return (weights / weights.sum()).astype(np.float32)


def smoothed(image: Tensor, weights: np.ndarray, padding: str) -> Tensor:
    """Returns a picture averaged over a window around each place.

    Args:
        image: `(batch, height, width, channels)`.
        weights: Of the window along one side.
        padding: `valid`, or `same` with zeros around the picture.
    """
    channels, size = image.shape[-1], len(weights)
    for shape in ((size, 1, 1, 1), (1, size, 1, 1)):
        kernel = np.tile(weights.reshape(shape), (1, 1, channels, 1))
        image = ops.depthwise_conv(
            image, kernel, padding=padding, data_format="channels_last"
        )
    return image


def dissimilarity(first: Tensor, second: Tensor, window: int = 11) -> Tensor:
    """Returns half of one minus SSIM, a mean over all places and channels.

    Args:
        first: `(batch, height, width, channels)` in [0, 1].
        second: The same.
        window: Side of the Gaussian window, odd and not larger than the picture.

    Returns:
        `(batch,)` float32 in [0, 1]; 0 for equal pictures.

    Reference:
        - [Wang et al., 2004](https://ece.uwaterloo.ca/~z70wang/publications/ssim.html)
    """
    weights = gaussian(window, _SIGMA * window)
    stacked = [first, second, first * first, second * second, first * second]
    means = smoothed(ops.concatenate(stacked, -1), weights, "valid")
    one, two, squares, other_squares, products = ops.split(means, 5, axis=-1)
    both = one * two
    spread = squares - one * one + other_squares - two * two
    ssim = (2 * both + _C1) * (2 * (products - both) + _C2)
    ssim = ssim / ((one * one + two * two + _C1) * (spread + _C2))
    return (1.0 - ops.mean(ssim, axis=(1, 2, 3))) / 2.0


def soft_mask(mask: Tensor, blur: float) -> Tensor:
    """Returns a mask with a soft edge.

    Args:
        mask: `(batch, size, size, 1)` in [0, 1].
        blur: Size and deviation of the Gaussian, as a part of the side.
    """
    size = round(mask.shape[1] * blur)
    if size < 1:
        return mask
    return smoothed(mask, gaussian(size | 1, float(size)), "same")


def saturated(mask: Tensor) -> Tensor:
    """Returns a soft mask that is 1 from the middle of its edge on, as DeepFaceLab's.

    Args:
        mask: Any shape, [0, 1].
    """
    return 2.0 * ops.minimum(mask, 0.5)


def window_of(size: int, part: float) -> int:
    """Returns the odd side of a window of SSIM.

    Args:
        size: Side of the picture.
        part: Of it; 0: 11 pixels.
    """
    wanted = max(3, round(size * part)) if part else 11
    return min(wanted | 1, size - 1 + size % 2)
