"""Which number of a recipe each flag of the training program overrides."""

from __future__ import annotations

from facedancer.train.objective.recipes import Recipe
from facedancer.train.systems import SYSTEMS

# Flag -> weight or field of the recipe.
_OVERRIDES = {
    "a_lambda": "adversarial",
    "i_lambda": "identity",
    "i2_lambda": "second_identity",
    "contrast_lambda": "contrast",
    "r_lambda": "reconstruction",
    "truth_lambda": "truth",
    "p_lambda": "perceptual",
    "c_lambda": "cycle",
    "ifsr_lambda": "ifsr",
    "low_lambda": "low_frequency",
    "chroma_lambda": "chroma",
    "outside_lambda": "outside",
    "perceptual": "perceptual_network",
    "adversarial": "kind",
} | {
    name: name
    for name in (
        "lr",
        "lr_decay",
        "schedule",
        "ifsr_scale",
        "ifsr_per_sample",
        "real_images",
        "r1_gamma",
        "r1_every",
        "d_lr_factor",
        "g_beta_1",
        "clip_norm",
        "ema",
        "warmup_steps",
        "cycle_every",
        "look",
        "same_ratio",
        "same_person_ratio",
        "jitter",
        "flip",
        "proxy_ratio",
    )
}


def recipe_of(config) -> Recipe:
    """Returns the numbers of a training: the recipe's, then those of the flags.

    Args:
        config: A `TrainConfig`.

    Raises:
        ValueError: If the recipe is unknown, or a value out of its range.
    """
    changes = {
        field: getattr(config, flag)
        for flag, field in _OVERRIDES.items()
        if getattr(config, flag) is not None
    }
    recipes = SYSTEMS[config.system].recipes
    if config.recipe not in recipes:
        raise ValueError(
            f"Unknown recipe {config.recipe!r}. Known: {', '.join(sorted(recipes))}"
        )
    recipe = recipes[config.recipe].changed(**changes)
    if recipe.options.perceptual_network == "none":
        recipe = recipe.changed(perceptual=0.0)
    if not (config.triplets or config.proxy_generator):
        return recipe.changed(truth=0.0)
    if config.truth_lambda is None:
        recipe = recipe.changed(truth=recipe.weights["reconstruction"])
    return recipe
