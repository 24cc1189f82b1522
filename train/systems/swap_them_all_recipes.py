"""Swap-them-all's numbers: its own options and its recipes; they need no Keras.

The losses of the first version were never stated; it is trained with the second's.
"""

from __future__ import annotations

import dataclasses

from facedancer.settings import Checked, ranged
from facedancer.train.objective.recipes import (
    AdversaryRecipe,
    Optimisation,
    PairRecipe,
    Recipe,
)


@dataclasses.dataclass(frozen=True)
class SwapThemAllOptions(Checked):
    """Swap-them-all's own numbers.

    Attributes:
        margin_same: A cosine distance to the same person below this costs nothing.
        margin_other: The same of a face that becomes somebody else.
        relative_margin: By how much nearer to the source than to the target's person.
        mix: Beta(mix, mix) is the share of the target's own vector in that of a row
            of one person; 0: the source's alone.
        mixup: Of the discriminator, see `Adversary.mixup`.
        perceptual_network: See `perceptual.load`.
    """

    margin_same: float = ranged(0.3, low=0.0, high=2.0)
    margin_other: float = ranged(0.25, low=0.0, high=2.0)
    relative_margin: float = ranged(0.5, low=0.0, high=2.0)
    mix: float = ranged(0.3, low=0.0)
    mixup: float = ranged(0.2, low=0.0)
    perceptual_network: str = "encoder"


V2_LOSSES = Recipe(
    weights={
        "adversarial": 0.1,
        "reconstruction": 1.0,
        "trace": 0.001,
        "identity": 0.1,
        "relative": 0.3,
        "perceptual": 0.01,
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
