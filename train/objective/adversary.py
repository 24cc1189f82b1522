"""Discriminators: whom they judge, and the formulas of their losses.

Logits may have any shape that begins with the batch: one number an image, a map of
patches, or a list of such from heads at several scales. An image's loss is the mean
over all its logits; heads count alike.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from keras import ops

from facedancer.networks.tensors import Tensor
from facedancer.train.objective import diff_augment
from facedancer.train.objective.decoys import Decoy, Told


@dataclasses.dataclass(frozen=True)
class Kind:
    """The formulas of one adversarial loss, each logit by itself.

    Attributes:
        generator: From the logits of fakes and reals to what the generator pays.
        discriminator: To what the discriminator pays for fakes and for reals.
        judged: To how real both are taken for, in [0, 1], the decision at 0.5.
        logit: To the number whose softplus both losses are: then one backward pass
            gives the gradients of both. None: the two losses are of another form.
    """

    generator: Callable
    discriminator: Callable
    judged: Callable
    logit: Callable | None = None


# A discriminator's logits, of any shape; of one with several heads a list.
Logits: TypeAlias = Tensor | Sequence[Tensor]


def _relativistic_parts(fake: Tensor, real: Tensor) -> tuple[Tensor, Tensor]:
    half = 0.5 * ops.softplus(fake - real)
    return half, half


def _batch_mean(logits: Tensor) -> Tensor:
    return ops.mean(logits, axis=0, keepdims=True)


KINDS = {
    # Goodfellow et al. 2014
    "nonsaturating": Kind(
        generator=lambda fake, real: ops.softplus(-fake),
        discriminator=lambda fake, real: (ops.softplus(fake), ops.softplus(-real)),
        judged=lambda fake, real: (ops.sigmoid(fake), ops.sigmoid(real)),
        logit=lambda fake, real: fake,
    ),
    # Lim and Ye 2017
    "hinge": Kind(
        generator=lambda fake, real: -fake,
        discriminator=lambda fake, real: (ops.relu(1.0 + fake), ops.relu(1.0 - real)),
        judged=lambda fake, real: (
            ops.clip((fake + 1) / 2, 0, 1),
            ops.clip((real + 1) / 2, 0, 1),
        ),
    ),
    # The hinge whose generator is content with 1, as MobileFSGAN's
    "bounded_hinge": Kind(
        generator=lambda fake, real: ops.relu(1.0 - fake),
        discriminator=lambda fake, real: (ops.relu(1.0 + fake), ops.relu(1.0 - real)),
        judged=lambda fake, real: (
            ops.clip((fake + 1) / 2, 0, 1),
            ops.clip((real + 1) / 2, 0, 1),
        ),
    ),
    # Mao et al. 2017
    "lsgan": Kind(
        generator=lambda fake, real: ops.square(fake - 1.0),
        discriminator=lambda fake, real: (ops.square(fake), ops.square(real - 1.0)),
        judged=lambda fake, real: (ops.clip(fake, 0, 1), ops.clip(real, 0, 1)),
    ),
    # Pairs, Jolicoeur-Martineau 2018
    "relativistic": Kind(
        generator=lambda fake, real: ops.softplus(real - fake),
        discriminator=_relativistic_parts,
        judged=lambda fake, real: (ops.sigmoid(fake - real), ops.sigmoid(real - fake)),
        logit=lambda fake, real: fake - real,
    ),
    # Least squares against the mean of the others, place by place, the same paper: the
    # mean is that of the rows at hand
    "relativistic_lsgan": Kind(
        generator=lambda fake, real: (
            0.5
            * (
                ops.square(fake - _batch_mean(real) - 1.0)
                + ops.square(real - _batch_mean(fake) + 1.0)
            )
        ),
        discriminator=lambda fake, real: (
            0.5 * ops.square(fake - _batch_mean(real) + 1.0),
            0.5 * ops.square(real - _batch_mean(fake) - 1.0),
        ),
        judged=lambda fake, real: (
            ops.clip(0.5 + 0.5 * (fake - _batch_mean(real)), 0, 1),
            ops.clip(0.5 + 0.5 * (real - _batch_mean(fake)), 0, 1),
        ),
    ),
}


@dataclasses.dataclass(frozen=True)
class Adversary:
    """One discriminator and what it is shown.

    Attributes:
        network: Its name among the networks.
        player: Its optimiser's name, and the beginning of what is logged of it.
        name: Of its weight in the recipe; what follows `adversarial` ends the names of
            its values: `adversarial_128` has `d_fake_128`.
        real: What it should take for real, a name of what is seen.
        fake: What it should see through, a name of what is made.
        kind: One of `KINDS`.
        condition: Names of what is seen that it is given besides the image, in order.
        r1_gamma: The weight of R1 is `r1_gamma / 2`; 0 switches it off.
        r1_every: R1 every n-th step, with its weight times n.
        mixup: The discriminator sees mixtures of a real and a fake image instead, with
            a fraction of real from Beta(mixup, mixup), one draw a step, and should tell
            the fraction (`lsgan` only); 0: it sees them apart.
        weight_decay: Of the network's kernels of convolutions: what their squares cost.
        features: From images to what the network is given instead of them, such as the
            maps of a frozen network: gradients flow through it, and to none of its
            variables. None: the images.
        augment: How real and fake images are changed first, each by its own random
            numbers: some of `diff_augment.AUGMENTATIONS`.
        build: Makes its network anew, called with a dtype policy, where the system's
            family has none. None: the family has.
        joint: Both kinds of images in one call. For networks whose examples see each
            other, as through a batch norm, switch it off.
        fake_weight: Of the discriminator's loss for made images.
        decoys: What it should see through besides.
        told: What it tells of images besides their logits, or None.

    Raises:
        ValueError: If the kind or a way is unknown, mixup does not fit the kind, or
            there is a condition, which would not change with the images.
    """

    network: str = "discriminator"
    player: str = "d"
    name: str = "adversarial"
    real: str = "real"
    fake: str = "swapped"
    kind: str = "nonsaturating"
    condition: tuple[str, ...] = ()
    r1_gamma: float = 0.0
    r1_every: int = 1
    mixup: float = 0.0
    weight_decay: float = 0.0
    features: Callable | None = None
    augment: tuple[str, ...] = ()
    build: Callable | None = None
    joint: bool = True
    fake_weight: float = 1.0
    decoys: tuple[Decoy, ...] = ()
    told: Told | None = None

    def __post_init__(self) -> None:
        known_kind(self.kind)
        if self.mixup < 0 or (self.mixup and self.kind != "lsgan"):
            raise ValueError(
                "`mixup` must be positive and is for lsgan. Received: "
                f"mixup={self.mixup}, kind={self.kind!r}"
            )
        check_augmentations(self.augment)
        if self.condition and (self.augment or self.features):
            raise ValueError(
                "A condition stands beside images as they are. Received: "
                f"condition={self.condition} with augment or features"
            )

    def key(self, name: str) -> str:
        """Returns the name of one of its values.

        Args:
            name: Such as `d_fake`.
        """
        return name + self.name.removeprefix("adversarial")

    @property
    def draw(self) -> str:
        """The name of the step's random fraction of its mixup."""
        return f"mixup_{self.network}"

    @property
    def augment_draw(self) -> str:
        """The name of the step's random numbers of its augmentation."""
        return f"augment_{self.network}"


