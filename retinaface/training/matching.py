"""Which anchor should find which face: the targets of the training."""

from __future__ import annotations

import dataclasses

import numpy as np

from facedancer.face.boxes import overlap
from facedancer.retinaface import anchors as anchors_module

POSITIVE, NEGATIVE, IGNORED = 1, 0, -1
# A face that no anchor overlaps this much is too odd to be learnt from.
MIN_OVERLAP = 0.2


@dataclasses.dataclass(frozen=True)
class Targets:
    """What the network should give for each of `n` anchors.

    Attributes:
        labels: `(n,)` int32: 1 face, 0 background, -1 neither, not counted.
        boxes: `(n, 4)` float32 offsets, 0 where the label is not 1.
        landmarks: `(n, 10)` float32 offsets, 0 where there are none.
        has_landmarks: `(n,)` float32, 1 where the landmarks count.
    """

    labels: np.ndarray
    boxes: np.ndarray
    landmarks: np.ndarray
    has_landmarks: np.ndarray


def corners(anchors: np.ndarray) -> np.ndarray:
    """`(n, 4)` centre and size -> `x_min, y_min, x_max, y_max`."""
    return np.concatenate(
        [anchors[:, :2] - anchors[:, 2:] / 2, anchors[:, :2] + anchors[:, 2:] / 2],
        axis=1,
    )


def match(
    boxes: np.ndarray,
    landmarks: np.ndarray,
    anchors: np.ndarray,
    positive: float = 0.35,
    negative: float = 0.3,
) -> Targets:
    """Returns the targets of one image.

    An anchor belongs to the face it overlaps most: positive from the overlap
    `positive`, background below `negative`, between them ignored. The best anchor of
    each face belongs to it in any case, if it overlaps it by at least 0.2.

    Args:
        boxes: `(faces, 4)` pixels; a face with no width or height is left out.
        landmarks: `(faces, 5, 2)` pixels, NaN where a face has none.
        anchors: `(n, 4)` from `anchors.make_anchors`.
        positive: Least overlap of a face's anchor.
        negative: Overlap under which an anchor is background.

    Raises:
        ValueError: If `negative` is above `positive`.

    Reference:
        - [Liu et al., 2016](https://arxiv.org/abs/1512.02325), section 2.2
    """
    if negative > positive:
        raise ValueError(
            "`negative` must not be above `positive`. "
            f"Received: negative={negative}, positive={positive}"
        )
    boxes = np.asarray(boxes, np.float32).reshape(-1, 4)
    landmarks = np.asarray(landmarks, np.float32).reshape(-1, 5, 2)
    whole = (boxes[:, 2:] > boxes[:, :2]).all(axis=1)
    boxes, landmarks = boxes[whole], landmarks[whole]
    if len(boxes) == 0:
        return _background(len(anchors))
    overlaps = overlap(corners(anchors)[:, None], boxes[None])
    face = overlaps.argmax(axis=1)
    best = overlaps.max(axis=1)
    for index in np.argsort(overlaps.max(axis=0)):  # the surer face wins an anchor
        anchor = overlaps[:, index].argmax()
        if overlaps[anchor, index] >= MIN_OVERLAP:
            face[anchor], best[anchor] = index, 1.0
    labels = np.where(best >= positive, POSITIVE, IGNORED)
    labels = np.where(best < negative, NEGATIVE, labels).astype(np.int32)
    return _encode(labels, boxes[face], landmarks[face], anchors)


def leave_out(targets: Targets, boxes: np.ndarray, anchors: np.ndarray) -> Targets:
    """Returns targets in which the background on some boxes is not counted.

    Args:
        targets: Of `match`.
        boxes: `(n, 4)` pixels of what may be a face: too small, hidden, unsure.
        anchors: `(n, 4)` from `anchors.make_anchors`.
    """
    if len(boxes) == 0:
        return targets
    near = overlap(corners(anchors)[:, None], boxes[None]).max(axis=1) > 0.2
    labels = np.where(near & (targets.labels == NEGATIVE), IGNORED, targets.labels)
    return dataclasses.replace(targets, labels=labels.astype(np.int32))


def _background(n: int) -> Targets:
    return Targets(
        np.zeros(n, np.int32),
        np.zeros((n, 4), np.float32),
        np.zeros((n, 10), np.float32),
        np.zeros(n, np.float32),
    )


def _encode(
    labels: np.ndarray, boxes: np.ndarray, landmarks: np.ndarray, anchors: np.ndarray
) -> Targets:
    targets = _background(len(anchors))
    found = labels == POSITIVE
    targets.labels[:] = labels
    targets.boxes[found] = anchors_module.encode_boxes(boxes[found], anchors[found])
    pointed = found & np.isfinite(landmarks).all(axis=(1, 2))
    targets.landmarks[pointed] = anchors_module.encode_landmarks(
        landmarks[pointed], anchors[pointed]
    )
    targets.has_landmarks[pointed] = 1.0
    return targets
