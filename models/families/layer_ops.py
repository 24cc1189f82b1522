"""The parts that networks are put together from.

A family's graph says which part follows which; a class of the kind `Parts` says what a
part is. `LayerParts` makes Keras layers. Of FaceDancer, `CountingParts` counts
operations, `FusedParts` makes the cheaper parts of inference and `PublishedParts`
writes down the layers of the original.
"""

from __future__ import annotations

from typing import Protocol, TypeVar

import keras

from facedancer.models.layers import normalization, resampling
from facedancer.networks.tensors import Dtype, Tensor

SLOPE = 0.2


Piece = TypeVar("Piece")  # what a map is: a tensor, its shape, its name


class Parts(Protocol[Piece]):
    """What a graph may ask for; what a map is differs from class to class.

    Maps are passed on only; `name` begins the names of what is made.
    """

    def input(self, shape: tuple[int, ...], name: str) -> Piece:
        """Returns an input; the shape is without the batch axis."""

    def conv(
        self, x: Piece, filters: int, size: int, name: str, padding: str = "same"
    ) -> Piece:
        """Returns a convolution of stride 1 with bias."""

    def pooled_conv(self, x: Piece, filters: int, size: int, name: str) -> Piece:
        """Returns a convolution followed by 2x2 average pooling."""

    def dense(self, x: Piece, units: int, name: str) -> Piece:
        """Returns an affine map of vectors."""

    def normalise(self, x: Piece, name: str) -> Piece:
        """Returns vectors of length `sqrt(d)`: about one in each of `d` numbers."""

    def leaky(self, x: Piece, name: str) -> Piece:
        """Returns a leaky ReLU of slope `SLOPE`."""

    def norm(self, x: Piece, name: str) -> Piece:
        """Returns an instance norm."""

    def modulated_norm(self, x: Piece, w: Piece, name: str) -> Piece:
        """Returns an instance norm followed by AdaIN by the vector `w`."""

    def mask(self, x: Piece, filters: int, name: str) -> Piece:
        """Returns a mask in [0, 1]: instance norm, 1x1 convolution, sigmoid."""

    def add(self, a: Piece, b: Piece, name: str) -> Piece:
        """Returns the sum of two maps."""

    def up_sum(self, a: Piece, b: Piece, name: str) -> Piece:
        """Returns the sum of two maps, enlarged twofold."""

    def concat(self, a: Piece, b: Piece, name: str) -> Piece:
        """Returns the channels of both maps."""

    def multiply(self, a: Piece, b: Piece, name: str) -> Piece:
        """Returns the product of two masks, of which one may have one channel."""

    def blend(self, m: Piece, a: Piece, b: Piece, name: str) -> Piece:
        """Returns `(1 - m) * a + m * b`."""

    def output(self, x: Piece, activation: str, name: str) -> Piece:
        """Returns the result, in float32."""

    def flat(self, x: Piece, name: str) -> Piece:
        """Returns all values of an example as one row."""


class LayerParts:
    """Makes Keras layers with the names it is given.

    Args:
        form: `"plain"` or `"composed"`, see `resampling.PooledConv2D`.
        dtype: Policy of the layers; `None` is the global one.
        gain_bias: See `normalization.AdaIN`.
    """

    def __init__(
        self, form: str = "composed", dtype: Dtype = None, gain_bias: float = 0.0
    ) -> None:
        self.form = form
        self.dtype = dtype
        self.gain_bias = gain_bias
        self.masks: list[Tensor] = []  # of the blends, in the order of the graph

    def input(self, shape: tuple[int, ...], name: str) -> Tensor:
        """Returns an input without its batch axis."""
        return keras.Input(shape, name=name)

    def conv(
        self, x: Tensor, filters: int, size: int, name: str, padding: str = "same"
    ) -> Tensor:
        """Returns a convolution of stride 1 with bias."""
        return keras.layers.Conv2D(
            filters, size, padding=padding, dtype=self.dtype, name=name
        )(x)

    def pooled_conv(self, x: Tensor, filters: int, size: int, name: str) -> Tensor:
        """Returns a convolution followed by 2x2 average pooling."""
        return resampling.PooledConv2D(
            filters, size, self.form, dtype=self.dtype, name=name
        )(x)

    def dense(self, x: Tensor, units: int, name: str) -> Tensor:
        """Returns an affine map of vectors."""
        return keras.layers.Dense(units, dtype=self.dtype, name=name)(x)

    def normalise(self, x: Tensor, name: str) -> Tensor:
        """Returns vectors of length `sqrt(d)`: about one in each of `d` numbers."""
        length = float(x.shape[-1]) ** 0.5
        x = keras.layers.UnitNormalization(dtype="float32", name=f"{name}_unit")(x)
        return keras.layers.Rescaling(length, dtype=self.dtype, name=name)(x)

    def leaky(self, x: Tensor, name: str) -> Tensor:
        """Returns a leaky ReLU."""
        return keras.layers.LeakyReLU(SLOPE, dtype=self.dtype, name=name)(x)

    def norm(self, x: Tensor, name: str) -> Tensor:
        """Returns an instance norm."""
        return normalization.InstanceNorm(dtype=self.dtype, name=name)(x)

    def modulated_norm(self, x: Tensor, w: Tensor, name: str) -> Tensor:
        """Returns an instance norm followed by AdaIN."""
        x = self.norm(x, f"{name}_norm")
        return normalization.AdaIN(
            self.gain_bias, dtype=self.dtype, name=f"{name}_adain"
        )([x, w])

    def mask(self, x: Tensor, filters: int, name: str) -> Tensor:
        """Returns a mask in [0, 1]: instance norm, 1x1 convolution, sigmoid."""
        x = self.norm(x, f"{name}_norm")
        return keras.layers.Conv2D(
            filters, 1, activation="sigmoid", dtype=self.dtype, name=name
        )(x)

    def add(self, a: Tensor, b: Tensor, name: str) -> Tensor:
        """Returns the sum of two maps."""
        return keras.layers.Add(dtype=self.dtype, name=name)([a, b])

    def up_sum(self, a: Tensor, b: Tensor, name: str) -> Tensor:
        """Returns the sum of two maps, enlarged twofold."""
        return resampling.UpSum(self.form, dtype=self.dtype, name=name)([a, b])

    def concat(self, a: Tensor, b: Tensor, name: str) -> Tensor:
        """Returns the channels of both maps."""
        return keras.layers.Concatenate(dtype=self.dtype, name=name)([a, b])

    def multiply(self, a: Tensor, b: Tensor, name: str) -> Tensor:
        """Returns the product of two masks, of which one may have one channel."""
        return keras.layers.Multiply(dtype=self.dtype, name=name)([a, b])

    def blend(self, m: Tensor, a: Tensor, b: Tensor, name: str) -> Tensor:
        """Returns `(1 - m) * a + m * b`; the mask is kept too."""
        self.masks.append(m)
        return resampling.Blend(dtype=self.dtype, name=name)([m, a, b])

    def output(self, x: Tensor, activation: str, name: str) -> Tensor:
        """Returns the result in float32, whatever the policy of the other pieces."""
        return keras.layers.Activation(activation, dtype="float32", name=name)(x)

    def flat(self, x: Tensor, name: str) -> Tensor:
        """Returns all values of an example as one float32 row."""
        return keras.layers.Flatten(dtype="float32", name=name)(x)
