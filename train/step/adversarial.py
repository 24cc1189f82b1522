"""The discriminator's side of a step, and what it asks of the generated images."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import keras
from keras import ops, tree

from facedancer.networks.tensors import Tensor
from facedancer.train.objective import adversary as formulas
from facedancer.train.objective import diff_augment, losses
from facedancer.train.objective.adversary import Adversary
from facedancer.train.objective.decoys import Told
from facedancer.train.step.driver import Driver


@dataclasses.dataclass(frozen=True)
class Shown:
    """What a discriminator is shown.

    Attributes:
        real: Real images, `(batch, height, width, 3)` in [-1, 1].
        fake: Generated images of the same shape.
        condition: What it is given besides, tensors `(batch, ...)`.
        fraction: `(batch,)` how much of a mixture is real; None: nothing is mixed.
        numbers: `(batch, 2, diff_augment.NUMBERS)` of the augmentation of real and of
            fake images, or None.
        decoys: Of each of the adversary's: images, and how much its rows count.
        told: Vectors of the real images, those wanted of the fakes, how much each of
            them counts; empty where nothing is told.
    """

    real: Tensor
    fake: Tensor
    condition: tuple[Tensor, ...] = ()
    fraction: Tensor | None = None
    numbers: Tensor | None = None
    decoys: tuple[tuple[Tensor, Tensor], ...] = ()
    told: tuple[Tensor, ...] = ()


def seen_by(adversary: Adversary, seen: Mapping[str, Any]) -> dict[str, Any]:
    """Returns what a discriminator is shown of what is seen, by the fields of `Shown`.

    Args:
        adversary: What it is asked for.
        seen: From `System.see`.
    """
    real = seen[adversary.real]
    ones, told = ops.ones(real.shape[:1]), adversary.told
    return {
        "real": real,
        "condition": tuple(seen[name] for name in adversary.condition),
        "decoys": tuple(
            (seen[one.image], one.weight * (seen[one.rows] if one.rows else ones))
            for one in adversary.decoys
        ),
        "told": (seen[told.real], seen[told.fake], seen[told.rows]) if told else (),
    }


@dataclasses.dataclass(frozen=True)
class Verdict:
    """What a discriminator says of some images.

    Attributes:
        logits: Its logits.
        vector: What it tells of them besides, or None.
    """

    logits: formulas.Logits
    vector: Tensor | None = None

    def rows(self, start: int, stop: int) -> Verdict:
        """Returns what it says of some of them.

        Args:
            start: The first.
            stop: The one after the last.
        """
        logits = tree.map_structure(lambda part: part[start:stop], self.logits)
        vector = None if self.vector is None else self.vector[start:stop]
        return Verdict(logits, vector)


@dataclasses.dataclass(frozen=True)
class Judgement:
    """What came of it.

    Attributes:
        gradients: Of the discriminator's loss, times its loss scale.
        at_fake: Gradient of the mean adversarial loss of the generator at the fakes.
        sums: Over the examples, by the names of the values.
    """

    gradients: list[Tensor]
    at_fake: Tensor
    sums: dict[str, Tensor]


class Judge:
    """One discriminator at work.

    Args:
        driver: What the step runs on.
        network: The discriminator.
        adversary: What it is asked for.
        batch_size: The global batch; what is shown may be a part of it.
    """

    def __init__(
        self,
        driver: Driver,
        network: keras.Model,
        adversary: Adversary,
        batch_size: int,
    ) -> None:
        self.driver, self.network = driver, network
        self.adversary, self.batch_size = adversary, batch_size

    def __call__(
        self, shown: Shown, scale: Tensor, with_r1: bool, shared: bool = True
    ) -> Judgement:
        """Judges the images shown.

        Args:
            shown: What the discriminator sees.
            scale: Its loss scale.
            with_r1: Add the penalty R1.
            shared: One backward pass for both networks where the formulas allow it.
        """

        real = self._changed(shown.real, shown.numbers, 0)

        def play(
            fake: Tensor,
        ) -> tuple[tuple[Tensor, Tensor], tuple[dict[str, Tensor], Tensor | None]]:
            fake = self._changed(fake, shown.numbers, 1)
            seen = dataclasses.replace(shown, real=real, fake=fake)
            verdicts, penalty = self._verdicts(seen, with_r1)
            sums = self._sums(seen, verdicts)
            loss = sums["d_fake"] + sums["d_real"] + sums.get("d_told", 0.0)
            if with_r1:
                sums["r1"] = ops.sum(penalty)
                # Every n-th step with n times the weight.
                rule = self.adversary
                loss += 0.5 * rule.r1_gamma * rule.r1_every * sums["r1"]
            if self.adversary.weight_decay:
                # As often as there are rows, so that parts of a batch add up to it.
                decay = self.adversary.weight_decay * fake.shape[0]
                loss += decay * losses.squared_kernels(weights)
            loss *= scale / self.batch_size
            wanted = sums["adversarial"] * (scale / self.batch_size)
            return (loss, wanted), (sums, self._factor(*verdicts[:2]))

        weights = self.network.trainable_variables
        fake = ops.stop_gradient(shown.fake)
        _, (sums, factor), pull = self.driver.vjp(play, weights, (fake,))
        one = ops.ones(())
        gradients, (at_fake,) = pull((one, None))
        if shared and factor is not None:
            at_fake = at_fake * (factor / scale)[:, None, None, None]
        else:
            at_fake = pull((None, one))[1][0] / scale
        named = {self.adversary.key(name): value for name, value in sums.items()}
        return Judgement(gradients, at_fake, named)

    def _changed(self, image: Tensor, numbers: Tensor | None, kind: int) -> Tensor:
        if numbers is None:
            return image
        return diff_augment.changed(image, numbers[:, kind], self.adversary.augment)

    def _factor(self, fake: Verdict, real: Verdict) -> Tensor | None:
        """Returns what turns the one gradient at a fake into the other, if one does."""
        rule = self.adversary
        if rule.told or rule.fake_weight != 1.0:
            return None
        return formulas.exchange_factor(rule.kind, fake.logits, real.logits)

    def _call(self, image: Tensor, condition: Sequence[Tensor]) -> Verdict:
        features = self.adversary.features
        image = image if features is None else features(image)
        inputs = [image, *condition] if condition else image
        found = self.network(inputs, training=True)
        found = tree.map_structure(lambda part: ops.cast(part, "float32"), found)
        if not self.adversary.told:
            return Verdict(found)
        *heads, vector = found
        return Verdict(heads if len(heads) > 1 else heads[0], vector)

    def _verdicts(
        self, shown: Shown, with_r1: bool
    ) -> tuple[list[Verdict], Tensor | None]:
        """Returns what is said of fakes, of real images and of each of the decoys.

        With R1 per example where it is due.
        """
        real, condition = shown.real, shown.condition
        others = [shown.fake, *(image for image, _ in shown.decoys)]
        if with_r1:

            def of_real(image: Tensor) -> tuple[tuple[Tensor], tuple]:
                found = self._call(image, condition)
                total = formulas.total_logit(found.logits)
                return (total,), (found.logits, found.vector)

            _, said, pull = self.driver.vjp(of_real, [], (real,))
            penalty = formulas.r1_penalty(pull((ops.ones(()),))[1][0])
            fake, *decoys = (self._call(image, condition) for image in others)
            return [fake, Verdict(*said), *decoys], penalty
        images = [others[0], real, *others[1:]]
        if not self.adversary.joint:
            return [self._call(image, condition) for image in images], None
        count = real.shape[0]
        several = [ops.concatenate([part] * len(images), 0) for part in condition]
        found = self._call(ops.concatenate(images, 0), several)
        starts = range(0, count * len(images), count)
        return [found.rows(start, start + count) for start in starts], None

    def _sums(self, shown: Shown, verdicts: Sequence[Verdict]) -> dict[str, Tensor]:
        rule = self.adversary
        fake, real, *decoys = verdicts
        logits = fake.logits, real.logits
        sums = {"adversarial": ops.sum(formulas.generator_loss(rule.kind, *logits))}
        parts = formulas.discriminator_loss(rule.kind, *logits)
        if shown.fraction is not None:
            part = ops.reshape(shown.fraction, (-1, 1, 1, 1))
            mixed = part * shown.real + (1.0 - part) * shown.fake
            found = self._call(mixed, shown.condition).logits
            half = 0.5 * formulas.mixed_loss(found, shown.fraction)
            parts = half, half
        seen_through = rule.fake_weight * ops.sum(parts[0])
        for (_, weight), decoy in zip(shown.decoys, decoys, strict=True):
            pair = decoy.logits, real.logits
            pays, _ = formulas.discriminator_loss(rule.kind, *pair)
            seen_through += ops.sum(weight * pays)
        sums |= {"d_fake": seen_through, "d_real": ops.sum(parts[1])}
        if rule.told:
            of_real, of_fake = self._told(rule.told, shown, fake, real)
            sums["d_told"] = of_real
            sums["adversarial"] += of_fake
        fooled, trusted = formulas.judged_real(rule.kind, *logits)
        return sums | {"fooled": ops.sum(fooled), "trusted": ops.sum(trusted)}

    @staticmethod
    def _told(
        told: Told, shown: Shown, fake: Verdict, real: Verdict
    ) -> tuple[Tensor, Tensor]:
        """Returns what discriminator and generator pay for the vectors told."""
        known, wanted, rows = shown.told
        apart = losses.squared_difference(known, real.vector)
        away = 1.0 - losses.cosine_similarity(wanted, fake.vector)
        return ops.sum(apart), ops.sum(rows * ops.relu(away - told.margin))
