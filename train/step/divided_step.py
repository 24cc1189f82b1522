"""One update of any system, equal however replicas and parts divide the batch.

Generators and discriminators are updated from the same forward pass, as published. Each
network runs no more often than the formulas need: the backward pass through a
discriminator serves its own update and the generator's.

All sums are over the global batch: a replica's sums are all-reduced before anything
that is not linear (hinges, clips, ratios), and gradients are summed over replicas.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
from keras import ops, tree

from facedancer.networks.tensors import Tensor
from facedancer.train.objective import diff_augment, terms
from facedancer.train.objective.adversary import Adversary
from facedancer.train.step import gradient_updates
from facedancer.train.step.adversarial import Judge, Judgement, Shown, seen_by
from facedancer.train.step.driver import Driver
from facedancer.train.step.state import State
from facedancer.train.systems.base import Phase, System

_PAID = ("d_fake", "d_real", "d_told")  # by a discriminator, R1 apart
_REPORTED = ("adversarial", *_PAID, "r1", "fooled", "trusted")
_DRAWS = 201  # salt that makes of the seed and the step's number one seed


class DividedStep:
    """Takes training steps.

    Attributes:
        names: Names of a step's values by its phase, known when it was traced.

    Args:
        system: What is learned, with its recipe, frozen networks and global batch.
        state: What is trained; made in the driver's scope.
        driver: What the step runs on.
        accumulation: Parts that a batch is worked through in, to save memory.
        seed: Of the random draws.

    Raises:
        ValueError: If replicas times accumulation do not divide the batch.
    """

    def __init__(
        self,
        system: System,
        state: State,
        driver: Driver,
        accumulation: int = 1,
        seed: int = 0,
    ) -> None:
        self.system, self.driver = system, driver
        self.recipe, self.batch_size = system.recipe, system.batch_size
        if self.batch_size % (driver.replicas * accumulation):
            raise ValueError(
                "`batch_size` must be a multiple of replicas times accumulation. "
                f"Received: batch_size={self.batch_size} for {driver.replicas} "
                f"replicas, accumulation={accumulation}"
            )
        self.accumulation, self.seed = accumulation, seed
        self.names: dict[Phase, list[str]] = {}
        self._state = state
        self._functions: dict[Phase, Callable] = {}
        self._gradients = driver.compiled_gradients(self.gradients)
        self._sums_first = accumulation > 1 or driver.sums_first
        # With float16 a shared backward pass would lose small values.
        halves = (hasattr(o, "dynamic_scale") for o in state.optimizers.values())
        self.shared = not any(halves)
        driver.bind(
            [*state.networks.values(), *state.averages.values()],
            list(state.optimizers.values()),
            system.frozen.variables,
        )

    @property
    def state(self) -> State:
        """What is trained, up to date; it may be changed between two steps."""
        self.driver.release()
        return self._state

    @property
    def taken(self) -> int:
        """Steps taken."""
        return self._state.step

    def phase_of(self, step: int) -> Phase:
        """Returns the kind of a step.

        Args:
            step: Steps already taken.
        """
        number = self.recipe.stage_number(step)
        with_r1 = any(
            one.r1_gamma and step % one.r1_every == 0
            for one in self._at_work(Phase(number))
        )
        stage = self.recipe.all_stages()[number]
        return Phase(number, with_r1, stage.self_pairs)

    def _at_work(self, phase: Phase) -> list[Adversary]:
        weights = self.recipe.weights_in(phase.stage)
        return [one for one in self.system.adversaries if one.name in weights]

    def __call__(self, batch: dict) -> tuple[Phase, object]:
        """Takes one step.

        Args:
            batch: Of the dataset, see `System.batches`.

        Returns:
            The step's phase and the vector of its values, named by `names[phase]`.
        """
        step = self._state.step
        self._begin_stage(step)
        phase = self.phase_of(step)
        if phase not in self._functions:
            update = functools.partial(self.update, phase=phase)
            self._functions[phase] = self.driver.compiled(update, self._move_averages)
        draws = self.draws(step, phase)
        values = self._functions[phase](batch, draws, np.int32(step))
        self._state.step += 1
        return phase, values

    def _begin_stage(self, step: int) -> None:
        """Changes what a stage changes once, when it begins."""
        for stage in self.recipe.all_stages():
            if stage.start == step and (stage.exchange or stage.reset_optimizers):
                self.state.begin(stage)

    def draws(self, step: int, phase: Phase) -> dict[str, np.ndarray]:
        """Returns the random numbers of a step, `(batch, ...)` by name.

        Args:
            step: Steps already taken.
            phase: The kind of step.
        """
        random = np.random.default_rng([self.seed, step, _DRAWS])
        found = dict(self.system.draws(random, self.batch_size, phase))
        for one in self.system.adversaries:
            if one.mixup:
                fraction = random.beta(one.mixup, one.mixup)
                found[one.draw] = np.full(self.batch_size, fraction)
            if one.augment:  # of real and fake images
                shape = (self.batch_size, 2, diff_augment.NUMBERS)
                found[one.augment_draw] = random.random(shape)
        return {name: np.asarray(value, "float32") for name, value in found.items()}

    def set_learning_rate(self, value: float) -> None:
        """Sets the generator's learning rate, and the discriminators' with it.

        Args:
            value: The generator's.
        """
        for player, optimizer in self._state.optimizers.items():
            factor = 1.0 if player == "g" else self.recipe.optimisation.d_lr_factor
            self.driver.set_rate(optimizer, value * factor)

    def _move_averages(self, step: Tensor) -> None:
        """Moves the averages; early on they forget faster (Karras et al. 2018)."""
        step = ops.cast(step, "float32")
        decay = self.recipe.optimisation.ema
        factor = 1.0 - ops.minimum(decay, (1.0 + step) / (10.0 + step))
        for name, average in self._state.averages.items():
            weights = self._state.networks[name].weights
            for moved, weight in zip(average.weights, weights, strict=True):
                self.driver.move(moved, weight, factor)

    def update(self, batch: dict, draws: dict, step: Tensor, phase: Phase) -> Tensor:
        """Makes one replica's update; returns the vector of the step's values.

        Args:
            batch: This replica's examples.
            draws: Of the step.
            step: Steps already taken, a scalar.
            phase: The kind of step.
        """
        part = self.share(batch, draws)
        if self._sums_first:
            gradients, sums = self._accumulate(part, phase)
        else:
            gradients, sums = self._gradients(part, phase, None)
        values = self.report(self.driver.sum_over_replicas(sums), phase)
        for player, found in gradients.items():
            moved = gradient_updates.apply(
                self.driver,
                self._state.optimizers[player],
                found,
                self._state.variables_of(player),
                self.recipe.optimisation.clip_norm,
            )
            values |= {f"{player}_{name}": value for name, value in moved.items()}
        self.names[phase] = list(values)
        return ops.stack([ops.cast(value, "float32") for value in values.values()])

    def share(self, batch: dict, draws: dict) -> dict:
        """Returns this replica's examples with its share of the draws, and `row`.

        Args:
            batch: This replica's examples.
            draws: Of the step, of the global batch.
        """
        count = self.batch_size // self.driver.replicas
        first = ops.cast(self.driver.replica() * count, "int32")
        batch = {name: _with_count(value, count) for name, value in batch.items()}
        row = first + ops.arange(count, dtype="int32")
        return {**batch, "row": row, **self.driver.local(draws, count)}

    def _accumulate(self, batch: dict, phase: Phase) -> tuple[dict[str, list], dict]:
        """Gradients of a batch worked through in parts.

        What is not linear needs the sums of the whole batch first, hence a forward
        pass over all parts before the one with gradients.
        """
        count = self.batch_size // self.driver.replicas // self.accumulation
        parts = [
            {name: value[k * count : (k + 1) * count] for name, value in batch.items()}
            for k in range(self.accumulation)
        ]
        totals = None
        for part in parts:
            totals = _add(totals, self.forward(part, phase)[2])
        totals = self.driver.sum_over_replicas(totals)
        found: Any = None
        for part in parts:
            if found is not None:  # one part after the other, or no memory is saved
                part = self.driver.in_turn(found, part)
            found = _add(found, self._gradients(part, phase, totals))
        return found

    def forward(self, part: dict, phase: Phase) -> tuple[dict, dict, dict]:
        """Returns what is seen, what is made, and the sums of the generator's terms.

        Args:
            part: Examples, from `share`.
            phase: The kind of step.
        """
        system = self.system
        active = self._active(phase)
        needed = terms.needs(active) | system.watch_needs(phase)
        seen = system.see(part, phase)
        made = system.make(self._state.networks, seen, needed)
        sums: terms.Sums = {}
        for term in active:
            sums |= term.sums(seen, made)
        return seen, made, sums | system.watch(seen, made)

    def _active(self, phase: Phase) -> tuple[terms.Term, ...]:
        return terms.active(self.system.terms, self.recipe.weights_in(phase.stage))

    def gradients(
        self, part: dict, phase: Phase, totals: dict | None = None
    ) -> tuple[dict[str, list], dict]:
        """Returns this replica's gradients by player, and its sums.

        Args:
            part: Examples, from `share`.
            phase: The kind of step.
            totals: The generator's sums over the global batch, where they are known
                already.
        """
        adversaries = self._at_work(phase)

        def play() -> tuple[tuple[Tensor, ...], tuple[dict, list]]:
            seen, made, sums = self.forward(part, phase)
            everywhere = totals or self.driver.sum_over_replicas(sums)
            # The value of the global sum with the gradient of the local one.
            linked = {
                name: value + ops.stop_gradient(everywhere[name] - value)
                for name, value in sums.items()
            }
            found = terms.values(self._active(phase), linked, self.batch_size)
            total = terms.weighted(self.recipe.weights_in(phase.stage), found)
            fakes = tuple(made[one.fake] for one in adversaries)
            return (total, *fakes), (sums, [seen_by(one, seen) for one in adversaries])

        (_, *fakes), (sums, shown), pull = self.driver.vjp(
            play, self._state.variables_of("g")
        )
        scale = gradient_updates.loss_scale(self._state.optimizers["g"])
        upstream = [scale]
        judged: dict[str, list] = {}
        for one, fake, known in zip(adversaries, fakes, shown, strict=True):
            draws = part.get(one.draw), part.get(one.augment_draw)
            judgement = self._judge(
                one,
                Shown(fake=fake, fraction=draws[0], numbers=draws[1], **known),
                phase,
            )
            weight = self.recipe.weights_in(phase.stage)[one.name]
            upstream.append(weight * scale * judgement.at_fake)
            judged[one.player] = _add(judged.get(one.player), judgement.gradients)
            sums = sums | judgement.sums
        return {"g": pull(tuple(upstream))[0], **judged}, sums

    def _judge(self, one: Adversary, shown: Shown, phase: Phase) -> Judgement:
        judge = Judge(
            self.driver, self._state.networks[one.network], one, self.batch_size
        )
        scale = gradient_updates.loss_scale(self._state.optimizers[one.player])
        with_r1 = phase.with_r1 and bool(one.r1_gamma)
        return judge(shown, scale, with_r1, self.shared)

    def report(self, sums: dict, phase: Phase) -> dict:
        """Returns the values of one step: unweighted terms and what is watched.

        Args:
            sums: Over the global batch.
            phase: The kind of step.
        """
        weights = self.recipe.weights_in(phase.stage)
        found = terms.values(self._active(phase), sums, self.batch_size)
        values = {"g_loss": terms.weighted(weights, found), **found}
        for one in self._at_work(phase):
            for name in _REPORTED:
                if one.key(name) in sums:
                    values[one.key(name)] = sums[one.key(name)] / self.batch_size
            values["g_loss"] += weights[one.name] * values[one.key("adversarial")]
            parts = [values.get(one.key(name), 0.0) for name in _PAID]
            values[one.key("d_loss")] = sum(parts)
        return values | self.system.watched(sums)


def _with_count(value: Tensor, count: int) -> Tensor:
    """Returns a tensor whose first axis is known to be `count` long."""
    return ops.reshape(value, (count, *value.shape[1:]))


def _add(first: Any, second: Any) -> Any:
    if first is None:
        return second
    return tree.map_structure(ops.add, first, second)
