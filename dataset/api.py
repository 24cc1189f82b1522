"""Aligned crops from Python, as `facedancer align` makes them; see `align`."""

from __future__ import annotations

import dataclasses
import os
import pathlib
import typing
from collections.abc import Sequence
from typing import Any

import numpy as np

from facedancer.dataset import folder_alignment
from facedancer.dataset.jobs import report
from facedancer.dataset.photos import aligning
from facedancer.dataset.shards import splits
from facedancer.errors import InputError
from facedancer.flags.settings import from_names
from facedancer.imaging.photo import Photo, as_list, name_of, pixels_of


@dataclasses.dataclass(frozen=True)
class AlignedFolder:
    """What became of a folder of photos.

    Attributes:
        folder: Where the crops lie; `report.jsonl` there says all of each photo.
        crops: The files that were written, now or in an earlier run.
        dropped: Photo, relative to its folder -> why there is no crop of it, a word of
            `aligning.STATUSES`.
    """

    folder: pathlib.Path
    crops: tuple[pathlib.Path, ...]
    dropped: dict[str, str]


@typing.overload
def align(
    photos: str | os.PathLike, target: str | os.PathLike, **settings: Any
) -> AlignedFolder: ...


@typing.overload
def align(photos: Photo | Sequence[Photo], **settings: Any) -> np.ndarray: ...


def align(
    photos: Photo | Sequence[Photo],
    target: str | os.PathLike = "",
    **settings: Any,
) -> AlignedFolder | np.ndarray:
    """Returns the aligned crop of the face in a photo, or aligns a folder of photos.

    Args:
        photos: A photo or a list of them, each a path, a PIL image, or a
            `(height, width, 3)` uint8 RGB array. With `target`: a folder, at any depth.
        target: Folder to write crops into, as the program does: with its report, and
            what is there already is not made again.
        **settings: Other settings of `facedancer align` by the names of their flags,
            such as `im_size=112`, `faces="central"` or `shrink_factor=0.8`.

    Returns:
        `(im_size, im_size, 3)` uint8 RGB for one photo, `(n, im_size, im_size, 3)` for
        a list; with `target` what was written.

    Raises:
        InputError: If a photo gives no crop, or a folder none at all; if a file or
            value cannot be used.
        TypeError: If there is no setting of that name.

    Example:
        crop = facedancer.align("photo.jpg", im_size=112)
        facedancer.align("photos", "aligned")
    """
    if not os.fspath(target):
        given = {"data_dir": "", "target_dir": ""} | settings
        (record,) = from_names([aligning.AlignSettings], given)
        some, one = as_list(photos)
        crops = [_crop(photo, record) for photo in some]
        return crops[0] if one else np.stack(crops)
    if not isinstance(photos, str | os.PathLike):
        raise InputError(
            f"With `target` the photos are a folder. Received: {type(photos).__name__}"
        )
    places = {"data_dir": os.fspath(photos), "target_dir": os.fspath(target)}
    (record,) = from_names([aligning.AlignSettings], settings | places)
    counts = folder_alignment.align_folder(record)
    folder_alignment.check_counts(counts, record)
    return _aligned(record)


def _crop(photo: Photo, settings: aligning.AlignSettings) -> np.ndarray:
    image = pixels_of(photo, settings.max_pixels)
    status, crops = "image_too_small", []
    if min(image.shape[:2]) > settings.min_size:
        entry: dict[str, Any] = {}
        detector = aligning.load_detector(settings)
        (faces,) = aligning.find([image], settings, detector)
        crops = aligning.report_crops(entry, image, faces, settings)
        status = entry["status"]
    good = [crop for face, crop in crops if face["status"] == "done"]
    if not good:
        raise InputError(
            f"{name_of(photo)}: gave no crop ({status}). See the settings of "
            "`facedancer align --help`"
        )
    return good[0]


def _aligned(settings: aligning.AlignSettings) -> AlignedFolder:
    crops, dropped = [], {}
    target = pathlib.Path(settings.target_dir)
    names = splits.parse_sizes(settings.split) if settings.split else ("",)
    for folder in (target / name for name in names):
        for entry in report.read_report(folder):
            if entry["status"] != "done":
                dropped[entry["path"]] = entry["status"]
            crops += [
                folder / face["output"]
                for face in entry.get("faces", ())
                if "output" in face
            ]
    return AlignedFolder(target, tuple(crops), dropped)
