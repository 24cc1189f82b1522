"""Prints what shards hold; draws a contact sheet and distributions.

    python dataset/inspect_shards.py --data_dir=shards/ --output=look/

Each record is checked; damaged ones are counted and named.
"""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import importlib.util
import os
import pathlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from facedancer import cli, places
from facedancer.dataset.photos import image_header
from facedancer.dataset.shards import records, shard_index
from facedancer.errors import InputError
from facedancer.flags.settings import Checked, ranged
from facedancer.imaging import contact_sheet, images
from facedancer.process import progress
from facedancer.storage import files

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclasses.dataclass(frozen=True)
class InspectSettings(Checked):
    """What is looked at.

    Attributes:
        data_dir: Shards: a folder with *.records files, or a glob pattern; several with
            commas between.
        output: Folder for the pictures; empty: only print.
        pictures: Photos on the contact sheet, spread over all records.
        seed: Of the choice of the photos.
    """

    data_dir: str
    output: str = ""
    pictures: int = ranged(100, low=0)
    seed: int = 0


@dataclasses.dataclass
class Contents:
    """What was found in a set of shards.

    Attributes:
        count: Whole records.
        bytes: Size of the encoded photos.
        sizes: Number of photos by `(height, width)`.
        formats: Number of photos by format.
        identities: Number of photos by name or number of the person.
        features: Number of records that have a feature, by name.
        damaged: What is wrong with the others.
    """

    count: int = 0
    bytes: int = 0
    sizes: collections.Counter = dataclasses.field(default_factory=collections.Counter)
    formats: collections.Counter = dataclasses.field(
        default_factory=collections.Counter
    )
    identities: collections.Counter = dataclasses.field(
        default_factory=collections.Counter
    )
    features: collections.Counter = dataclasses.field(
        default_factory=collections.Counter
    )
    damaged: list = dataclasses.field(default_factory=list)


def main(settings: InspectSettings) -> int:
    """Runs the program.

    Args:
        settings: What the flags say.

    Returns:
        0, or 2 when a record is damaged.

    Raises:
        InputError: If there are no shards, or what draws the pictures is missing.
    """
    if settings.output:
        places.check_folder(settings, "output", settings.output)
    if settings.output and importlib.util.find_spec("matplotlib") is None:
        raise InputError(
            "--output draws with Matplotlib, which is not installed. Install it with: "
            'pip install "facedancer[evaluation]"'
        )
    files = shard_index.find_shards(settings.data_dir)
    by_set = collections.defaultdict(list)
    for file in files:
        by_set[str(shard_index.set_of(file))].append(file)
    damaged = []
    for name, members in by_set.items():
        found, picked = inspect(members, settings.pictures, settings.seed)
        print("\n".join(describe(name, members, found)))
        damaged += found.damaged
        if settings.output and picked:
            _write_pictures(settings.output, os.path.basename(name), found, picked)
    return cli.PARTIAL if damaged else cli.DONE


def inspect(
    files: list[str], pictures: int = 0, seed: int = 0
) -> tuple[Contents, list[tuple[bytes, str]]]:
    """Returns what shards hold, and some photos, chosen with equal chances.

    Args:
        files: The shards.
        pictures: How many photos to choose.
        seed: Of the choice.
    """
    found = Contents()
    picked: list[tuple[bytes, str]] = []
    random = np.random.default_rng(seed)
    for file in progress.bar(files, unit="shard"):
        for features in _whole_records(file, found):
            _count(found, features)
            # reservoir sampling (Vitter 1985, algorithm R)
            if len(picked) < pictures:
                picked.append(_picture(features))
            elif pictures and (slot := random.integers(found.count)) < pictures:
                picked[slot] = _picture(features)
    return found, picked


def _whole_records(file: str, found: Contents) -> Iterator[dict]:
    """Yields the records; after a damaged one the rest of the file is passed over."""
    number = 0
    try:
        for record in records.read_records(file):
            yield records.decode_example(record)
            number += 1
    except records.CorruptRecordError as error:
        found.damaged.append(str(error))
    except InputError as error:
        found.damaged.append(f"{file}: record {number}: {error}")


def _count(found: Contents, features: dict) -> None:
    found.count += 1
    found.features.update(list(features))
    data = features.get("face", b"")
    found.bytes += len(data)
    try:
        kind, height, width = image_header.format_and_size(data)
    except InputError:
        found.formats["unknown"] += 1
    else:
        found.formats[kind] += 1
        found.sizes[(height, width)] += 1
    found.identities[_name(features)] += 1


def _name(features: dict) -> str:
    name = features.get("identity_name", b"").decode(errors="replace")
    return name or str(features.get("identity", "unknown"))


def _picture(features: dict) -> tuple[bytes, str]:
    path = features.get("path", b"").decode(errors="replace")
    return features.get("face", b""), path or _name(features)


def describe(name: str, files: list[str], found: Contents) -> list[str]:
    """Returns lines that say what was found.

    Args:
        name: Of the set.
        files: Its shards.
        found: From `inspect`.
    """
    known = found.identities.copy()
    unknown = known.pop("unknown", 0)
    lines = [
        f"{name}: {found.count} photos in {len(files)} shards, "
        f"{found.bytes / 1e6:.1f} MB"
    ]
    if known:
        counts = sorted(known.values())
        lines.append(
            f"  identities: {len(known)}, photos of each {counts[0]} to {counts[-1]}, "
            f"median {counts[len(counts) // 2]}; unknown: {unknown} photos"
        )
    sizes = ", ".join(f"{w}x{h}: {n}" for (h, w), n in found.sizes.most_common(5))
    lines.append(f"  sizes (width x height): {sizes}")
    formats = ", ".join(f"{kind}: {n}" for kind, n in found.formats.most_common())
    lines.append(f"  formats: {formats}")
    features = ", ".join(sorted(found.features))
    lines.append(f"  features: {features}")
    for why in found.damaged:
        lines.append(f"  damaged: {why}")
    return lines


def _write_pictures(
    output: str, name: str, found: Contents, picked: list[tuple[bytes, str]]
) -> None:
    folder = pathlib.Path(output)
    shown = []
    for data, text in picked:
        with contextlib.suppress(InputError):  # such records are listed as damaged
            shown.append((images.read_photo(data).pixels, text))
    if shown:
        sheet = contact_sheet.contact_sheet(shown)
        images.write_image(folder / f"{name}.contact_sheet.jpg", sheet, 90)
    figure = _distributions(found)
    with files.whole(folder / f"{name}.distributions.png") as temporary:
        figure.savefig(temporary, dpi=100)


def _distributions(found: Contents) -> Figure:
    # Here, because it starts a program that lists the fonts, and that takes seconds.
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4), layout="tight")
    left, right = figure.subplots(1, 2)
    counts = np.array([n for name, n in found.identities.items() if name != "unknown"])
    largest = counts.max(initial=1)
    left.hist(counts, bins=np.arange(largest + 1) + 0.5 if largest <= 60 else 40)
    left.set(xlabel="photos of a person", ylabel="people")
    left.set_title(f"{len(counts)} people, {found.count} photos")
    sides = np.repeat([min(size) for size in found.sizes], list(found.sizes.values()))
    right.hist(sides, bins=40)
    right.set(xlabel="shorter side in pixels", ylabel="photos", title="sizes")
    return figure


if __name__ == "__main__":
    cli.run(main, InspectSettings)
