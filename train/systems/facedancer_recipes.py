"""FaceDancer's numbers: its own options and its recipes; they need no Keras.

`published` is the released trainer; `improved` is what trained a small swapper on few
photos well; `fine_tuned` makes the faces of one that swaps already more believable.
"""

from __future__ import annotations

import dataclasses

from facedancer.flags.settings import Checked, ranged
from facedancer.train.objective.recipes import (
    AdversaryRecipe,
    Optimisation,
    PairRecipe,
    Recipe,
)


@dataclasses.dataclass(frozen=True)
class Options(Checked):
    """FaceDancer's own numbers.

    Attributes:
        ifsr_scale: Factor on the margins.
        ifsr_per_sample: Hinge per sample instead of on the mean of the global batch.
        cycle_every: Swap back every n-th sample of the batch; 1 is all.
        look: Show the identity encoder a random crop (3 %) and flip, the same for
            target and swapped face.
        perceptual_network: See `perceptual.load`.
        proxy_ratio: Share of the pairs of two photos of one person whose target is
            first swapped to somebody else, where there is a proxy.
        identity_margin: The cosine to the source's person that is enough for the
            identity losses; 1 never is.
        identity_of_others: Measure identity against the other photos of the source's
            person, where the shards say who that is, instead of the source itself.
    """

    ifsr_scale: float = ranged(1.2, low=0.0)
    ifsr_per_sample: bool = False
    cycle_every: int = ranged(1, low=1)
    look: bool = False
    perceptual_network: str = "vgg16"
    proxy_ratio: float = ranged(1.0, low=0.0, high=1.0)
    identity_margin: float = ranged(1.0, low=0.0, high=1.0)
    identity_of_others: bool = False


PUBLISHED = Recipe(
    weights={
        "adversarial": 1.0,
        "adversarial_projected": 0.0,
        "identity": 10.0,
        "second_identity": 0.0,
        "contrast": 0.0,
        "low_frequency": 0.0,
        "chroma": 0.0,
        "outside": 0.0,
        "reconstruction": 5.0,
        "truth": 0.0,
        "perceptual": 0.2,
        "parts": 0.0,
        "landmarks": 0.0,
        "cycle": 1.0,
        "ifsr": 1.0,
    },
    options=Options(),
    warmup_terms=("reconstruction", "low_frequency"),
)
IMPROVED = Recipe(
    weights={
        **PUBLISHED.weights,
        "identity": 20.0,
        "contrast": 10.0,
        "low_frequency": 5.0,
        "chroma": 50.0,
        "outside": 2.0,
        "reconstruction": 10.0,
        "perceptual": 1.0,
        "ifsr": 3.0,
    },
    adversary=AdversaryRecipe(real_images="target", r1_gamma=2.0, r1_every=16),
    optimisation=Optimisation(
        lr=4e-4, schedule="cosine", g_beta_1=0.5, clip_norm=10.0, ema=0.999
    ),
    pairs=PairRecipe(same_person_ratio=0.1, jitter="none", flip=True),
    options=Options(
        ifsr_scale=1.0, cycle_every=8, look=True, perceptual_network="encoder"
    ),
    structure={"normalise_identity": True, "output_activation": "tanh"},
    warmup_steps=300,
    warmup_terms=PUBLISHED.warmup_terms,
)
# Its truth comes from `--proxy_generator`, the swapper itself as it is: it learns to
# undo what it does wrong, which no photo shows. Identity is asked for up to what two
# photos of a person have in common, as more of it is painted on; a face parser holds
# eyes and mouths, a detector the landmarks, which identity and proxies move. The
# discriminator sees the parser's features of images as they are: through augmentation
# it could hardly tell painted eyes from photos (`benchmarks/discriminator_sees.py`).
FINE_TUNED = IMPROVED.changed(
    adversarial=0.0,
    adversarial_projected=4.0,
    identity=15.0,
    contrast=15.0,
    parts=6.0,
    landmarks=15.0,
    cycle=0.0,
    lr=2e-4,
    same_ratio=0.1,
    same_person_ratio=0.45,
    proxy_ratio=0.9,
    identity_margin=0.65,
    identity_of_others=True,
    warmup_steps=0,
)
RECIPES = {"published": PUBLISHED, "improved": IMPROVED, "fine_tuned": FINE_TUNED}
