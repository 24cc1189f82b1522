"""A batch norm whose moments are those of the global batch, whatever drives the step.

Keras has one for TensorFlow alone. Here the driver says how a mean over replicas is
made (`means_over_replicas`), and the layer asks for it.
"""

from __future__ import annotations

import contextlib
import contextvars
from collections.abc import Callable, Iterator

import keras
from keras import ops

from facedancer.networks.tensors import Shape, Tensor

_MEAN: contextvars.ContextVar[Callable[[Tensor], Tensor] | None]
_MEAN = contextvars.ContextVar("mean over replicas", default=None)


@contextlib.contextmanager
def means_over_replicas(mean: Callable[[Tensor], Tensor] | None) -> Iterator[None]:
    """A block in which batch norms see the rows of all replicas.

    Args:
        mean: From a replica's tensor to the mean of all replicas' tensors, which all
            have the same number of rows; it must have a gradient. None: there is one
            replica.
    """
    token = _MEAN.set(mean)
    try:
        yield
    finally:
        _MEAN.reset(token)


@keras.saving.register_keras_serializable(package="facedancer")
class SynchronizedBatchNorm(keras.layers.BatchNormalization):
    """A batch norm over the rows of all replicas; alike under TensorFlow and JAX.

    N replicas thus equal one. Parts of a batch (`--accumulation`) do not: each is
    normalised by itself, or all would have to be kept in memory.

    Args:
        **kwargs: Of `keras.layers.BatchNormalization`.

    Call arguments:
        inputs: A map `(batch, height, width, channels)`.
        training: Take the moments of the batch, and move the averages by them.

    Returns:
        A map of the same shape.
    """

    def call(
        self, inputs: Tensor, training: bool | None = None, mask: None = None
    ) -> Tensor:
        if not (training and self.trainable):
            return super().call(inputs, training=False)
        x = ops.cast(inputs, "float32")
        mean = _over_replicas(ops.mean(x, axis=[0, 1, 2]))
        apart = ops.mean(ops.square(x - mean), axis=[0, 1, 2])
        variance = _over_replicas(apart)
        for average, value in (
            (self.moving_mean, mean),
            (self.moving_variance, variance),
        ):
            average.assign(
                average * self.momentum
                + ops.cast(value, average.dtype) * (1.0 - self.momentum)
            )
        gain = ops.rsqrt(variance + self.epsilon)
        if self.scale:
            gain = gain * ops.cast(self.gamma, "float32")
        shift = -mean * gain
        if self.center:
            shift = shift + ops.cast(self.beta, "float32")
        return ops.cast(x * gain + shift, self.compute_dtype)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return tuple(input_shape)


def _over_replicas(value: Tensor) -> Tensor:
    mean = _MEAN.get()
    return value if mean is None else mean(value)
