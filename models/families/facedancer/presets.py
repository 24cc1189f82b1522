"""Named generator structures.

`facedancer_a` to `facedancer_e` are the five configurations whose weights the authors
released. Which fusion list belongs to which letter was never published: sure is only
that A was trained without IFSR and that C is the default of the released programs. The
lists here are a *reading* of the paper's ablation (Rosberg et al., 2023,
https://arxiv.org/abs/2210.10473): B its baseline with plain concatenation, then three,
four and five AFFA fusions as C, D and E; A differs from C by its training alone.
`load_generator` does not need them: it reads the structure from the file.

The `lite` presets are for small images, a laptop and a 128-d encoder. They keep the
published fusion list, so five halvings.
"""

from __future__ import annotations

from facedancer.errors import InputError
from facedancer.models.families.facedancer.config import (
    DiscriminatorConfig,
    GeneratorConfig,
)

_PUBLISHED = ("no_skip", "no_skip", "affa", "affa", "affa", "concat")


def _lite(image_size: int) -> GeneratorConfig:
    return GeneratorConfig(
        image_size=image_size,
        base_width=32,
        max_width=256,
        up_types=_PUBLISHED,
        mapping_sizes=(256,) * 4,
        identity_size=128,
        gain_bias=1.0,
    )


PRESETS = {
    "facedancer_a": GeneratorConfig(up_types=_PUBLISHED),
    "facedancer_b": GeneratorConfig(up_types=("concat",) * 6),
    "facedancer_c": GeneratorConfig(up_types=_PUBLISHED),
    "facedancer_d": GeneratorConfig(up_types=("no_skip", *["affa"] * 4, "concat")),
    "facedancer_e": GeneratorConfig(up_types=("affa",) * 5 + ("concat",)),
    "facedancer_lite_64": _lite(64),
    "facedancer_lite_96": _lite(96),
    "facedancer_lite_128": _lite(128),
}

# The discriminators that go with them.
DISCRIMINATORS = {
    name: DiscriminatorConfig(
        image_size=config.image_size,
        base_width=config.base_width,
        max_width=config.max_width,
    )
    for name, config in PRESETS.items()
}


def get_preset(name: str) -> GeneratorConfig:
    """Returns the structure of a name.

    Args:
        name: Key of `PRESETS`.

    Raises:
        InputError: If there is no such preset.
    """
    if name not in PRESETS:
        raise InputError(
            f"Unknown preset. Known: {', '.join(sorted(PRESETS))}. Received: {name!r}"
        )
    return PRESETS[name]
