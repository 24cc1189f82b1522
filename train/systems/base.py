"""What a system is: how one family of networks learns.

A system knows formulas. It knows no device, no file and no flag: the same one is driven
by TensorFlow and by JAX, and everything in it is `keras.ops`.
"""

from __future__ import annotations

import abc
import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import keras
import numpy as np

from facedancer.errors import InputError
from facedancer.flags.settings import did_you_mean
from facedancer.models import ARCHITECTURES, Architecture
from facedancer.networks.contract import SwapContract
from facedancer.networks.network import Network
from facedancer.train.frozen.frozen_networks import FrozenNetworks
from facedancer.train.frozen.teachers import Teacher
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


@dataclasses.dataclass(frozen=True)
class Fed:
    """What the networks will be fed, as far as the data and the encoder decide it.

    Attributes:
        identity_size: Length of the encoder's vectors, None without one.
        encoder: Its `name_with_hash`, empty without one.
        template: Key of `alignment.TEMPLATES` the crops are aligned to.
        shrink: The `shrink` of their alignment.
        people: Names of those who are learned, None where it does not matter.
        tap_widths: Channels of the encoder's own taps, None without one.
    """

    identity_size: int | None = None
    encoder: str = ""
    template: str = "arcface"
    shrink: float = 1.0
    people: tuple[str, ...] | None = None
    tap_widths: tuple[int, ...] | None = None

    def values(self, structure: Any) -> dict[str, Any]:
        """Returns what is known of the fields that a structure has, by name.

        Args:
            structure: A network's config, a dataclass.
        """
        names = {field.name for field in dataclasses.fields(structure)}
        known = vars(self).items()
        return {k: v for k, v in known if v is not None and k in names}


