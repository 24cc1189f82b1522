"""MobileFSGAN's numbers: its own options and its two recipes; they need no Keras.

`published` has the original's values with its faults; `corrected` is what was meant:
adversarial weights that do not grow with the batch, a border that is compared with the
target instead of black, and no made picture that passes for a real one.
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


@dataclasses.dataclass(frozen=True)
class MobileOptions(Checked):
    """MobileFSGAN's own numbers.

    Attributes:
        margin: A distance of one minus the cosine below this costs nothing.
        border: What the border of a row without a known truth should be: the target's,
            or black as published.
        real_pictures: What the discriminators take for real: photo (the truth where it
            is known, else the source), or mark (as the record says, as published).
        perceptual_network: See `perceptual.load`.
    """

    margin: float = ranged(0.02, low=0.0, high=2.0)
    border: str = choice("target", ("target", "black"))
    real_pictures: str = choice("photo", ("photo", "mark"))
    perceptual_network: str = "vgg16"


_PER_GPU = 16  # the original's batch, by which its adversarial weights grow
_ADVERSARIAL = {
    "adversarial": 1.0,
    "adversarial_half": 0.02,
    "adversarial_quarter": 0.02,
}
_PUBLISHED_WEIGHTS = {
    **{name: _PER_GPU * weight for name, weight in _ADVERSARIAL.items()},
    "identity": 20.0,
    "identity_half": 20.0,
    "identity_quarter": 20.0,
    "reconstruction": 10.0,
    "perceptual": 4.0,
}
PUBLISHED = Recipe(
    weights=_PUBLISHED_WEIGHTS,
    adversary=AdversaryRecipe(kind="bounded_hinge", r1_gamma=0.0),
    optimisation=Optimisation(lr=1e-4, schedule="constant", beta_2=0.999),
    pairs=PairRecipe(same_ratio=0.112, jitter="per_image", flip=True),
    options=MobileOptions(border="black", real_pictures="mark"),
)
CORRECTED = Recipe(
    weights={**_PUBLISHED_WEIGHTS, **_ADVERSARIAL},
    adversary=PUBLISHED.adversary,
    optimisation=dataclasses.replace(PUBLISHED.optimisation, ema=0.999),
    pairs=PUBLISHED.pairs,
    options=MobileOptions(),
)
