"""Which source goes on which target: seeded lists of pairs, as CSV files."""

from __future__ import annotations

import codecs
import csv
import dataclasses
import io
import os
import pathlib
from collections.abc import Mapping, Sequence

import numpy as np

from facedancer.errors import InputError
from facedancer.imaging import images
from facedancer.storage import files

COLUMNS = ("source", "target", "swapped", "source_label", "target_label")
_ROLES = COLUMNS[:3]


@dataclasses.dataclass(frozen=True)
class Pair:
    """One swap.

    Attributes:
        source: Photo of the person whose identity is given.
        target: Photo that is changed.
        source_label: Who is on the first.
        target_label: Who is on the second.
        swapped: The result, where it was made elsewhere.
    """

    source: pathlib.Path
    target: pathlib.Path
    source_label: str
    target_label: str
    swapped: pathlib.Path | None = None


def photos_by_label(folder: str | os.PathLike) -> dict[str, list[pathlib.Path]]:
    """Returns the photos of each person: one folder a person.

    Photos that lie in the folder itself count as one person each.

    Args:
        folder: Labelled folders of photos.

    Raises:
        InputError: If it is missing or has no photo.
    """
    folder = pathlib.Path(folder)
    found: dict[str, list[pathlib.Path]] = {}
    for path in images.list_images(folder):
        parts = path.relative_to(folder).parts
        found.setdefault(parts[0] if len(parts) > 1 else path.stem, []).append(path)
    return found


def make_pairs(
    photos: dict[str, list[pathlib.Path]], count: int, seed: int, same: float = 0.0
) -> list[Pair]:
    """Returns a random list of pairs; the same arguments give the same list.

    People are drawn alike, however many photos each has. No pair comes twice.

    Args:
        photos: Photos by person.
        count: Number of pairs.
        seed: Of the draws.
        same: Share of pairs whose source is the target itself, in [0, 1]: what a
            swapper should leave as it is.

    Raises:
        InputError: If there are too few people or photos for that many pairs.
    """
    if not 0.0 <= same <= 1.0 or count < 1:
        raise InputError(
            "The fraction of same pairs must lie in [0, 1] and the number of pairs be "
            f"positive. Received: {same} and {count}"
        )
    random = np.random.default_rng(seed)
    labels = sorted(photos)
    num_same = round(same * count)
    total = sum(len(paths) for paths in photos.values())
    different = total**2 - sum(len(paths) ** 2 for paths in photos.values())
    if num_same > total or count - num_same > different:
        raise InputError(
            f"{total} photos of {len(labels)} people give at most {different} pairs of "
            f"two people and {total} of one photo. Received: {count - num_same} and "
            f"{num_same} wanted"
        )
    found = _draw(random, labels, photos, num_same, True)
    found |= _draw(random, labels, photos, count - num_same, False)
    order = random.permutation(count)
    pairs = list(found)
    return [pairs[i] for i in order]


def _draw(
    random: np.random.Generator,
    labels: Sequence[str],
    photos: Mapping[str, Sequence[pathlib.Path]],
    count: int,
    same: bool,
) -> dict[Pair, None]:
    """Returns an ordered set of pairs."""
    found: dict[Pair, None] = {}
    while len(found) < count:
        a, b = random.integers(len(labels), size=2).tolist()
        a = b if same else a
        if a == b and not same:
            continue
        source, target = [
            photos[labels[i]][int(random.integers(len(photos[labels[i]])))]
            for i in (a, b)
        ]
        source = target if same else source
        found[Pair(source, target, labels[a], labels[b])] = None
    return found


def write_pairs(path: str | os.PathLike, pairs: Sequence[Pair]) -> None:
    """Writes a list of pairs; paths below the list's folder become relative to it.

    Args:
        path: The CSV file.
        pairs: The pairs.
    """
    root = pathlib.Path(path).resolve().parent
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for pair in pairs:
        paths = [_relative(p, root) for p in (pair.source, pair.target, pair.swapped)]
        writer.writerow([*paths, pair.source_label, pair.target_label])
    files.write_atomic(path, os.fsencode(text.getvalue()))


def _relative(path: str | os.PathLike | None, root: pathlib.Path) -> str:
    if path is None:
        return ""
    path = pathlib.Path(path).resolve()
    return str(path.relative_to(root) if path.is_relative_to(root) else path)


def read_pairs(
    path: str | os.PathLike, root: str | os.PathLike = "", need_swapped: bool = False
) -> list[Pair]:
    """Reads a list of pairs.

    Args:
        path: CSV with the columns `source` and `target`, and where known `swapped`,
            `source_label` and `target_label`. Without a label, every photo is a person
            of its own.
        root: What relative paths start from; empty for the list's folder.
        need_swapped: Whether each pair must have a result.

    Raises:
        InputError: If a column, a value or a file is missing.
    """
    path = pathlib.Path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    root = pathlib.Path(root) if root else path.parent
    try:
        data = path.read_bytes().removeprefix(codecs.BOM_UTF8)
        rows = list(csv.DictReader(io.StringIO(os.fsdecode(data), newline="")))
    except csv.Error as error:
        raise InputError(f"{path}: not a CSV file ({error})") from None
    wanted = _ROLES if need_swapped else _ROLES[:2]
    if not rows or not set(wanted) <= set(rows[0]):
        raise InputError(f"{path}: expected rows with the columns {', '.join(wanted)}")
    return [
        _pair_of(row, root, wanted, f"{path}:{line}")
        for line, row in enumerate(rows, start=2)
    ]


def _pair_of(
    row: dict[str, str], root: pathlib.Path, wanted: Sequence[str], location: str
) -> Pair:
    for role in wanted:
        if not row[role]:
            raise InputError(f"{location}: no {role}")
    files = {role: root / row[role] for role in _ROLES if row.get(role)}
    for file in files.values():
        if not file.is_file():
            raise InputError(f"{location}: {file}: no such file")
    return Pair(
        files["source"],
        files["target"],
        row.get("source_label") or str(files["source"]),
        row.get("target_label") or str(files["target"]),
        files.get("swapped"),
    )


def read_results(folder: str | os.PathLike) -> list[Pair]:
    """Returns the triples that some program has left in a folder.

    Args:
        folder: Holds `pairs.csv` with a column `swapped`, or the three folders
            `source`, `target` and `swapped` with files of the same names (endings may
            differ). In the latter a name `person__anything` labels the source.

    Raises:
        InputError: If it holds neither, or a triple is not complete.
    """
    folder = pathlib.Path(folder)
    if (folder / "pairs.csv").is_file():
        return read_pairs(folder / "pairs.csv", need_swapped=True)
    missing = [role for role in _ROLES if not (folder / role).is_dir()]
    if missing:
        raise InputError(
            f"{folder}: expected pairs.csv, or folders source, target and swapped. "
            f"Missing: {', '.join(missing)}"
        )
    files = {role: _by_stem(folder / role) for role in _ROLES}
    incomplete = sorted(
        set(files["swapped"]) - set(files["source"]).intersection(files["target"])
    )
    if incomplete:
        raise InputError(
            f"{folder}: no source or target for swapped {', '.join(incomplete[:5])}"
        )
    return [
        Pair(
            files["source"][stem],
            files["target"][stem],
            stem.split("__")[0] if "__" in stem else str(files["source"][stem]),
            str(files["target"][stem]),
            path,
        )
        for stem, path in sorted(files["swapped"].items())
    ]


def _by_stem(folder: str | os.PathLike) -> dict[str, pathlib.Path]:
    return {path.stem: path for path in images.list_images(folder)}
