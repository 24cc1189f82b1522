"""Swap-them-all's numbers: its own options and its recipes; they need no Keras.

The losses of the first version were never stated; it is trained with the second's.
`v2_losses` hides faces as each version does, `warped` shows the generator warped copies
instead: the first version's author found that such a model returns its input.
"""

from __future__ import annotations

import dataclasses

from facedancer.flags.settings import Checked, choice, ranged
from facedancer.train.objective.recipes import (
    AdversaryRecipe,
    Optimisation,
    PairRecipe,
    Recipe,
)

SHOWN = ("hidden", "clear", "warped")


@dataclasses.dataclass(frozen=True)
class SwapThemAllOptions(Checked):
    """Swap-them-all's own numbers.

    Attributes:
        margin_same: A cosine distance to the same person below this costs nothing.
        margin_other: The same of a face that becomes somebody else.
        margin_told: The same of the vector that the discriminator tells of a face.
        relative_margin: By how much nearer to the source than to the target's person.
        mix: Beta(mix, mix) is the share of the target's own vector in that of a row
            of one person; 0: the source's alone.
        mixup: Of the discriminator, see `Adversary.mixup`.
        shown: What the generator sees of a target: hidden (its face is hidden), clear
            (it is hidden only where the target is rebuilt, not where it is swapped) or
            warped (a copy that is warped where it is rebuilt); empty: hidden in version
            1, clear in version 2.
        warp: Of `warped`: how far a grid point moves, as a part of the side.
        perceptual_network: See `perceptual.load`.
    """

    margin_same: float = ranged(0.3, low=0.0, high=2.0)
    margin_other: float = ranged(0.25, low=0.0, high=2.0)
    margin_told: float = ranged(0.3, low=0.0, high=2.0)
    relative_margin: float = ranged(0.5, low=0.0, high=2.0)
    mix: float = ranged(0.3, low=0.0)
    mixup: float = ranged(0.2, low=0.0)
    shown: str = choice("", ("", *SHOWN))
    warp: float = ranged(1 / 16, low=0.0, high=0.25)
    perceptual_network: str = "encoder"


V2_LOSSES = Recipe(
    weights={
        "adversarial": 0.1,
        "adversarial_pairs": 0.1,
        "reconstruction": 1.0,
        "trace": 0.001,
        "identity": 0.1,
        "relative": 0.3,
        "perceptual": 0.01,
        "cycle": 0.5,
        "outside": 0.3,
        "semantic": 0.02,
    },
    adversary=AdversaryRecipe(kind="lsgan", real_images="target", r1_gamma=0.0),
    optimisation=Optimisation(
        lr=1e-4,
        d_lr_factor=2.0,
        schedule="constant",
        g_beta_1=0.5,
        d_beta_1=0.5,
        beta_2=0.999,
        ema=0.999,
    ),
    pairs=PairRecipe(same_ratio=0.5, jitter="none", flip=True),
    options=SwapThemAllOptions(),
)
WARPED = V2_LOSSES.changed(shown="warped")
