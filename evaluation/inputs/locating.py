"""Which face of a photo is measured."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from facedancer.evaluation.inputs.cache import Cache
from facedancer.evaluation.inputs.photos import Face, Photo
from facedancer.face import alignment
from facedancer.face.faces import Faces

_MAX_FACES = 8  # faces of a photo that are kept
_ROW = 15  # box, landmarks, score


class Locator:
    """Finds the faces of photos and chooses the one that is meant.

    Args:
        detector: With `detect_batch(images) -> list[Faces]` and `name`.
        cache: Where results are looked for and put.
        aligned: Photos are crops aligned like this: where no face is found, its place
            is taken from the template. None: they are not.
    """

    def __init__(
        self,
        detector: Any,
        cache: Cache,
        aligned: alignment.Alignment | None = None,
    ) -> None:
        self.detector, self.cache, self.aligned = detector, cache, aligned
        options = getattr(detector, "options", "")
        self.name = f"faces {detector.name} {options}"

    def detect(self, photos: Sequence[Photo], keep: bool = True) -> list[Faces]:
        """Returns the faces of photos, the best eight of each.

        Args:
            photos: The photos.
            keep: Whether new results go to disk.
        """

        def make(indices: Sequence[int]) -> np.ndarray:
            found = self.detector.detect_batch([photos[i].read() for i in indices])
            return np.stack([_packed(faces) for faces in found])

        if not photos:
            return []
        keys = [photo.digest for photo in photos]
        return [_unpacked(r) for r in self.cache.compute(self.name, keys, make, keep)]

    def largest(self, photos: Sequence[Photo]) -> list[Face | None]:
        """Returns the largest face of each photo, None where there is none.

        Args:
            photos: The photos.
        """
        chosen: list[Face | None] = []
        for photo, faces in zip(photos, self.detect(photos), strict=True):
            if len(faces):
                best = int(np.argmax(faces.areas))
                chosen.append(Face(photo, faces.boxes[best], faces.landmarks[best]))
            else:
                chosen.append(_whole(photo, self.aligned) if self.aligned else None)
        return chosen

    def nearest(
        self, photos: Sequence[Photo], targets: Sequence[Face], keep: bool
    ) -> list[Face]:
        """Returns the face of each swapped photo that stands where its target's does.

        Args:
            photos: Results, of the sizes of their targets.
            targets: The faces of the targets.
            keep: Whether new results go to disk.

        Returns:
            Faces; where none is found within half an eye distance or so, the target's
            place with `found` False.
        """
        chosen = []
        found = self.detect(photos, keep)
        for photo, faces, target in zip(photos, found, targets, strict=True):
            chosen.append(_nearest(photo, faces, target))
        return chosen


def _nearest(photo: Photo, faces: Faces, target: Face) -> Face:
    if len(faces):
        apart = np.linalg.norm(faces.landmarks - target.landmarks, axis=-1).mean(axis=1)
        best = int(np.argmin(apart))
        side = (target.box[2:] - target.box[:2]).max()
        if apart[best] <= 0.25 * side:
            return Face(photo, faces.boxes[best], faces.landmarks[best])
    return Face(photo, target.box, target.landmarks, found=False)


def _whole(photo: Photo, aligned: alignment.Alignment) -> Face:
    height, width = photo.read().shape[:2]
    side = min(height, width)
    shift = (np.array([width, height]) - side) / 2.0
    landmarks = aligned.landmarks(side) + shift
    box = (np.array([-0.35, -0.4, 0.35, 0.5]) * aligned.shrink + 0.5) * side
    return Face(photo, box + np.tile(shift, 2), landmarks, found=False)


def _packed(faces: Faces) -> np.ndarray:
    row = np.full((_MAX_FACES, _ROW), np.nan, np.float32)
    for index in range(min(len(faces), _MAX_FACES)):
        row[index, :4] = faces.boxes[index]
        row[index, 4:14] = faces.landmarks[index].ravel()
        row[index, 14] = faces.scores[index]
    return row


def _unpacked(row: np.ndarray) -> Faces:
    row = row[np.isfinite(row[:, 14])]
    return Faces(row[:, :4], row[:, 4:14].reshape(-1, 5, 2), row[:, 14])
