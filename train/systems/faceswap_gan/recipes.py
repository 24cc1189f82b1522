"""faceswap-GAN's numbers: its own options, its schedule, two recipes; without Keras.

`published` forgets Adam's moments at each switch of the schedule, as the original did
by building its session anew; `corrected` keeps them, and averages the weights.
"""

from __future__ import annotations

import dataclasses

from facedancer.flags.settings import Checked, ranged
from facedancer.train.objective.recipes import (
    AdversaryRecipe,
    Optimisation,
    PortraitRecipe,
    Recipe,
    Stage,
)


@dataclasses.dataclass(frozen=True)
class FaceswapOptions(Checked):
    """faceswap-GAN's own numbers.

    Attributes:
        total: Steps that the schedule is made for; published is 40,000. Give those of
            --steps. 0: there is no schedule, all is at work from the first step.
        mixup: Discriminators see mixtures whose shares are from Beta(mixup, mixup);
            0: they see photos and pictures apart. For lsgan.
        blend: The perceptual loss sees mixtures of raw and pasted picture, whose shares
            are from Beta(blend, blend).
        alpha_margin: Alpha below this costs something, where `alpha_hinge` is at work.
        landmark_drop: How often `landmarks` are left out.
        perceptual_network: See `perceptual.load`.
    """

    total: int = ranged(40_000, low=0)
    mixup: float = ranged(0.2, low=0.0)
    blend: float = ranged(0.2, above=0.0)
    alpha_margin: float = ranged(0.5, low=0.0, high=1.0)
    landmark_drop: float = ranged(0.3, low=0.0, high=1.0)
    perceptual_network: str = "encoder"


_TOTAL, _EARLY = 40_000, 150  # each switch was that many steps early
# From which step on of 40,000: weights and margins that differ, factor on the rate.
_HINGE, _LINEAR = {"alpha_sparsity": 0.0}, {"alpha_hinge": 0.0}
_SWITCHES: tuple[tuple[int, dict, float | None, float], ...] = (
    (0, {**_LINEAR, "perceptual": 0.0}, None, 1.0),
    (8_000, _LINEAR, None, 1.0),
    (12_000, _HINGE, 0.5, 1.0),
    (16_000, _HINGE, 0.2, 1.0),
    (20_000, _HINGE, 0.4, 1.0),
    (26_667, _LINEAR, None, 0.3),
    (32_000, _HINGE, 0.1, 0.3),
    (36_000, _LINEAR, None, 0.1),
)
_EXCHANGE = 32_000  # then the decoders change places


def schedule(total: int, reset: bool) -> tuple[Stage, ...]:
    """Returns what changes when.

    Args:
        total: Steps of the training; 0: nothing changes.
        reset: Whether Adam's moments are forgotten at each switch.

    Returns:
        The stages; those of a training too short for them are left out.
    """
    if not total:
        return ()
    found: dict[int, Stage] = {}
    for start, weights, margin, rate in _SWITCHES:
        at = round(max(0, start - _EARLY) * total / _TOTAL)
        found[at] = Stage(
            at,
            weights=weights,
            lr_factor=rate,
            exchange=(("decoder_a", "decoder_b"),) if start == _EXCHANGE else (),
            reset_optimizers=reset and start > 0,
            options={} if margin is None else {"alpha_margin": margin},
        )
    return tuple(found.values())


_WEIGHTS = {
    "adversarial_a": 0.1,
    "adversarial_b": 0.1,
    "adversarial_raw_a": 0.1,
    "adversarial_raw_b": 0.1,
    "reconstruction": 1.0,
    "eyes": 30.0,
    "edges": 0.1,
    "eye_edges": 30.0,
    "perceptual": 1.0,
    "alpha_sparsity": 0.01,
    "alpha_hinge": 0.1,
    "alpha_variation": 0.1,
    "cycle": 0.0,
    "cycle_alpha": 0.0,
    "domain": 0.0,
    "weight_decay": 1e-4,
}
PUBLISHED = Recipe(
    weights=_WEIGHTS,
    adversary=AdversaryRecipe(kind="lsgan", r1_gamma=0.0),
    optimisation=Optimisation(
        lr=1e-4,
        d_lr_factor=2.0,
        schedule="constant",
        g_beta_1=0.5,
        d_beta_1=0.5,
        beta_2=0.999,
    ),
    pairs=PortraitRecipe(
        same_ratio=0.0,
        jitter="none",
        colour_match=0.5,
        affine="faceswap_gan",
        distortion="warp",
    ),
    options=FaceswapOptions(),
    stages=schedule(_TOTAL, reset=True),
)
CORRECTED = dataclasses.replace(
    PUBLISHED,
    optimisation=dataclasses.replace(PUBLISHED.optimisation, ema=0.999),
    pairs=dataclasses.replace(PUBLISHED.pairs, motion_blur=0.25),
    stages=schedule(_TOTAL, reset=False),
)
