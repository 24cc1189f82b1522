"""The discriminator's side of a step, and what it asks of the generated images."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import keras
from keras import ops, tree

from facedancer.tensors import Tensor
from facedancer.train.objective import adversary as formulas
from facedancer.train.objective import diff_augment, losses
from facedancer.train.objective.adversary import Adversary
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
    """

    real: Tensor
    fake: Tensor
    condition: tuple[Tensor, ...] = ()
    fraction: Tensor | None = None
    numbers: Tensor | None = None


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
            fake_logits, real_logits, penalty = self._logits(seen, with_r1)
            sums = self._sums(seen, fake_logits, real_logits)
            loss = sums["d_fake"] + sums["d_real"]
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
            factor = formulas.exchange_factor(rule_kind, fake_logits, real_logits)
            return (loss, wanted), (sums, factor)

        rule_kind = self.adversary.kind
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

    def _call(self, image: Tensor, condition: Sequence[Tensor]) -> formulas.Logits:
        features = self.adversary.features
        image = image if features is None else features(image)
        inputs = [image, *condition] if condition else image
        logits = self.network(inputs, training=True)
        return tree.map_structure(lambda part: ops.cast(part, "float32"), logits)

    def _logits(
        self, shown: Shown, with_r1: bool
    ) -> tuple[formulas.Logits, formulas.Logits, Tensor | None]:
        """Returns the logits of both, and R1 per example where it is due."""
        real, fake, condition = shown.real, shown.fake, shown.condition
        if with_r1:

            def of_real(image: Tensor) -> tuple[tuple[Tensor], formulas.Logits]:
                logits = self._call(image, condition)
                return (formulas.total_logit(logits),), logits

            _, logits, pull = self.driver.vjp(of_real, [], (real,))
            penalty = formulas.r1_penalty(pull((ops.ones(()),))[1][0])
            return self._call(fake, condition), logits, penalty
        if not self.adversary.joint:
            return self._call(fake, condition), self._call(real, condition), None
        count = fake.shape[0]
        twice = [ops.concatenate([part, part], 0) for part in condition]
        both = self._call(ops.concatenate([fake, real], 0), twice)
        return (
            tree.map_structure(lambda part: part[:count], both),
            tree.map_structure(lambda part: part[count:], both),
            None,
        )

    def _sums(
        self, shown: Shown, fake_logits: formulas.Logits, real_logits: formulas.Logits
    ) -> dict[str, Tensor]:
        kind = self.adversary.kind
        wanted = formulas.generator_loss(kind, fake_logits, real_logits)
        parts = formulas.discriminator_loss(kind, fake_logits, real_logits)
        if shown.fraction is not None:
            part = ops.reshape(shown.fraction, (-1, 1, 1, 1))
            mixed = part * shown.real + (1.0 - part) * shown.fake
            mixed = self._call(mixed, shown.condition)
            half = 0.5 * formulas.mixed_loss(mixed, shown.fraction)
            parts = half, half
        fooled, trusted = formulas.judged_real(kind, fake_logits, real_logits)
        return {
            "adversarial": ops.sum(wanted),
            "d_fake": ops.sum(parts[0]),
            "d_real": ops.sum(parts[1]),
            "fooled": ops.sum(fooled),
            "trusted": ops.sum(trusted),
        }
