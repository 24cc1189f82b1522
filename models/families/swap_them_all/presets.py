"""Named structures of swap-them-all.

`swap_them_all_v2_224` is the published second version; of the first no widths are
known, and `swap_them_all_224` has those of the second. The `lite` presets are for a
laptop and a 128-d encoder.
"""

from __future__ import annotations

import dataclasses

from facedancer.models.families.swap_them_all.config import (
    PairDiscriminatorConfig,
    SemanticDiscriminatorConfig,
    SwapThemAllConfig,
)

_LITE = SwapThemAllConfig(
    image_size=64,
    widths=(16, 32, 64, 128),
    spade_width=32,
    style_width=64,
    identity_size=128,
)
PRESETS = {
    "swap_them_all_224": SwapThemAllConfig(),
    "swap_them_all_v2_224": SwapThemAllConfig(version=2, sees="target"),
    "swap_them_all_lite_64": _LITE,
    "swap_them_all_v2_lite_64": dataclasses.replace(_LITE, version=2, sees="target"),
}

# The discriminators that go with them.
DISCRIMINATORS = {
    name: SemanticDiscriminatorConfig(config.image_size, config.widths[0] // 2)
    for name, config in PRESETS.items()
}
PAIR_DISCRIMINATORS = {
    name: PairDiscriminatorConfig(config.image_size, config.widths[0] // 2)
    for name, config in PRESETS.items()
}
