"""Between encoder and decoder: where the person comes in."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from facedancer.models.families.conditional_gan.config import FIRST, ConditionalConfig
from facedancer.networks.tensors import Shape, Tensor

_HEADS, _TOKENS = 4, 8
_DROPPED = 0.1


@keras.saving.register_keras_serializable(package="facedancer")
class PixelNorm(keras.layers.Layer):
    """Divides by the root of the mean square over the last axis.

    Args:
        epsilon: Added to the mean square.

    Call arguments:
        inputs: `(..., channels)`.

    Returns:
        The same shape.

    Reference:
        - [Karras et al., 2018](https://arxiv.org/abs/1710.10196)
    """

    def __init__(self, epsilon: float = 1e-6, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.epsilon = epsilon

    def call(self, inputs: Tensor) -> Tensor:
        x = ops.cast(inputs, "float32")
        squares = ops.mean(ops.square(x), axis=-1, keepdims=True)
        return ops.cast(x * ops.rsqrt(squares + self.epsilon), inputs.dtype)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "epsilon": self.epsilon}


@keras.saving.register_keras_serializable(package="facedancer")
class SinePositions(keras.layers.Layer):
    """Adds to each place the sines of its number, one frequency a channel.

    Call arguments:
        inputs: `(batch, places, channels)` of known places.

    Returns:
        The same shape.
    """

    def call(self, inputs: Tensor) -> Tensor:
        places, channels = inputs.shape[1:]
        rate = np.exp(-np.arange(channels) * np.log(1e4) / channels)
        table = np.sin(np.arange(places)[:, None] * rate)[None]
        return inputs + ops.cast(table, inputs.dtype)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return input_shape


def person_table(
    people: tuple[str, ...], size: int, dtype: Any
) -> keras.layers.Embedding:
    """Returns what makes of labels, `(batch, 1)`, numbers `(batch, 1, size)`.

    They begin as large as the normalised numbers of a picture, as the original's do;
    with Keras' twentieth of that the picture drowns who is to be shown.

    Args:
        people: Names by label.
        size: Numbers that stand for a person.
        dtype: Policy of the layer.
    """
    return keras.layers.Embedding(
        len(people),
        size,
        embeddings_initializer=keras.initializers.RandomNormal(stddev=1.0),
        dtype=dtype,
        name="person",
    )


class Bottleneck:
    """Makes the decoder's first map of the encoder's last one and a label.

    Args:
        config: The structure.
        dtype: Policy of the layers.
    """

    def __init__(self, config: ConditionalConfig, dtype: Any) -> None:
        self.config, self.dtype = config, dtype

    def __call__(self, x: Tensor, label: Tensor) -> Tensor:
        """Returns a map of the decoder's first side, `width` channels.

        Args:
            x: `(batch, side, side, channels)`.
            label: `(batch, 1)` int32.
        """
        return getattr(self, self.config.bottleneck)(x, label)

    def _dense(self, x: Tensor, units: int, name: str) -> Tensor:
        return keras.layers.Dense(units, dtype=self.dtype, name=name)(x)

    def _person(self, label: Tensor, size: int) -> Tensor:
        return person_table(self.config.people, size, self.dtype)(label)

    def _with_person(self, x: Tensor, label: Tensor) -> Tensor:
        size = self.config.label_size
        person = self._person(label, size)
        flat = keras.layers.Reshape((size,), dtype=self.dtype, name="person_flat")
        join = keras.layers.Concatenate(dtype=self.dtype, name="with_person")
        return join([x, flat(person)])

    def _map(self, x: Tensor) -> Tensor:
        side, width = self.config.image_size // FIRST, self.config.width
        x = self._dense(x, side * side * width, "spread")
        shape = (side, side, width)
        return keras.layers.Reshape(shape, dtype=self.dtype, name="map")(x)

    def mlp(self, x: Tensor, label: Tensor) -> Tensor:
        """Returns what two dense layers make of picture and person.

        Args:
            x: See `__call__`.
            label: See `__call__`.
        """
        x = keras.layers.Flatten(dtype=self.dtype, name="flat")(x)
        x = PixelNorm(dtype=self.dtype, name="flat_norm")(x)
        x = self._with_person(x, label)
        return self._map(self._dense(x, self.config.width, "code"))

    def _tokens(self, x: Tensor) -> Tensor:
        shape = (x.shape[1] * x.shape[2], x.shape[3])
        return keras.layers.Reshape(shape, dtype=self.dtype, name="tokens")(x)

    def _attention(self, query: Tensor, value: Tensor, key: Tensor) -> Tensor:
        width = self.config.width
        layer = keras.layers.MultiHeadAttention(
            _HEADS, width // _HEADS, dtype=self.dtype, name="attention"
        )
        return layer(query, value, key)

    def legacy_attention(self, x: Tensor, label: Tensor) -> Tensor:
        """Returns what places that look at each other, and the person, are made into.

        Args:
            x: See `__call__`.
            label: See `__call__`.
        """
        x = SinePositions(dtype=self.dtype, name="positions")(self._tokens(x))
        x = keras.layers.Dropout(_DROPPED, dtype=self.dtype, name="dropped")(x)
        x = PixelNorm(dtype=self.dtype, name="token_norm")(x)
        query, key, value = (
            self._dense(x, self.config.width, name)
            for name in ("query", "key", "value")
        )
        x = self._attention(query, value, key)
        x = keras.layers.Flatten(dtype=self.dtype, name="flat")(x)
        return self._map(self._with_person(x, label))

    def cross_attention(self, x: Tensor, label: Tensor) -> Tensor:
        """Returns places that asked the person what they should look like.

        A person is eight tokens; each place of the picture mixes them by what it shows.
        What a place shows itself goes on too, narrow and normalised.

        Args:
            x: See `__call__`.
            label: See `__call__`.
        """
        side, width = self.config.image_size // FIRST, self.config.width
        shape = x.shape[1:3]
        x = SinePositions(dtype=self.dtype, name="positions")(self._tokens(x))
        x = self._dense(
            PixelNorm(dtype=self.dtype, name="token_norm")(x), width, "query"
        )
        person = self._person(label, self.config.label_size)
        person = self._dense(person, _TOKENS * width, "person_spread")
        tokens = keras.layers.Reshape(
            (_TOKENS, width), dtype=self.dtype, name="person_tokens"
        )(person)
        found = self._attention(x, tokens, tokens)
        x = keras.layers.Add(dtype=self.dtype, name="answered")([x, found])
        x = keras.layers.Reshape((*shape, width), dtype=self.dtype, name="places")(x)
        x = keras.layers.Resizing(side, side, dtype=self.dtype, name="map")(x)
        return x
