"""The structure of FaceDancer's generator: a preset's, as far as nothing changes it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from facedancer.models import GeneratorConfig
from facedancer.train.systems.base import Fed


def generator_structure(
    config: GeneratorConfig, given: Mapping[str, Any], fed: Fed
) -> GeneratorConfig:
    """Returns a preset with changes.

    Args:
        config: The preset.
        given: Changes by field, and `mapping_depth`, `mapping_size` and `tanh`.
        fed: What follows from data and encoder.

    Raises:
        ValueError: If a change is of no field.
    """
    changes = dict(given)
    depth, size = (changes.pop(f"mapping_{name}", None) for name in ("depth", "size"))
    if depth is not None or size is not None:
        sizes = config.mapping_sizes
        depth = len(sizes) if depth is None else depth
        changes["mapping_sizes"] = (size or (sizes or (512,))[0],) * depth
    if "tanh" in changes:
        changes["output_activation"] = "tanh" if changes.pop("tanh") else "linear"
    if "up_types" in changes:  # they decide the depth
        changes = {"stages": 0, "widths": ()} | changes
    fields = {field.name for field in dataclasses.fields(config)}
    if unknown := sorted(set(changes) - fields):
        raise ValueError(f"The generator of FaceDancer has no {', '.join(unknown)}")
    return dataclasses.replace(config, **fed.values(config) | changes)