def check_augmentations(names: tuple[str, ...]) -> None:
    """Refuses a way of augmentation that is not known.

    Args:
        names: Of `diff_augment.AUGMENTATIONS`.

    Raises:
        ValueError: If one is unknown.
    """
    if unknown := [name for name in names if name not in diff_augment.AUGMENTATIONS]:
        raise ValueError(
            f"`augment` must be of {', '.join(diff_augment.AUGMENTATIONS)}. Received: "
            f"{', '.join(map(str, unknown))}"
        )


def known_kind(kind: str) -> Kind:
    """Returns the formulas of a kind.

    Args:
        kind: Key of `KINDS`.

    Raises:
        ValueError: If it is unknown.
    """
    if kind not in KINDS:
        raise ValueError(f"Unknown kind. Known: {tuple(KINDS)}. Received: {kind!r}")
    return KINDS[kind]


def generator_loss(kind: str, fake_logits: Logits, real_logits: Logits) -> Tensor:
    """Returns what the generator pays for images that are seen through.

    Args:
        kind: Key of `KINDS`.
        fake_logits: Of the fakes, `(batch, ...)`, or a list of such.
        real_logits: Of real images, of the same shapes; only `relativistic` uses them.

    Returns:
        `(batch,)` float32.
    """
    return _per_example(known_kind(kind).generator, fake_logits, real_logits)


