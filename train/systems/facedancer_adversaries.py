"""FaceDancer's discriminators: the plain one, and heads on frozen features."""

from __future__ import annotations

import functools

from facedancer.models.families.projected_heads import build_projected_heads
from facedancer.train.frozen.projector import Features
from facedancer.train.objective.adversary import Adversary
from facedancer.train.objective.recipes import AdversaryRecipe


def adversaries(
    numbers: AdversaryRecipe, features: Features | None
) -> tuple[Adversary, ...]:
    """Returns the discriminator, and one on frozen features where there are any.

    Args:
        numbers: What they are asked for.
        features: What the second one judges by, or None.
    """
    plain = Adversary(
        kind=numbers.kind,
        r1_gamma=numbers.r1_gamma,
        r1_every=numbers.r1_every,
        augment=numbers.augment,
    )
    if features is None:
        return (plain,)
    return plain, Adversary(
        network="projected_heads",
        player="p",
        name="adversarial_projected",
        kind="hinge",
        augment=numbers.augment,
        features=features,
        build=functools.partial(build_projected_heads, features.shapes, 64),
    )
