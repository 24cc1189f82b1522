"""Swap-them-all and its second version: a face is painted anew from its parts.

Its numbers stand in `recipes`, its formulas in `terms`. The two forward passes of the
original, a face rebuilt and a face swapped, are rows of one batch here: pairs of one
person, and pairs of two.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, cast

import keras
import numpy as np
from keras import ops

from facedancer.face import face_maps
from facedancer.models.families.swap_them_all.config import PairDiscriminatorConfig
from facedancer.networks.tensors import Tensor
from facedancer.train.frozen import teachers
from facedancer.train.frozen.face_parsing import FaceParsing
from facedancer.train.objective import losses
from facedancer.train.objective.adversary import Adversary
from facedancer.train.objective.decoys import Decoy, Told
from facedancer.train.objective.recipes import Recipe
from facedancer.train.objective.terms import Made, Seen, Sums, Term, perceptual_sum
from facedancer.train.systems.base import Fed, Phase, System
from facedancer.train.systems.swap_them_all import terms
from facedancer.train.systems.swap_them_all.recipes import (
    V2_LOSSES,
    WARPED,
    SwapThemAllOptions,
)

VECTOR, FEATURES = frozenset({"vector"}), frozenset({"features"})
CYCLE = frozenset({"cycle"})
_FED = ("shown", "semantic_mask", "reference", "identity")


class SwapThemAll(System):
    """A generator that is told the parts of a face, and a source.

    What is seen: `target`, `reference` (who it becomes; where that is the target's own
    person, another photo) and `another` (photo of the target's person), `(batch,
    height, width, 3)` in [-1, 1]; `shown`, what the generator sees of the target;
    `semantic_mask` in [0, 1]; `outside`, `(batch, height, width, 1)`; `identity`,
    `source_vector`, `target_vector`, `(batch, d)` of length one; `same` and `others`,
    `(batch,)`, 1 for pairs of one person and of two; `parts`, what a parser sees;
    `real_pair` and `wrong_pair`, `(batch, height, width, 6)`, two photos of one person
    and of two.

    What is made: `swapped`, `pair` (it beside its reference) and, where asked for,
    `vector`, `features` and `cycled`, the face swapped back.
    """

    name = architecture = "swap_them_all"
    preset = "swap_them_all_224"
    networks = {
        "generator": "generator",
        "discriminator": "discriminator",
        "pair_discriminator": "pair_discriminator",
    }
    batches = "trios"
    recipes = {"v2_losses": V2_LOSSES, "warped": WARPED}
    version = 1

    @classmethod
    def structures(
        cls,
        preset: str,
        changes: Mapping[str, Any],
        fed: Fed,
        known: Mapping[str, Any],
    ) -> dict[str, Any]:
        """Returns the structure of each network, see `System.structures`.

        Args:
            preset: Of the family.
            changes: Fields that differ from the preset's.
            fed: Fields that follow from data and encoder.
            known: Structures of networks that were read from files, by name.

        Raises:
            ValueError: If a generator was trained to see something else of targets, or
                as `System.structures` says.
        """
        found = super().structures(preset, changes, fed, known)
        wanted, sees = changes.get("sees"), found["generator"].sees
        if wanted not in (None, sees):
            raise ValueError(
                f"--init_generator was trained to see the {sees}, --options shown= and "
                f"--recipe ask for the {wanted}"
            )
        return found

    @classmethod
    def fitted(
        cls, structures: dict[str, Any], known: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Returns the structures; the version is the system's.

        The discriminator tells vectors of the length that the generator is told.

        Args:
            structures: See `System.fitted`.
            known: See `System.fitted`.

        Raises:
            ValueError: If the generator is of another version, or a discriminator tells
                vectors of another length.
        """
        generator, judge = structures["generator"], structures["discriminator"]
        if generator.version != cls.version:
            raise ValueError(
                f"--system={cls.name} trains generators of version {cls.version}. "
                f"Received: version {generator.version}"
            )
        size = generator.identity_size
        if "discriminator" in known and judge.vector_size != size:
            raise ValueError(
                f"--init_discriminator tells vectors of {judge.vector_size}, the "
                f"generator is told {size}"
            )
        fitting = dataclasses.replace(judge, vector_size=size)
        return {**structures, "discriminator": fitting}

    @classmethod
    def needs_frozen(cls, recipe: Recipe) -> frozenset[str]:
        """Returns teacher with its taps, parser and perceptual network.

        Args:
            recipe: The numbers of a training.
        """
        return frozenset({"teacher", "taps", "perceptual", "parsing"})

    @classmethod
    def settled(
        cls, recipe: Recipe, chosen: frozenset[str], known_truth: bool
    ) -> Recipe:
        """Returns the recipe with what the generator then sees.

        Args:
            recipe: With the numbers that were given.
            chosen: Names of the numbers that were given.
            known_truth: Whether the data have rows whose right result is known.
        """
        options = cast(SwapThemAllOptions, recipe.options)
        if options.perceptual_network == "none":
            recipe = recipe.changed(perceptual=0.0)
        hidden = cls._shown(options) == "hidden"
        sees = {"sees": "masked_target" if hidden else "target"}
        return recipe.changed(structure={**recipe.structure, **sees})

    @classmethod
    def _shown(cls, options: SwapThemAllOptions) -> str:
        return options.shown or ("hidden" if cls.version == 1 else "clear")

    @property
    def _options(self) -> SwapThemAllOptions:
        return cast(SwapThemAllOptions, self.recipe.options)

    @property
    def _parsing(self) -> FaceParsing:
        return self.frozen.needed("parsing", self.frozen.parsing)

    def make_terms(self) -> tuple[Term, ...]:
        """Returns the losses; `trace` is the second part of the reconstruction."""
        same, others = terms.over_same, terms.over_others
        return (
            Term("reconstruction", terms.reconstruction, same("reconstruction")),
            Term("trace", terms.trace, others("trace")),
            Term("identity", self._identity, terms.identity_value, VECTOR),
            Term("relative", self._relative, others("relative"), VECTOR),
            Term("perceptual", self._perceptual, same("perceptual"), FEATURES),
            Term("cycle", terms.cycle, others("cycle"), CYCLE),
            Term("outside", terms.outside),
            Term("semantic", self._semantic),
        )

    def make_adversaries(self) -> tuple[Adversary, ...]:
        """Returns the discriminator that sees the mask, and that of pairs."""
        rule, options = self.recipe.adversary, self._options
        shared: dict[str, Any] = {
            "kind": rule.kind,
            "r1_gamma": rule.r1_gamma,
            "r1_every": rule.r1_every,
        }
        return (
            Adversary(
                real="target",
                condition=("semantic_mask",),
                mixup=options.mixup if rule.kind == "lsgan" else 0.0,
                decoys=(Decoy("hidden", weight=0.5),),
                told=Told(
                    "target_vector", "source_vector", "others", options.margin_told
                ),
                **shared,
            ),
            # Three kinds of fakes share the weight of one; two of them are rows of one
            # batch, the third is known of every pair of two people.
            Adversary(
                network="pair_discriminator",
                player="d_pairs",
                name="adversarial_pairs",
                real="real_pair",
                fake="pair",
                features=self._beside_maps,
                fake_weight=2 / 3,
                decoys=(Decoy("wrong_pair", "others", 2 / 3),),
                **shared,
            ),
        )

    def draws(
        self, random: np.random.Generator, count: int, phase: Phase
    ) -> dict[str, np.ndarray]:
        """Returns how each face is hidden or warped, and the share of its own vector.

        Args:
            random: Of this step alone.
            count: The global batch.
            phase: The kind of step.
        """
        options = self._options
        found = {
            "hiding": random.integers(self._parsing.kinds, size=count),
            "own": random.beta(options.mix, options.mix, count)
            if options.mix
            else np.zeros(count),
        }
        if self._shown(options) == "warped":
            found["moves"] = terms.draw_moves(random, count, options.warp)
        return found

    def see(self, batch: Mapping[str, Any], phase: Phase) -> dict[str, object]:
        """Returns what the generator is fed and compared with.

        Args:
            batch: `target`, `source`, `another`, `same`, and the draws of the step.
            phase: The kind of step.
        """
        target, another, same = batch["target"], batch["another"], batch["same"]
        if phase.self_pairs:
            another, same = target, ops.ones_like(same)
        rebuilt = same[:, None, None, None]
        reference = rebuilt * another + (1.0 - rebuilt) * batch["source"]
        scores = self._parsing.scores(target)
        classes = ops.cast(ops.argmax(scores, axis=-1), "int32")
        vectors = [
            ops.normalize(self._seen_by_teacher(image)[1], axis=-1)
            for image in (reference, target)
        ]
        share = (batch["own"] * same)[:, None]
        mixed = share * vectors[1] + (1.0 - share) * vectors[0]
        seen = {
            "target": target,
            "reference": reference,
            "another": another,
            "same": same,
            "others": 1.0 - same,
            "classes": classes,
            "hiding": ops.cast(batch["hiding"], "int32"),
            "semantic_mask": self._parsing.semantic_mask(classes),
            "outside": self._parsing.outside(classes),
            "parts": ops.softmax(scores),
            "source_vector": vectors[0],
            "target_vector": vectors[1],
            "identity": ops.normalize(mixed, axis=-1),
            "real_pair": ops.concatenate([target, another], -1),
            "wrong_pair": ops.concatenate([batch["source"], target], -1),
        }
        seen["hidden"] = self._hidden(target, seen)
        seen["shown"] = self._shown_of(seen, rebuilt, batch)
        return {name: ops.stop_gradient(value) for name, value in seen.items()}

    def _hidden(self, image: Tensor, seen: Seen) -> Tensor:
        """Returns pictures whose faces are hidden where those of the targets are."""
        return self._parsing.hidden(image, seen["classes"], seen["hiding"])

    def _shown_of(self, seen: Seen, rebuilt: Tensor, batch: Mapping) -> Tensor:
        """Returns what the generator sees of the targets."""
        kind = self._shown(self._options)
        if kind == "hidden":
            return seen["hidden"]
        target = seen["target"]
        if kind == "warped":
            changed = terms.warped(target, batch["moves"])
        else:
            changed = seen["hidden"]
        return rebuilt * changed + (1.0 - rebuilt) * target

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
            needs: Of `vector`, `features`, `cycle`.

        Returns:
            `swapped`, `(batch, height, width, 3)` float32, and `pair` of six channels;
            `vector`, `(batch, d)`; `features`, the perceptual maps of target and
            swapped; `cycled`, like `swapped`.
        """
        generator = networks["generator"]
        picture = generator([seen[name] for name in _FED], training=True)
        picture = ops.cast(picture, "float32")
        pair = ops.concatenate([picture, seen["reference"]], -1)
        made: dict[str, Any] = {"swapped": picture, "pair": pair}
        if "vector" in needs:
            made["vector"] = self._seen_by_teacher(picture)[1]
        if "features" in needs:
            shown = seen["target"], picture
            made["features"] = [self._maps(image) for image in shown]
        if "cycle" in needs:
            hides = self._shown(self._options) == "hidden"
            again = self._hidden(picture, seen) if hides else picture
            told = seen["semantic_mask"], seen["another"], seen["target_vector"]
            cycled = generator([again, *told], training=True)
            made["cycled"] = ops.cast(cycled, "float32")
        return made

    def _beside_maps(self, pair: Tensor) -> list[Tensor]:
        """Returns pairs, and what the teacher's maps show of both photos.

        Args:
            pair: `(batch, size, size, 6)` in [-1, 1].
        """
        teacher = self._teacher
        widths = teachers.tap_widths(teacher.encoder, teacher.taps)
        config = PairDiscriminatorConfig(pair.shape[1], tap_widths=widths)
        both = ops.concatenate([pair[..., :3], pair[..., 3:]], 0)
        maps, _ = self._seen_by_teacher(both)
        found = [pair]
        for place, (side, *_) in zip(config.chosen, config.map_shapes, strict=True):
            seen = face_maps.both_ways(
                face_maps.resizing(side, maps[place].shape[1]), maps[place], ops
            )
            first, second = ops.split(seen, 2, axis=0)
            found.append(ops.concatenate([first, second], -1))
        return found

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
        return terms.of_others("relative", seen, left)

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
