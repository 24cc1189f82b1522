"""Swap-them-all and its second version: a masked face is painted anew.

Its numbers stand in `swap_them_all_recipes`. The two forward passes of the original, a
face rebuilt and a face swapped, are rows of one batch here: pairs of one person, and
pairs of two.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import keras
import numpy as np
from keras import ops

from facedancer.tensors import Tensor
from facedancer.train.frozen import teachers
from facedancer.train.frozen.face_parsing import FaceParsing
from facedancer.train.objective import losses
from facedancer.train.objective.adversary import Adversary
from facedancer.train.objective.recipes import Recipe
from facedancer.train.objective.terms import Made, Seen, Sums, Term, perceptual_sum
from facedancer.train.systems.base import Phase, System
from facedancer.train.systems.swap_them_all_recipes import (
    V2_LOSSES,
    SwapThemAllOptions,
)

VECTOR, FEATURES = frozenset({"vector"}), frozenset({"features"})
_FEEDS = ("masked_target", "semantic_mask", "reference", "identity")


class SwapThemAll(System):
    """A generator that is shown a target without its face, its parts and a source.

    What is seen: `target` and `reference`, the source, `(batch, height, width, 3)` in
    [-1, 1]; `masked_target`; `semantic_mask` in [0, 1]; `outside`, `(batch, height,
    width, 1)`; `identity`, `source_vector`, `target_vector`, `(batch, d)` of length
    one; `same`, `(batch,)`, 1 for pairs of one person; `parts`, what a parser sees.
    """

    name = architecture = "swap_them_all"
    preset = "swap_them_all_224"
    recipes = {"v2_losses": V2_LOSSES}
    version = 1

    @classmethod
    def fitted(
        cls, structures: dict[str, Any], known: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Returns the structures; the generator's version is the system's.

        Args:
            structures: See `System.fitted`.
            known: See `System.fitted`.

        Raises:
            ValueError: If the generator is of another version.
        """
        if (found := structures["generator"].version) != cls.version:
            raise ValueError(
                f"--system={cls.name} trains generators of version {cls.version}. "
                f"Received: version {found}"
            )
        return structures

    @classmethod
    def needs_frozen(cls, recipe: Recipe) -> frozenset[str]:
        """Returns teacher, parser and perceptual network.

        Args:
            recipe: The numbers of a training.
        """
        return frozenset({"teacher", "perceptual", "parsing"})

    @classmethod
    def settled(
        cls, recipe: Recipe, chosen: frozenset[str], known_truth: bool
    ) -> Recipe:
        """Returns the recipe without what cannot be at work.

        Args:
            recipe: With the numbers that were given.
            chosen: Names of the numbers that were given.
            known_truth: Whether the data have rows whose right result is known.
        """
        options = cast(SwapThemAllOptions, recipe.options)
        if options.perceptual_network == "none":
            return recipe.changed(perceptual=0.0)
        return recipe

    @property
    def _options(self) -> SwapThemAllOptions:
        return cast(SwapThemAllOptions, self.recipe.options)

    @property
    def _parsing(self) -> FaceParsing:
        return self.frozen.needed("parsing", self.frozen.parsing)

    def make_terms(self) -> tuple[Term, ...]:
        """Returns the losses; `trace` is the second part of the reconstruction."""
        return (
            Term("reconstruction", _reconstruction, _over_same("reconstruction")),
            Term("trace", _trace, _over_others("trace")),
            Term("identity", self._identity, _identity_value, VECTOR),
            Term("relative", self._relative, _over_others("relative"), VECTOR),
            Term("perceptual", self._perceptual, _over_same("perceptual"), FEATURES),
            Term("outside", _outside),
            Term("semantic", self._semantic),
        )

    def make_adversaries(self) -> tuple[Adversary, ...]:
        """Returns the discriminator, which is given the mask, too."""
        rule = self.recipe.adversary
        return (
            Adversary(
                real="target",
                kind=rule.kind,
                condition=("semantic_mask",),
                r1_gamma=rule.r1_gamma,
                r1_every=rule.r1_every,
                mixup=self._options.mixup if rule.kind == "lsgan" else 0.0,
            ),
        )

    def draws(
        self, random: np.random.Generator, count: int, phase: Phase
    ) -> dict[str, np.ndarray]:
        """Returns how each face is hidden, and the share of its own vector.

        Args:
            random: Of this step alone.
            count: The global batch.
            phase: The kind of step.
        """
        mix = self._options.mix
        return {
            "hiding": random.integers(self._parsing.kinds, size=count),
            "own": random.beta(mix, mix, count) if mix else np.zeros(count),
        }

    def see(self, batch: Mapping[str, Any], phase: Phase) -> dict[str, object]:
        """Returns what the generator is fed and compared with.

        Args:
            batch: `target`, `source`, `same`, and the draws of the step.
            phase: The kind of step.
        """
        target, source, same = batch["target"], batch["source"], batch["same"]
        if phase.self_pairs:
            source, same = target, ops.ones_like(same)
        scores = self._parsing.scores(target)
        classes = ops.cast(ops.argmax(scores, axis=-1), "int32")
        hiding = ops.cast(batch["hiding"], "int32")
        vectors = [
            ops.normalize(self._seen_by_teacher(image)[1], axis=-1)
            for image in (source, target)
        ]
        share = (batch["own"] * same)[:, None]
        mixed = share * vectors[1] + (1.0 - share) * vectors[0]
        seen = {
            "target": target,
            "reference": source,
            "same": same,
            "masked_target": self._parsing.hidden(target, classes, hiding),
            "semantic_mask": self._parsing.semantic_mask(classes),
            "outside": self._parsing.outside(classes),
            "parts": ops.softmax(scores),
            "source_vector": vectors[0],
            "target_vector": vectors[1],
            "identity": ops.normalize(mixed, axis=-1),
        }
        return {name: ops.stop_gradient(value) for name, value in seen.items()}

    def make(
        self,
        networks: Mapping[str, keras.Model],
        seen: Seen,
        needs: frozenset[str],
    ) -> dict[str, object]:
        """Returns the swapped picture and what is measured of it.

        Args:
            networks: With `generator`.
            seen: From `see`.
            needs: Of `vector`, `features`.

        Returns:
            `swapped`, `(batch, height, width, 3)` float32; `vector`, `(batch, d)`;
            `features`, the perceptual maps of target and swapped.
        """
        picture = networks["generator"]([seen[name] for name in _FEEDS], training=True)
        made: dict[str, Any] = {"swapped": ops.cast(picture, "float32")}
        if "vector" in needs:
            made["vector"] = self._seen_by_teacher(made["swapped"])[1]
        if "features" in needs:
            made["features"] = [
                self._maps(image) for image in (seen["target"], made["swapped"])
            ]
        return made

    def _maps(self, image: Tensor) -> list[Tensor]:
        features = self.frozen.perceptual.features
        return features(image) if features else self._seen_by_teacher(image)[0]

    def _seen_by_teacher(self, image: Tensor) -> tuple[list[Tensor], Tensor]:
        """Returns the teacher's maps and vectors of whole crops."""
        teacher = self._teacher
        return teacher(image, teachers.whole_view(image.shape[0], teacher.shrink))

    def _identity(self, seen: Seen, made: Made) -> Sums:
        """Returns what is left of the distances to the source beyond the margins."""
        away = 1.0 - losses.cosine_similarity(seen["source_vector"], made["vector"])
        same, options = seen["same"], self._options
        return {
            "identity_same": ops.sum(same * ops.relu(away - options.margin_same)),
            "identity_other": ops.sum(
                (1.0 - same) * ops.relu(away - options.margin_other)
            ),
            "same": ops.sum(same),
            "others": ops.sum(1.0 - same),
        }

    def _relative(self, seen: Seen, made: Made) -> Sums:
        """Returns by how much a swapped face is not nearer to its source."""
        source, target = (
            1.0 - losses.cosine_similarity(seen[name], made["vector"])
            for name in ("source_vector", "target_vector")
        )
        left = ops.relu(source - target + self._options.relative_margin)
        return _of_others("relative", seen, left)

    def _perceptual(self, seen: Seen, made: Made) -> Sums:
        before, after = made["features"]
        relative = self.frozen.perceptual.relative
        total = perceptual_sum(seen["same"], before, after, relative)
        return {"perceptual": total, "same": ops.sum(seen["same"])}

    def _semantic(self, seen: Seen, made: Made) -> Sums:
        """Returns how far the parts of the face have moved, as a parser sees them."""
        parts = ops.softmax(self._parsing.scores(made["swapped"]))
        return {"semantic": ops.sum(losses.absolute_difference(seen["parts"], parts))}


