"""A network's call as a compiled function, whatever Keras runs on."""

from __future__ import annotations

from collections.abc import Callable

import keras

from facedancer.networks.tensors import Tensor


def compiled(function: Callable, model: keras.Model) -> Callable:
    """Returns a function, compiled; later changes of the model's weights count.

    Args:
        function: Takes one nest of arrays, and calls the model.
        model: A network in the state of inference.
    """
    if keras.backend.backend() == "jax":
        return _with_jax(function, model)
    import tensorflow as tf

    return tf.function(function, autograph=False)


def _with_jax(function: Callable, model: keras.Model) -> Callable:
    import jax

    @jax.jit
    def run(values: list, inputs: Tensor) -> Tensor:
        mapping = zip(model.variables, values, strict=True)
        with keras.StatelessScope(state_mapping=mapping):
            return function(inputs)

    return lambda inputs: run([v.value for v in model.variables], inputs)
