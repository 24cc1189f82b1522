"""Small discriminators on maps of a frozen network, one for each scale.

Reference:
    - [Projected GANs, Sauer et al., 2021](https://arxiv.org/abs/2111.01007)
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import keras
from keras import layers

from facedancer.models.layers.spectral_convolution import SpectralConv2D

_LOGITS = 4  # side of the map of logits, about, whatever the scale
_MAX_WIDTH = 256
_GROUPS = 8


def build_projected_heads(
    shapes: Sequence[tuple[int, int, int]], base_width: int = 64, dtype: Any = None
) -> keras.Model:
    """Returns new heads with random weights.

    A head halves its map until the side is 4 or less and then judges each place. Its
    convolutions are divided by their spectral norm, but for the last one, which may
    choose the scale of the logits. So that nothing fades on the way, each map is
    brought to one scale in groups of channels, each example by itself (Wu and He 2018,
    https://arxiv.org/abs/1803.08494).

    Args:
        shapes: `(height, width, channels)` of each map.
        base_width: Channels of a head's first map; doubled with each halving, 256 at
            most.
        dtype: Policy of the layers; `None` is the global one.

    Returns:
        A model from a list of maps to a list of logits `(batch, 4, 4, 1)`, about.
    """
    inputs, logits = [], []
    for number, shape in enumerate(shapes):
        inputs.append(keras.Input(shape, name=f"map{number}"))
        logits.append(_head(inputs[-1], base_width, f"head{number}", dtype))
    return keras.Model(inputs, logits, name="projected_heads")


def _head(x: Any, width: int, name: str, dtype: Any) -> Any:
    settings = {"padding": "same", "dtype": dtype}
    x, halvings = _scaled(x, f"{name}_in", dtype), 0
    while x.shape[1] > _LOGITS:
        down = f"{name}_down{halvings}"
        x = _seen(SpectralConv2D(width, 4, 2, name=down, **settings)(x), down, dtype)
        halvings, width = halvings + 1, min(2 * width, _MAX_WIDTH)
    look = f"{name}_look"
    x = _seen(SpectralConv2D(width, 3, name=look, **settings)(x), look, dtype)
    return layers.Conv2D(1, 3, name=f"{name}_logits", **settings)(x)


def _seen(x: Any, name: str, dtype: Any) -> Any:
    return layers.LeakyReLU(negative_slope=0.2, dtype=dtype)(_scaled(x, name, dtype))


def _scaled(x: Any, name: str, dtype: Any) -> Any:
    groups = math.gcd(_GROUPS, x.shape[-1])
    return layers.GroupNormalization(groups, dtype=dtype, name=f"{name}_norm")(x)