class System(abc.ABC):
    """How one family of networks learns.

    Subclasses set the class attributes, and say what is seen of a batch, what is made
    of it, and by which terms that is measured.

    Attributes:
        name: As `--system` says it.
        architecture: Its networks' family, a key of `architectures.ARCHITECTURES`.
        preset: The family's preset that is taken if none is given.
        networks: Role in the family of each network, by the network's name; two may
            have one role, such as the decoders of two people.
        batches: How its data are read, a key of `readers.READERS`.
        generators: Networks that the generator's optimiser `g` moves; the first is
            the one that is judged and exported.
        averaged: Networks of which an average is kept.
        recipes: By name; the first is taken if none is given.
        recipe: Its numbers in this training.
        frozen: The frozen networks.
        batch_size: The global batch.
        terms: All that can be minimised, at work or not.
        adversaries: The discriminators; none where the recipe's kind is `none`.

    Args:
        recipe: The numbers of this training.
        frozen: The frozen networks.
        batch_size: The global batch.
    """

    name: ClassVar[str]
    architecture: ClassVar[str]
    preset: ClassVar[str]
    networks: ClassVar[Mapping[str, str]] = {
        "generator": "generator",
        "discriminator": "discriminator",
    }
    batches: ClassVar[str] = "pairs"
    generators: ClassVar[tuple[str, ...]] = ("generator",)
    averaged: ClassVar[tuple[str, ...]] = ("generator",)
    recipes: ClassVar[Mapping[str, Recipe]] = {}

    def __init__(self, recipe: Recipe, frozen: FrozenNetworks, batch_size: int) -> None:
        self.recipe, self.frozen, self.batch_size = recipe, frozen, batch_size
        self.terms = self.make_terms()
        wanted = recipe.adversary.kind != "none"
        self.adversaries = self.make_adversaries() if wanted else ()

    @classmethod
    def family(cls) -> Architecture:
        """Returns the family of its networks."""
        return ARCHITECTURES[cls.architecture]

    @classmethod
    def structures(
        cls,
        preset: str,
        changes: Mapping[str, Any],
        fed: Fed,
        known: Mapping[str, Any],
    ) -> dict[str, Any]:
        """Returns the structure of each network, a config of its family, by name.

        Args:
            preset: Of the family.
            changes: Fields that differ from the preset's; a network takes those that it
                has, flags of another meaning are a subclass's.
            fed: Fields that follow from data and encoder; taken like `changes`.
            known: Structures of networks that were read from files, by name.

        Raises:
            ValueError: If the preset is unknown, no network has a field, or a value is
                refused.
        """
        made, unknown = {}, set(changes)
        for name, role in cls.networks.items():
            config = preset_of(cls.family(), role, preset)
            fields = {field.name for field in dataclasses.fields(config)}
            told = {k: v for k, v in changes.items() if k in fields}
            told = fed.values(config) | told
            made[name] = known.get(name) or dataclasses.replace(config, **told)
            unknown -= fields
        if unknown:
            raise ValueError(
                f"The networks of {cls.name} have no {', '.join(sorted(unknown))}"
            )
        return cls.fitted(made, known)

    @classmethod
    def fitted(
        cls, structures: dict[str, Any], known: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Returns structures of which one follows from another, or is refused.

        Args:
            structures: By name, as preset and changes say.
            known: See `structures`.

        Raises:
            ValueError: If they do not fit to each other, or to the system.
        """
        return structures

    @classmethod
    def contract_of(cls, structures: Mapping[str, Any]) -> SwapContract:
        """Returns the contract of what is trained to swap.

        Args:
            structures: From `structures`.
        """
        found = (structures[name] for name in cls.generators)
        return next(one.contract for one in found if hasattr(one, "contract"))

    @classmethod
    def needs_frozen(cls, recipe: Recipe) -> frozenset[str]:
        """Returns the fields of `FrozenNetworks` that a training needs.

        Args:
            recipe: Its numbers.
        """
        return frozenset()

    @classmethod
    def settled(
        cls, recipe: Recipe, chosen: frozenset[str], known_truth: bool
    ) -> Recipe:
        """Returns the recipe with the numbers that follow from others.

        Args:
            recipe: With the numbers that were given.
            chosen: Names of the numbers that were given.
            known_truth: Whether the data have rows whose right result is known.
        """
        return recipe

    @classmethod
    def swapper(cls, networks: Mapping[str, keras.Model]) -> Network:
        """Returns the one network that is judged, exported and swapped with.

        Args:
            networks: Those that are trained, by name; it shares their weights.
        """
        return cls.family().swapper(networks)

    @classmethod
    def swappers(cls, networks: Mapping[str, keras.Model]) -> dict[str, Network]:
        """Returns all that can be exported, by the ending of the file's name.

        Args:
            networks: See `swapper`.
        """
        return {"": cls.swapper(networks)}

    @classmethod
    def builders(
        cls,
        structures: Mapping[str, Any],
        precision: str = "float32",
        form: str = "composed",
    ) -> dict[str, Callable[[], keras.Model]]:
        """Returns what makes each network anew, by name.

        Args:
            structures: From `structures`.
            precision: A policy.
            form: Composed or plain, see `LayerParts`.
        """
        made = cls.family().networks
        return {
            name: functools.partial(made[role], structures[name], form, precision)
            for name, role in cls.networks.items()
            if name in structures
        }

    @property
    def _teacher(self) -> Teacher:
        return self.frozen.needed("teacher", self.frozen.teacher)

    @property
    def players(self) -> dict[str, tuple[str, ...]]:
        """Which networks each optimiser moves: `g`, then those of the adversaries."""
        found = {"g": self.generators}
        for one in self.adversaries:
            if self.recipe.ever(one.name):
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
    def see(self, batch: Mapping[str, Any], phase: Phase) -> dict[str, object]:
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


def preset_of(family: Architecture, role: str, name: str) -> Any:
    """Returns a structure of a family by its preset's name.

    Args:
        family: The family.
        role: Of the network.
        name: Of the preset.

    Raises:
        InputError: If there is no such preset.
    """
    known = family.presets[role]
    if name not in known:
        raise InputError(
            f"--preset must be one of {', '.join(sorted(known))}. "
            f"Received: {name}{did_you_mean(name, known)}"
        )
    return known[name]
