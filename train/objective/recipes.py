"""One table per recipe: which terms, with which weights, on which schedule.

`published` is the released trainer of FaceDancer (Rosberg et al. 2022); `improved` is
what trained a small swapper on few photos well. Every entry can be overridden by a
flag of `train.py`.
"""

from __future__ import annotations

import dataclasses
import math

from facedancer.train.objective import losses

SCHEDULES = ("constant", "exponential", "cosine", "thirds")


@dataclasses.dataclass(frozen=True)
class Objective:
    """What is minimised, and how.

    Attributes:
        adversarial: Weight of the generator's adversarial loss; 0 trains without a
            discriminator.
        identity: Weight of the identity loss.
        second_identity: Weight of the identity loss of a second encoder.
        contrast: Weight of the contrast of identities.
        reconstruction: Weight of the reconstruction of same pairs.
        perceptual: Weight of the feature difference of same pairs.
        cycle: Weight of swapping back.
        ifsr: Weight of IFSR.
        low_frequency: Weight of the difference on an 8x8 grid, all pairs.
        chroma: Weight of the difference in colour, all pairs.
        outside: Weight of the difference outside the face ellipse, all pairs.
        kind: Adversarial kind, one of `losses.ADVERSARIAL_KINDS`.
        real_images: `source` or `target`: what the discriminator sees as real.
        r1_gamma: Weight of R1 is `r1_gamma / 2`; 0 switches it off.
        r1_every: R1 every so many steps, with its weight times this number.
        ifsr_scale: Factor on the margins.
        ifsr_per_sample: Hinge per sample instead of on the mean of the global batch.
        cycle_every: Swap back every so-manieth sample of the batch; 1 is all.
        look: Show the identity encoder a random crop (3 %) and flip, the same for
            target and swapped face.
        same_ratio: Share of samples whose source is the target itself.
        same_person_ratio: Share of samples whose source is another photo of the
            target's person; they count as same pairs.
        jitter: Colour jitter of the pairs: `legacy`, `per_image` or `none`, see
            `pairs.PairSettings`.
        flip: Random flips of both photos.
        perceptual_network: See `perceptual.load`.
        lr: Learning rate at the start.
        d_lr_factor: The discriminator's learning rate is `lr` times this.
        schedule: One of `SCHEDULES`.
        lr_decay: Of the exponential schedule, per 100,000 steps.
        g_beta_1: Adam's first decay, generator.
        d_beta_1: Adam's first decay, discriminator.
        beta_2: Adam's second decay, both.
        clip_norm: Clip the gradient to this global norm; 0 does not clip.
        ema: Decay of the averaged generator; 0 keeps none.
        warmup_steps: Steps at the start that only reconstruct.

    Raises:
        ValueError: If a name is unknown or a number out of its range.
    """

    adversarial: float = 1.0
    identity: float = 10.0
    second_identity: float = 0.0
    contrast: float = 0.0
    reconstruction: float = 5.0
    perceptual: float = 0.2
    cycle: float = 1.0
    ifsr: float = 1.0
    low_frequency: float = 0.0
    chroma: float = 0.0
    outside: float = 0.0
    kind: str = "nonsaturating"
    real_images: str = "source"
    r1_gamma: float = 10.0
    r1_every: int = 1
    ifsr_scale: float = 1.2
    ifsr_per_sample: bool = False
    cycle_every: int = 1
    look: bool = False
    same_ratio: float = 0.2
    same_person_ratio: float = 0.0
    jitter: str = "legacy"
    flip: bool = False
    perceptual_network: str = "vgg16"
    lr: float = 1e-4
    d_lr_factor: float = 1.0
    schedule: str = "exponential"
    lr_decay: float = 0.97
    g_beta_1: float = 0.0
    d_beta_1: float = 0.0
    beta_2: float = 0.99
    clip_norm: float = 0.0
    ema: float = 0.0
    warmup_steps: int = 0

    def __post_init__(self):
        _one_of("kind", self.kind, losses.ADVERSARIAL_KINDS)
        _one_of("real_images", self.real_images, ("source", "target"))
        _one_of("schedule", self.schedule, SCHEDULES)
        _one_of("jitter", self.jitter, ("legacy", "per_image", "none"))
        for name in _WEIGHTS + ("r1_gamma", "clip_norm", "warmup_steps", "ifsr_scale"):
            if not getattr(self, name) >= 0:
                raise ValueError(
                    f"`{name}` must not be negative. "
                    f"Received: {name}={getattr(self, name)}"
                )
        for name in ("r1_every", "cycle_every"):
            if getattr(self, name) < 1:
                raise ValueError(
                    f"`{name}` must be at least 1. "
                    f"Received: {name}={getattr(self, name)}"
                )
        for name in ("g_beta_1", "d_beta_1", "beta_2", "ema"):
            if not 0.0 <= getattr(self, name) < 1.0:
                raise ValueError(
                    f"`{name}` must lie in [0, 1). "
                    f"Received: {name}={getattr(self, name)}"
                )
        if not 0.0 <= self.same_ratio + self.same_person_ratio <= 1.0:
            raise ValueError(
                "`same_ratio` and `same_person_ratio` must be shares of a batch. "
                f"Received: {self.same_ratio}, {self.same_person_ratio}"
            )
        if not self.lr > 0.0:
            raise ValueError(f"`lr` must be positive. Received: lr={self.lr}")

    def learning_rate(self, step: int, steps: int) -> float:
        """Returns the generator's learning rate at a step.

        Args:
            step: Steps already taken.
            steps: Steps of the whole training. The schedule begins after the warm-up.
        """
        step = max(0, step - self.warmup_steps)
        share = min(1.0, step / max(1, steps - self.warmup_steps))
        return self.lr * _SCHEDULE[self.schedule](self, step, share)


