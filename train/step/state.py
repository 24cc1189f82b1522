"""Everything a training changes: networks, their averages, optimisers, the step."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping

import keras
import numpy as np
from keras import ops

from facedancer.train.objective.recipes import Recipe, Stage
from facedancer.train.systems.base import System


@dataclasses.dataclass
class State:
    """What is trained, and what is saved.

    Attributes:
        networks: By name, such as `generator`, in the form that trains fast.
        averages: Moving averages of networks, by the network's name.
        optimizers: By player: `g` moves the generators.
        players: The names of the networks each optimiser moves.
        step: Steps taken.
    """

    networks: dict[str, keras.Model]
    averages: dict[str, keras.Model]
    optimizers: dict[str, keras.optimizers.Optimizer]
    players: dict[str, tuple[str, ...]]
    step: int = 0

    def best(self, name: str) -> keras.Model:
        """Returns the average of a network where there is one, else the network.

        Args:
            name: Of the network.
        """
        return self.averages.get(name) or self.networks[name]

    @property
    def best_generator(self) -> keras.Model:
        """The network that is judged and exported: of `g` the first, averaged."""
        return self.best(self.players["g"][0])

    def variables_of(self, player: str) -> list:
        """Returns what an optimiser moves.

        Args:
            player: The optimiser's name.
        """
        return [
            variable
            for name in self.players[player]
            for variable in self.networks[name].trainable_variables
        ]

    def begin(self, stage: Stage) -> None:
        """Changes what a stage changes once: exchanged networks, forgotten moments.

        Args:
            stage: What begins.
        """
        for first, second in stage.exchange:
            for models in (self.networks, self.averages):
                if first in models:
                    one, other = (models[k].get_weights() for k in (first, second))
                    models[first].set_weights(other)
                    models[second].set_weights(one)
        if stage.reset_optimizers:
            for optimizer in self.optimizers.values():
                for variable in optimizer.variables:
                    if variable.name != "learning_rate":
                        variable.assign(ops.zeros_like(variable))

    def parts(self) -> dict[str, list]:
        """Returns the variables of every part, by the part's name."""
        models = self.networks | {f"average_{k}": m for k, m in self.averages.items()}
        optimizers = {f"{k}_optimizer": o for k, o in self.optimizers.items()}
        return {name: model.weights for name, model in models.items()} | {
            name: list(optimizer.variables) for name, optimizer in optimizers.items()
        }

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Returns all values, by `part/number`."""
        return {
            f"{name}/{number:04d}": ops.convert_to_numpy(variable)
            for name, variables in self.parts().items()
            for number, variable in enumerate(variables)
        }

    def set_arrays(self, arrays: Mapping[str, np.ndarray], step: int) -> None:
        """Takes all values over.

        Args:
            arrays: From `to_arrays` of a state of the same structure.
            step: Steps that state had taken.

        Raises:
            ValueError: If the structures differ.
        """
        wanted = {
            f"{name}/{number:04d}": variable
            for name, variables in self.parts().items()
            for number, variable in enumerate(variables)
        }
        wrong = [
            name
            for name in sorted(set(wanted) | set(arrays))
            if name not in wanted
            or name not in arrays
            or tuple(wanted[name].shape) != arrays[name].shape
        ]
        if wrong:
            raise ValueError(
                f"{len(wrong)} of {len(wanted)} variables have another structure, the "
                f"first is {wrong[0]}"
            )
        for name, variable in wanted.items():
            variable.assign(arrays[name])
        self.step = step


def build_state(
    system: System,
    builders: Mapping[str, Callable[[], keras.Model]],
    precision: str = "float32",
    start: Mapping[str, keras.Model] | None = None,
) -> State:
    """Returns a new state; call it in the scope of the distribution strategy.

    Args:
        system: What is learned.
        builders: Return a new network, by its name; adversaries may bring theirs.
        precision: A Keras dtype policy, the networks'.
        start: Networks of the same structure whose weights are taken, by name.
    """
    moves, players = system.recipe.optimisation, system.players
    state = State({}, {}, {}, players)
    own = {one.network: one.build for one in system.adversaries if one.build}
    own = {name: functools.partial(make, precision) for name, make in own.items()}
    builders = {**builders, **own}
    for name in dict.fromkeys(name for names in players.values() for name in names):
        state.networks[name] = builders[name]()
        if start and name in start:
            state.networks[name].set_weights(start[name].get_weights())
        if moves.ema and name in system.averaged:
            state.averages[name] = builders[name]()
            state.averages[name].set_weights(state.networks[name].get_weights())
    for player in players:
        state.optimizers[player] = _optimizer(
            system.recipe, player, state.variables_of(player), precision
        )
    return state


def _optimizer(
    recipe: Recipe, player: str, variables: list, precision: str
) -> keras.optimizers.Optimizer:
    moves = recipe.optimisation
    optimizer = keras.optimizers.Adam(
        moves.lr,
        beta_1=moves.g_beta_1 if player == "g" else moves.d_beta_1,
        beta_2=moves.beta_2,
        epsilon=1e-7,
    )
    if precision == "mixed_float16":
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
    # Created now: inside a distributed step it is too late.
    optimizer.build(variables)
    return optimizer
