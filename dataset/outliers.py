"""Moves crops that show somebody else than the rest of their folder.

    python dataset/outliers.py --data_dir=aligned/ --arcface_path=encoder.keras

Folders are people. A crop is an outlier if its identity vector is far from the mean of
the others in its folder. Outliers are moved to `DATA_DIR.outliers`, in the same
folders, with a contact sheet; nothing is deleted.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
import os
import pathlib
from collections.abc import Callable, Iterator

import numpy as np

from facedancer import cli
from facedancer.dataset.jobs import report
from facedancer.dataset.photos import listing
from facedancer.errors import InputError
from facedancer.face.alignment import Alignment, check_equal
from facedancer.flags.settings import Checked, ranged
from facedancer.imaging import contact_sheet, images
from facedancer.networks.vectors import cosine, normalize
from facedancer.process import progress
from facedancer.storage import claims, files

_MAX_PICTURES = 80


@dataclasses.dataclass(frozen=True)
class OutlierSettings(Checked):
    """What counts as an outlier.

    Attributes:
        data_dir: Folder of aligned crops, one folder a person.
        arcface_path: Weights of an identity encoder.
        min_similarity: Smallest cosine between a crop and the mean of the others.
        min_photos: Folders with fewer photos are left alone.
        dry_run: Only say what would be moved.

    Raises:
        ValueError: If a value is out of its range.
    """

    data_dir: str
    arcface_path: str
    min_similarity: float = ranged(0.2, low=-1.0, high=1.0)
    min_photos: int = ranged(3, low=3)
    dry_run: bool = False


def main(settings: OutlierSettings) -> int:
    """Runs the program.

    Args:
        settings: What the flags say.

    Raises:
        InputError: If there are no crops or the encoder cannot be read.
    """
    shrink = alignment_shrink(settings.data_dir)
    with claims.claimed(_target(settings)):
        found = move_outliers(settings, _embedder(settings.arcface_path, shrink))
    verb = "would be moved" if settings.dry_run else "moved"
    print(f"{len(found)} outliers {verb} to {_target(settings)}")
    return cli.DONE


def alignment_shrink(data_dir: str) -> float:
    """Returns the `--shrink_factor` that crops were made with, 1 if unknown.

    Args:
        data_dir: A folder that `crop_align` wrote.

    Raises:
        InputError: If they were aligned to a template that no encoder knows.
    """
    found = report.alignment_of(data_dir) or Alignment()
    check_equal(
        found, Alignment(shrink=found.shrink), data_dir, "identity encoders need it"
    )
    return found.shrink


def _embedder(path: str, shrink: float) -> Callable[[np.ndarray], np.ndarray]:
    # Here, so that looking for outliers with other vectors does without Keras.
    from facedancer import arcface_model

    encoder = arcface_model.load_encoder(path)
    embedder = arcface_model.Embedder(encoder)
    size = encoder.contract.size

    def embed(crops: np.ndarray) -> np.ndarray:
        middles = [centre(crop, shrink) for crop in crops]
        fitted = [contact_sheet.fitted(middle, size, size) for middle in middles]
        return embedder.embed(np.stack(fitted))

    return embed


def centre(crop: np.ndarray, shrink: float) -> np.ndarray:
    """Returns the middle of a crop that is the crop for a shrink factor of 1.

    Args:
        crop: `(side, side, 3)`.
        shrink: The factor it was aligned with.
    """
    side = crop.shape[0]
    margin = round((1.0 - shrink) / 2.0 * side)
    return crop[margin : side - margin, margin : side - margin]


def _target(settings: OutlierSettings) -> pathlib.Path:
    return pathlib.Path(settings.data_dir.rstrip("/") + ".outliers")


def similarities(vectors: np.ndarray) -> np.ndarray:
    """Returns the cosine of each vector with the mean of the others, `(n,)`.

    Args:
        vectors: `(n, d)`, n at least 2, of any length.
    """
    unit = normalize(vectors)
    return cosine(unit, unit.sum(axis=0) - unit)


def find_outliers(vectors: np.ndarray, min_similarity: float) -> np.ndarray:
    """Returns which vectors are outliers, the farthest taken out first.

    Each one that is found no longer counts for the mean of the others, so that two
    strangers do not excuse each other.

    Args:
        vectors: `(n, d)`.
        min_similarity: Smallest cosine with the mean of the others.

    Returns:
        `(n,)` bool; at least two vectors always stay.
    """
    out = np.zeros(len(vectors), bool)
    while (~out).sum() > 2:
        left = np.flatnonzero(~out)
        cosines = similarities(vectors[left])
        if cosines.min() >= min_similarity:
            break
        out[left[cosines.argmin()]] = True
    return out


def move_outliers(
    settings: OutlierSettings, embed: Callable[[np.ndarray], np.ndarray]
) -> list[str]:
    """Moves the outliers of all folders; returns their paths.

    Args:
        settings: What counts as one.
        embed: From `(n, size, size, 3)` uint8 crops to `(n, d)` vectors.

    Raises:
        InputError: If there are no crops, or crops of one folder differ in size.
    """
    found = []
    for group in progress.bar(list(_folders(settings)), unit="folder"):
        crops = [images.read_image(_full(settings, path)) for path in group]
        if len({crop.shape for crop in crops}) > 1:
            raise InputError(
                f"{listing.parent(group[0])}: crops of several sizes; give a folder "
                "that crop_align wrote"
            )
        out = find_outliers(embed(np.stack(crops)), settings.min_similarity)
        found += [group[index] for index in np.flatnonzero(out)]
    if found and not settings.dry_run:
        _move(settings, found)
    return found


def _folders(settings: OutlierSettings) -> Iterator[list[str]]:
    paths = listing.list_photos(settings.data_dir)
    for folder, grouped in itertools.groupby(paths, key=listing.parent):
        group = list(grouped)
        if folder and len(group) >= settings.min_photos:
            yield group


def _full(settings: OutlierSettings, path: str) -> str:
    return os.path.join(settings.data_dir, path)


def _move(settings: OutlierSettings, found: list[str]) -> None:
    target = _target(settings)
    for path in found:
        if (target / path).exists():
            raise InputError(
                f"{target / path} exists already, from an earlier run: nothing was "
                f"moved. Move {target} away"
            )
    for path in found:
        (target / path).parent.mkdir(parents=True, exist_ok=True)
        os.replace(_full(settings, path), target / path)
    shown = [(images.read_image(target / p), p) for p in found[:_MAX_PICTURES]]
    sheet = contact_sheet.contact_sheet(shown)
    images.write_image(f"{target}.contact_sheet.jpg", sheet, 90)
    listed = pathlib.Path(f"{target}.jsonl")
    lines = listed.read_text("utf-8") if listed.exists() else ""  # of earlier runs
    lines += "".join(json.dumps({"path": path}) + "\n" for path in found)
    files.write_atomic(listed, lines.encode())


if __name__ == "__main__":
    cli.run(main, OutlierSettings)
