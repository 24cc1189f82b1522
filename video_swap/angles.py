"""Find faces that lie on the side or upside down."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from facedancer.faces import Faces

_SAME = 0.4  # overlap from which two boxes are one face


class MultiAngle:
    """Searches each image upright and turned by 90, 180 and 270 degrees.

    Of boxes that overlap the one with the best score is kept; its landmarks say which
    way the face is up.

    Args:
        detector: What searches one orientation.
    """

    def __init__(self, detector):
        self.detector = detector
        self.name = f"{detector.name}, four angles"

    def detect(self, image: np.ndarray) -> Faces:
        """Returns the faces of one image.

        Args:
            image: `(height, width, 3)` uint8 RGB.
        """
        return self.detect_batch([image])[0]

    def detect_batch(self, images: Sequence[np.ndarray]) -> list[Faces]:
        """Returns the faces of several images.

        Args:
            images: Each `(height, width, 3)` uint8 RGB.
        """
        turned = [
            self.detector.detect_batch(
                [np.ascontiguousarray(np.rot90(image, k)) for image in images]
            )
            for k in range(4)
        ]
        return [
            _best([_turn_back(turned[k][i], image.shape, k) for k in range(4)])
            for i, image in enumerate(images)
        ]


def _turn_back(faces, shape, k):
    """Returns faces of `rot90(image, k)` in pixels of the image."""
    height, width = shape[:2]
    points = np.concatenate(
        [faces.landmarks, faces.boxes.reshape(-1, 2, 2)], axis=1
    ).astype(np.float64)
    x, y = points[..., 0], points[..., 1]
    if k == 1:
        points = np.stack([width - 1 - y, x], axis=-1)
    elif k == 2:
        points = np.stack([width - 1 - x, height - 1 - y], axis=-1)
    elif k == 3:
        points = np.stack([y, height - 1 - x], axis=-1)
    corners = points[:, 5:]
    boxes = np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=1)
    return Faces(boxes.reshape(-1, 4), points[:, :5], faces.scores)


def _best(found):
    """Joins the faces of all angles, best score first, without doubles."""
    faces = Faces(
        np.concatenate([one.boxes for one in found]),
        np.concatenate([one.landmarks for one in found]),
        np.concatenate([one.scores for one in found]),
    )
    faces = faces[np.argsort(-faces.scores, kind="stable")]
    kept: list[int] = []
    for i, box in enumerate(faces.boxes):
        if all(overlap(box, faces.boxes[j]) < _SAME for j in kept):
            kept.append(i)
    return faces[np.array(kept, int)]


def overlap(a: np.ndarray, b: np.ndarray) -> float:
    """Returns the intersection over union of two boxes.

    Args:
        a: `x_min, y_min, x_max, y_max`.
        b: Same form.
    """
    left, top = np.maximum(a[:2], b[:2])
    right, bottom = np.minimum(a[2:], b[2:])
    inside = max(right - left, 0) * max(bottom - top, 0)
    areas = [max(c[2] - c[0], 0) * max(c[3] - c[1], 0) for c in (a, b)]
    return float(inside / max(sum(areas) - inside, 1e-9))
