"""MobileFSGAN (Yu et al. 2022): three pictures of one swap, three discriminators.

Its numbers stand in `mobile_fsgan_recipes`. It learns from pairs and, better, from
triplets whose right result is known; a batch norm looks at all rows of a replica, so
N replicas equal one only as far as their rows are alike.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any, cast

import keras
import numpy as np
from keras import ops

from facedancer.models.families.mobile_fsgan.config import (
    ENDINGS,
)
from facedancer.networks.tensors import Tensor
from facedancer.train.frozen import teachers
from facedancer.train.objective import losses
from facedancer.train.objective.adversary import Adversary
from facedancer.train.objective.recipes import Recipe
from facedancer.train.objective.terms import Made, Seen, Sums, Term, perceptual_sum
from facedancer.train.systems.base import Phase, System
from facedancer.train.systems.mobile_fsgan_recipes import (
    CORRECTED,
    PUBLISHED,
    MobileOptions,
)

FEATURES = frozenset({"features"})
# Of the five maps of a VGG; other networks' maps count alike.
VGG_WEIGHTS = (0.0, 0.6, 0.8, 1.0, 1.2)
# The border that is always compared, in parts of the side: top, left and right.
BORDER = (80 / 256, 40 / 256, 40 / 256)


class MobileFSGAN(System):
    """A generator of three pictures told by an identity vector of length one.

    What is seen: `target`, `(batch, height, width, 3)` in [-1, 1]; `reference`, what
    the result should look like where `compared`, `(batch, height, width, 1)`, is 1;
    `real`, `real_half`, `real_quarter`; `source_vector`, `(batch, d)` of length one.
    """

    name = architecture = "mobile_fsgan"
    preset = "mobile_fsgan_256"
    networks = {
        "generator": "generator",
        **{f"discriminator{ending}": "discriminator" for ending in ENDINGS},
    }
    recipes = {"corrected": CORRECTED, "published": PUBLISHED}

    @classmethod
    def fitted(
        cls, structures: dict[str, Any], known: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Returns the structures; each discriminator sees pictures of its own size.

        Args:
            structures: See `System.fitted`.
            known: See `System.fitted`.
        """
        size = structures["generator"].image_size
        for level, ending in enumerate(ENDINGS):
            name = f"discriminator{ending}"
            if name not in known:
                structures[name] = dataclasses.replace(
                    structures[name], image_size=size >> level
                )
        return structures

    @classmethod
    def needs_frozen(cls, recipe: Recipe) -> frozenset[str]:
        """Returns the teacher and the perceptual network.

        Args:
            recipe: The numbers of a training.
        """
        return frozenset({"teacher", "perceptual"})

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
        if cast(MobileOptions, recipe.options).perceptual_network == "none":
            return recipe.changed(perceptual=0.0)
        return recipe

    @property
    def _options(self) -> MobileOptions:
        return cast(MobileOptions, self.recipe.options)

    def make_terms(self) -> tuple[Term, ...]:
        """Returns the losses: identity at three sizes, the rest at the full one."""
        identities = (
            Term(
                f"identity{ending}",
                functools.partial(self._identity, ending),
                functools.partial(_mean_of_positive, ending),
            )
            for ending in ENDINGS
        )
        return (
            *identities,
            Term("reconstruction", _reconstruction, _reconstruction_value),
            Term("perceptual", self._perceptual, needs=FEATURES),
        )

    def make_adversaries(self) -> tuple[Adversary, ...]:
        """Returns one discriminator for each size; a batch norm keeps kinds apart."""
        return tuple(
            Adversary(
                network=f"discriminator{ending}",
                player=f"d{ending}",
                name=f"adversarial{ending}",
                real=f"real{ending}",
                fake=f"swapped{ending}",
                kind=self.recipe.adversary.kind,
                r1_gamma=self.recipe.adversary.r1_gamma,
                r1_every=self.recipe.adversary.r1_every,
                joint=False,
                augment=self.recipe.adversary.augment,
            )
            for ending in ENDINGS
        )

    def see(self, batch: Mapping[str, Any], phase: Phase) -> dict:
        """Returns who the sources are, and what the result should look like.

        Args:
            batch: Of pairs: `target`, `source`, `same`; of triplets also `truth`,
                `has_truth` and `source_is_real`.
            phase: The kind of step.
        """
        target, source, known = batch["target"], batch["source"], batch["same"]
        reference = target
        if "truth" in batch:
            known = ops.maximum(known, batch["has_truth"])
            reference = _where(known, batch["truth"], target)
        real = _where(known, reference, source)
        if phase.self_pairs:
            source, target, known = reference, reference, ops.ones_like(known)
        if self._options.real_pictures == "mark":
            marked = batch.get("source_is_real", ops.ones_like(known))
            real = _where(marked, source, target)
        vector = ops.normalize(self._seen_by_teacher(source)[1], axis=-1)
        seen = {"target": target, "source_vector": ops.stop_gradient(vector)}
        for level, ending in enumerate(ENDINGS):
            seen[f"real{ending}"] = _smaller(real, 2**level)
        return seen | self._compared(reference, known)

    def _compared(self, reference: Tensor, known: Tensor) -> dict:
        """Returns what the result is compared with, and where."""
        inside = known[:, None, None, None]
        border = border_mask(*reference.shape[1:3])
        if self._options.border == "black":
            reference = _where(known, reference, -ops.ones_like(reference))
            # A black pixel inside counts as one that is missing.
            bright = ops.sum(reference, axis=-1, keepdims=True) > -2.999
            inside = inside * ops.cast(bright, "float32")
        return {"reference": reference, "compared": ops.maximum(inside, border)}

    def make(
        self,
        networks: Mapping[str, keras.Model],
        seen: Seen,
        needs: frozenset[str],
    ) -> dict:
        """Returns the three pictures and what is measured of them.

        Args:
            networks: With `generator`.
            seen: From `see`.
            needs: Of `features`.

        Returns:
            `swapped`, `swapped_half`, `swapped_quarter`, `(batch, side, side, 3)`
            float32; `features`, the perceptual maps of target and swapped.
        """
        feeds = [seen["target"], seen["source_vector"]]
        pictures = networks["generator"](feeds, training=True)
        made: dict[str, Any] = {
            f"swapped{ending}": ops.cast(picture, "float32")
            for ending, picture in zip(ENDINGS, pictures, strict=True)
        }
        if "features" in needs:
            made["features"] = [
                self._maps(image) for image in (seen["target"], made["swapped"])
            ]
        return made

    def _maps(self, image: Tensor) -> list[Tensor]:
        features = self.frozen.perceptual.features
        if features is not None:
            return features(image)
        return self._seen_by_teacher(image)[0]

    def _seen_by_teacher(self, image: Tensor) -> tuple[list[Tensor], Tensor]:
        """Returns the teacher's maps and vectors of whole crops."""
        teacher = self._teacher
        return teacher(image, teachers.whole_view(image.shape[0], teacher.shrink))

    def _identity(self, ending: str, seen: Seen, made: Made) -> Sums:
        vector = self._seen_by_teacher(made[f"swapped{ending}"])[1]
        enough = 1.0 - self._options.margin
        left = losses.identity_loss(seen["source_vector"], vector, enough)
        return {
            f"identity{ending}": ops.sum(left),
            f"different{ending}": ops.sum(ops.cast(left > 0.0, "float32")),
        }

    def _perceptual(self, seen: Seen, made: Made) -> Sums:
        before, after = made["features"]
        weights = VGG_WEIGHTS if len(before) == len(VGG_WEIGHTS) else ()
        relative, everywhere = (
            self.frozen.perceptual.relative,
            ops.ones(before[0].shape[0]),
        )
        total = perceptual_sum(everywhere, before, after, relative, weights)
        return {"perceptual": total}


