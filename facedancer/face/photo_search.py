"""Search photos in parts where the whole, made smaller, shows too little of them.

A frame of a clip is searched once (`Detector.detect_batch`). A photo is worth more: a
panorama is searched in squares along its longer side, and a large photo in which
nothing was found in squares of half its longer side.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from facedancer.face import outlines
from facedancer.face.faces import Faces, concatenate

PANORAMA = 1.9  # longer to shorter side from which a photo is searched in squares
_OVERLAP = 0.4  # of a part's side: faces up to this size lie wholly in one part
_LARGE = 2.0  # times the working size from which an empty photo is searched again
_BORDER = 0.01  # of a part's side: a find so near to an inner edge is cut off
_WORKING_SIZE = 640  # of a detector that does not say


def search_photos(detector: Any, photos: Sequence[np.ndarray]) -> list[Faces]:
    """Returns the faces of photos, best score first.

    Args:
        detector: Has `detect_batch(images) -> list[Faces]`, and `options` if it is a
            `Detector`.
        photos: Each `(height, width, 3)` uint8 RGB.
    """
    options = getattr(detector, "options", None)
    working_size = getattr(options, "working_size", _WORKING_SIZE)
    found = detector.detect_batch(photos)
    return [
        _searched_again(detector, photo, faces, working_size)
        for photo, faces in zip(photos, found, strict=True)
    ]


def _searched_again(
    detector: Any, photo: np.ndarray, faces: Faces, working_size: int
) -> Faces:
    height, width = photo.shape[:2]
    longer, shorter = max(height, width), min(height, width)
    if not working_size or longer <= working_size:
        return faces
    if longer > PANORAMA * shorter:
        faces = _merged(faces, _in_parts(detector, photo, shorter))
    if not len(faces) and longer >= _LARGE * working_size:
        faces = _merged(faces, _in_parts(detector, photo, -(-longer // 2)))
    return faces


def _in_parts(detector: Any, photo: np.ndarray, side: int) -> Iterator[Faces]:
    """Yields what squares of a photo show, in pixels of the photo."""
    for left, top, right, bottom in parts(photo.shape[:2], side):
        part = np.ascontiguousarray(photo[top:bottom, left:right])
        faces = detector.detect_batch([part])[0]
        inner = np.array(
            [left > 0, top > 0, right < photo.shape[1], bottom < photo.shape[0]]
        )
        distance = np.concatenate(
            [faces.boxes[:, :2], [right - left, bottom - top] - faces.boxes[:, 2:]], 1
        )
        cut_off = ((distance < _BORDER * side) & inner).any(axis=1)
        faces = faces[~cut_off]
        corner = np.array([left, top], np.float32)
        yield Faces(
            faces.boxes + np.tile(corner, 2), faces.landmarks + corner, faces.scores
        )


def parts(size: tuple[int, int], side: int) -> Iterator[tuple[int, int, int, int]]:
    """Yields squares that cover a photo and overlap, as left, top, right, bottom.

    Args:
        size: Height and width.
        side: Of the squares; what is smaller is covered by one.
    """
    for top in _starts(size[0], side):
        for left in _starts(size[1], side):
            yield left, top, min(left + side, size[1]), min(top + side, size[0])


def _starts(length: int, side: int) -> list[int]:
    count = 1
    if length > side:
        count += int(np.ceil((length - side) / ((1.0 - _OVERLAP) * side)))
    return np.linspace(0, max(length - side, 0), count).round().astype(int).tolist()


def _merged(faces: Faces, others: Iterable[Faces]) -> Faces:
    faces = concatenate([faces, *others])
    faces = faces[~outlines.ghosts(faces.landmarks, faces.scores)]
    return faces[np.argsort(-faces.scores, kind="stable")]
