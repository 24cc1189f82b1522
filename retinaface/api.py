"""Find faces from Python, as the programs find them; see `detect`."""

from __future__ import annotations

import functools
import os
import typing
from collections.abc import Sequence
from typing import Any

from facedancer.face.faces import Faces
from facedancer.face.photo_search import search_photos
from facedancer.flags.settings import from_names
from facedancer.imaging.photo import Photo, as_list, pixels_of
from facedancer.retinaface.detector import Detector, DetectorOptions
from facedancer.retinaface.loading import load_detector


@typing.overload
def detect(
    photos: Photo, detector: str | os.PathLike | Detector = "", **options: Any
) -> Faces: ...


@typing.overload
def detect(
    photos: Sequence[Photo],
    detector: str | os.PathLike | Detector = "",
    **options: Any,
) -> list[Faces]: ...


def detect(
    photos: Photo | Sequence[Photo],
    detector: str | os.PathLike | Detector = "",
    **options: Any,
) -> Faces | list[Faces]:
    """Returns the faces of a photo, or a list of them for several photos.

    Args:
        photos: A photo or a list of them, each a path, a PIL image, or a
            `(height, width, 3)` uint8 RGB array.
        detector: A face detector's file, or what `load_detector` gave; empty: the
            packaged one.
        **options: Fields of `DetectorOptions` such as `score_threshold=0.7`, where the
            detector is not loaded yet.

    Returns:
        Boxes, five landmarks and scores in pixels of the photo, best score first.

    Raises:
        InputError: If a file or value cannot be used.
        TypeError: If there is no option of that name.

    Example:
        faces = facedancer.detect("photo.jpg")
        print(faces.boxes, faces.scores)
    """
    some, one = as_list(photos)
    from_names([DetectorOptions], options)
    if isinstance(detector, Detector):
        if options:
            raise TypeError(
                "A detector that is loaded has its options already. "
                f"Received: {', '.join(options)}"
            )
        finder = detector
    else:
        finder = loaded(os.fspath(detector), tuple(sorted(options.items())))
    found = [search_photos(finder, [pixels_of(photo)])[0] for photo in some]
    return found[0] if one else found


def loaded(path: str = "", options: tuple[tuple[str, Any], ...] = ()) -> Detector:
    """Returns a detector; the packaged one is read once for each set of options.

    Args:
        path: See `load_detector`.
        options: Names and values of `DetectorOptions`.

    Raises:
        InputError: If the file is missing, damaged or of another kind.
    """
    return load_detector(path, **dict(options)) if path else _packaged(options)


@functools.lru_cache(maxsize=4)
def _packaged(options: tuple[tuple[str, Any], ...]) -> Detector:
    return load_detector(**dict(options))
