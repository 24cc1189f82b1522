"""Finds faces in photos that lie on their side or upside down."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from facedancer.faces import Faces, turn_back


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