_WEIGHTS = (
    "adversarial",
    "identity",
    "second_identity",
    "contrast",
    "reconstruction",
    "perceptual",
    "cycle",
    "ifsr",
    "low_frequency",
    "chroma",
    "outside",
)


def _one_of(name, value, known):
    if value not in known:
        raise ValueError(f"`{name}` must be one of {list(known)}. Received: {value!r}")


def _cosine(objective, step, share):
    """From 1 to 0.1 along half a cosine wave."""
    return 0.1 + 0.45 * (1.0 + math.cos(math.pi * share))


def _thirds(objective, step, share):
    """1 up to a third, a third of it up to 80 %, a sixth to the end."""
    return 1.0 if share < 1 / 3 else 1 / 3 if share < 0.8 else 1 / 6


_SCHEDULE = {
    "constant": lambda objective, step, share: 1.0,
    "exponential": lambda objective, step, share: objective.lr_decay ** (step / 1e5),
    "cosine": _cosine,
    "thirds": _thirds,
}

OBJECTIVES = {
    "published": Objective(),
    "improved": Objective(
        identity=20.0,
        contrast=10.0,
        reconstruction=10.0,
        perceptual=1.0,
        ifsr=3.0,
        low_frequency=5.0,
        chroma=50.0,
        outside=2.0,
        real_images="target",
        r1_gamma=2.0,
        r1_every=16,
        ifsr_scale=1.0,
        cycle_every=8,
        look=True,
        same_person_ratio=0.1,
        jitter="none",
        flip=True,
        perceptual_network="encoder",
        lr=4e-4,
        schedule="cosine",
        g_beta_1=0.5,
        clip_norm=10.0,
        ema=0.999,
        warmup_steps=300,
    ),
}


def get_objective(name: str) -> Objective:
    """Returns a recipe by its name.

    Args:
        name: Key of `OBJECTIVES`.

    Raises:
        ValueError: If it is unknown.
    """
    if name not in OBJECTIVES:
        raise ValueError(f"Unknown recipe {name!r}. Known: {sorted(OBJECTIVES)}")
    return OBJECTIVES[name]
