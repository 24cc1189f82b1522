"""A convolution whose kernel is divided by its largest singular value."""

from __future__ import annotations

import keras
import numpy as np
from keras import ops

from facedancer.networks.tensors import Tensor

_ITERATIONS = 8


def spectral_norm(kernel: Tensor, iterations: int = _ITERATIONS) -> Tensor:
    """Returns the largest singular value of a kernel, by power iteration.

    It begins with the same vector each time, so the value is a function of the kernel
    alone: parts of a batch, replicas and a resumed run see the same.

    Args:
        kernel: `(..., outputs)`; all axes but the last count as one.
        iterations: How many.

    Returns:
        A scalar float32, never more than the true value; gradients flow to the kernel.
    """
    matrix = ops.cast(ops.reshape(kernel, (-1, kernel.shape[-1])), "float32")
    fixed = ops.stop_gradient(matrix)
    start = np.random.default_rng(0).normal(size=(kernel.shape[-1], 1))
    right = ops.convert_to_tensor(start / np.linalg.norm(start), "float32")
    left = None
    for _ in range(iterations):
        left = _unit(ops.matmul(fixed, right))
        right = _unit(ops.matmul(ops.transpose(fixed), left))
    return ops.sum(left * ops.matmul(matrix, right))


def _unit(vector: Tensor) -> Tensor:
    return vector * ops.rsqrt(ops.maximum(ops.sum(ops.square(vector)), 1e-24))


@keras.saving.register_keras_serializable(package="facedancer")
class SpectralConv2D(keras.layers.Conv2D):
    """A convolution that changes no map by more than it differs, about.

    Args:
        *args: Of `keras.layers.Conv2D`.
        **kwargs: Of `keras.layers.Conv2D`.

    Reference:
        - [Miyato et al., 2018](https://arxiv.org/abs/1802.05957)
    """

    def convolution_op(self, inputs: Tensor, kernel: Tensor) -> Tensor:
        """Returns the convolution by the kernel over its norm.

        Args:
            inputs: A map.
            kernel: The layer's.
        """
        scale = ops.maximum(spectral_norm(self.kernel), 1e-12)
        kernel = ops.cast(ops.cast(kernel, "float32") / scale, kernel.dtype)
        return super().convolution_op(inputs, kernel)
