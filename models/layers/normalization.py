"""Instance norm and AdaIN. Keras operations only.

Maps are channels last, `(batch, height, width, channels)`. Norms have two forms:
`"composed"`, one multiply-add, goes over the map least often where each operation is
run as it stands; `"plain"`, as the formula is written, is what OpenVINO knows as one
operation (MVN), which is faster still.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from facedancer.models.layers.forms import known_form
from facedancer.networks.tensors import Shape, Tensor


def _statistics(x: Tensor, epsilon: float) -> tuple[Tensor, Tensor]:
    """Returns mean and `1 / sqrt(variance + epsilon)` per example and channel.

    Both `(batch, 1, 1, channels)` float32: a map's sum overflows float16 and loses
    most of bfloat16's few digits.
    """
    x = ops.cast(x, "float32")
    mean, variance = _moments(x)
    return mean, ops.rsqrt(variance + epsilon)


def _moments(x: Tensor) -> tuple[Tensor, Tensor]:
    """Returns mean and variance per example and channel, `(batch, 1, 1, channels)`.

    TensorFlow takes the mean for a constant in the variance. That changes no gradient,
    but the gradient of a gradient, which the penalty R1 needs: by up to a part in as
    many as a map has pixels. The published trainer did so, hence JAX does here too.
    """
    if keras.backend.backend() != "jax":
        return ops.moments(x, axes=[1, 2], keepdims=True)
    mean = ops.mean(x, axis=[1, 2], keepdims=True)
    apart = ops.square(x - ops.stop_gradient(mean))
    return mean, ops.mean(apart, axis=[1, 2], keepdims=True)


def _normalise(
    x: Tensor, gain: Tensor, offset: Tensor, epsilon: float, form: str
) -> Tensor:
    """Returns `(x - mean) / sqrt(variance + epsilon) * gain + offset`.

    In the dtype of `x`; gain and offset are float32 and broadcast to a map.
    """
    if form == "plain":
        apart = ops.cast(x, "float32")
        apart = apart - ops.mean(apart, axis=[1, 2], keepdims=True)
        variance = ops.mean(ops.power(apart, 2.0), axis=[1, 2], keepdims=True)
        return ops.cast(apart / ops.sqrt(variance + epsilon) * gain + offset, x.dtype)
    mean, scale = _statistics(x, epsilon)
    scale = scale * gain
    return x * ops.cast(scale, x.dtype) + ops.cast(offset - mean * scale, x.dtype)


def need_map(layer: keras.layers.Layer, shape: Shape) -> None:
    """Refuses what is no map.

    Args:
        layer: Who asks.
        shape: Of its input.

    Raises:
        ValueError: If the shape is not of rank 4 or its channels are unknown.
    """
    if len(shape) != 4 or shape[-1] is None:
        raise ValueError(
            f"`{type(layer).__name__}` needs a map of shape (batch, height, width, "
            f"channels) with known channels. Received: shape {tuple(shape)}"
        )


@keras.saving.register_keras_serializable(package="facedancer")
class InstanceNorm(keras.layers.Layer):
    """Normalises each channel of each example over height and width.

    `gamma * (x - mean) / sqrt(variance + epsilon) + beta`, as tensorflow-addons'
    `InstanceNormalization` and `GroupNormalization(groups=-1)`. The statistics are
    computed in float32 whatever the policy.

    Args:
        epsilon: Added to the variance.
        affine: Whether `gamma` and `beta` are learned; without, the result is the
            normalised map.
        form: `"composed"` or `"plain"`, see above.

    Call arguments:
        inputs: A map `(batch, height, width, channels)`.

    Returns:
        A map of the same shape.

    Raises:
        ValueError: If the input is no map of known channels, or the form is unknown.

    Reference:
        - [Ulyanov et al., 2016](https://arxiv.org/abs/1607.08022)
    """

    def __init__(
        self,
        epsilon: float = 1e-3,
        affine: bool = True,
        form: str = "composed",
        **kwargs: object,
    ) -> None:
        super().__init__(**kwargs)
        self.epsilon = epsilon
        self.affine = affine
        self.form = known_form(form)

    def build(self, input_shape: Shape) -> None:
        need_map(self, input_shape)
        if self.affine:
            shape = (input_shape[-1],)
            self.gamma = self.add_weight(
                name="gamma", shape=shape, initializer="ones", autocast=False
            )
            self.beta = self.add_weight(
                name="beta", shape=shape, initializer="zeros", autocast=False
            )

    def call(self, inputs: Tensor) -> Tensor:
        gain, offset = (self.gamma, self.beta) if self.affine else (1.0, 0.0)
        gain, offset = ops.cast(gain, "float32"), ops.cast(offset, "float32")
        return _normalise(inputs, gain, offset, self.epsilon, self.form)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "epsilon": self.epsilon,
            "affine": self.affine,
            "form": self.form,
        }


@keras.saving.register_keras_serializable(package="Addons")
class InstanceNormalization(InstanceNorm):
    """`InstanceNorm` under the name that tensorflow-addons gave it in files.

    Files name it `Addons>InstanceNormalization`; this class lets
    `keras.saving.load_model` find it.

    Args:
        groups: Channels of the input, or -1; other group counts are another layer.
        axis: -1 or 3.
        epsilon: Added to the variance.
        center: Must be true.
        scale: Must be true.
        **kwargs: Initialisers, regularisers and constraints of the old layer are
            left out, they matter in training only.

    Raises:
        ValueError: If the file means another layer.
    """

    _LEFT_OUT = tuple(
        f"{weight}_{kind}"
        for weight in ("beta", "gamma")
        for kind in ("initializer", "regularizer", "constraint")
    )

    def __init__(
        self,
        groups: int = -1,
        axis: int = -1,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        **kwargs: Any,
    ) -> None:
        for name in self._LEFT_OUT:
            kwargs.pop(name, None)
        if axis not in (-1, 3) or not (center and scale):
            raise ValueError(
                "Only channels-last instance norm with scale and offset is known. "
                f"Received: axis={axis}, center={center}, scale={scale}"
            )
        super().__init__(epsilon=epsilon, **kwargs)
        self.groups = groups

    def build(self, input_shape: Shape) -> None:
        if self.groups not in (-1, input_shape[-1]):
            raise ValueError(
                f"`groups` must be the number of channels, {input_shape[-1]}. "
                f"Received: groups={self.groups}"
            )
        super().build(input_shape)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        del config["affine"], config["form"]
        return {**config, "groups": self.groups}


@keras.saving.register_keras_serializable(package="facedancer")
class AdaIN(keras.layers.Layer):
    """Scales and shifts a map by amounts read from an identity vector.

    `y = scale(w) * x + shift(w)`, where both are one affine map of the vector. The
    input is not normalised here; the generator puts an `InstanceNorm` in front. The
    four weights lie in the layer itself, scale before shift, the order of the
    published files; nested layers of one type collide in Keras 3's `.h5`.

    Args:
        gain_bias: Start of the bias of the scale.

    Call arguments:
        inputs: A pair `(x, w)`: a map `(batch, height, width, channels)` and a vector
            `(batch, features)`.

    Returns:
        A map of the shape of `x`.

    Raises:
        ValueError: If `x` is no map of known channels.

    Example:

    >>> layer = AdaIN()
    >>> tuple(layer((np.zeros((2, 8, 6, 16)), np.zeros((2, 512)))).shape)
    (2, 8, 6, 16)

    Reference:
        - [Huang and Belongie, 2017](https://arxiv.org/abs/1703.06868)
        - [Rosberg et al., 2023](https://arxiv.org/abs/2210.10473)
    """

    def __init__(self, gain_bias: float = 0.0, **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.gain_bias = gain_bias

    def build(self, input_shape: Sequence[Shape]) -> None:
        x_shape, w_shape = input_shape
        need_map(self, x_shape)
        starts = {"scale": self.gain_bias, "shift": 0.0}
        for name, start in starts.items():
            kernel = self.add_weight(
                name=f"{name}_kernel",
                shape=(w_shape[-1], x_shape[-1]),
                initializer="glorot_uniform",
            )
            bias = self.add_weight(
                name=f"{name}_bias",
                shape=(x_shape[-1],),
                initializer=keras.initializers.Constant(start),
            )
            setattr(self, f"{name}_kernel", kernel)
            setattr(self, f"{name}_bias", bias)

    def call(self, inputs: Sequence[Tensor]) -> Tensor:
        x, w = inputs
        scale = ops.matmul(w, self.scale_kernel) + self.scale_bias
        shift = ops.matmul(w, self.shift_kernel) + self.shift_bias
        return scale[:, None, None, :] * x + shift[:, None, None, :]

    def multiply_accumulates(self, output_shape: Shape) -> int:
        """Returns those of one example: the vector meets both kernels once.

        Args:
            output_shape: Of a call; it does not matter.
        """
        return 2 * int(np.prod(self.scale_kernel.shape))

    def compute_output_shape(self, input_shape: Sequence[Shape]) -> Shape:
        return input_shape[0]

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "gain_bias": self.gain_bias}


@keras.saving.register_keras_serializable(package="facedancer")
class ModulatedNorm(keras.layers.Layer):
    """`AdaIN(InstanceNorm(x), w)` as one multiply-add, for inference.

    The affine part of the norm is folded into the map from `w`, whose output is twice
    the channels: scales, then shifts.

    Args:
        epsilon: Added to the variance.
        form: `"composed"` or `"plain"`, see above.

    Call arguments:
        inputs: A pair `(x, w)` as `AdaIN` takes it; or several maps and `w`, which are
            treated as one map with the channels of all.

    Returns:
        A map of the shape of `x`, or a list of as many maps.

    Raises:
        ValueError: If `x` is no map of known channels, or the form is unknown.
    """

    def __init__(
        self, epsilon: float = 1e-3, form: str = "composed", **kwargs: object
    ) -> None:
        super().__init__(**kwargs)
        self.epsilon = epsilon
        self.form = known_form(form)

    def build(self, input_shape: Sequence[Shape]) -> None:
        *x_shapes, w_shape = input_shape
        for shape in x_shapes:
            need_map(self, shape)
        units = 2 * sum(shape[-1] for shape in x_shapes)
        self.kernel = self.add_weight(
            name="kernel", shape=(w_shape[-1], units), initializer="glorot_uniform"
        )
        self.bias = self.add_weight(name="bias", shape=(units,), initializer="zeros")

    def call(self, inputs: Sequence[Tensor]) -> Tensor | list[Tensor]:
        *maps, w = inputs
        both = ops.cast(ops.matmul(w, self.kernel) + self.bias, "float32")
        gains, offsets = ops.split(both[:, None, None, :], 2, axis=-1)
        results, first = [], 0
        for x in maps:
            channels = slice(first, first + x.shape[-1])
            gain, offset = gains[..., channels], offsets[..., channels]
            first = channels.stop
            results.append(_normalise(x, gain, offset, self.epsilon, self.form))
        return results if len(results) > 1 else results[0]

    def multiply_accumulates(self, output_shape: Shape) -> int:
        """Returns those of one example: the vector meets the kernel once.

        Args:
            output_shape: Of a call; it does not matter.
        """
        return int(np.prod(self.kernel.shape))

    def compute_output_shape(self, input_shape: Sequence[Shape]) -> Shape | list[Shape]:
        *x_shapes, _ = input_shape
        return x_shapes if len(x_shapes) > 1 else x_shapes[0]

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        return {**config, "epsilon": self.epsilon, "form": self.form}
