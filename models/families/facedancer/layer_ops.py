"""The pieces that the networks are put together from.

`blocks`, `generator` and `discriminator` say which piece follows which; a class of
this kind says what a piece is. `LayerParts` makes Keras layers; `macs.CountingParts`
counts operations and `fused.FusedParts` makes the cheaper pieces of inference.
"""

from __future__ import annotations

import keras

from facedancer.models.layers import normalization, resampling

SLOPE = 0.2


class LayerParts:
    """Makes Keras layers with the names it is given.

    Args:
        form: `"plain"` or `"composed"`, see `layers.PooledConv2D`.
        dtype: Policy of the layers; `None` is the global one.
        gain_bias: See `normalization.AdaIN`.
    """

    def __init__(self, form="composed", dtype=None, gain_bias=0.0):
        self.form = form
        self.dtype = dtype
        self.gain_bias = gain_bias

    def input(self, shape, name):
        """Returns an input without its batch axis."""
        return keras.Input(shape, name=name)

    def conv(self, x, filters, size, name, padding="same"):
        """Returns a convolution of stride 1 with bias."""
        return keras.layers.Conv2D(
            filters, size, padding=padding, dtype=self.dtype, name=name
        )(x)

    def pooled_conv(self, x, filters, size, name):
        """Returns a convolution followed by 2x2 average pooling."""
        return resampling.PooledConv2D(
            filters, size, self.form, dtype=self.dtype, name=name
        )(x)

    def dense(self, x, units, name):
        """Returns an affine map of vectors."""
        return keras.layers.Dense(units, dtype=self.dtype, name=name)(x)

    def normalise(self, x, name):
        """Returns vectors of length `sqrt(d)`: about one in each of `d` numbers."""
        length = float(x.shape[-1]) ** 0.5
        x = keras.layers.UnitNormalization(dtype="float32", name=f"{name}_unit")(x)
        return keras.layers.Rescaling(length, dtype=self.dtype, name=name)(x)

    def leaky(self, x, name):
        """Returns a leaky ReLU."""
        return keras.layers.LeakyReLU(SLOPE, dtype=self.dtype, name=name)(x)

    def norm(self, x, name):
        """Returns an instance norm."""
        return normalization.InstanceNorm(dtype=self.dtype, name=name)(x)

    def modulated_norm(self, x, w, name):
        """Returns an instance norm followed by AdaIN."""
        x = self.norm(x, f"{name}_norm")
        return normalization.AdaIN(
            self.gain_bias, dtype=self.dtype, name=f"{name}_adain"
        )([x, w])

    def mask(self, x, filters, name):
        """Returns a mask in [0, 1]: instance norm, 1x1 convolution, sigmoid."""
        x = self.norm(x, f"{name}_norm")
        return keras.layers.Conv2D(
            filters, 1, activation="sigmoid", dtype=self.dtype, name=name
        )(x)

    def add(self, a, b, name):
        """Returns the sum of two maps."""
        return keras.layers.Add(dtype=self.dtype, name=name)([a, b])

    def up_sum(self, a, b, name):
        """Returns the sum of two maps, enlarged twofold."""
        return resampling.UpSum(self.form, dtype=self.dtype, name=name)([a, b])

    def concat(self, a, b, name):
        """Returns the channels of both maps."""
        return keras.layers.Concatenate(dtype=self.dtype, name=name)([a, b])

    def multiply(self, a, b, name):
        """Returns the product of two masks, of which one may have one channel."""
        return keras.layers.Multiply(dtype=self.dtype, name=name)([a, b])

    def blend(self, m, a, b, name):
        """Returns `(1 - m) * a + m * b`."""
        return resampling.Blend(dtype=self.dtype, name=name)([m, a, b])

    def output(self, x, activation, name):
        """Returns the result in float32, whatever the policy of the other pieces."""
        return keras.layers.Activation(activation, dtype="float32", name=name)(x)

    def flat(self, x, name):
        """Returns all values of an example as one float32 row."""
        return keras.layers.Flatten(dtype="float32", name=name)(x)
