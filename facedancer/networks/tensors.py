"""The types of what networks and losses compute on, and of its shape."""

from typing import Any, TypeAlias

import keras

# A symbol while a network is put together, later an array of Keras' backend; what
# `keras.ops` takes. Keras ships no types: a checker looks at where tensors go, and not
# at what is computed with them.
Tensor: TypeAlias = keras.KerasTensor

# Of a tensor: whole numbers, None for a side that is open. Layers that halve or enlarge
# compute with them as they are; which sides are known, a checker cannot tell.
Shape: TypeAlias = tuple[Any, ...]

# Of a layer: the name of a Keras policy, the policy itself, None for the global one.
Dtype: TypeAlias = str | keras.DTypePolicy | None
