"""Who is shown in shards of portraits: two people, or any number of them."""

from __future__ import annotations

import dataclasses

import numpy as np

from facedancer.dataset.reading.pair_reader import PairSettings
from facedancer.dataset.shards import shard_index
from facedancer.dataset.shards.shard_index import ShardIndex
from facedancer.errors import InputError

_SHOWN = 6


@dataclasses.dataclass(frozen=True)
class Person:
    """One person of the shards.

    Attributes:
        name: As the shards call them.
        photos: Positions in the index.
    """

    name: str
    photos: np.ndarray


def people_of(index: ShardIndex) -> list[Person]:
    """Returns the people of shards, sorted by name.

    Args:
        index: Of the shards.

    Raises:
        InputError: If a photo has no label, or a person has one photo only.
    """
    if index.identity.min() < 0:
        raise InputError(
            f"{index.files[0]}: photos without a label of their person. Shard a folder "
            "with one folder for each person"
        )
    numbers = np.unique(index.identity)
    found = [
        Person(index.people[i], np.flatnonzero(index.identity == i)) for i in numbers
    ]
    return _checked(sorted(found, key=lambda person: person.name))


def two_people(index: ShardIndex, person: str = "") -> list[Person]:
    """Returns the first and the second person of shards, sorted by name.

    They are the two labels; or the two folders at the top, whose folders may be films
    or series of one person.

    Args:
        index: Of the shards.
        person: The first one by name; all others together are then the second one.

    Raises:
        InputError: If there are more or fewer, or one has a single photo.
    """
    for labels, names in (
        (index.identity, index.people),
        (index.folder, index.folders),
    ):
        known = [i for i in np.unique(labels) if i >= 0]
        found = [Person(names[i], np.flatnonzero(labels == i)) for i in known]
        if person in [one.name for one in found]:
            first = next(one for one in found if one.name == person)
            rest = np.setdiff1d(np.arange(len(index)), first.photos)
            return _checked([first, Person("others", rest)])
        if len(found) == 2 and not person:
            return _checked(sorted(found, key=lambda one: one.name))
    shown = ", ".join(index.people[:_SHOWN])
    more = ", ..." if len(index.people) > _SHOWN else ""
    wanted = f"have no person {person!r}" if person else "must show two people"
    raise InputError(
        f"The shards {wanted}, each in a folder of their own. Received: "
        f"{len(index.people)} ({shown or 'no labels'}{more})"
    )


def _checked(people: list[Person]) -> list[Person]:
    for one in people:
        if len(one.photos) < 2:
            raise InputError(
                f"{one.name} has {len(one.photos)} photo in the shards, and a person "
                "is learned from several. Add photos, or take the person out"
            )
    return people


def names_of(settings: PairSettings, two: bool) -> tuple[str, ...]:
    """Returns the names of the people whom a reader would read.

    Args:
        settings: What is read; a `portrait_reader.PortraitSettings` may name a person.
        two: Whether they must be two.

    Raises:
        InputError: If the shards are missing or do not show such people.
    """
    index = shard_index.open_index(settings.data_dir, on_corrupt=settings.on_corrupt)
    found = (
        two_people(index, getattr(settings, "person", "")) if two else people_of(index)
    )
    return tuple(one.name for one in found)
