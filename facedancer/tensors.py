"""The type of what networks and losses compute on."""

from typing import TypeAlias

import keras

# A symbol while a network is put together, later an array of Keras' backend; what
# `keras.ops` takes. Keras ships no types: a checker looks at where tensors go, and not
# at what is computed with them.
Tensor: TypeAlias = keras.KerasTensor
