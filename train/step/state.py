"""Everything a training changes: networks, their average, optimisers, the step."""

from __future__ import annotations

import dataclasses

import keras
import numpy as np

from facedancer.models import build_discriminator, build_generator
from facedancer.models.families.facedancer.config import (
    DiscriminatorConfig,
    GeneratorConfig,
)
from facedancer.train.objective.recipes import Objective


@dataclasses.dataclass
class State:
    """What is trained, and what is saved.

    Attributes:
        generator: The generator, in the form that trains fast.
        discriminator: The discriminator, or None without an adversarial loss.
        average: Moving average of the generator, or None.
        g_optimizer: Of the generator.
        d_optimizer: Of the discriminator, or None.
        step: Steps taken.
    """

    generator: keras.Model
    discriminator: keras.Model | None
    average: keras.Model | None
    g_optimizer: keras.optimizers.Optimizer
    d_optimizer: keras.optimizers.Optimizer | None
    step: int = 0

    @property
    def best_generator(self) -> keras.Model:
        """The averaged generator where there is one, else the generator."""
        return self.average or self.generator

    def parts(self) -> dict[str, list]:
        """Returns the variables of every part, by the part's name."""
        owners = {
            "generator": self.generator,
            "discriminator": self.discriminator,
            "average": self.average,
            "g_optimizer": self.g_optimizer,
            "d_optimizer": self.d_optimizer,
        }
        return {
            name: owner.weights
            if isinstance(owner, keras.Model)
            else list(owner.variables)
            for name, owner in owners.items()
            if owner is not None
        }

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Returns all values, by `part/number`."""
        return {
            f"{name}/{number:04d}": keras.ops.convert_to_numpy(variable)
            for name, variables in self.parts().items()
            for number, variable in enumerate(variables)
        }

    def set_arrays(self, arrays: dict[str, np.ndarray], step: int) -> None:
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
    objective: Objective,
    generator_config: GeneratorConfig,
    discriminator_config: DiscriminatorConfig,
    precision: str = "float32",
    form: str = "composed",
    generator: keras.Model | None = None,
    discriminator: keras.Model | None = None,
) -> State:
    """Returns a new state; call it in the scope of the distribution strategy.

    Args:
        objective: The recipe.
        generator_config: Structure of the generator.
        discriminator_config: Structure of the discriminator.
        precision: A Keras dtype policy for both networks.
        form: Form of the networks, see `build_generator`.
        generator: Take the weights of this one, of the same structure.
        discriminator: Take the weights of this one.
    """
    new_generator = build_generator(generator_config, form, precision)
    if generator is not None:
        new_generator.set_weights(generator.get_weights())
    average = None
    if objective.ema:
        average = build_generator(generator_config, form, precision)
        average.set_weights(new_generator.get_weights())
    new_discriminator = d_optimizer = None
    if objective.adversarial:
        new_discriminator = build_discriminator(discriminator_config, form, precision)
        if discriminator is not None:
            new_discriminator.set_weights(discriminator.get_weights())
        d_optimizer = _optimizer(
            objective, objective.d_beta_1, new_discriminator, precision
        )
    g_optimizer = _optimizer(objective, objective.g_beta_1, new_generator, precision)
    return State(new_generator, new_discriminator, average, g_optimizer, d_optimizer)


def _optimizer(objective, beta_1: float, model: keras.Model, precision: str):
    optimizer = keras.optimizers.Adam(
        objective.lr, beta_1=beta_1, beta_2=objective.beta_2, epsilon=1e-7
    )
    if precision == "mixed_float16":
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
    # Created now: inside a distributed step it is too late.
    optimizer.build(model.trainable_variables)
    return optimizer
