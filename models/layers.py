"""Layers of the generator and the discriminator. Keras operations only.

Maps are channels last, `(batch, height, width, channels)`.
"""

from __future__ import annotations

import keras
from keras import ops

from facedancer.models.config import FORMS


def _statistics(x, epsilon):
    """Returns mean and `1 / sqrt(variance + epsilon)` per example and channel.

    Both `(batch, 1, 1, channels)` float32: a map's sum overflows float16 and loses
    most of bfloat16's few digits.
    """
    x = ops.cast(x, "float32")
    mean, variance = ops.moments(x, axes=[1, 2], keepdims=True)
    return mean, ops.rsqrt(variance + epsilon)


def _multiply_add(x, scale, shift):
    """Returns `x * scale + shift` in the dtype of `x`; the factors are float32."""
    return x * ops.cast(scale, x.dtype) + ops.cast(shift, x.dtype)


def _need_map(layer, shape):
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

    Call arguments:
        inputs: A map `(batch, height, width, channels)`.

    Returns:
        A map of the same shape.

    Raises:
        ValueError: If the input is no map of known channels.

    Reference:
        - [Ulyanov et al., 2016](https://arxiv.org/abs/1607.08022)
    """

    def __init__(self, epsilon=1e-3, affine=True, **kwargs):
        super().__init__(**kwargs)
        self.epsilon = epsilon
        self.affine = affine

    def build(self, input_shape):
        _need_map(self, input_shape)
        if self.affine:
            shape = (input_shape[-1],)
            self.gamma = self.add_weight(
                name="gamma", shape=shape, initializer="ones", autocast=False
            )
            self.beta = self.add_weight(
                name="beta", shape=shape, initializer="zeros", autocast=False
            )

    def call(self, inputs):
        mean, scale = _statistics(inputs, self.epsilon)
        if not self.affine:
            return _multiply_add(inputs, scale, -mean * scale)
        scale = scale * ops.cast(self.gamma, "float32")
        shift = ops.cast(self.beta, "float32") - mean * scale
        return _multiply_add(inputs, scale, shift)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        config = super().get_config()
        return {**config, "epsilon": self.epsilon, "affine": self.affine}


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
        self, groups=-1, axis=-1, epsilon=1e-3, center=True, scale=True, **kwargs
    ):
        for name in self._LEFT_OUT:
            kwargs.pop(name, None)
        if axis not in (-1, 3) or not (center and scale):
            raise ValueError(
                "Only channels-last instance norm with scale and offset is known. "
                f"Received: axis={axis}, center={center}, scale={scale}"
            )
        super().__init__(epsilon=epsilon, **kwargs)
        self.groups = groups

    def build(self, input_shape):
        if self.groups not in (-1, input_shape[-1]):
            raise ValueError(
                f"`groups` must be the number of channels, {input_shape[-1]}. "
                f"Received: groups={self.groups}"
            )
        super().build(input_shape)

    def get_config(self):
        config = super().get_config()
        del config["affine"]
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

    def __init__(self, gain_bias=0.0, **kwargs):
        super().__init__(**kwargs)
        self.gain_bias = gain_bias

    def build(self, input_shape):
        x_shape, w_shape = input_shape
        _need_map(self, x_shape)
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

    def call(self, inputs):
        x, w = inputs
        scale = ops.matmul(w, self.scale_kernel) + self.scale_bias
        shift = ops.matmul(w, self.shift_kernel) + self.shift_bias
        return scale[:, None, None, :] * x + shift[:, None, None, :]

    def compute_output_shape(self, input_shape):
        return input_shape[0]

    def get_config(self):
        return {**super().get_config(), "gain_bias": self.gain_bias}


@keras.saving.register_keras_serializable(package="facedancer")
class ModulatedNorm(keras.layers.Layer):
    """`AdaIN(InstanceNorm(x), w)` as one multiply-add, for inference.

    The affine part of the norm is folded into the map from `w`, whose output is twice
    the channels: scales, then shifts.

    Args:
        epsilon: Added to the variance.

    Call arguments:
        inputs: A pair `(x, w)` as `AdaIN` takes it.

    Returns:
        A map of the shape of `x`.

    Raises:
        ValueError: If `x` is no map of known channels.
    """

    def __init__(self, epsilon=1e-3, **kwargs):
        super().__init__(**kwargs)
        self.epsilon = epsilon

    def build(self, input_shape):
        x_shape, w_shape = input_shape
        _need_map(self, x_shape)
        units = 2 * x_shape[-1]
        self.kernel = self.add_weight(
            name="kernel", shape=(w_shape[-1], units), initializer="glorot_uniform"
        )
        self.bias = self.add_weight(name="bias", shape=(units,), initializer="zeros")

    def call(self, inputs):
        x, w = inputs
        both = ops.cast(ops.matmul(w, self.kernel) + self.bias, "float32")
        gain, offset = ops.split(both[:, None, None, :], 2, axis=-1)
        mean, scale = _statistics(x, self.epsilon)
        scale = scale * gain
        return _multiply_add(x, scale, offset - mean * scale)

    def compute_output_shape(self, input_shape):
        return input_shape[0]

    def get_config(self):
        return {**super().get_config(), "epsilon": self.epsilon}


@keras.saving.register_keras_serializable(package="facedancer")
class Blend(keras.layers.Layer):
    """Mixes two maps by a mask: `(1 - m) * a + m * b`.

    Call arguments:
        inputs: A triple `(m, a, b)` of shapes that broadcast together; `m` in [0, 1].

    Returns:
        A map of the shape of `a`.
    """

    def call(self, inputs):
        m, a, b = inputs
        return a + ops.cast(m, a.dtype) * (b - a)

    def compute_output_shape(self, input_shape):
        return input_shape[1]


def pooled_kernel(kernel):
    """Returns the kernel that convolves and halves at once.

    A convolution of size k followed by 2x2 average pooling is one convolution of size
    k + 1 and stride 2, whose kernel is the mean of the four shifted copies.

    Args:
        kernel: `(k, k, inputs, outputs)`.

    Returns:
        `(k + 1, k + 1, inputs, outputs)` of the same dtype.
    """
    rows = ops.pad(kernel, ((0, 1), (0, 0), (0, 0), (0, 0)))
    rows = rows + ops.pad(kernel, ((1, 0), (0, 0), (0, 0), (0, 0)))
    both = ops.pad(rows, ((0, 0), (0, 1), (0, 0), (0, 0)))
    both = both + ops.pad(rows, ((0, 0), (1, 0), (0, 0), (0, 0)))
    return both * 0.25


@keras.saving.register_keras_serializable(package="facedancer")
class PooledConv2D(keras.layers.Layer):
    """A convolution followed by 2x2 average pooling.

    Args:
        filters: Output channels.
        kernel_size: 1 or 3.
        form: `"plain"` computes it as it is written. `"composed"` computes the same
            function from the same weights with fewer operations: one convolution of
            stride 2 whose kernel is made from the weights (`pooled_kernel`), or
            pooling first where the kernel is 1x1.

    Call arguments:
        inputs: A map of even height and width.

    Returns:
        A map `(batch, height / 2, width / 2, filters)`.

    Raises:
        ValueError: If the form or the size is unknown, or the map's side is odd.
    """

    def __init__(self, filters, kernel_size=3, form="composed", **kwargs):
        if form not in FORMS:
            raise ValueError(f"`form` must be one of {FORMS}. Received: form={form!r}")
        if kernel_size not in (1, 3):
            raise ValueError(
                f"`kernel_size` must be 1 or 3. Received: kernel_size={kernel_size}"
            )
        super().__init__(**kwargs)
        self.filters = filters
        self.kernel_size = kernel_size
        self.form = form

    def build(self, input_shape):
        _need_map(self, input_shape)
        if any(side is not None and side % 2 for side in input_shape[1:3]):
            raise ValueError(
                "`PooledConv2D` needs even height and width. Received: shape "
                f"{tuple(input_shape)}"
            )
        size = self.kernel_size
        self.kernel = self.add_weight(
            name="kernel",
            shape=(size, size, input_shape[-1], self.filters),
            initializer="glorot_uniform",
            autocast=False,  # the composed kernel is summed in float32
        )
        self.bias = self.add_weight(
            name="bias", shape=(self.filters,), initializer="zeros"
        )

    def call(self, inputs):
        kernel, pool = self.kernel, None
        if self.form == "plain":
            x, strides, pool = inputs, 1, "after"
        elif self.kernel_size == 1:
            x, strides = self._halve(inputs), 1
        else:
            x, strides, kernel = inputs, 2, pooled_kernel(kernel)
        kernel = ops.cast(kernel, x.dtype)
        x = ops.conv(x, kernel, strides, "same", data_format="channels_last")
        x = x + self.bias
        return self._halve(x) if pool else x

    @staticmethod
    def _halve(x):
        return ops.average_pool(x, 2, 2, data_format="channels_last")

    def compute_output_shape(self, input_shape):
        batch, *sides, _ = input_shape
        return batch, *(s if s is None else s // 2 for s in sides), self.filters

    def get_config(self):
        return {
            **super().get_config(),
            "filters": self.filters,
            "kernel_size": self.kernel_size,
            "form": self.form,
        }


@keras.saving.register_keras_serializable(package="facedancer")
class UpSum(keras.layers.Layer):
    """The sum of two maps, each enlarged twofold by bilinear interpolation.

    Args:
        form: `"plain"` enlarges both; `"composed"` adds first, which is the same.

    Call arguments:
        inputs: A pair of maps of one shape.

    Returns:
        A map `(batch, 2 * height, 2 * width, channels)`.

    Raises:
        ValueError: If the form is unknown.
    """

    def __init__(self, form="composed", **kwargs):
        if form not in FORMS:
            raise ValueError(f"`form` must be one of {FORMS}. Received: form={form!r}")
        super().__init__(**kwargs)
        self.form = form

    def call(self, inputs):
        a, b = inputs
        if self.form == "composed":
            return self._enlarge(a + b)
        return self._enlarge(a) + self._enlarge(b)

    @staticmethod
    def _enlarge(x):
        size = (2 * x.shape[1], 2 * x.shape[2])
        return ops.image.resize(x, size, "bilinear", data_format="channels_last")

    def compute_output_shape(self, input_shape):
        batch, height, width, channels = input_shape[0]
        return batch, 2 * height, 2 * width, channels

    def get_config(self):
        return {**super().get_config(), "form": self.form}
