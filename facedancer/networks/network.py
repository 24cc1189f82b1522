"""What every network of this project offers besides `keras.Model`."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any, Self

import keras
import numpy as np


@dataclasses.dataclass(frozen=True)
class Cost:
    """What a network costs.

    Attributes:
        parameters: Numbers that are learned; moving averages are not.
        macs: Multiply-accumulates per example, of convolutions and dense layers; a
            FLOP count is about twice these. None where the input's size is open.
    """

    parameters: int
    macs: int | None


class Network(keras.Model):
    """A functional network that knows its arguments and the names of its ends.

    A subclass builds its graph, calls `super().__init__(inputs=..., outputs=...,
    name=...)` and then `_remember` with its other arguments: that is what a file keeps.
    """

    _settings: dict | None = None

    def _remember(self, **settings: object) -> None:
        self._settings = settings

    def get_config(self) -> dict[str, Any]:
        if self._settings is None:
            return super().get_config()  # the graph itself
        return {"name": self.name, **self._settings}

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: Mapping[str, object] | None = None
    ) -> Self:
        if "layers" in config:
            return super().from_config(config, custom_objects)
        return cls(**config)

    @property
    def feed_names(self) -> tuple[str, ...]:
        """Names of the inputs, in the order in which a call takes them."""
        return tuple(tensor.name for tensor in self.inputs)

    @property
    def result_names(self) -> tuple[str, ...]:
        """Names of the outputs: keys where a call gives a dict, else their layers'."""
        if isinstance(self.output, dict):
            return tuple(self.output)
        return tuple(t._keras_history.operation.name for t in self.outputs)

    def named(self, feeds: Mapping) -> dict:
        """Returns the outputs by name, of an inference.

        Args:
            feeds: Arrays or tensors by the names of the inputs.
        """
        given = [feeds[name] for name in self.feed_names]
        found = self(given if len(given) > 1 else given[0], training=False)
        if isinstance(found, dict):
            return found
        found = found if isinstance(found, list | tuple) else [found]
        return dict(zip(self.result_names, found, strict=True))

    def example_inputs(self, batch: int = 2, seed: int = 0) -> dict[str, np.ndarray]:
        """Returns seeded inputs by name, for tests and comparisons.

        Args:
            batch: How many examples.
            seed: Of the random numbers.

        Returns:
            Images and maps uniform in [-1, 1], vectors of variance 1, labels 0; sides
            that are open have 64 pixels.
        """
        rng, made = np.random.default_rng(seed), {}
        for tensor in self.inputs:
            shape = (batch, *(side or 64 for side in tensor.shape[1:]))
            dtype = keras.backend.standardize_dtype(tensor.dtype)
            if "int" in dtype:
                made[tensor.name] = np.zeros(shape, dtype)
            elif len(shape) > 2:
                made[tensor.name] = rng.uniform(-1.0, 1.0, shape).astype(np.float32)
            else:
                made[tensor.name] = rng.normal(size=shape).astype(np.float32)
        return made

    def variant(self, **changes: object) -> Self:
        """Returns the same network with other arguments and the same weights.

        Args:
            **changes: Other values of arguments that change no weight's shape.
        """
        other = type(self)(**{**self.get_config(), **changes})
        for layer in other.layers:  # by name: their order may be another
            if layer.weights:
                layer.set_weights(self.get_layer(layer.name).get_weights())
        return other

    def cost(self) -> Cost:
        """Returns what the network costs, in the form in which it computes."""
        nodes = [node for some in self._nodes_by_depth.values() for node in some]
        counts = [_multiply_accumulates(node) for node in nodes]
        macs = None if None in counts else sum(count or 0 for count in counts)
        learned = self.trainable_weights if self.trainable else self.weights
        return Cost(sum(math.prod(weight.shape) for weight in learned), macs)

    def describe(self) -> str:
        """Returns what the network is and costs, in one line."""
        return f"{self.name}, {self._cost_text()}"

    def _cost_text(self) -> str:
        cost = self.cost()
        text = f"{cost.parameters:,} parameters"
        if cost.macs is not None:
            text += f", {cost.macs / 1e9:.3g} G multiply-accumulates per example"
        return text


def _multiply_accumulates(node: keras.Node) -> int | None:
    """Returns the multiply-accumulates of one call of a layer, None where open.

    A layer whose kernels do not meet every place of its output once says it itself, in
    a method `multiply_accumulates`.
    """
    own = getattr(node.operation, "multiply_accumulates", None)
    if own is not None:
        return own(tuple(node.outputs[0].shape))
    weights = getattr(node.operation, "weights", ())
    kernels = [w for w in weights if "kernel" in w.name and len(w.shape) > 1]
    positions = node.outputs[0].shape[1:-1] if kernels else ()
    if None in positions:
        return None
    return math.prod(positions) * sum(math.prod(kernel.shape) for kernel in kernels)
