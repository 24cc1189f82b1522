"""Convolutions of 3x3 with fewer multiplications. Keras operations only.

What is left out there is done by products with small constant matrices, which take the
rows and the columns of a map to others. That pays where maps have many channels.
"""

from __future__ import annotations

import functools

import numpy as np
from keras import ops

from facedancer.networks.tensors import Shape, Tensor

_OUTPUTS, _WINDOW = 4, 6
# Small and spread points keep the rounding small (Barabasz et al., 2020,
# https://arxiv.org/abs/1803.10986); infinity is the sixth.
_POINTS = (0.0, 0.75, -0.75, 1.5, -1.5)
_SIDES = (16, 64)  # larger maps leave the cache, smaller ones are all weights
_CHANNELS = 80  # see `winograd_pays`


def winograd(x: Tensor, kernel: Tensor) -> Tensor:
    """Returns a convolution of a map, stride 1 and padding "same", after Winograd.

    A window of 6 pixels is taken for a polynomial and looked at in 6 points, where the
    4 outputs of a convolution are products of numbers: 6 multiplications instead of
    12, and in two axes 36 instead of 144.

    Args:
        x: `(batch, height, width, channels)`, both sides multiples of 4.
        kernel: `(3, 3, channels, filters)`.

    Raises:
        ValueError: If a side does not fit.

    Reference:
        - [Lavin and Gray, 2016](https://arxiv.org/abs/1509.09308)
    """
    _, height, width, _ = x.shape
    if height % _OUTPUTS or width % _OUTPUTS:
        raise ValueError(
            f"Winograd's convolution needs sides that are multiples of {_OUTPUTS}. "
            f"Received: a map of {height}x{width}"
        )
    x = ops.matmul(_points_of_map(x), _points_of_kernel(kernel))
    return _map_of_points(x, height, width)


def winograd_pays(shape: Shape, filters: int) -> bool:
    """Whether `winograd` is faster than the direct form, as measured with OpenVINO.

    Args:
        shape: Of the map, `(batch, height, width, channels)`.
        filters: Output channels.
    """
    _, height, width, channels = shape
    for side in (height, width):
        if side % _OUTPUTS or not _SIDES[0] <= side <= _SIDES[1]:
            return False
    return channels * filters >= _CHANNELS * (channels + filters)


def winograd_matrices() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns what leads to the points and back, for one axis.

    With window d, kernel g and the matrices D, G and A the outputs
    `y[i] = sum(d[i + j] * g[j])` are `A @ ((G @ g) * (D @ d))`.

    Returns:
        D `(6, 6)`, G `(6, 3)` and A `(4, 6)`, float64.
    """

    def values(count: int) -> np.ndarray:
        finite = np.vander(_POINTS, count, increasing=True)
        return np.concatenate([finite, np.eye(count)[-1:]])  # infinity: the last one

    window = np.linalg.inv(values(_WINDOW)).T
    largest = np.abs(window).max(axis=1, keepdims=True)
    return window / largest, values(3) * largest, values(_OUTPUTS).T


@functools.cache
def _winograd_of_side(side: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns matrices for all windows of a side: to the points, and back.

    Points go one after another, all windows for each.
    """
    window, _, back = winograd_matrices()
    count = side // _OUTPUTS
    there = np.zeros((_WINDOW, count, side + 2))
    again = np.zeros((count, _OUTPUTS, _WINDOW, count))
    for i in range(count):
        there[:, i, _OUTPUTS * i : _OUTPUTS * i + _WINDOW] = window
        again[i, :, :, i] = back
    there = there[:, :, 1:-1]  # the map is 0 around it
    return there.reshape(-1, side), again.reshape(side, -1)


def _points_of_kernel(kernel: Tensor) -> Tensor:
    """`(3, 3, channels, filters)` -> `(36, channels, filters)`."""
    _, _, channels, filters = kernel.shape
    matrix = ops.cast(winograd_matrices()[1], kernel.dtype)
    x = ops.matmul(matrix, ops.reshape(kernel, (3, -1)))
    x = ops.matmul(matrix, ops.reshape(x, (_WINDOW, 3, -1)))
    return ops.reshape(x, (_WINDOW**2, channels, filters))


