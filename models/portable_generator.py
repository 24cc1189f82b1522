"""Makes the portable file of a generator, see `facedancer.inference.portable`."""

from __future__ import annotations

import dataclasses
import os
from typing import Any

from facedancer.errors import InputError
from facedancer.models.architectures import fuse
from facedancer.models.saving import with_named_ends
from facedancer.networks.network import Network


def save(generator: Network, path: str | os.PathLike, facts: dict) -> None:
    """Writes the portable file of a generator.

    It holds the fused form, with the fusion mask as a further output where there is
    one.

    Args:
        generator: What `load_generator` or a builder gave.
        path: The file.
        facts: Where it comes from: `licence`, `source` and the like.
    """
    from facedancer.inference import portable_writing  # brings TensorFlow along

    fused = _fused(generator)
    described = describe(generator)
    feeds = fused.example_inputs(batch=1)
    portable_writing.save(with_named_ends(fused), path, feeds, facts | described)


def describe(generator: Network) -> dict[str, Any]:
    """Returns what a generator's portable file says of it.

    Args:
        generator: What `load_generator` or a builder gave.
    """
    contract = generator.contract
    return {
        "kind": "generator",
        "name": generator.name,
        "image": dataclasses.asdict(contract.image),
        "identity": dataclasses.asdict(contract.identity),
        "inputs": list(contract.inputs),
        "outputs": list(contract.outputs),
    }


def _fused(generator: Network) -> Network:
    options: dict[str, Any] = {"norm_form": "plain", "fast_convolutions": True}
    try:
        outputs = (*generator.contract.outputs, "fusion_mask")
        return fuse(generator, outputs=outputs, **options)
    except InputError:  # a network without such masks
        return fuse(generator, **options)
