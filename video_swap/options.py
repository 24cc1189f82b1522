"""The swapper that the settings describe, and what the swapping programs share."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import pathlib
import typing
from collections.abc import Mapping, Sequence

import numpy as np

from facedancer.errors import InputError
from facedancer.flags.settings import did_you_mean
from facedancer.networks.contract import IdentityInput, SwapContract
from facedancer.storage import files
from facedancer.video_swap.settings import (
    NetworkSettings,
    PeopleSettings,
    SharedSettings,
    split_pair,
    split_pick,
)
from facedancer.video_swap.swapping import identities, networks
from facedancer.video_swap.swapping.swapper import FaceSwapper

if typing.TYPE_CHECKING:
    from facedancer.video_swap.clips import people

OWN = "own"  # the one person that a generator knows by itself
_NAMED = 8  # people that a message names


def make_swapper(
    given: SharedSettings,
    target: str | os.PathLike = "",
    loaded: networks.Networks | None = None,
    refiners: Sequence[str] = ("network",),
) -> tuple[FaceSwapper, dict[str, str]]:
    """Returns the swapper that the settings describe, and the names of its networks.

    Args:
        given: The settings.
        target: The photo or clip, whose people `--pick` counts.
        loaded: Its networks, where they are there already.
        refiners: Values of --refine with which the refiner will be used.

    Raises:
        InputError: If a flag, a photo or a network cannot be used.
    """
    _check_paths(given)
    loaded = loaded or load(given.networks)
    loaded.begin(given.swap.refine in refiners)
    reader = identities.IdentityReader(
        loaded.detector,
        loaded.embedder,
        given.people.align_source,
        given.people.source_face,
        given.max_pixels,
        loaded.glasses(given.swap),
    )
    rules = make_rules(given.people, reader, loaded.contract)
    if given.people.pick:
        from facedancer.video_swap.clips import people  # FFmpeg's libraries

        found = people.find(
            pathlib.Path(target),
            loaded.detector,
            loaded.embedder,
            given.swap.threshold,
            given.max_pixels,
        )
        rules = [*picked(given.people, found, reader, loaded.contract), *rules]
    for note in reader.notes:
        logging.getLogger("absl").warning(note)
    swapper = FaceSwapper(
        loaded.engine,
        loaded.contract,
        loaded.detector,
        loaded.embedder,
        rules,
        given.swap,
        loaded.parser,
        loaded.refiner,
    )
    return swapper, loaded.names


def load(given: NetworkSettings) -> networks.Networks:
    """Returns the networks that the settings name; says what is to be known of them.

    Args:
        given: The settings.

    Raises:
        InputError: If one cannot be used.
    """
    loaded = networks.load_networks(given)
    for warning in loaded.warnings:
        logging.getLogger("absl").warning(warning)
    return loaded


def _check_paths(given: SharedSettings) -> None:
    """Refuses what can be refused before the networks are loaded."""
    wanted = given.people
    pairs = [path for pair in wanted.map for path in split_pair(pair)]
    for name, paths in (
        ("swap_source", wanted.swap_source),
        ("only", wanted.only),
        ("except", wanted.never),
        ("map", pairs),
        ("pick", [split_pick(pair)[1] for pair in wanted.pick]),
    ):
        for path in paths:
            if not pathlib.Path(path).exists() and not _is_named(path):
                raise InputError(f"--{name}: {path}: no such file or folder")


def picked(
    wanted: PeopleSettings,
    found: Sequence[people.Person],
    reader: identities.IdentityReader,
    contract: SwapContract,
) -> list[identities.Rule]:
    """Returns a rule for each person who was picked by number.

    Args:
        wanted: Numbers, and paths of the photos.
        found: The people of the photo or clip.
        reader: Turns photos into identities.
        contract: What the generator is told of them.

    Raises:
        InputError: If there is no such number, or a photo has no face.
    """
    known = {one.number: one for one in found}
    rules = []
    for pair in wanted.pick:
        number, source = split_pick(pair)
        if number not in known:
            raise InputError(
                f"--pick: there are {len(known)} people in it, numbered from 1. "
                f"Received: {pair}. `facedancer faces` shows them"
            )
        told = _who([source], reader, contract)
        rules.append(identities.Rule(f"person {pair}", known[number].vector, *told))
    return rules


def _is_named(word: str) -> bool:
    """Returns whether a source may be somebody that a generator knows by itself."""
    return word.isdecimal() or word == OWN


def make_rules(
    people: PeopleSettings,
    reader: identities.IdentityReader,
    contract: SwapContract,
) -> list[identities.Rule]:
    """Returns who becomes whom.

    Args:
        people: Paths of their photos.
        reader: Turns photos into identities.
        contract: Of the generator.

    Raises:
        InputError: If a photo has no face, or the generator cannot show a source.
    """
    rules = []
    for pair in people.map:
        known, photo = split_pair(pair)
        source = _who([photo], reader, contract)
        rules.append(identities.Rule(pair, _reference(reader, known), *source))
    for path in people.never:
        rules.append(identities.Rule(f"except {path}", _reference(reader, path), None))
    if people.label and contract.identity.kind == "vector":
        raise InputError(
            "--label is for generators that were trained with certain people; this one "
            f"takes photos: give --swap_source. Received: {people.label}"
        )
    if people.sources:
        source = _who(list(people.sources), reader, contract)
        name = ", ".join(people.sources)
        rules += [
            identities.Rule(f"{path}={name}", _reference(reader, path), *source)
            for path in people.only
        ] or [identities.Rule(name, None, *source)]
    return rules


def _who(
    words: list[str], reader: identities.IdentityReader, contract: SwapContract
) -> tuple[np.ndarray | int, np.ndarray | None]:
    """Returns source and picture of a `Rule`, as the generator is told them."""
    told, looks = contract.identity, "reference" in contract.inputs
    if told.kind == "vector" or looks:
        vector = reader.read(words) if told.kind == "vector" else 0
        return vector, reader.picture(words[0], contract.image) if looks else None
    return number_of(words, told), None


def number_of(words: Sequence[str], told: IdentityInput) -> int:
    """Returns the number of a person whom a generator knows.

    Args:
        words: The person's name or number, alone.
        told: How the generator is told, not by a vector.

    Raises:
        InputError: If it knows nobody of that name.
    """
    known = {OWN: 0} if told.kind == "none" else {str(n): n for n in range(told.size)}
    known |= {name: number for number, name in enumerate(told.names)}  # names go first
    if len(words) != 1 or words[0] not in known:
        count = f"a number below {told.size}" if told.kind == "label" else OWN
        if told.names:
            count += f", or a name: {', '.join(told.names[:_NAMED])}"
        raise InputError(
            "This generator takes no photo as source: --swap_source or --label must be "
            f"{count}. Received: {', '.join(words)}{did_you_mean(words[0], known)}"
        )
    return known[words[0]]


def _reference(reader: identities.IdentityReader, path: str) -> np.ndarray:
    """A reference is a photo to be searched, also where sources are aligned crops."""
    other = identities.IdentityReader(
        reader.detector, reader.embedder, max_pixels=reader.max_pixels
    )
    vector = other.read([path])
    reader.notes += other.notes
    return vector


def fingerprint(
    given: SharedSettings, swapper: FaceSwapper, names: Mapping[str, str]
) -> str:
    """Returns text that differs wherever two runs would give different results.

    Args:
        given: The settings.
        swapper: The swapper they describe.
        names: The names of its networks.
    """
    digest = hashlib.sha256()
    for rule in swapper.rules:
        for value in (rule.reference, rule.source, rule.picture):
            digest.update(b"-" if value is None else np.asarray(value).tobytes())
    path = given.networks.facedancer_path
    stat = os.stat(path) if path else None
    known = (stat.st_size, stat.st_mtime_ns) if stat else ()
    parts = (given.networks, swapper.settings, names, known, digest.hexdigest())
    return "\n".join(map(str, parts))


def write_report(path: str, report: dict) -> None:
    """Writes the report if one is asked for.

    Args:
        path: Where it goes; empty: nowhere.
        report: What is ready for JSON.
    """
    if path:
        text = json.dumps(report, indent=2, ensure_ascii=False)
        # JSON's own way to write what is no letter: names that are not UTF-8.
        files.write_atomic(path, text.encode(errors="backslashreplace"))


def default_output(path: str | os.PathLike, ending: str) -> pathlib.Path:
    """Returns `results/<name>_swapped<ending>`.

    Args:
        path: The input.
        ending: With its dot.
    """
    return pathlib.Path("results") / f"{pathlib.Path(path).stem}_swapped{ending}"
