"""Faces that lie on their side or upside down: found in quarter turns of the photo."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from facedancer.face.boxes import overlap
from facedancer.face.faces import Faces, concatenate, turn_back
from facedancer.face.photo_search import search_photos


def search_all(
    search: Callable[[np.ndarray], list[Faces]], batch: np.ndarray, threshold: float
) -> list[Faces]:
    """Returns the faces of all four quarter turns of images.

    Of the views of one face the best stays: the upright one scores highest.

    Args:
        search: From `(n, height, width, 3)` uint8 to the faces of each image.
        batch: Images of one size, likewise.
        threshold: Boxes of two views that overlap more are one face.

    Returns:
        Faces in pixels of the images as they are.
    """
    views = []
    for turns in range(4):
        found = search(np.ascontiguousarray(np.rot90(batch, turns, axes=(1, 2))))
        views.append([turn_back(f, turns, batch.shape[1:3]) for f in found])
    return [_best_views(faces, threshold) for faces in zip(*views, strict=True)]


def _best_views(views: Sequence[Faces], threshold: float) -> Faces:
    faces = concatenate(views)
    view = np.repeat(np.arange(4), [len(part) for part in views])
    kept: list[int] = []
    for index in np.argsort(-faces.scores, kind="stable"):
        others = faces.boxes[[k for k in kept if view[k] != view[index]]]
        if not _seen_already(faces.boxes[index], others, threshold):
            kept.append(index)
    return faces[np.array(kept, np.int64)]


def _seen_already(box: np.ndarray, others: np.ndarray, threshold: float) -> bool:
    """A wrong view's box often lies beside the face: its centre is looked at too."""
    centre = (box[:2] + box[2:]) / 2
    inside = (others[:, :2] < centre) & (centre < others[:, 2:])
    return bool(np.any(inside.all(axis=1) | (overlap(box, others) > threshold)))


def detect_where_none(detector: Any, photos: Sequence[np.ndarray]) -> list[Faces]:
    """Returns the faces of photos; those without one are searched in quarter turns.

    Of the three turns the one with the best score counts.

    Args:
        detector: Has `detect_batch(images) -> list[Faces]`.
        photos: `(height, width, 3)` uint8 RGB each.

    Returns:
        Faces in pixels of the photos as they are; the landmarks are in the order of
        an upright face.
    """
    found = search_photos(detector, photos)
    without = [index for index, faces in enumerate(found) if not len(faces)]
    best: dict[int, Faces] = {}
    for turns in (1, 2, 3) if without else ():
        turned = [np.ascontiguousarray(np.rot90(photos[i], turns)) for i in without]
        for index, faces in zip(without, detector.detect_batch(turned), strict=True):
            rival = best.get(index)
            if len(faces) and (rival is None or faces.scores[0] > rival.scores[0]):
                best[index] = turn_back(faces, turns, photos[index].shape[:2])
    return [best.get(index, faces) for index, faces in enumerate(found)]
