"""Variables that stand for arrays, so that a step which changes them is a function."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import keras


class VariableArrays:
    """The variables of a step, and what each stands for while it is traced.

    Attributes:
        trained: All that a step may change: weights, moments, averages.
        rates: The learning rates, which a step reads.
        constants: Variables that a step reads.
        moving: The weights that are no optimiser's, such as statistics of norms.

    Args:
        networks: What is trained, and averages of it.
        optimizers: What trains them.
        constants: Variables that a step only reads.
    """

    def __init__(self, networks: list, optimizers: list, constants: list) -> None:
        held = [v for one in (*networks, *optimizers) for v in one.variables]
        self.rates = [v for v in held if v.name == "learning_rate"]
        rates = {id(v) for v in self.rates}
        self.trained = [v for v in held if id(v) not in rates]
        self.constants = list(constants)
        self.moving = [v for one in networks for v in one.non_trainable_variables]
        self._scopes: list[keras.StatelessScope] = []

    @property
    def _all(self) -> list:
        return [*self.trained, *self.rates, *self.constants]

    def standing_for(
        self, trained: list, rates: list, constants: list
    ) -> contextlib.AbstractContextManager[keras.StatelessScope]:
        """Returns a block in which every variable stands for an array.

        Args:
            trained: Arrays of `trained`.
            rates: Arrays of `rates`.
            constants: Arrays of `constants`.
        """
        arrays = [*trained, *rates, *constants]
        return self.within(list(zip(self._all, arrays, strict=True)))

    @contextlib.contextmanager
    def within(self, mapping: list[tuple]) -> Iterator[keras.StatelessScope]:
        """A block in which some variables stand for arrays.

        Args:
            mapping: Variables and arrays.
        """
        with keras.StatelessScope(state_mapping=mapping) as scope:
            self._scopes.append(scope)
            try:
                yield scope
            finally:
                self._scopes.pop()

    def current(self) -> dict[int, tuple[keras.Variable, Any]]:
        """Returns each variable and what it stands for now, by its identity."""
        if not self._scopes:
            return {id(v): (v, v.value) for v in self._all}
        scope = self._scopes[-1]
        return {id(v): (v, scope.get_current_value(v)) for v in self._all}
