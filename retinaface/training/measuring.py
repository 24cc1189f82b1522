"""How good a detector is on pictures whose faces are known."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

import numpy as np

from facedancer.face.boxes import overlap
from facedancer.face.faces import Faces
from facedancer.retinaface.detector import Detector
from facedancer.retinaface.training.scenes import Scene

TRUE, FALSE, UNCOUNTED = 1, 0, -1


@dataclasses.dataclass(frozen=True)
class Matches:
    """Which detections of one picture are right.

    Attributes:
        labels: `(n,)`: 1 on a face, 0 on none or on one found already, -1 on something
            that is not counted.
        errors: `(n,)` mean distance of the five landmarks to the known ones, in
            distances of the eyes; NaN where the label is not 1.
    """

    labels: np.ndarray
    errors: np.ndarray


@dataclasses.dataclass(frozen=True)
class Quality:
    """How good a detector is.

    Attributes:
        faces: Number of faces that should be found.
        recall: Fraction that is found at the score where `precision` is reached.
        threshold: That score.
        average_precision: Area under precision over recall.
        landmark_error: Median over the found faces of the landmarks' mean distance, as
            a fraction of the distance of the eyes.
    """

    faces: int
    recall: float
    threshold: float
    average_precision: float
    landmark_error: float


def match_detections(found: Faces, scene: Scene, min_overlap: float = 0.5) -> Matches:
    """Returns which detections are right, the best scores first served.

    Args:
        found: What a detector found, best first.
        scene: The picture and its faces.
        min_overlap: Intersection over union from which a detection is on a face.
    """
    labels = np.zeros(len(found), np.int64)
    errors = np.full(len(found), np.nan)
    taken: set[int] = set()
    for index, box in enumerate(found.boxes):
        overlaps = overlap(box, scene.boxes)
        face = int(overlaps.argmax()) if len(overlaps) else -1
        if face < 0 or overlaps[face] < min_overlap:
            continue
        if not scene.counted[face]:
            labels[index] = UNCOUNTED
        elif face not in taken:
            taken.add(face)
            labels[index] = TRUE
            errors[index] = landmark_error(
                found.landmarks[index], scene.landmarks[face]
            )
    return Matches(labels, errors)


def landmark_error(found: np.ndarray, known: np.ndarray) -> float:
    """Mean distance of landmarks as a fraction of the distance of the eyes.

    Args:
        found: `(5, 2)` pixels.
        known: `(5, 2)` pixels.
    """
    eyes = np.linalg.norm(known[1] - known[0])
    return float(np.linalg.norm(found - known, axis=1).mean() / max(eyes, 1e-6))


def measure(
    detector: Detector, pictures: Iterable[Scene], precision: float = 0.95
) -> Quality:
    """Returns how well a detector finds the faces of pictures.

    Args:
        detector: With a low `score_threshold`, or the curve ends early.
        pictures: Pictures and their faces.
        precision: At which the recall is read.
    """
    scores, labels, errors, faces = [], [], [], 0
    for picture in pictures:
        found = detector.detect(picture.image)
        matches = match_detections(found, picture)
        scores.append(found.scores)
        labels.append(matches.labels)
        errors.append(matches.errors)
        faces += int(picture.counted.sum())
    return _quality(
        np.concatenate(scores),
        np.concatenate(labels),
        np.concatenate(errors),
        faces,
        precision,
    )


def _quality(
    scores: np.ndarray,
    labels: np.ndarray,
    errors: np.ndarray,
    faces: int,
    precision: float,
) -> Quality:
    counted = labels != UNCOUNTED
    scores, labels, errors = (x[counted] for x in (scores, labels, errors))
    order = np.argsort(-scores, kind="stable")
    scores, labels, errors = (x[order] for x in (scores, labels, errors))
    right = np.cumsum(labels == TRUE)
    exact = right / np.arange(1, len(labels) + 1)
    exact = np.maximum.accumulate(exact[::-1])[::-1]  # best at this recall or above
    recall = right / max(faces, 1)
    good = np.flatnonzero(exact >= precision)
    last = good[-1] if len(good) else -1
    found = errors[: last + 1][labels[: last + 1] == TRUE]
    return Quality(
        faces=faces,
        recall=float(recall[last]) if len(good) else 0.0,
        threshold=float(scores[last]) if len(good) else 1.0,
        average_precision=float(np.sum(np.diff(recall, prepend=0.0) * exact)),
        landmark_error=float(np.median(found)) if len(found) else float("nan"),
    )
