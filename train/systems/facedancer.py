"""FaceDancer (Rosberg et al. 2022): what it sees and makes, and its terms.

Its numbers stand in `facedancer_recipes`. Where triplets are mixed in, some rows have a
known truth: then what is made is compared with the truth wherever pairs are compared
with their target.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any, cast

import keras
import numpy as np
from keras import ops

from facedancer.models import DiscriminatorConfig
from facedancer.networks.tensors import Tensor
from facedancer.train.frozen import teachers
from facedancer.train.frozen.proxy import Proxy
from facedancer.train.objective import ifsr, losses
from facedancer.train.objective.adversary import Adversary
from facedancer.train.objective.recipes import Recipe
from facedancer.train.objective.terms import Made, Seen, Sums, Term, perceptual_sum
from facedancer.train.systems import facedancer_terms as terms
from facedancer.train.systems.base import Fed, Phase, System, preset_of
from facedancer.train.systems.facedancer_adversaries import adversaries
from facedancer.train.systems.facedancer_recipes import RECIPES, Options
from facedancer.train.systems.facedancer_sights import (
    PARTS,
    POINTS,
    known_sights,
    sights,
)
from facedancer.train.systems.facedancer_structure import generator_structure

VECTOR, CYCLE, SECOND, FEATURES = (
    frozenset({name}) for name in ("vector", "cycle", "second", "features")
)
PUBLISHED_MEAN = losses.published_reconstruction
PERCEPTUAL_MEAN = functools.partial(terms.marked_mean, "perceptual", "compared")


class FaceDancer(System):
    """A generator told by an identity vector, and one discriminator.

    What is seen: `target`, `(batch, height, width, 3)` in [-1, 1]; `reference`, the
    truth where it is known, else the target: what the result should look like; `real`;
    `source`; `source_vector` and `target_vector`, `(batch, d)`; `target_maps`, the
    reference's; `same`, 1 where the source shows the target's person; `known`, 1 where
    the truth is known and is another picture than the target; `view` and `row`.
    """

    name = architecture = "facedancer"
    preset = "facedancer_c"
    recipes = RECIPES

    @classmethod
    def structures(
        cls,
        preset: str,
        changes: Mapping[str, Any],
        fed: Fed,
        known: Mapping[str, Any],
    ) -> dict[str, Any]:
        """Returns the structures of generator and discriminator.

        Args:
            preset: See `System.structures`.
            changes: See `generator_structure`; and `d_base_width`, `d_max_width`.
            fed: See `System.structures`.
            known: See `System.structures`.

        Raises:
            ValueError: If preset and changes do not fit together.
        """
        given = dict(changes)
        widths = given.pop("d_base_width", None), given.pop("d_max_width", None)
        generator = known.get("generator") or generator_structure(
            preset_of(cls.family(), "generator", preset), given, fed
        )
        return {
            "generator": generator,
            "discriminator": known.get("discriminator")
            or DiscriminatorConfig(
                image_size=generator.image_size,
                base_width=widths[0] or generator.base_width,
                max_width=widths[1] or generator.max_width,
            ),
        }

    @classmethod
    def needs_frozen(cls, recipe: Recipe) -> frozenset[str]:
        """Returns the teacher, and what the terms at work need besides.

        Args:
            recipe: The numbers of a training.
        """
        found = {"teacher", "second", "perceptual", "proxy", "features"}
        others = cast(Options, recipe.options).identity_of_others
        weights = recipe.weights
        wanted = {"margins": weights["ifsr"], "parsing": weights["parts"]}
        wanted |= {"points": weights["landmarks"], "people": others}
        return frozenset(found.union(name for name, one in wanted.items() if one))

    @classmethod
    def settled(
        cls, recipe: Recipe, chosen: frozenset[str], known_truth: bool
    ) -> Recipe:
        """Returns the recipe without what cannot be at work.

        Args:
            recipe: With the numbers that were given.
            chosen: Names of the numbers that were given.
            known_truth: Without any, `truth` is 0; else it is the `reconstruction`'s
                unless it was given.
        """
        if cast(Options, recipe.options).perceptual_network == "none":
            recipe = recipe.changed(perceptual=0.0)
        if not known_truth:
            return recipe.changed(truth=0.0)
        if "truth" not in chosen:
            recipe = recipe.changed(truth=recipe.weights["reconstruction"])
        return recipe

    @property
    def _options(self) -> Options:
        return cast(Options, self.recipe.options)

    def make_terms(self) -> tuple[Term, ...]:
        """Returns FaceDancer's losses, in the order in which they are added up."""
        shrink = self._teacher.shrink
        images: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
            "low_frequency": losses.low_frequency_loss,
            "chroma": losses.chroma_loss,
            "outside": functools.partial(losses.outside_loss, shrink=shrink),
        }
        per_sample = self._options.ifsr_per_sample
        margin = self._options.identity_margin
        second = functools.partial(terms.second_identity, margin)
        return (
            Term("identity", functools.partial(terms.identity, margin), needs=VECTOR),
            Term("second_identity", second, needs=SECOND),
            Term("contrast", terms.contrast, needs=VECTOR),
            *(
                Term(name, functools.partial(terms.image_sum, name, loss))
                for name, loss in images.items()
            ),
            terms.marked("reconstruction", "same", "target", PUBLISHED_MEAN),
            terms.marked("truth", "known", "reference"),
            Term("perceptual", self._perceptual, PERCEPTUAL_MEAN, FEATURES),
            Term("parts", terms.parts, needs=PARTS),
            Term("landmarks", terms.landmarks, needs=POINTS),
            Term("cycle", terms.cycle, terms.cycle_value, CYCLE),
            Term("ifsr", self._ifsr, None if per_sample else self._ifsr_value, VECTOR),
        )

    def make_adversaries(self) -> tuple[Adversary, ...]:
        """Returns the discriminator, and one on frozen features where there are any."""
        return adversaries(self.recipe.adversary, self.frozen.features)

    def draws(self, random: np.random.Generator, count: int, phase: Phase) -> dict:
        """Returns the views of the batch by their fields.

        Args:
            random: Of this step alone.
            count: The global batch.
            phase: The kind of step.
        """
        shrink = self._teacher.shrink
        view = teachers.whole_view(count, shrink)
        if self._options.look:
            view = teachers.random_view(random, count, shrink)
        if self.frozen.proxy is None:
            return vars(view)
        return vars(view) | self.frozen.proxy.draws(random, count)

    def see(self, batch: Mapping[str, Any], phase: Phase) -> dict:
        """Returns what the teacher says of target and source, without gradients.

        Args:
            batch: Of pairs: `target`, `source`, `same` and the identities; of triplets
                also `truth` and `has_truth`; with `scale`, `shift`, `mirrored`, `row`.
            phase: The kind of step.
        """
        view = teachers.View(batch["scale"], batch["shift"], batch["mirrored"])
        target, source, same = batch["target"], batch["source"], self._same(batch)
        seen = {"known": ops.zeros_like(same), "row": batch["row"], "view": view}
        reference, real = target, batch[self.recipe.adversary.real_images]
        if "truth" in batch:
            seen["known"] = batch["has_truth"] * (1.0 - batch["same"])
            mask = seen["known"][:, None, None, None] > 0.0
            reference, real = (
                ops.where(mask, batch["truth"], image) for image in (reference, real)
            )
        if phase.self_pairs:
            target = source = reference
            same, seen["known"] = ops.ones_like(same), ops.zeros_like(same)
        seen |= {"target": target, "source": source, "reference": reference}
        seen |= {"real": real, "same": same}
        seen |= self._vectors(source, reference, view, phase)
        who = batch["target_identity" if phase.self_pairs else "source_identity"]
        vector = self.frozen.person_vector(0, who, seen["source_vector"])
        seen |= {"person": who, "person_vector": vector}
        known, still = known_sights(self.frozen), ops.stop_gradient(reference)
        seen |= sights(self.frozen, still, view, known)
        if self.frozen.proxy is not None and not phase.self_pairs:
            seen |= self._pseudo_targets(self.frozen.proxy, batch, seen)
        return seen

    def _pseudo_targets(
        self, proxy: Proxy, batch: Mapping[str, Any], seen: Seen
    ) -> dict:
        """Returns targets that show somebody else, where the truth then is known.

        These are the pairs of two photos of one person; the reference stays the photo.
        """
        two_photos = seen["same"] * (1.0 - batch["same"])
        drawn = batch["proxy_chosen"] < self._options.proxy_ratio
        chosen = two_photos * ops.cast(drawn, "float32")
        photo, shrink = seen["reference"], self._teacher.shrink
        height, width = photo.shape[1:3]
        outside = losses.face_ellipse(height, width, shrink)
        made = proxy(photo, seen["target_vector"], batch, outside)
        mask = chosen[:, None, None, None] > 0.0
        return {
            "target": ops.where(mask, made, seen["target"]),
            "same": seen["same"] - chosen,
            "known": ops.maximum(seen["known"], chosen),
        }

    def _same(self, batch: Mapping[str, Any]) -> Tensor:
        """Returns 1 where the source shows the target's person, else 0."""
        if not self.recipe.pairs.same_person_ratio:
            return batch["same"]
        person = batch["target_identity"]
        known = ops.logical_and(person >= 0, person == batch["source_identity"])
        return ops.maximum(batch["same"], ops.cast(known, "float32"))

    def _vectors(
        self, source: Tensor, reference: Tensor, view: teachers.View, phase: Phase
    ) -> dict:
        teacher = self._teacher
        whole = teachers.whole_view(source.shape[0], teacher.shrink)
        source_vector = teacher(source, whole)[1]
        maps: list[Tensor] = []
        target_vector = source_vector
        if not phase.self_pairs:
            maps, target_vector = teacher(reference, view)
        return {
            "source_vector": ops.stop_gradient(source_vector),
            "target_vector": ops.stop_gradient(target_vector),
            "target_maps": [ops.stop_gradient(part) for part in maps],
        }

    def make(
        self,
        networks: Mapping[str, keras.Model],
        seen: Seen,
        needs: frozenset[str],
    ) -> dict:
        """Returns the swapped faces and what is measured of them.

        Args:
            networks: With `generator`.
            seen: From `see`.
            needs: Of `vector`, `second`, `features`, `parts`, `points`, `cycle`.

        Returns:
            `swapped`, `(batch, height, width, 3)` float32; `maps` and `vector` of the
            teacher; `second`, the vectors of source and swapped; `features`, the
            perceptual maps of reference and swapped; `parts` and `points`, see
            `sights`; `back` with `back_of` and `back_weight`.
        """
        swapped = _generate(networks, seen["target"], seen["source_vector"])
        made = {"swapped": swapped}
        if "vector" in needs or self._encoder_features(needs):
            made["maps"], made["vector"] = self._teacher(swapped, seen["view"])
        if "second" in needs:
            made["second"] = self._second_vectors(seen, swapped)
        if "features" in needs:
            made["features"] = self._features(seen, made)
        made |= sights(self.frozen, swapped, seen["view"], needs)
        if "cycle" in needs:
            made |= self._swapped_back(networks, seen, swapped)
        return made

    def _encoder_features(self, needs: frozenset[str]) -> bool:
        return "features" in needs and self.frozen.perceptual.features is None

    def _second_vectors(self, seen: Seen, swapped: Tensor) -> tuple[Tensor, Tensor]:
        second = self.frozen.needed("second", self.frozen.second)
        whole = teachers.whole_view(swapped.shape[0], second.shrink)
        source = ops.stop_gradient(second(seen["source"], whole)[1])
        source = self.frozen.person_vector(1, seen["person"], source)
        return source, second(swapped, seen["view"])[1]

    def _features(self, seen: Seen, made: Made) -> tuple[list[Tensor], list[Tensor]]:
        features = self.frozen.perceptual.features
        if features is None:
            return seen["target_maps"], made["maps"]
        return features(seen["reference"]), features(made["swapped"])

    def _swapped_back(
        self,
        networks: Mapping[str, keras.Model],
        seen: Seen,
        swapped: Tensor,
    ) -> dict:
        """Swaps every n-th row of the global batch back.

        Of a part, a replica's or an accumulated one, these may be fewer than there are
        places; a place that is left over has the weight 0.
        """
        rows, weights = terms.rows_to_cycle(
            seen["row"], self._options.cycle_every, self.batch_size
        )
        reference, vector, swapped = (
            part[rows] if isinstance(rows, slice) else ops.take(part, rows, axis=0)
            for part in (seen["reference"], seen["target_vector"], swapped)
        )
        back = _generate(networks, swapped, vector)
        return {"back": back, "back_of": reference, "back_weight": weights}

    def watch_needs(self, phase: Phase) -> frozenset[str]:
        """Returns `vector`, for the cosines, except in the warm-up.

        Args:
            phase: The kind of step.
        """
        return frozenset() if phase.self_pairs else VECTOR

    def watch(self, seen: Seen, made: Made) -> dict:
        """Returns sums of the cosines of swapped faces of other people.

        Args:
            seen: From `see`.
            made: From `make`.
        """
        other = 1.0 - ops.maximum(seen["same"], seen["known"])
        if "vector" not in made:
            return {}
        to_source = 1.0 - losses.identity_loss(seen["source_vector"], made["vector"])
        to_target, apart = terms.cosines(seen, made)
        return {
            "others": ops.sum(other),
            "cosine_to_source": ops.sum(other * to_source),
            "cosine_to_target": ops.sum(other * to_target),
            "cosine_apart": ops.sum(other * apart),
        }

    def watched(self, sums: Sums) -> dict:
        """Returns the mean cosines of swapped faces of other people.

        Args:
            sums: Over the global batch.
        """
        if "cosine_to_source" not in sums:
            return {}
        others = ops.maximum(sums["others"], 1.0)
        names = ("cosine_to_source", "cosine_to_target", "cosine_apart")
        return {name: sums[name] / others for name in names}

    def _perceptual(self, seen: Seen, made: Made) -> dict:
        relative = self.frozen.perceptual.relative
        compared = seen["same"] + seen["known"]
        before, after = made["features"]
        return {
            "perceptual": perceptual_sum(compared, before, after, relative),
            "compared": ops.sum(compared),
        }

    def _ifsr(self, seen: Seen, made: Made) -> dict:
        distances = ifsr.distances(seen["target_maps"], made["maps"])
        options = self._options
        if options.ifsr_per_sample:
            values = ifsr.hinge(distances, self.frozen.margins, options.ifsr_scale)
            return {"ifsr": ops.sum(values)}
        return {"ifsr_distances": ops.sum(distances, axis=0)}

    def _ifsr_value(self, sums: Sums, batch: int) -> Tensor:
        means = sums["ifsr_distances"] / batch
        return ifsr.hinge(means, self.frozen.margins, self._options.ifsr_scale)


def _generate(
    networks: Mapping[str, keras.Model], target: Tensor, vector: Tensor
) -> Tensor:
    generator = networks["generator"]
    return ops.cast(generator([target, vector], training=True), "float32")
