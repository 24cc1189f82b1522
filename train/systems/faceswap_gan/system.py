"""faceswap-GAN v2.2: two people, one encoder, a decoder and a discriminator for each.

Each decoder learns to restore its person's photos from distorted copies; a swap gives
it the other person's. Its numbers stand in `recipes`, its formulas in
`terms`. The original moved the networks of one person after the other's;
here one step moves all of them, of a batch of each.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, cast

import keras
import numpy as np
from keras import ops

from facedancer.models.families.faceswap_gan.generator import swapper_of
from facedancer.networks.network import Network
from facedancer.networks.tensors import Tensor
from facedancer.train.frozen import teachers
from facedancer.train.objective import losses
from facedancer.train.objective.adversary import Adversary
from facedancer.train.objective.recipes import Recipe
from facedancer.train.objective.terms import Made, Seen, Sums, Term
from facedancer.train.systems.base import Phase, System
from facedancer.train.systems.faceswap_gan import terms as formulas
from facedancer.train.systems.faceswap_gan.recipes import (
    CORRECTED,
    PUBLISHED,
    FaceswapOptions,
    schedule,
)

SIDES = ("_a", "_b")
OTHER = {"_a": "_b", "_b": "_a"}


class FaceswapGAN(System):
    """Two people, each with a decoder that gives a picture and how much of it counts.

    What is seen, of each person with the endings `_a` and `_b`: `photo` and
    `distorted`, `(batch, size, size, 3)` in [-1, 1]; `eyes`, `(batch, size, size, 1)`
    in [0, 1]; `inputs`, what the encoder is fed; `blend` and `margin`, scalars.

    What is made, likewise: `alpha`, `raw`, `swapped` (raw on the distorted photo by
    alpha) and `small`, smaller pictures.
    """

    name = architecture = "faceswap_gan"
    preset = "faceswap_gan_64"
    batches = "two_people"
    networks = {
        "encoder": "encoder",
        "decoder_a": "decoder",
        "decoder_b": "decoder",
        "discriminator_a": "discriminator",
        "discriminator_b": "discriminator",
        "critic": "critic",
    }
    generators = averaged = ("encoder", "decoder_a", "decoder_b")
    recipes = {"corrected": CORRECTED, "published": PUBLISHED}

    @classmethod
    def fitted(
        cls, structures: dict[str, Any], known: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Returns the structures; the critic's code is as long as the encoder's.

        Args:
            structures: See `System.fitted`.
            known: See `System.fitted`.
        """
        latent = structures["encoder"].latent
        structures["critic"] = dataclasses.replace(structures["critic"], latent=latent)
        return structures

    @classmethod
    def needs_frozen(cls, recipe: Recipe) -> frozenset[str]:
        """Returns the perceptual network, and the encoder if it is that.

        Args:
            recipe: The numbers of a training.
        """
        if not recipe.ever("perceptual"):
            return frozenset()
        network = cast(FaceswapOptions, recipe.options).perceptual_network
        return frozenset(
            {"perceptual", "teacher"} if network == "encoder" else {"perceptual"}
        )

    @classmethod
    def settled(
        cls, recipe: Recipe, chosen: frozenset[str], known_truth: bool
    ) -> Recipe:
        """Returns the recipe with the schedule of its length.

        Args:
            recipe: With the numbers that were given.
            chosen: Names of the numbers that were given.
            known_truth: Whether the data have rows whose right result is known.

        Raises:
            ValueError: If an option does not fit the adversarial kind.
        """
        options = cast(FaceswapOptions, recipe.options)
        reset = any(stage.reset_optimizers for stage in recipe.stages)
        recipe = dataclasses.replace(recipe, stages=schedule(options.total, reset))
        if options.perceptual_network == "none":
            recipe = recipe.changed(perceptual=0.0)
        if "mixup" in chosen and options.mixup and recipe.adversary.kind != "lsgan":
            raise ValueError(
                "--options=mixup is for --adversarial=lsgan. Received: "
                f"mixup={options.mixup}, {recipe.adversary.kind}"
            )
        return recipe

    @classmethod
    def swapper(cls, networks: Mapping[str, keras.Model]) -> Network:
        """Returns what shows the second person, by shared weights.

        Args:
            networks: Those that are trained, by name.
        """
        return swapper_of(networks, "decoder_b", 1)

    @classmethod
    def swappers(cls, networks: Mapping[str, keras.Model]) -> dict[str, Network]:
        """Returns what shows the first, and what shows the second person.

        Args:
            networks: Those that are trained, by name.
        """
        both = (
            swapper_of(networks, f"decoder{side}", i) for i, side in enumerate(SIDES)
        )
        return {f"_{_ending(one, i)}": one for i, one in enumerate(both)}

    @property
    def _options(self) -> FaceswapOptions:
        return cast(FaceswapOptions, self.recipe.options)

    @property
    def players(self) -> dict[str, tuple[str, ...]]:
        """Which networks each optimiser moves; the critic goes with the generators."""
        found = super().players
        if self.recipe.ever("domain"):
            found["g"] = (*found["g"], "critic")
        return found

    def make_terms(self) -> tuple[Term, ...]:
        """Returns the losses, each the sum of both people's."""
        return formulas.TERMS

    def make_adversaries(self) -> tuple[Adversary, ...]:
        """Returns for each person a discriminator of the pasted and the raw picture.

        `relativistic_lsgan` judges the raw picture only, beside lsgan, as published.
        Kernels decay with the first of both, so once a step.
        """
        kind, decay = self.recipe.adversary.kind, self.recipe.weights["weight_decay"]
        plain = "lsgan" if kind == "relativistic_lsgan" else kind
        return tuple(
            Adversary(
                network=f"discriminator{side}",
                player=f"d{side}",
                name=f"adversarial{raw}{side}",
                real=f"photo{side}",
                fake=f"{fake}{side}",
                kind=shown,
                condition=(f"distorted{side}",),
                mixup=self._options.mixup if kind == "lsgan" else 0.0,
                r1_gamma=self.recipe.adversary.r1_gamma,
                r1_every=self.recipe.adversary.r1_every,
                weight_decay=0.0 if raw else decay,
            )
            for side in SIDES
            for raw, fake, shown in (("", "swapped", plain), ("_raw", "raw", kind))
        )

    def draws(
        self, random: np.random.Generator, count: int, phase: Phase
    ) -> dict[str, np.ndarray]:
        """Returns the share of the perceptual loss' mixture, and of landmarks kept.

        Args:
            random: Of this step alone.
            count: The global batch.
            phase: The kind of step.
        """
        share = random.beta(self._options.blend, self._options.blend)
        keep = random.random(count) >= self._options.landmark_drop
        return {"blend": np.full(count, share), "keep": keep.astype(np.float32)}

    def see(self, batch: Mapping[str, Any], phase: Phase) -> dict[str, object]:
        """Returns both people's photos, and where their eyes are.

        Args:
            batch: Of `portrait_reader.TwoPeopleReader`, with the step's draws.
            phase: The kind of step.
        """
        options = cast(FaceswapOptions, self.recipe.options_in(phase.stage))
        seen: dict[str, object] = {
            "blend": batch["blend"],
            "margin": ops.convert_to_tensor(options.alpha_margin, "float32"),
        }
        keep = batch["keep"][:, None, None, None]
        for side in SIDES:
            photo = seen[f"photo{side}"] = batch[f"photo{side}"]
            distorted = seen[f"distorted{side}"] = batch[f"distorted{side}"]
            seen[f"eyes{side}"] = (batch[f"features{side}"][..., 1:2] + 1.0) / 2.0
            known = (batch[f"distorted_features{side}"] + 1.0) / 2.0 * keep
            seen[f"inputs{side}"] = [distorted, known]
            if self.recipe.ever("perceptual"):
                seen[f"maps{side}"] = self._maps(photo)
        return seen

    def make(
        self,
        networks: Mapping[str, keras.Model],
        seen: Seen,
        needs: frozenset[str],
    ) -> dict[str, object]:
        """Returns what both decoders make of their people.

        Args:
            networks: By name.
            seen: From `see`.
            needs: Of `maps`, `cycle`, `codes`, `kernels`.

        Returns:
            See the class; with `maps` the perceptual maps of mixtures; with `cycle`
            what each decoder makes of the other's picture of its person (`again` and
            `again_alpha`, beside `other_alpha`); with `codes` the critic's logits;
            with `kernels` the sum of all squared kernels.
        """
        made: dict[str, Any] = {}
        for side in SIDES:
            self._restore(networks, seen, made, side)
            if "maps" in needs:
                share = seen["blend"][:, None, None, None]
                raw, pasted = made[f"raw{side}"], made[f"swapped{side}"]
                made[f"maps{side}"] = self._maps(share * raw + (1.0 - share) * pasted)
            if "cycle" in needs:
                self._there_and_back(networks, seen, made, side)
            if "codes" in needs:
                logits = networks["critic"](
                    formulas.reversed_gradient(made[f"code{side}"])
                )
                made[f"judged{side}"] = ops.cast(logits[:, 0], "float32")
        if "kernels" in needs:
            made["kernels"] = losses.squared_kernels(
                weight
                for name in self.generators
                for weight in networks[name].trainable_variables
            )
        return made

    def _encoded(self, networks: Mapping[str, keras.Model], inputs: list) -> list:
        wanted = len(networks["encoder"].inputs)
        given = inputs[:wanted] if wanted > 1 else inputs[0]
        return networks["encoder"](given, training=True)

    def _restore(
        self, networks: Mapping[str, keras.Model], seen: Seen, made: dict, side: str
    ) -> None:
        """Adds a person's picture, restored from the distorted photo."""
        known, made[f"code{side}"] = self._encoded(networks, seen[f"inputs{side}"])
        found = networks[f"decoder{side}"](known, training=True)
        alpha, raw, *small = (ops.cast(one, "float32") for one in found)
        pasted = alpha * raw + (1.0 - alpha) * seen[f"distorted{side}"]
        made |= {f"alpha{side}": alpha, f"raw{side}": raw, f"swapped{side}": pasted}
        made[f"small{side}"] = small

    def _there_and_back(
        self, networks: Mapping[str, keras.Model], seen: Seen, made: dict, side: str
    ) -> None:
        """Adds a person's picture made of the other's made of it."""
        picture, known = seen[f"inputs{side}"]
        code = self._encoded(networks, [picture, known])[0]
        alpha, other, *_ = networks[f"decoder{OTHER[side]}"](code, training=True)
        code = self._encoded(networks, [ops.cast(other, "float32"), known])[0]
        again = networks[f"decoder{side}"](code, training=True)
        made[f"other_alpha{side}"] = ops.cast(alpha, "float32")
        made[f"again_alpha{side}"] = ops.cast(again[0], "float32")
        made[f"again{side}"] = ops.cast(again[1], "float32")

    def _maps(self, image: Tensor) -> list[Tensor]:
        features = self.frozen.perceptual.features
        if features is not None:
            return features(image)
        teacher = self._teacher
        view = teachers.whole_view(image.shape[0], teacher.shrink)
        return teacher(image, view)[0]

    def watch(self, seen: Seen, made: Made) -> Sums:
        """Returns the sums of both alphas.

        Args:
            seen: From `see`.
            made: From `make`.
        """
        means = [ops.sum(formulas.mean_of(made[f"alpha{side}"])) for side in SIDES]
        return {f"alpha{side}": one for side, one in zip(SIDES, means, strict=True)}

    def watched(self, sums: Mapping[str, Any]) -> dict[str, object]:
        """Returns the mean alphas: near 0 nothing is changed, near 1 all is.

        Args:
            sums: Over the global batch.
        """
        return {
            f"alpha{side}": sums[f"alpha{side}"] / self.batch_size for side in SIDES
        }


def _ending(swapper: Network, number: int) -> str:
    """Returns who is shown, as the end of a file's name."""
    names = swapper.contract.identity.names
    return names[0].replace("/", "-") if names else SIDES[number][1:]
