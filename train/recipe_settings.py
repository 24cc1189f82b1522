"""The recipe and the flags that override its numbers: groups of the settings."""

from __future__ import annotations

import dataclasses

from facedancer.flags.settings import Checked, choice, ranged, repeated
from facedancer.train.objective.recipes import (
    AdversaryRecipe,
    Optimisation,
    PairRecipe,
    Recipe,
)
from facedancer.train.recipe_flags import overrides
from facedancer.train.systems import SYSTEMS
from facedancer.train.systems.facedancer_recipes import Options


@dataclasses.dataclass(frozen=True)
class SystemSettings(Checked):
    """What is trained, and by which numbers.

    Attributes:
        system: What is trained.
        recipe: Its numbers: of facedancer published (the released trainer), improved or
            fine_tuned (with --init_generator and --proxy_generator).
            Empty: the first of them, published.
        weights: Weights of terms by name, as in edges=3,cycle=0.
        options: The system's own numbers by name, as in look=true. May be repeated.
    """

    system: str = choice("facedancer", SYSTEMS)
    recipe: str = ""
    weights: tuple[str, ...] = ()
    options: tuple[str, ...] = repeated()


@dataclasses.dataclass(frozen=True)
class LossSettings(Checked):
    """Losses; where the default is empty, the recipe decides.

    Attributes:
        a_lambda: Weight of the adversarial loss; published is 1.
        i_lambda: Weight of the identity loss; published is 10.
        identity_margin: Cosine to the source's person that is enough for the identity
            losses, such as 0.65; published is 1, which never is.
        identity_of_others: Measure identity against the other photos of the source's
            person; needs shards with labels; published is false.
        i2_lambda: Weight of the identity loss of --second_arcface_path.
        contrast_lambda: Weight of being as far from the target's identity as the
            source is; published is 0.
        r_lambda: Weight of the reconstruction of same pairs; published is 5.
        truth_lambda: Weight of the truth of triplets. Empty: that of --r_lambda.
        p_lambda: Weight of the perceptual loss; published is 0.2.
        parts_lambda: Weight of eyes and mouths being where and as open as the target's,
            by the packaged face parser; published is 0.
        landmarks_lambda: Weight of the five landmarks being where the target's are, by
            the packaged detector; published is 0.
        c_lambda: Weight of the cycle loss; published is 1.
        ifsr_lambda: Weight of IFSR; published is 1.
        low_lambda: Weight of the difference on an 8x8 grid; published is 0.
        chroma_lambda: Weight of the difference in colour; published is 0.
        outside_lambda: Weight of the difference outside the face; published is 0.
        ifsr_scale: Factor on the IFSR margins; published is 1.2.
        ifsr_per_sample: Hinge per sample instead of on the mean of the batch.
        cycle_every: Swap back every n-th sample only; published is 1.
        look: Show the encoder random crops and flips; published is false.
    """

    a_lambda: float | None = overrides("adversarial")
    i_lambda: float | None = overrides("identity")
    identity_margin: float | None = overrides("identity_margin", Options)
    identity_of_others: bool | None = overrides("identity_of_others", Options)
    i2_lambda: float | None = overrides("second_identity")
    contrast_lambda: float | None = overrides("contrast")
    r_lambda: float | None = overrides("reconstruction")
    truth_lambda: float | None = overrides("truth")
    p_lambda: float | None = overrides("perceptual")
    parts_lambda: float | None = overrides("parts")
    landmarks_lambda: float | None = overrides("landmarks")
    c_lambda: float | None = overrides("cycle")
    ifsr_lambda: float | None = overrides("ifsr")
    low_lambda: float | None = overrides("low_frequency")
    chroma_lambda: float | None = overrides("chroma")
    outside_lambda: float | None = overrides("outside")
    ifsr_scale: float | None = overrides("ifsr_scale", Options)
    ifsr_per_sample: bool | None = overrides("ifsr_per_sample", Options)
    cycle_every: int | None = overrides("cycle_every", Options)
    look: bool | None = overrides("look", Options)


