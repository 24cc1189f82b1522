"""The conditional GAN's numbers: its own options and its recipes; without Keras.

`published` is the original's. `saehd_like` has the values of DeepFaceLab's SAEHD with
Adam in place of AdaBelief, without its dropout of rates; `shuffled`, the default, is
the published objective with rates that learn in fewer steps, and as many photos of each
person. The original saw all photos of one person before those of the next; here they
are always mixed.
"""

from __future__ import annotations

import dataclasses

from facedancer.flags.settings import Checked, choice, ranged
from facedancer.train.objective.recipes import (
    AdversaryRecipe,
    Optimisation,
    PortraitRecipe,
    Recipe,
)


@dataclasses.dataclass(frozen=True)
class ConditionalOptions(Checked):
    """The conditional GAN's own numbers.

    Attributes:
        mask_blur: The mask's edge, as a part of the side.
        masked: How the mask enters the losses: composite (the picture is pasted into
            the photo by it, as published) or product (both are multiplied by it, as
            DeepFaceLab does).
        masks: Where the faces are: parser (what the packaged face parser sees within
            the outline of the landmarks; hair, hands and the like before a face are
            none) or landmarks (their outline).
        windows: Sides of the windows of SSIM, as parts of the side; 0: 11 pixels. Their
            losses are averaged.
    """

    mask_blur: float = ranged(1 / 20, low=0.0, high=0.5)
    masked: str = choice("composite", ("composite", "product"))
    masks: str = choice("parser", ("parser", "landmarks"))
    windows: tuple[float, ...] = (0.0,)


PUBLISHED = Recipe(
    weights={
        "adversarial": 0.05,
        "similarity": 200.0,  # of (1 - SSIM) / 2: published is 100 of 1 - SSIM
        "difference": 0.0,
        "eyes_mouth": 0.0,
        "mask": 1.0,
    },
    adversary=AdversaryRecipe(kind="lsgan", r1_gamma=0.0),
    optimisation=Optimisation(
        lr=1e-5, schedule="constant", g_beta_1=0.9, d_beta_1=0.5, beta_2=0.999
    ),
    pairs=PortraitRecipe(same_ratio=0.0, jitter="none"),
    options=ConditionalOptions(),
)
SHUFFLED = dataclasses.replace(
    PUBLISHED,
    optimisation=dataclasses.replace(PUBLISHED.optimisation, lr=1e-4, ema=0.999),
    pairs=dataclasses.replace(PUBLISHED.pairs, balance="identity"),
)
SAEHD_LIKE = Recipe(
    weights={
        "adversarial": 0.0,
        "similarity": 10.0,
        "difference": 10.0,
        "eyes_mouth": 300.0,
        "mask": 10.0,
    },
    adversary=PUBLISHED.adversary,
    optimisation=dataclasses.replace(PUBLISHED.optimisation, lr=5e-5),
    pairs=dataclasses.replace(
        PUBLISHED.pairs, distortion="warp", affine="faceswap_gan", balance="identity"
    ),
    options=ConditionalOptions(
        mask_blur=1 / 32, masked="product", windows=(1 / 11.6, 1 / 23.2)
    ),
)
