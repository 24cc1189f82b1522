"""Conditional GAN (after Crasson 2024): one autoencoder for many people, and a label.

It learns to restore photos from themselves, told whose they are; a swap tells it
another label. Its numbers stand in `recipes`, its formulas in `formulas`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import keras
from keras import ops

from facedancer.face import face_maps
from facedancer.networks.tensors import Tensor
from facedancer.train.objective import losses
from facedancer.train.objective.adversary import Adversary
from facedancer.train.objective.recipes import Recipe
from facedancer.train.objective.terms import Made, Seen, Sums, Term
from facedancer.train.systems.base import Phase, System
from facedancer.train.systems.conditional_gan import formulas
from facedancer.train.systems.conditional_gan.recipes import (
    PUBLISHED,
    SAEHD_LIKE,
    SHUFFLED,
    ConditionalOptions,
)


class ConditionalGAN(System):
    """A generator that is told by a label whom to show.

    What is seen: `photo` and `distorted`, `(batch, size, size, 3)` in [0, 1]; `label`,
    `(batch, 1)` int32; `mask`, `(batch, size, size, 1)`, where the face is, with a soft
    edge, `face` without; `parts`, where eyes and mouth are.

    What is made: `swapped`, `composite` (it in the photo by the mask) and `alpha`.
    """

    name = architecture = "conditional_gan"
    preset = "conditional_gan_512"
    batches = "people"
    recipes = {"shuffled": SHUFFLED, "published": PUBLISHED, "saehd_like": SAEHD_LIKE}

    @classmethod
    def needs_frozen(cls, recipe: Recipe) -> frozenset[str]:
        """Returns the face parser where it tells where the faces are.

        Args:
            recipe: The numbers of a training.
        """
        options = cast(ConditionalOptions, recipe.options)
        return frozenset({"parsing"} if options.masks == "parser" else ())

    @property
    def _options(self) -> ConditionalOptions:
        return cast(ConditionalOptions, self.recipe.options)

    def make_terms(self) -> tuple[Term, ...]:
        """Returns the losses, all within the mask."""
        return (
            Term("similarity", self._similarity),
            Term("difference", self._difference),
            Term("eyes_mouth", _eyes_mouth),
            Term("mask", _mask),
        )

    def make_adversaries(self) -> tuple[Adversary, ...]:
        """Returns what tells photos from composites, told whose they are."""
        told = self.recipe.adversary
        return (
            Adversary(
                real="photo",
                fake="composite",
                kind=told.kind,
                condition=("label",),
                r1_gamma=told.r1_gamma,
                r1_every=told.r1_every,
            ),
        )

    def see(self, batch: Mapping[str, Any], phase: Phase) -> dict[str, object]:
        """Returns photos and where their faces are.

        Args:
            batch: Of `portrait_reader.PeopleReader`.
            phase: The kind of step.
        """
        photo, distorted, features = (
            (batch[name] + 1.0) / 2.0 for name in ("photo", "distorted", "features")
        )
        face = self._face(batch["photo"], features[..., :1])
        return {
            "photo": photo,
            "distorted": distorted,
            "label": ops.cast(batch["label"][:, None], "int32"),
            "face": face,
            "mask": formulas.soft_mask(face, self._options.mask_blur),
            "parts": ops.max(features[..., 1:], axis=-1, keepdims=True),
        }

    def _face(self, image_signed: Tensor, outline: Tensor) -> Tensor:
        """Returns where the faces are; all of the outline where none is recognised."""
        if self._options.masks == "landmarks":
            return outline
        parsing = self.frozen.needed("parsing", self.frozen.parsing)
        found = outline * parsing.face(parsing.classes(image_signed))
        part = ops.sum(found, axis=(1, 2, 3)) / (ops.sum(outline, axis=(1, 2, 3)) + 1.0)
        known = ops.cast(part >= face_maps.RECOGNISED, "float32")[:, None, None, None]
        return ops.stop_gradient(known * found + (1.0 - known) * outline)

    def make(
        self,
        networks: Mapping[str, keras.Model],
        seen: Seen,
        needs: frozenset[str],
    ) -> dict[str, object]:
        """Returns what the generator makes of the photos, told whose they are.

        Args:
            networks: With `generator`.
            seen: From `see`.
            needs: Not used.
        """
        feeds = [seen["distorted"], seen["label"]]
        found = networks["generator"](feeds, training=True)
        picture, *alpha = found if isinstance(found, list | tuple) else [found]
        picture = ops.cast(picture, "float32")
        mask = seen["mask"]
        made = {
            "swapped": picture,
            "composite": mask * picture + (1.0 - mask) * seen["photo"],
        }
        return made | ({"alpha": ops.cast(alpha[0], "float32")} if alpha else {})

    def _compared(self, seen: Seen, made: Made) -> tuple[Tensor, Tensor]:
        """Returns photo and picture as the mask lets them be seen."""
        if self._options.masked == "composite":
            return seen["photo"], made["composite"]
        mask = formulas.saturated(seen["mask"])
        return mask * seen["photo"], mask * made["swapped"]

    def _similarity(self, seen: Seen, made: Made) -> Sums:
        pair, size = self._compared(seen, made), seen["photo"].shape[1]
        found = [
            ops.sum(formulas.dissimilarity(*pair, formulas.window_of(size, part)))
            for part in self._options.windows
        ]
        return {"similarity": sum(found) / len(found)}

    def _difference(self, seen: Seen, made: Made) -> Sums:
        pair = self._compared(seen, made)
        return {"difference": ops.sum(losses.squared_difference(*pair))}


def _eyes_mouth(seen: Seen, made: Made) -> Sums:
    apart = seen["parts"] * ops.abs(seen["photo"] - made["swapped"])
    return {"eyes_mouth": ops.sum(ops.mean(apart, axis=(1, 2, 3)))}


def _mask(seen: Seen, made: Made) -> Sums:
    """Nothing where the generator has no branch for it."""
    if "alpha" not in made:
        return {"mask": ops.zeros(())}
    apart = losses.squared_difference(seen["face"], made["alpha"])
    return {"mask": ops.sum(apart)}
