"""Finds faces in photos that lie on their side or upside down."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from facedancer.faces import Faces


def detect_with_turns(detector: Any, photos: Sequence[np.ndarray]) -> list[Faces]:
    """Returns the faces of photos; those without one are searched in quarter turns.

    Of the three turns the one with the best score counts.

    Args:
        detector: Has `detect_batch(images) -> list[Faces]`.
        photos: `(height, width, 3)` uint8 RGB each.

    Returns:
        Faces in pixels of the photos as they are; the landmarks are in the order of
        an upright face.
    """
    found = detector.detect_batch(photos)
    open_photos = [place for place, faces in enumerate(found) if not len(faces)]
    best: dict[int, Faces] = {}
    for turns in (1, 2, 3) if open_photos else ():
        turned = [np.ascontiguousarray(np.rot90(photos[p], turns)) for p in open_photos]
        for place, faces in zip(
            open_photos, detector.detect_batch(turned), strict=True
        ):
            rival = best.get(place)
            if len(faces) and (rival is None or faces.scores[0] > rival.scores[0]):
                best[place] = turn_back(faces, turns, photos[place].shape[:2])
    return [best.get(place, faces) for place, faces in enumerate(found)]


def turn_back(faces: Faces, turns: int, size: tuple[int, int]) -> Faces:
    """Returns faces of a photo turned by `np.rot90` in pixels of the photo itself.

    Args:
        faces: Found in the turned photo.
        turns: Quarter turns counter-clockwise, 1 to 3.
        size: Height and width of the photo itself.
    """
    corners = _points_back(faces.boxes.reshape(-1, 2, 2), turns, size)
    boxes = np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=1)
    return Faces(boxes, _points_back(faces.landmarks, turns, size), faces.scores)


def _points_back(points: np.ndarray, turns: int, size: tuple[int, int]) -> np.ndarray:
    height, width = size
    x, y = points[..., 0], points[..., 1]
    back = {
        1: (width - 1 - y, x),
        2: (width - 1 - x, height - 1 - y),
        3: (y, height - 1 - x),
    }[turns]
    return np.stack(back, axis=-1)
