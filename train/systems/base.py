"""What a system is: how one family of networks learns.

A system knows formulas. It knows no device, no file and no flag: the same one is driven
by TensorFlow and by JAX, and everything in it is `keras.ops`.
"""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Mapping
from typing import ClassVar

import keras
import numpy as np

from facedancer.train.frozen.frozen_networks import FrozenNetworks
from facedancer.train.objective import terms
from facedancer.train.objective.adversary import Adversary
from facedancer.train.objective.recipes import Recipe


@dataclasses.dataclass(frozen=True)
class Phase:
    """What kind of step it is; each kind is traced once.

    Attributes:
        stage: Number of the recipe's stage.
        with_r1: Add the penalty R1.
        self_pairs: Every pair is a pair of one photo.
    """

    stage: int = 0
    with_r1: bool = False
    self_pairs: bool = False


class System(abc.ABC):
    """How one family of networks learns.

    Subclasses set the class attributes, and say what is seen of a batch, what is made
    of it, and by which terms that is measured.

    Attributes:
        name: As `--system` says it.
        batches: How its data are read, a key of `readers.READERS`.
        generators: Networks that the generator's optimiser `g` moves; the first is
            the one that is judged and exported.
        averaged: Networks of which an average is kept.
        recipes: By name.
        recipe: Its numbers in this training.
        frozen: The frozen networks.
        batch_size: The global batch.
        terms: All that can be minimised, at work or not.
        adversaries: The discriminators.

    Args:
        recipe: The numbers of this training.
        frozen: The frozen networks.
        batch_size: The global batch.
    """

    name: ClassVar[str]
    batches: ClassVar[str] = "pairs"
    generators: ClassVar[tuple[str, ...]] = ("generator",)
    averaged: ClassVar[tuple[str, ...]] = ("generator",)
    recipes: ClassVar[Mapping[str, Recipe]] = {}

    def __init__(self, recipe: Recipe, frozen: FrozenNetworks, batch_size: int):
        self.recipe, self.frozen, self.batch_size = recipe, frozen, batch_size
        self.terms = self.make_terms()
        self.adversaries = self.make_adversaries()

    @property
    def players(self) -> dict[str, tuple[str, ...]]:
        """Which networks each optimiser moves: `g`, then those of the adversaries."""
        found = {"g": self.generators}
        if self.recipe.any_adversary:
            for one in self.adversaries:
                found[one.player] = (one.network,)
        return found

    @abc.abstractmethod
    def make_terms(self) -> tuple[terms.Term, ...]:
        """Returns all that can be minimised, in the order of the log."""

    def make_adversaries(self) -> tuple[Adversary, ...]:
        """Returns the discriminators; without any the system trains without."""
        return ()

    def draws(
        self, random: np.random.Generator, count: int, phase: Phase
    ) -> dict[str, np.ndarray]:
        """Returns the random numbers of a step.

        Args:
            random: Of this step alone, so that a resumed run draws the same.
            count: The global batch.
            phase: The kind of step.

        Returns:
            By name `(batch, ...)` float32.
        """
        return {}

    @abc.abstractmethod
    def see(self, batch: Mapping[str, object], phase: Phase) -> dict[str, object]:
        """Returns what is known before anything is generated; without gradients.

        Args:
            batch: Of the data, with the step's draws and `row`, `(count,)` int32, where
                the examples stand in the global batch.
            phase: The kind of step.

        Returns:
            Tensors by name, among them what the adversaries take for real.
        """

    @abc.abstractmethod
    def make(
        self,
        networks: Mapping[str, keras.Model],
        seen: terms.Seen,
        needs: frozenset[str],
    ) -> dict[str, object]:
        """Returns what the networks make of it.

        Args:
            networks: By name.
            seen: From `see`.
            needs: What the terms at work and the watch ask for.

        Returns:
            Tensors by name, among them what the adversaries should see through.
        """

    def watch_needs(self, phase: Phase) -> frozenset[str]:
        """Returns what must be made for the values that are only watched.

        Args:
            phase: The kind of step.
        """
        return frozenset()

    def watch(self, seen: terms.Seen, made: terms.Made) -> terms.Sums:
        """Returns sums of what is reported but not minimised.

        Args:
            seen: From `see`.
            made: From `make`.
        """
        return {}

    def watched(self, sums: terms.Sums) -> dict[str, object]:
        """Returns the values that are reported but not minimised.

        Args:
            sums: Over the global batch.
        """
        return {}