class SwapThemAllV2(SwapThemAll):
    """Few-shot face translation: AdaIN at the bottleneck, SPADE after it."""

    name = "swap_them_all_v2"
    preset = "swap_them_all_v2_224"
    version = 2


def _over_same(name: str) -> Any:
    """Returns the value of a sum over the pairs of one person: its mean."""
    return lambda sums, batch: sums[name] / ops.maximum(sums["same"], 1.0)


def _over_others(name: str) -> Any:
    """Returns the value of a sum over the pairs of two people: its mean."""
    return lambda sums, batch: sums[name] / ops.maximum(sums["others"], 1.0)


def _identity_value(sums: Sums, batch: int) -> Tensor:
    """Returns the sum of both means, as the original adds two forward passes."""
    same, others = (ops.maximum(sums[name], 1.0) for name in ("same", "others"))
    return sums["identity_same"] / same + sums["identity_other"] / others


def _of_others(name: str, seen: Seen, values: Tensor) -> Sums:
    others = 1.0 - seen["same"]
    return {name: ops.sum(others * values), "others": ops.sum(others)}


def _reconstruction(seen: Seen, made: Made) -> Sums:
    """Returns how far the rebuilt faces are from their photos."""
    away = losses.absolute_difference(seen["target"], made["swapped"])
    same = seen["same"]
    return {"reconstruction": ops.sum(same * away), "same": ops.sum(same)}


def _trace(seen: Seen, made: Made) -> Sums:
    """Returns how far the swapped faces are from their targets."""
    away = losses.absolute_difference(seen["target"], made["swapped"])
    return _of_others("trace", seen, away)


def _outside(seen: Seen, made: Made) -> Sums:
    """Returns how much has changed where no face is, as part of the whole picture."""
    away = ops.abs(seen["target"] - made["swapped"]) * seen["outside"]
    return {"outside": ops.sum(ops.mean(away, axis=(1, 2, 3)))}
