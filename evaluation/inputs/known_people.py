"""The people that a generator can show without being given a photo of them."""

from __future__ import annotations

import dataclasses
import os
import pathlib
import re
from collections.abc import Mapping, Sequence

import numpy as np

from facedancer.errors import InputError
from facedancer.evaluation.inputs import pairs
from facedancer.evaluation.inputs.pairs import Pair
from facedancer.networks.contract import IdentityInput

_SHOWN = 5
_NUMBERED = re.compile(r"(\d+)(?:_(.+))?")


@dataclasses.dataclass(frozen=True)
class KnownPeople:
    """Photos of the people that a generator knows, by which its results are judged.

    Attributes:
        folder: Where they lie.
        photos: By the name of a person's folder, in the order of the names. Photos
            beside no such folder are of one person, called as the folder is.
    """

    folder: pathlib.Path
    photos: Mapping[str, Sequence[pathlib.Path]]

    @property
    def labels(self) -> dict[str, str]:
        """What pairs call a person: the folder's name without a number before it."""
        found = {}
        for name in self.photos:
            numbered = _NUMBERED.fullmatch(name)
            found[name] = numbered[2] if numbered and numbered[2] else name
        return found

    def numbers(self, told: IdentityInput) -> dict[pathlib.Path, int]:
        """Returns the number of the person on each photo, by the photo's whole path.

        Args:
            told: How the generator is told whom to show: by a number, or not at all.

        Raises:
            InputError: If the folders do not tell the people's numbers.
        """
        numbers = self._by_name(told)
        if numbers is None:
            raise InputError(
                f"--known_dir must hold {_wanted(told)}. Received: {self.folder} with "
                f"{len(self.photos)}: {', '.join(list(self.photos)[:_SHOWN])}"
            )
        return {
            path.resolve(): numbers[name]
            for name, paths in self.photos.items()
            for path in paths
        }

    def _by_name(self, told: IdentityInput) -> dict[str, int] | None:
        """Returns each person's number, None where the folders do not tell them."""
        names = list(self.photos)
        if told.kind == "none":
            return {names[0]: 0} if len(names) == 1 else None
        called = {name: number for number, name in enumerate(told.names)}
        if called and set(names) <= set(called):
            return {name: called[name] for name in names}
        if all(_NUMBERED.fullmatch(name) for name in names):
            found = {name: int(name.split("_")[0]) for name in names}
            known = set(found.values()) <= set(range(told.size))
            return found if known and len(set(found.values())) == len(names) else None
        if called or len(names) != told.size:
            return None
        return {name: number for number, name in enumerate(names)}


def _wanted(told: IdentityInput) -> str:
    if told.kind == "none":
        return "photos of the one person that the generator shows"
    if told.names:
        more = ", ..." if len(told.names) > _SHOWN else ""
        return (
            "a folder of photos for some of the people that the generator knows, "
            f"called as it calls them ({', '.join(told.names[:_SHOWN])}{more}), or "
            "NUMBER or NUMBER_NAME"
        )
    return (
        f"a folder of photos for each of the {told.size} people that the generator "
        "knows, in the order of their names, or for some of them folders called NUMBER "
        "or NUMBER_NAME"
    )


def read(folder: str | os.PathLike) -> KnownPeople:
    """Returns the people of a folder: one folder of photos each, or photos of one.

    Args:
        folder: The folder.

    Raises:
        InputError: If it is missing or has no photo.
    """
    folder = pathlib.Path(folder)
    photos = pairs.photos_by_label(folder)
    if all(path.parent == folder for paths in photos.values() for path in paths):
        name = folder.resolve().name
        return KnownPeople(folder, {name: [p for one in photos.values() for p in one]})
    return KnownPeople(folder, {name: photos[name] for name in sorted(photos)})


def make_pairs(
    known: KnownPeople,
    targets: Mapping[str, Sequence[pathlib.Path]],
    count: int,
    seed: int,
) -> list[Pair]:
    """Returns a random list of pairs; the same arguments give the same list.

    People are drawn alike, however many photos each has; nobody is put on a photo of
    the same name. No pair comes twice.

    Args:
        known: Who is put on.
        targets: Photos that are changed, by person.
        count: Number of pairs.
        seed: Of the draws.

    Raises:
        InputError: If there are too few photos for that many pairs.
    """
    labels, random = known.labels, np.random.default_rng(seed)
    possible = sum(
        len(known.photos[name]) * len(paths)
        for name in known.photos
        for other, paths in targets.items()
        if labels[name] != other
    )
    if not 1 <= count <= possible:
        raise InputError(
            f"The photos of {known.folder} and those that are changed give {possible} "
            f"pairs of two people. Received: --pairs={count}"
        )
    names, others = list(known.photos), sorted(targets)
    found: dict[Pair, None] = {}
    while len(found) < count:
        name = names[int(random.integers(len(names)))]
        other = others[int(random.integers(len(others)))]
        if labels[name] == other:
            continue
        source, target = [
            paths[int(random.integers(len(paths)))]
            for paths in (known.photos[name], targets[other])
        ]
        found[Pair(source, target, labels[name], other)] = None
    return list(found)