def border_mask(height: int, width: int) -> np.ndarray:
    """Returns where a picture is always compared: the top and both sides.

    Args:
        height: In pixels.
        width: In pixels.

    Returns:
        `(1, height, width, 1)` float32, 1 in the border, else 0.
    """
    top, left, right = BORDER
    mask = np.zeros((1, height, width, 1), np.float32)
    mask[:, : round(top * height)] = 1.0
    mask[:, :, : round(left * width)] = 1.0
    mask[:, :, width - round(right * width) :] = 1.0
    return mask


def _where(marks: Tensor, yes: Tensor, no: Tensor) -> Tensor:
    """Returns rows of `yes` where a mark is 1, else of `no`."""
    return ops.where(marks[:, None, None, None] > 0.0, yes, no)


def _smaller(image: Tensor, factor: int) -> Tensor:
    """Returns the means of squares of pixels."""
    if factor == 1:
        return image
    return ops.average_pool(image, factor, factor, data_format="channels_last")


def _mean_of_positive(ending: str, sums: Mapping[str, Any], batch: int) -> Tensor:
    """Returns the mean distance of the rows that are not alike yet."""
    return sums[f"identity{ending}"] / ops.maximum(sums[f"different{ending}"], 1.0)


def _reconstruction(seen: Seen, made: Made) -> Sums:
    """Returns half the squared differences where compared, and how much that is."""
    squares = ops.square(seen["reference"] - made["swapped"])
    squares = 0.5 * ops.sum(squares, axis=-1, keepdims=True)
    return {
        "reconstruction": ops.sum(ops.mean(seen["compared"] * squares, axis=(1, 2, 3))),
        "compared": ops.sum(ops.mean(seen["compared"], axis=(1, 2, 3))),
    }


def _reconstruction_value(sums: Mapping[str, Any], batch: int) -> Tensor:
    """Returns the mean over what is compared; the border sees to it that there is."""
    return sums["reconstruction"] / sums["compared"]
