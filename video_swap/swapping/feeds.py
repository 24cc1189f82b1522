"""What each named input of a swapper is made of, for one crop."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from facedancer.errors import InputError
from facedancer.face import face_maps
from facedancer.imaging import images
from facedancer.networks.contract import SwapContract
from facedancer.video_swap.compositing import pixel_boost

if TYPE_CHECKING:
    from facedancer.video_swap.swapping.identities import Rule
    from facedancer.video_swap.swapping.jobs import Crop


def _target(crop: Crop, contract: SwapContract, boost: int) -> np.ndarray:
    return contract.image.from_uint8(pixel_boost.split(crop.image, boost))


def _identity(crop: Crop, contract: SwapContract, boost: int) -> np.ndarray:
    vector = np.asarray(crop.identity, np.float32)
    if contract.identity.unit:
        vector = vector / max(float(np.linalg.norm(vector)), 1e-12)
    return np.repeat(vector[None], boost**2, axis=0)


def _label(crop: Crop, contract: SwapContract, boost: int) -> np.ndarray:
    return np.full((boost**2, 1), crop.identity, np.int32)


def _maps(crop: Crop) -> tuple[np.ndarray, np.ndarray]:
    """Returns the crop without its face, in [-1, 1], and its semantic mask."""
    if crop.classes is None:
        raise ValueError("Nothing parsed the crop, see `are_parsed`")
    signed = images.signed_from_uint8(crop.image)[None]
    found = face_maps.of_crops(signed, crop.classes[None], [crop.landmarks])
    return found[0][0], found[1][0]


def _masked_target(crop: Crop, contract: SwapContract, boost: int) -> np.ndarray:
    return contract.image.from_signed(pixel_boost.split(_maps(crop)[0], boost))


def _semantic_mask(crop: Crop, contract: SwapContract, boost: int) -> np.ndarray:
    return pixel_boost.split(_maps(crop)[1], boost)


def _reference(crop: Crop, contract: SwapContract, boost: int) -> np.ndarray:
    if crop.picture is None:
        raise ValueError("The rule of the crop has no picture of who it becomes")
    picture = contract.image.from_uint8(crop.picture)
    return np.repeat(picture[None], boost**2, axis=0)


# Called with a crop (see `jobs.Crop`), the contract, and how many
# tiles a side it is split into; gives one row a tile.
FEEDS: dict[str, Callable[..., np.ndarray]] = {
    "target": _target,
    "identity": _identity,
    "label": _label,
    "masked_target": _masked_target,
    "semantic_mask": _semantic_mask,
    "reference": _reference,
}


# Inputs that are made of what a parser says of a crop.
PARSED = frozenset({"masked_target", "semantic_mask"})


def are_parsed(contract: SwapContract) -> bool:
    """Returns whether a swapper is fed what a face parser sees.

    Args:
        contract: Its contract.
    """
    return not PARSED.isdisjoint(contract.inputs)


def check(contract: SwapContract) -> None:
    """Refuses a swapper with an input that nothing here can make.

    Args:
        contract: Its contract.

    Raises:
        InputError: If there is such an input.
    """
    unknown = [name for name in contract.inputs if name not in FEEDS]
    if unknown:
        raise InputError(
            f"The generator wants {', '.join(unknown)}; swapping makes "
            f"{', '.join(FEEDS)} only"
        )


def check_sources(contract: SwapContract, rules: Sequence[Rule]) -> None:
    """Refuses sources of another form than a swapper is told.

    Args:
        contract: Its contract.
        rules: Who becomes whom.

    Raises:
        InputError: If a vector has another length, or is given to a swapper that is
            told a number, or the other way round, or a picture is missing.
    """
    told = contract.identity
    for rule in rules:
        if rule.source is None:
            continue
        given = rule.source if isinstance(rule.source, int) else np.shape(rule.source)
        if told.kind == "vector" and given != (told.size,):
            raise InputError(
                f"The generator takes identity vectors of {told.size} numbers. "
                f"Received for {rule.name}: {_in_words(given)}"
            )
        if told.kind != "vector" and not isinstance(given, int):
            raise InputError(
                "The generator knows certain people and takes no identity vectors. "
                f"Received for {rule.name}: {_in_words(given)}"
            )
        if told.kind == "label" and not 0 <= int(rule.source) < told.size:
            raise InputError(
                f"The generator knows {told.size} people, numbered from 0. Received "
                f"for {rule.name}: {rule.source}"
            )
        if "reference" in contract.inputs and rule.picture is None:
            raise InputError(
                "The generator is shown a photo of the source, an identity alone is "
                f"not enough. Received for {rule.name}: no photo"
            )


def _in_words(given: int | tuple[int, ...]) -> str:
    if isinstance(given, int):
        return f"the number {given}"
    return f"a vector of {given[0]}" if len(given) == 1 else f"an array {given}"


def make(crops: Sequence, contract: SwapContract, boost: int) -> dict[str, np.ndarray]:
    """Returns what a swapper is fed, by name: `boost ** 2` rows a crop.

    Args:
        crops: At least one, see `jobs.Crop`.
        contract: Of the swapper.
        boost: How many tiles a side each crop is split into.
    """
    return {
        name: np.concatenate([FEEDS[name](crop, contract, boost) for crop in crops])
        for name in contract.inputs
    }
