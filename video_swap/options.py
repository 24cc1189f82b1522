"""Settings that the swapping programs share, and the swapper they describe."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import logging
import os
import pathlib

from facedancer import files, settings
from facedancer.errors import InputError
from facedancer.video_swap.provenance import labels
from facedancer.video_swap.swapping import identities, networks, source_faces
from facedancer.video_swap.swapping.swapper import FaceSwapper, SwapSettings


@dataclasses.dataclass(frozen=True)
class PeopleSettings(settings.Checked):
    """Whose face goes where.

    Attributes:
        swap_source: Photo of the person whose face is put in, or a folder of photos of
            that person; of several the mean identity is taken.
        map: REFERENCE=SOURCE: the person on the photo REFERENCE gets the face of
            SOURCE, a photo or folder: the one face of a frame that is most like it.
            Nobody else is swapped, unless --swap_source is given too.
        only: Photo of a person: nobody else gets the face of --swap_source, but the one
            face of a frame that is most like it.
        never: Photo of a person who is never swapped, and with this person every face
            that --threshold does not tell apart, unless it is clearly more like a photo
            of --map or --only. Goes before --faces.
        source_face: Which face of a source photo that shows several: main (the largest
            near the middle), largest, best, left, right, top, bottom, or a number, 1
            for the leftmost.
        align_source: Search the source photos for a face and align it; without, they
            must be aligned crops.

    Raises:
        ValueError: If nobody is swapped, a --map is no pair, or `source_face` names no
            face.
    """

    swap_source: tuple[str, ...] = settings.repeated(essential=True)
    map: tuple[str, ...] = settings.repeated(essential=True)
    only: tuple[str, ...] = settings.repeated(essential=True)
    never: tuple[str, ...] = settings.repeated(flag="except", essential=True)
    source_face: str = source_faces.DEFAULT
    align_source: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        source_faces.check(self.source_face)
        if not self.swap_source and not self.map:
            raise ValueError(
                "Whose face is to be put in? Give --swap_source=PHOTO or "
                "--map=REFERENCE=SOURCE"
            )
        if self.only and not self.swap_source:
            raise ValueError(
                "--only says who gets the face of --swap_source, so that is needed "
                f"too. Received: --only={self.only[0]} without --swap_source. Who is "
                "not named with --map is left alone anyway"
            )
        for pair in self.map:
            _split(pair)


@dataclasses.dataclass(frozen=True, kw_only=True)
class SharedSettings(settings.Checked):
    """Settings that the swapping programs share.

    Attributes:
        people: Whose face goes where.
        networks: Networks, and what runs them.
        swap: Which faces are swapped, and how they are put back.
        label: How the result is labelled.
        report: Write a report to this JSON file.
    """

    people: PeopleSettings
    networks: networks.NetworkSettings = networks.NetworkSettings()
    swap: SwapSettings = SwapSettings()
    label: labels.LabelSettings = labels.LabelSettings()
    report: str = ""


def make_swapper(given: SharedSettings) -> tuple[FaceSwapper, dict[str, str]]:
    """Returns the swapper that the settings describe, and the names of its networks.

    Args:
        given: The settings.

    Raises:
        InputError: If a flag, a photo or a network cannot be used.
    """
    _check_paths(given)
    loaded = networks.load_networks(given.networks)
    for warning in loaded.warnings:
        logging.getLogger("absl").warning(warning)
    reader = identities.IdentityReader(
        loaded.detector,
        loaded.embedder,
        given.people.align_source,
        given.people.source_face,
    )
    rules = make_rules(given.people, reader)
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
    )
    return swapper, loaded.names


def _check_paths(given: SharedSettings) -> None:
    """Refuses what can be refused before the networks are loaded."""
    people = given.people
    pairs = [path for pair in people.map for path in _split(pair)]
    for name, paths in (
        ("swap_source", people.swap_source),
        ("only", people.only),
        ("except", people.never),
        ("map", pairs),
    ):
        for path in paths:
            if not pathlib.Path(path).exists():
                raise InputError(f"--{name}: {path}: no such file or folder")


def _split(pair: str) -> tuple[str, str]:
    reference, sign, source = pair.partition("=")
    if not (sign and reference and source):
        raise ValueError(f"--map must be REFERENCE=SOURCE. Received: {pair}")
    return reference, source


def make_rules(
    people: PeopleSettings, reader: identities.IdentityReader
) -> list[identities.Rule]:
    """Returns who becomes whom.

    Args:
        people: Paths of their photos.
        reader: Turns photos into identities.

    Raises:
        InputError: If a photo has no face.
    """
    rules = []
    for pair in people.map:
        reference, source = _split(pair)
        rules.append(
            identities.Rule(pair, _reference(reader, reference), reader.read([source]))
        )
    for path in people.never:
        rules.append(identities.Rule(f"except {path}", _reference(reader, path), None))
    if people.swap_source:
        source = reader.read(list(people.swap_source))
        name = ", ".join(people.swap_source)
        rules += [
            identities.Rule(f"{path}={name}", _reference(reader, path), source)
            for path in people.only
        ] or [identities.Rule(name, None, source)]
    return rules


def _reference(reader, path):
    """A reference is a photo to be searched, also where sources are aligned crops."""
    other = identities.IdentityReader(reader.detector, reader.embedder)
    vector = other.read([path])
    reader.notes += other.notes
    return vector


def fingerprint(given: SharedSettings, swapper: FaceSwapper, names) -> str:
    """Returns text that differs wherever two runs would give different results.

    Args:
        given: The settings.
        swapper: The swapper they describe.
        names: The names of its networks.
    """
    digest = hashlib.sha256()
    for rule in swapper.rules:
        for vector in (rule.reference, rule.source):
            digest.update(b"-" if vector is None else vector.tobytes())
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
        files.write_atomic(path, text.encode())


def default_output(path: str | os.PathLike, ending: str) -> pathlib.Path:
    """Returns `results/<name>_swapped<ending>`.

    Args:
        path: The input.
        ending: With its dot.
    """
    return pathlib.Path("results") / f"{pathlib.Path(path).stem}_swapped{ending}"