@dataclasses.dataclass(frozen=True)
class AdversarySettings(Checked):
    """Discriminators; where the default is empty, the recipe decides.

    Attributes:
        adversarial: Kind of the loss; published is nonsaturating; none trains without.
        projected_lambda: Weight of a discriminator on the features of --projector_path,
            beside the other one or, with --a_lambda=0, instead of it; published is 0.
        diff_augment: How images are changed before they are judged; as published, they
            are not.
        real_images: What the discriminator sees as real; published is source.
        r1_gamma: Weight of the R1 penalty, times 2; published is 10.
        r1_every: R1 every so many steps, with the matching weight; published is 1.
        d_lr_factor: Learning rate of the discriminator in units of --lr.
    """

    adversarial: str | None = overrides("kind", AdversaryRecipe)
    projected_lambda: float | None = overrides("adversarial_projected")
    diff_augment: tuple[str, ...] | None = overrides("augment", AdversaryRecipe)
    real_images: str | None = overrides("real_images", AdversaryRecipe)
    r1_gamma: float | None = overrides("r1_gamma", AdversaryRecipe)
    r1_every: int | None = overrides("r1_every", AdversaryRecipe)
    d_lr_factor: float | None = overrides("d_lr_factor", Optimisation)


@dataclasses.dataclass(frozen=True)
class OptimisationSettings(Checked):
    """Steps and optimiser; where the default is empty, the recipe decides.

    Attributes:
        steps: Steps of the training.
        max_minutes: End with a checkpoint after so many minutes since the start, though
            steps are left; 0: train all steps.
        batch_size: Pairs per step, over all devices.
        accumulation: Work through each batch in so many parts, to save memory.
        lr: Learning rate; published is 1e-4.
        lr_decay: Factor on it per 100,000 steps; published is 0.97.
        schedule: How the rate falls; published is exponential.
        g_beta_1: Adam's first decay of the generator; published is 0.
        clip_norm: Clip gradients to this norm; 0 does not; published is 0.
        ema: Decay of the averaged generator, which is evaluated and exported; 0 keeps
            none; published is 0.
        warmup_steps: Steps at the start that only reconstruct; published is 0.
        seed: Of everything random.
    """

    steps: int = ranged(500_000, low=1, essential=True)
    max_minutes: float = ranged(0.0, low=0.0)
    batch_size: int = ranged(10, low=1, essential=True)
    accumulation: int = ranged(1, low=1)
    lr: float | None = overrides("lr", Optimisation)
    lr_decay: float | None = overrides("lr_decay", Optimisation)
    schedule: str | None = overrides("schedule", Optimisation)
    g_beta_1: float | None = overrides("g_beta_1", Optimisation)
    clip_norm: float | None = overrides("clip_norm", Optimisation)
    ema: float | None = overrides("ema", Optimisation)
    warmup_steps: int | None = overrides("warmup_steps", Recipe)
    seed: int = ranged(0, low=0)


@dataclasses.dataclass(frozen=True)
class PairFlags(Checked):
    """Pairs; where the default is empty, the recipe decides.

    Attributes:
        same_ratio: Fraction of pairs whose source is the target; published is 0.2.
        same_person_ratio: Fraction of pairs of two photos of one person, which count as
            same pairs; needs shards with labels, and is dropped without.
        proxy_ratio: Fraction of such pairs that --proxy_generator changes.
        jitter: Colour jitter; published is legacy.
        flip: Mirror photos at random; published is false.
    """

    same_ratio: float | None = overrides("same_ratio", PairRecipe)
    same_person_ratio: float | None = overrides("same_person_ratio", PairRecipe)
    proxy_ratio: float | None = overrides("proxy_ratio", Options)
    jitter: str | None = overrides("jitter", PairRecipe)
    flip: bool | None = overrides("flip", PairRecipe)
