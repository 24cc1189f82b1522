"""Numbers and formulas that several tests of the networks share."""

import numpy as np


def random(*shape, seed=0):
    """Returns normal numbers, float32, the same for the same shape and seed."""
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def slow_conv(x, kernel, bias=0.0):
    """Convolution of stride 1, `same`, in float64, one tap after another."""
    size = kernel.shape[0]
    pad = size // 2
    padded = np.pad(x.astype("float64"), ((0, 0), (pad, pad), (pad, pad), (0, 0)))
    height, width = x.shape[1:3]
    total = np.float64(bias)
    for i in range(size):
        for j in range(size):
            window = padded[:, i : i + height, j : j + width]
            total = total + window @ kernel[i, j]
    return total