def discriminator_loss(
    kind: str, fake_logits: Logits, real_logits: Logits
) -> tuple[Tensor, Tensor]:
    """Returns what the discriminator pays, in two parts.

    Args:
        kind: Key of `KINDS`.
        fake_logits: See `generator_loss`.
        real_logits: Of real images, of the same shapes.

    Returns:
        `fake_part, real_part`, both `(batch,)` float32; for `relativistic` each is
        half of the value of the pair.
    """
    formula = known_kind(kind).discriminator
    return _per_example(formula, fake_logits, real_logits)


def judged_real(
    kind: str, fake_logits: Logits, real_logits: Logits
) -> tuple[Tensor, Tensor]:
    """Returns how real the discriminator takes its images for, by its own rule.

    `nonsaturating`: the probability sigmoid(logit). `relativistic`: the same of the
    pair's difference. `hinge` and `lsgan`: the logit on the way from what a fake should
    have, -1 or 0, to what a real image should have, 1.

    Args:
        kind: Key of `KINDS`.
        fake_logits: See `generator_loss`.
        real_logits: Of real images, of the same shapes.

    Returns:
        Of fakes and of reals, both `(batch,)` float32 in [0, 1]: 0 for fake, 1 for
        real, the decision at 0.5.
    """
    return _per_example(known_kind(kind).judged, fake_logits, real_logits)


def mixed_loss(logits: Logits, fraction: Tensor) -> Tensor:
    """Returns what the discriminator pays for mixtures of real and fake images.

    Args:
        logits: Of the mixtures, `(batch, ...)`, or a list of such.
        fraction: `(batch,)` fraction of the real image in each.

    Returns:
        `(batch,)` float32: the squared distance to the fraction (LSGAN with mixup).
    """

    def formula(found: Tensor, again: Tensor) -> Tensor:
        shape = (-1, *[1] * (len(found.shape) - 1))
        return ops.square(found - ops.reshape(fraction, shape))

    return _per_example(formula, logits, logits)


def exchange_factor(
    kind: str, fake_logits: Logits, real_logits: Logits
) -> Tensor | None:
    """Returns what turns the discriminator's gradient at a fake into the generator's.

    Where both losses are softplus of plus and minus one and the same number an image,
    their gradients at the image differ by one factor, that of softplus(-x) to that of
    softplus(x), and one backward pass serves both.

    Args:
        kind: Key of `KINDS`.
        fake_logits: See `generator_loss`.
        real_logits: Of real images, of the same shapes.

    Returns:
        `(batch,)` float32; None where the losses are of another form, or an image has
        several logits.
    """
    formula = known_kind(kind).logit
    heads = _heads(fake_logits)
    if formula is None or len(heads) > 1 or any(n != 1 for n in heads[0].shape[1:]):
        return None
    fake, real = (_flat(_heads(part)[0])[:, 0] for part in (fake_logits, real_logits))
    return -ops.exp(-ops.maximum(formula(fake, real), -60.0))


def r1_penalty(gradients: Tensor) -> Tensor:
    """Returns the squared norm of the logits' gradient at images (Mescheder 2018).

    Args:
        gradients: d sum(logits) / d images, `(batch, height, width, 3)`.

    Returns:
        `(batch,)` float32; the step multiplies it by `r1_gamma / 2`.
    """
    return ops.sum(ops.square(ops.cast(gradients, "float32")), axis=(1, 2, 3))


def total_logit(logits: Logits) -> Tensor:
    """Returns the sum over the batch of each image's mean logit, for R1.

    Args:
        logits: `(batch, ...)`, or a list of such.
    """
    return ops.sum(_per_example(lambda fake, real: fake, logits, logits))


def _heads(logits: Logits) -> list[Tensor]:
    return list(logits) if isinstance(logits, list | tuple) else [logits]


def _flat(values: Tensor) -> Tensor:
    return ops.reshape(ops.cast(values, "float32"), (ops.shape(values)[0], -1))


def _per_example(
    formula: Callable[[Tensor, Tensor], Any], fake_logits: Logits, real_logits: Logits
) -> Any:
    """Applies a formula to each head and takes the means over an image's logits."""
    found = [
        formula(ops.cast(fake, "float32"), ops.cast(real, "float32"))
        for fake, real in zip(_heads(fake_logits), _heads(real_logits), strict=True)
    ]
    if isinstance(found[0], tuple):
        return tuple(_mean_of_heads(part) for part in zip(*found, strict=True))
    return _mean_of_heads(found)


def _mean_of_heads(parts: Sequence[Tensor]) -> Tensor:
    means = [ops.mean(_flat(part), axis=1) for part in parts]
    return means[0] if len(means) == 1 else sum(means) / len(means)
