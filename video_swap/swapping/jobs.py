"""What is to be done with the faces of one frame, and in which order."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from facedancer.face import outlines


@dataclasses.dataclass(frozen=True)
class FaceJob:
    """One face that is to be swapped.

    Attributes:
        landmarks: `(5, 2)` pixels of the frame.
        rule: Index of its rule in `FaceSwapper.rules`.
        fronts: `(n, 5, 2)` landmarks of faces in front of it, swapped or not, which it
            is not painted on.
        vector: `(d,)` whom it shows, None: not known yet.
        track: Number of the face in a clip, None where it is not followed.
    """

    landmarks: np.ndarray
    rule: int
    fronts: np.ndarray = dataclasses.field(
        default_factory=lambda: np.zeros((0, 5, 2), np.float32)
    )
    vector: np.ndarray | None = None
    track: int | None = None


@dataclasses.dataclass(frozen=True)
class Crop:
    """An aligned face, ready for the generator.

    Attributes:
        image: `(size, size, 3)` uint8 RGB.
        matrix: `(2, 3)` from the frame to the crop.
        landmarks: `(5, 2)` pixels of the crop.
        identity: Who it becomes: `(d,)` float32, or a number; see `identities.Rule`.
        fronts: `(n, 5, 2)` faces in front of it, pixels of the crop.
        picture: Of who it becomes, for generators that are fed a reference.
        classes: `(side, side)` indices into `face_classes.NAMES`, for generators that
            are fed a mask.
        track: See `FaceJob`.
    """

    image: np.ndarray
    matrix: np.ndarray
    landmarks: np.ndarray
    identity: np.ndarray | int
    fronts: np.ndarray
    picture: np.ndarray | None = None
    classes: np.ndarray | None = None
    track: int | None = None


def make_jobs(
    landmarks: Sequence[np.ndarray] | np.ndarray,
    rules: Sequence[int | None],
    vectors: Sequence[np.ndarray | None] | None = None,
    tracks: Sequence[int] | None = None,
) -> list[FaceJob]:
    """Returns what is to be swapped of the faces of a frame.

    Args:
        landmarks: `(5, 2)` of each face, swapped or not.
        rules: For each the index of its rule, None if it stays as it is.
        vectors: `(d,)` of each, whom it shows; None where that is not known.
        tracks: For each its number in a clip; None where faces are not followed.
    """
    found = np.asarray(landmarks, np.float64).reshape(-1, 5, 2)
    fronts = outlines.in_front(found)
    known: Sequence[np.ndarray | None] = vectors or [None] * len(found)
    numbers: Sequence[int | None] = tracks or [None] * len(found)
    return [
        FaceJob(points, rule, found[front], vector, track)
        for points, rule, front, vector, track in zip(
            found, rules, fronts, known, numbers, strict=True
        )
        if rule is not None
    ]


def far_first(jobs: Sequence[FaceJob]) -> list[FaceJob]:
    """Returns small faces first: where two overlap, the nearer one lies above.

    Args:
        jobs: Of one frame.
    """

    def size(job: FaceJob) -> float:
        return np.ptp(job.landmarks, axis=0).sum()

    return sorted(jobs, key=size)
