"""The types of what networks and losses compute on, and of its shape."""

from typing import TypeAlias

import keras

# A symbol while a network is put together, later an array of Keras' backend; what
# `keras.ops` takes. Keras ships no types: a checker looks at where tensors go, and not
# at what is computed with them.
Tensor: TypeAlias = keras.KerasTensor

# Of a tensor; None where it is open.
Shape: TypeAlias = tuple[int | None, ...]
