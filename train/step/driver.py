"""What the step asks of the machinery it runs on; `drivers/` holds the answers.

The step is written once, in `keras.ops`. A driver knows how gradients are taken, how
replicas are added up, and how a function of one replica is compiled for all of them.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any, Protocol

import keras

from facedancer.networks.tensors import Tensor


class Driver(Protocol):
    """How a step is run.

    Attributes:
        replicas: How many share the global batch.
        sums_first: Sums over replicas cannot be made where gradients are: the step
            then makes them before, with one more forward pass.
        chief: Whether this process writes the files of the run.
        optimizer_replicas: Replicas whose gradients an optimiser adds up by itself.
    """

    replicas: int
    sums_first: bool
    chief: bool
    optimizer_replicas: int

    def seed(self, number: int) -> None:
        """Makes the first weights a function of a number."""

    def bind(self, networks: list, optimizers: list, constants: list) -> None:
        """Tells the driver which variables there are.

        Args:
            networks: What is trained, and the averages.
            optimizers: Of them.
            constants: Variables of the frozen networks.
        """

    def compiled(self, update: Callable, after: Callable) -> Callable:
        """Returns a compiled `run(batch, draws, step) -> values`.

        Args:
            update: `update(batch, draws, step)` of one replica, to its values.
            after: `after(step)`, called when all replicas are done.
        """

    def compiled_gradients(self, function: Callable) -> Callable:
        """Returns a function of one replica's gradients, compiled if that helps.

        Args:
            function: `function(part, phase, totals)`.
        """

    def vjp(
        self, function: Callable, weights: list, inputs: tuple = ()
    ) -> tuple[Any, Any, Callable]:
        """Runs a function and keeps what its gradient needs.

        Args:
            function: `function(*inputs) -> outputs, extra`; outputs are a tuple of
                tensors, extra is any nest of tensors.
            weights: Variables that gradients are wanted of.
            inputs: Tensors that gradients are wanted of.

        Returns:
            `outputs, extra, pull`; `pull(upstream)` gives the gradients of weights and
            of inputs, two lists. An upstream gradient of None counts as 0.
        """

    def sum_over_replicas(self, values: Any) -> Any:
        """Returns a dictionary or a list of tensors, added up over the replicas."""

    def replica(self) -> Tensor:
        """Returns this replica's number, a scalar int32."""

    def local(self, whole: dict, count: int) -> dict:
        """Returns this replica's rows of what all replicas were given.

        Args:
            whole: Arrays of the global batch by name.
            count: Rows of one replica.
        """

    def in_turn(self, before: Any, part: dict) -> dict:
        """Returns a part that is not begun before something else is done.

        Args:
            before: A nest of tensors.
            part: Tensors by name.
        """

    def move(
        self, variable: keras.Variable, target: keras.Variable, factor: Tensor
    ) -> None:
        """Moves a variable a part of the way; called in `after`.

        Args:
            variable: What is moved.
            target: A variable of the same shape.
            factor: Part of the way, a scalar.
        """

    def set_rate(self, optimizer: keras.optimizers.Optimizer, value: float) -> None:
        """Sets a learning rate.

        Args:
            optimizer: Whose.
            value: The rate.
        """

    def release(self) -> None:
        """Brings the variables up to date; they may then be read and changed."""

    def clear_errors(self) -> contextlib.AbstractContextManager:
        """Returns the block in which errors of the reader come out as such."""