def _points_of_map(x: Tensor) -> Tensor:
    """`(batch, height, width, channels)` -> `(batch, 36, windows, channels)`."""
    _, height, width, channels = x.shape
    down, across = height // _OUTPUTS, width // _OUTPUTS
    x = _transformed(x, _winograd_of_side(height)[0], _winograd_of_side(width)[0])
    x = ops.reshape(x, (-1, _WINDOW, down, _WINDOW, across * channels))
    x = ops.transpose(x, (0, 1, 3, 2, 4))
    return ops.reshape(x, (-1, _WINDOW**2, down * across, channels))


def _map_of_points(x: Tensor, height: int, width: int) -> Tensor:
    """`(batch, 36, windows, channels)` -> `(batch, height, width, channels)`."""
    channels = x.shape[-1]
    down, across = height // _OUTPUTS, width // _OUTPUTS
    x = ops.reshape(x, (-1, _WINDOW, _WINDOW, down, across * channels))
    x = ops.transpose(x, (0, 1, 3, 2, 4))
    x = ops.reshape(x, (-1, _WINDOW * down, _WINDOW * across, channels))
    return _transformed(x, _winograd_of_side(height)[1], _winograd_of_side(width)[1])


def enlarged(x: Tensor, kernel: Tensor) -> Tensor:
    """Returns a convolution, padding "same", of a map that is enlarged twofold first.

    Enlarging and the sum over channels are linear and do not see each other. So the
    channels of the small map are summed up, once for each place of the kernel, and one
    matrix for each axis enlarges, shifts and adds. A quarter of the multiplications.

    Args:
        x: `(batch, height, width, channels)`, before it is enlarged (bilinear).
        kernel: `(k, k, channels, filters)`, k odd.

    Returns:
        `(batch, 2 * height, 2 * width, filters)`.
    """
    size, _, channels, filters = kernel.shape
    _, height, width, _ = x.shape
    rows = ops.reshape(
        ops.transpose(kernel, (0, 2, 1, 3)), (size, 1, 1, channels, size * filters)
    )
    sums = [ops.conv(x, rows[i], data_format="channels_last") for i in range(size)]
    down, across = _enlarging(height, size), _enlarging(width, size)
    return _transformed(
        ops.concatenate(sums, axis=1),
        down.reshape(2 * height, -1),
        across.transpose(0, 2, 1).reshape(2 * width, -1),
    )


def enlarged_pays(shape: Shape) -> bool:
    """Whether `enlarged` is faster than to enlarge first, as measured with OpenVINO.

    Args:
        shape: Of the small map, `(batch, height, width, channels)`.
    """
    return shape[-1] >= 4 * max(shape[1:3])


@functools.cache
def _enlarging(side: int, size: int) -> np.ndarray:
    """Returns what each place of a kernel sees of an enlarged side.

    Returns:
        `(2 * side, size, side)`: for each pixel of the enlarged side and each place of
        the kernel there, how much of each pixel of the small side lies under it.
    """
    centre = np.clip((np.arange(2 * side) + 0.5) / 2 - 0.5, 0, side - 1)
    bilinear = np.maximum(0.0, 1.0 - np.abs(centre[:, None] - np.arange(side)))
    padded = np.pad(bilinear, ((size // 2, size // 2), (0, 0)))
    return np.stack([padded[offset : offset + 2 * side] for offset in range(size)], 1)


def _transformed(x: Tensor, down: np.ndarray, across: np.ndarray) -> Tensor:
    """Takes the rows of a map to others, and then what lies in a row.

    Args:
        x: `(batch, height, width, channels)`.
        down: `(new height, height)`.
        across: `(new width, n)`, n a multiple of `width`: a row is taken as n pixels.

    Returns:
        `(batch, new height, new width, channels * width / n)`.
    """
    _, height, width, channels = x.shape
    x = ops.reshape(x, (-1, height, width * channels))
    x = ops.matmul(ops.cast(down, x.dtype), x)
    x = ops.reshape(x, (-1, len(down), across.shape[1], x.shape[-1] // across.shape[1]))
    return ops.matmul(ops.cast(across, x.dtype), x)
