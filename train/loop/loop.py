"""The outer loop: when to log, save, show, validate and stop."""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections.abc import Callable, Generator, Iterable

import numpy as np
from absl import logging

from facedancer.networks.tensors import Tensor
from facedancer.train.loop import alarms
from facedancer.train.loop.checkpoints import Checkpoints
from facedancer.train.loop.clock import Clock
from facedancer.train.loop.journal import Journal
from facedancer.train.step.divided_step import DividedStep
from facedancer.train.step.state import State

STARVED = 0.3


@dataclasses.dataclass(frozen=True)
class Plan:
    """How long, and how often what.

    Attributes:
        steps: Steps of the training.
        log_every: Steps between lines of the log.
        save_every: Steps between checkpoints.
        sample_every: Steps between pictures.
        eval_every: Steps between validations.
        alarm_steps: See `alarms`.
    """

    steps: int
    log_every: int = 50
    save_every: int = 1000
    sample_every: int = 1000
    eval_every: int = 1000
    alarm_steps: int = 5000

    def due(self, every: int, step: int) -> bool:
        """Returns whether something is due after a step; at the end everything is.

        Args:
            every: Its interval in steps.
            step: Steps taken.
        """
        return step % every == 0 or step == self.steps


class Interval:
    """Collects the values of the steps since the last line of the log.

    Args:
        guard: What stops the training.
    """

    def __init__(self, guard: alarms.Guard) -> None:
        self._guard = guard
        self._values: list[tuple[int, list[str], object]] = []
        self.waited = 0.0
        self._start = time.perf_counter()

    def __len__(self) -> int:
        return len(self._values)

    def add(self, step: int, names: list[str], values: Tensor) -> None:
        """Notes the values of one step without waiting for them.

        Args:
            step: The step.
            names: Of the values.
            values: `(values,)`, perhaps not yet computed.
        """
        self._values.append((step, names, values))

    def means(self) -> dict[str, float]:
        """Returns the mean of each value, over the steps that have it.

        A step that a loss scale left out has no norm of its gradient.

        Raises:
            NotFiniteError: If a value is not finite.
        """
        found: dict[str, list[float]] = {}
        for step, names, values in self._values:
            array = np.asarray(values)
            self._guard.check(names, array, step)
            for name, value in zip(names, array, strict=True):
                if np.isfinite(value):
                    found.setdefault(name, []).append(float(value))
        return {name: float(np.mean(values)) for name, values in found.items()}

    def seconds(self) -> float:
        """Returns how long the interval has lasted."""
        return time.perf_counter() - self._start


class Loop:
    """Trains.

    Args:
        step: The training step.
        plan: How long, and how often what.
        journal: Where values go.
        checkpoints: Where states go.
        record: JSON values kept with each checkpoint.
        show: Called with the journal when pictures are due.
        validate: Returns measures by name; None for no validation.
        score: The name of the measure that tells the best checkpoint.
        clock: Ends and saves by time; None: only steps count.

    Attributes:
        out_of_time: Whether the time was up before all steps were taken.
    """

    def __init__(
        self,
        step: DividedStep,
        plan: Plan,
        journal: Journal,
        checkpoints: Checkpoints,
        record: dict | None = None,
        show: Callable[[Journal, int], None] | None = None,
        validate: Callable[[], dict[str, float]] | None = None,
        score: str = "cosine_to_source",
        clock: Clock | None = None,
    ) -> None:
        self.step, self.plan, self.journal = step, plan, journal
        self.checkpoints, self.record = checkpoints, record or {}
        self.show, self.validate, self.score = show, validate, score
        self._guard = alarms.Guard()
        self._clock = clock or Clock()
        self.out_of_time = False

    @property
    def state(self) -> State:
        """What is trained, up to date."""
        return self.step.state

    def run(self, batches: Iterable[dict]) -> None:
        """Trains to the end of the plan: all steps taken, or out of time.

        Args:
            batches: Batches from the state's step on.

        Raises:
            NotFiniteError: If a loss is not finite.
            InputError: If the data end or a record is damaged.
        """
        self.journal.start(self.step.taken)
        errors = self.step.driver.clear_errors()
        with errors, contextlib.closing(_timed(batches)) as supply:
            interval = Interval(self._guard)
            while self.step.taken < self.plan.steps and not self.out_of_time:
                batch, waited = next(supply)
                interval.waited += waited
                interval = self._one(batch, interval)

    def _one(self, batch: dict, interval: Interval) -> Interval:
        """Takes one step and does what is due after it."""
        plan = self.plan
        self.step.set_learning_rate(self._learning_rate(self.step.taken))
        phase, values = self.step(batch)
        step = self.step.taken
        interval.add(step, self.step.names[phase], values)
        self.out_of_time = self._clock.is_up()
        if self.out_of_time or plan.due(plan.log_every, step):
            self._log(interval)
            interval = Interval(self._guard)
        if self.show and plan.due(plan.sample_every, step):
            self.show(self.journal, step)
        score = None
        if self.validate and plan.due(plan.eval_every, step):
            score = self._validated(self.validate(), step)
        by_time = self.out_of_time or self._clock.save_due()
        if by_time or score is not None or plan.due(plan.save_every, step):
            interval.means()  # never save what is not finite
            if self.journal.active:
                self.checkpoints.save(self.state, self.record, score)
            self._clock.saved()
        return interval

    def _learning_rate(self, step: int) -> float:
        return self.step.recipe.learning_rate(step, self.plan.steps)

    def _log(self, interval: Interval) -> None:
        step, plan = self.step.taken, self.plan
        means = interval.means()
        seconds, count = interval.seconds(), len(interval)
        rate = count / seconds
        left = (plan.steps - step) / rate
        logging.info(
            "step %d/%d | %.2f steps/s | %.1f faces/s | %s left | %s",
            step,
            plan.steps,
            rate,
            rate * self.step.batch_size,
            _duration(left),
            " ".join(f"{name} {value:.3g}" for name, value in means.items()),
        )
        if interval.waited > STARVED * seconds and count > 1:
            logging.warning(
                "%.0f %% of the time went by waiting for data: reading is the "
                "bottleneck. Use a faster disk, smaller photos or more CPUs",
                100 * interval.waited / seconds,
            )
        for text in alarms.alarms(means, step, plan.alarm_steps):
            logging.warning("ALARM at step %d: %s", step, text)
        means["learning_rate"] = float(self._learning_rate(step))
        means["steps_per_second"] = rate
        self.journal.write("train", step, means)

    def _validated(self, measures: dict[str, float], step: int) -> float:
        logging.info(
            "step %d validation | %s",
            step,
            " ".join(f"{name} {value:.4g}" for name, value in measures.items()),
        )
        self.journal.write("eval", step, measures)
        return measures[self.score]


def _timed(batches: Iterable[dict]) -> Generator[tuple[dict, float]]:
    """Yields batches and the seconds each was waited for."""
    supply = iter(batches)
    while True:
        start = time.perf_counter()
        try:
            batch = next(supply)
        except StopIteration:
            return
        yield batch, time.perf_counter() - start


def _duration(seconds: float) -> str:
    minutes = int(seconds // 60)
    if minutes < 60:
        return f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60:02d} min"
