"""Photos with known faces: a table of labels, one row a face.

The table is a `.csv` file with the columns `file`, `x0`, `y0`, `x1`, `y1`, `score` and
`leye_x`, `leye_y`, ... `rmouth_y`, in pixels; others are ignored. A photo may have
several rows.
"""

from __future__ import annotations

import collections
import csv
import dataclasses
import io
import os
import pathlib

import numpy as np

from facedancer.errors import InputError
from facedancer.face.faces import Faces
from facedancer.storage import files

BOX = ("x0", "y0", "x1", "y1")
POINTS = tuple(
    f"{name}_{axis}"
    for name in ("leye", "reye", "nose", "lmouth", "rmouth")
    for axis in "xy"
)
COLUMNS = ("file", *BOX, "score", *POINTS)


@dataclasses.dataclass(frozen=True)
class LabelledPhoto:
    """A photo and its faces.

    Attributes:
        path: The image file.
        faces: All its faces; the score tells how sure the label is.
    """

    path: pathlib.Path
    faces: Faces


def read_labels(
    path: str | os.PathLike, folder: str | os.PathLike
) -> list[LabelledPhoto]:
    """Returns the photos of a table, sorted by name.

    Args:
        path: The `.csv` file.
        folder: Folder that the names in `file` are relative to.

    Raises:
        InputError: If the table is missing, lacks a column or holds a word where a
            number should be, or if one of its photos is not there.
    """
    try:
        text = os.fsdecode(pathlib.Path(path).read_bytes())
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from None
    rows = list(csv.DictReader(io.StringIO(text)))
    missing = [name for name in COLUMNS if not rows or name not in rows[0]]
    if missing:
        raise InputError(f"{path}: expected the columns {COLUMNS}, missing: {missing}")
    grouped = collections.defaultdict(list)
    for line, row in enumerate(rows, start=2):
        grouped[row["file"]].append(_numbers(row, path, line))
    photos = [
        LabelledPhoto(pathlib.Path(folder, name), _faces(np.array(values)))
        for name, values in sorted(grouped.items())
    ]
    absent = [photo.path for photo in photos if not photo.path.is_file()]
    if absent:
        raise InputError(
            f"{len(absent)} of the {len(photos)} photos of {path} are not there, the "
            f"first is {absent[0]}. Their names must be relative to the photo folder."
        )
    return photos


def read_names(path: str | os.PathLike) -> set[str]:
    """Returns the names in a file, one a line, of folders or photos.

    Args:
        path: The file.

    Raises:
        InputError: If it cannot be read.
    """
    try:
        return set(os.fsdecode(pathlib.Path(path).read_bytes()).splitlines()) - {""}
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from None


def is_named(photo: LabelledPhoto, folder: str | os.PathLike, names: set[str]) -> bool:
    """Tells whether a photo or a folder it lies in is among the names.

    Args:
        photo: The photo.
        folder: Folder of all photos, which is not looked at itself.
        names: See `read_names`.
    """
    return not names.isdisjoint(photo.path.relative_to(folder).parts)


def _numbers(row: dict[str, str], path: str | os.PathLike, line: int) -> list[float]:
    try:
        return [float(row[name]) for name in COLUMNS[1:]]
    except (TypeError, ValueError):
        raise InputError(
            f"{path}: line {line} must hold numbers. Received: {row}"
        ) from None


def _faces(values: np.ndarray) -> Faces:
    order = np.argsort(-values[:, 4], kind="stable")
    boxes, scores, points = values[order, :4], values[order, 4], values[order, 5:]
    return Faces(boxes, points.reshape(-1, 5, 2), scores)


def write_labels(path: str | os.PathLike, found: dict[str, Faces]) -> None:
    """Writes a table that `read_labels` reads.

    Args:
        path: The `.csv` file; it appears whole or not at all.
        found: Faces by the photo's name; photos without a face give no row.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for name, faces in sorted(found.items()):
        for box, score, points in zip(
            faces.boxes, faces.scores, faces.landmarks, strict=True
        ):
            numbers = [f"{value:.1f}" for value in box]
            numbers += [f"{score:.3f}", *(f"{value:.1f}" for value in points.ravel())]
            writer.writerow([name, *numbers])
    files.write_atomic(path, os.fsencode(text.getvalue()))
