"""A system's numbers: weights of its terms, how it moves, what changes when.

The tables stand with the systems; every entry can be overridden by a flag of
`train.py`.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

from facedancer.dataset.augmentation.photo_changes import AFFINES, DISTORTIONS
from facedancer.dataset.reading.sampling import BALANCES
from facedancer.flags.settings import Checked, choice, ranged

SCHEDULES = ("constant", "exponential", "cosine", "thirds")
JITTERS = ("legacy", "per_image", "none")
# The keys of `adversary.KINDS`; that file needs Keras, `--help` does not.
KINDS = (
    *("nonsaturating", "hinge", "bounded_hinge", "lsgan"),
    *("relativistic", "relativistic_lsgan"),
)
AUGMENTATIONS = ("colour", "translation", "cutout")  # those of `diff_augment`, likewise
ADVERSARIAL = "adversarial"  # with it the names of adversaries' weights begin
# Records of a recipe whose fields can be changed by their names alone.
PARTS = ("adversary", "optimisation", "pairs", "options")


@dataclasses.dataclass(frozen=True)
class AdversaryRecipe(Checked):
    """What discriminators are asked for.

    Attributes:
        kind: Adversarial kind, one of `KINDS`; `none`: no discriminator is at work.
        real_images: `source` or `target`: what the discriminator sees as real. Where
            the truth is known, it is that.
        r1_gamma: Weight of R1 is `r1_gamma / 2`; 0 switches it off.
        r1_every: R1 every n-th step, with its weight times n.
        augment: How images are changed before they are judged, of
            `AUGMENTATIONS`; empty: they are not.
    """

    kind: str = choice("nonsaturating", (*KINDS, "none"))
    real_images: str = choice("source", ("source", "target"))
    r1_gamma: float = ranged(10.0, low=0.0)
    r1_every: int = ranged(1, low=1)
    augment: tuple[str, ...] = choice((), AUGMENTATIONS)


@dataclasses.dataclass(frozen=True)
class Optimisation(Checked):
    """How weights move.

    Attributes:
        lr: Learning rate at the start.
        d_lr_factor: The discriminators' learning rate is `lr` times this.
        schedule: One of `SCHEDULES`.
        lr_decay: Of the exponential schedule, per 100,000 steps.
        g_beta_1: Adam's first decay, generator.
        d_beta_1: Adam's first decay, discriminators.
        beta_2: Adam's second decay, both.
        clip_norm: Clip the gradient to this global norm; 0 does not clip.
        ema: Decay of the averaged networks; 0 keeps none.
    """

    lr: float = ranged(1e-4, above=0.0)
    d_lr_factor: float = ranged(1.0, low=0.0)
    schedule: str = choice("exponential", SCHEDULES)
    lr_decay: float = ranged(0.97, above=0.0)
    g_beta_1: float = ranged(0.0, low=0.0, below=1.0)
    d_beta_1: float = ranged(0.0, low=0.0, below=1.0)
    beta_2: float = ranged(0.99, low=0.0, below=1.0)
    clip_norm: float = ranged(0.0, low=0.0)
    ema: float = ranged(0.0, low=0.0, below=1.0)


@dataclasses.dataclass(frozen=True)
class PairRecipe(Checked):
    """Which pairs are drawn.

    Attributes:
        same_ratio: Share of samples whose source is the target itself.
        same_person_ratio: Share of samples whose source is another photo of the
            target's person; they count as same pairs.
        jitter: Colour jitter of the pairs: `legacy`, `per_image` or `none`, see
            `pair_reader.PairSettings`.
        flip: Random flips of both photos.
        colour_match: Probability that a photo takes on colours of another one.
        affine: Turn, zoom and shift photos at random, see `pair_reader.PairSettings`.
        motion_blur: Probability that a photo is blurred along a line.
        distortion: `warp` or `corruption`, for systems that learn to restore a photo.
        balance: `identity` or `folder`: each gets the same fraction of the pairs.
    """

    same_ratio: float = ranged(0.2, low=0.0, high=1.0)
    same_person_ratio: float = ranged(0.0, low=0.0, high=1.0)
    jitter: str = choice("legacy", JITTERS)
    flip: bool = False
    colour_match: float = ranged(0.0, low=0.0, high=1.0)
    affine: str = choice("none", tuple(AFFINES))
    motion_blur: float = ranged(0.0, low=0.0, high=1.0)
    distortion: str = choice("none", DISTORTIONS)
    balance: str = choice("none", BALANCES)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.same_ratio + self.same_person_ratio > 1.0:
            raise ValueError(
                "`same_ratio` and `same_person_ratio` must be fractions of a batch. "
                f"Received: {self.same_ratio}, {self.same_person_ratio}"
            )


@dataclasses.dataclass(frozen=True)
class PortraitRecipe(PairRecipe):
    """Which portraits are drawn, for systems that learn people by their photos.

    Attributes:
        person: See `portrait_reader.PortraitSettings`.
        part_swap: See `portrait_reader.PortraitSettings`.
        low_quality: See `portrait_reader.PortraitSettings`.
    """

    person: str = ""
    part_swap: float = ranged(0.0, low=0.0, high=1.0)
    low_quality: float = ranged(0.0, low=0.0, high=1.0)


@dataclasses.dataclass(frozen=True)
class Stage:
    """What differs from the recipe, from one step on to the next stage.

    Attributes:
        start: Steps already taken when it begins.
        weights: Weights that differ from the recipe's.
        only: Terms that are at work; empty: all.
        self_pairs: Every pair is a pair of one photo.
        lr_factor: Factor on the learning rate.
        exchange: Pairs of networks that change places when it begins, such as the two
            decoders of faceswap-GAN.
        reset_optimizers: Forget all moments when it begins.
        options: The system's own numbers that differ from the recipe's.
    """

    start: int
    weights: Mapping[str, float] = dataclasses.field(default_factory=dict)
    only: tuple[str, ...] = ()
    self_pairs: bool = False
    lr_factor: float = 1.0
    exchange: tuple[tuple[str, str], ...] = ()
    reset_optimizers: bool = False
    options: Mapping[str, object] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Recipe(Checked):
    """What is minimised, and how.

    Attributes:
        weights: By the name of a term or adversary; 0 leaves it out.
        adversary: What discriminators are asked for.
        optimisation: How weights move.
        pairs: Which pairs are drawn.
        options: The system's own numbers, a frozen dataclass, or None.
        structure: Fields of the networks' structures that differ from the preset's.
        warmup_steps: Steps at the start that only train `warmup_terms`, with every
            pair a pair of one photo; the schedule begins after them.
        warmup_terms: Names of terms.
        stages: What changes when, in order; the first begins after the warm-up.

    Raises:
        ValueError: If a name is unknown or a number out of its range.
    """

    weights: Mapping[str, float]
    adversary: AdversaryRecipe = AdversaryRecipe()
    optimisation: Optimisation = Optimisation()
    pairs: PairRecipe = PairRecipe()
    options: object = None
    structure: Mapping[str, object] = dataclasses.field(default_factory=dict)
    warmup_steps: int = ranged(0, low=0)
    warmup_terms: tuple[str, ...] = ()
    stages: tuple[Stage, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, value in self.weights.items():
            if not isinstance(value, int | float):
                raise ValueError(f"`{name}` must be a number. Received: {value}")
            if not value >= 0:  # nor NaN
                raise ValueError(f"`{name}` must be at least 0. Received: {value}")
        starts = [stage.start for stage in self.all_stages()]
        if starts != sorted(set(starts)):
            raise ValueError(
                "Stages must begin one after the other, and after the warm-up. "
                f"Received: {starts}"
            )
        for stage in self.stages:
            unknown = {*stage.weights, *stage.only} - set(self.weights)
            if unknown:
                raise ValueError(
                    f"Stages name weights that the recipe has not: {sorted(unknown)}"
                )

    def numbers(self) -> set[str]:
        """Returns the names of the numbers that `changed` knows, weights included."""
        records = [getattr(self, part) for part in PARTS]
        fields = [dataclasses.fields(one) for one in records if one is not None]
        names = {field.name for some in fields for field in some}
        return {*self.weights, *names, "warmup_steps"}

    def changed(self, **changes: Any) -> Recipe:
        """Returns the recipe with other numbers.

        Args:
            **changes: By the name of a weight, or of a field of the recipe or of one
                of its parts.

        Raises:
            ValueError: If a name is unknown or a value out of its range.
        """
        new: dict[str, Any] = {}
        if weights := {k: changes.pop(k) for k in list(changes) if k in self.weights}:
            new["weights"] = {**self.weights, **weights}
        for part in PARTS:
            record = getattr(self, part)
            known = {f.name for f in dataclasses.fields(record)} if record else ()
            if found := {k: changes.pop(k) for k in list(changes) if k in known}:
                new[part] = dataclasses.replace(record, **found)
        known = {field.name for field in dataclasses.fields(self)}
        if unknown := sorted(set(changes) - known):
            raise ValueError(f"The recipe has no {', '.join(unknown)}")
        return dataclasses.replace(self, **new, **changes)

    def all_stages(self) -> tuple[Stage, ...]:
        """Returns the stages, the warm-up among them; the first begins at step 0."""
        found = self.stages
        if self.warmup_steps:
            warm_up = Stage(0, only=self.warmup_terms, self_pairs=True)
            begins = {stage.start for stage in found}
            after = () if self.warmup_steps in begins else (Stage(self.warmup_steps),)
            return (warm_up, *after, *found)
        return found if found and not found[0].start else (Stage(0), *found)

    def stage_number(self, step: int) -> int:
        """Returns which of `all_stages` a step belongs to.

        Args:
            step: Steps already taken.
        """
        starts = [stage.start for stage in self.all_stages()]
        return sum(start <= step for start in starts) - 1

    def weights_in(self, number: int) -> dict[str, float]:
        """Returns the weights of a stage, those of 0 left out.

        Args:
            number: Of the stage.
        """
        stage = self.all_stages()[number]
        weights = {**self.weights, **stage.weights}
        names = stage.only or tuple(weights)
        off = self.adversary.kind == "none"
        return {
            name: weight
            for name, weight in weights.items()
            if weight and name in names and not (off and name.startswith(ADVERSARIAL))
        }

    def options_in(self, number: int) -> Any:
        """Returns the system's own numbers in a stage.

        Args:
            number: Of the stage.
        """
        changes: Any = self.all_stages()[number].options
        options: Any = self.options
        return dataclasses.replace(options, **changes) if changes else options

    def ever(self, name: str) -> bool:
        """Returns whether a term or an adversary is at work at any time.

        Args:
            name: Of its weight.
        """
        stages = range(len(self.all_stages()))
        return any(name in self.weights_in(number) for number in stages)

    def learning_rate(self, step: int, steps: int) -> float:
        """Returns the generator's learning rate at a step.

        Args:
            step: Steps already taken.
            steps: Steps of the whole training. The schedule begins after the warm-up.
        """
        factor = self.all_stages()[self.stage_number(step)].lr_factor
        step = max(0, step - self.warmup_steps)
        done = min(1.0, step / max(1, steps - self.warmup_steps))
        moves = self.optimisation
        return factor * moves.lr * _SCHEDULE[moves.schedule](moves, step, done)


def _cosine(moves: Optimisation, step: int, done: float) -> float:
    """From 1 to 0.1 along half a cosine wave."""
    return 0.1 + 0.45 * (1.0 + math.cos(math.pi * done))


def _thirds(moves: Optimisation, step: int, done: float) -> float:
    """1 up to a third, a third of it up to 80 %, a sixth to the end."""
    return 1.0 if done < 1 / 3 else 1 / 3 if done < 0.8 else 1 / 6


_SCHEDULE = {
    "constant": lambda moves, step, done: 1.0,
    "exponential": lambda moves, step, done: moves.lr_decay ** (step / 1e5),
    "cosine": _cosine,
    "thirds": _thirds,
}
