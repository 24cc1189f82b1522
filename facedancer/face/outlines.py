"""The part of a picture that a face takes up, drawn from its five landmarks.

It is what a swapped face is pasted over. Two faces whose outlines have much in common
are one face and a wrong find; where they have little in common, one of them stands in
front of the other.
"""

from __future__ import annotations

import itertools

import cv2
import numpy as np

# Measured on 1,800 photos: wrong finds, mostly between two heads, share more than this
# of the smaller outline with a surer face; half-hidden faces share up to it.
GHOST_OVERLAP = 0.31
# Landmarks of a find that lie in a surer face, from which it is none itself; and those
# of both that lie in the other, from which they are one.
GHOST_LANDMARKS, SHARED_LANDMARKS = 3, 4


def face_outline(landmarks: np.ndarray) -> np.ndarray:
    """Returns the outline of a face, as points around it.

    Args:
        landmarks: `(5, 2)` left eye, right eye, nose, left and right mouth corner.

    Returns:
        `(n, 2)` points, the convex hull of brows, cheeks, jaw and chin, rounded.
    """
    left, right, nose, mouth_left, mouth_right = landmarks
    eyes, mouth = (left + right) / 2, (mouth_left + mouth_right) / 2
    down = mouth - eyes
    height = np.hypot(*down)
    along = right - left
    # A head in profile has its eyes close together; the hull then follows the height.
    min_length = 0.35 * height
    length = np.hypot(*along)
    if length < min_length:
        side = np.array([-down[1], down[0]]) / max(height, 1e-6)
        along = side * min_length if side @ along < 0 else -side * min_length
        along = -along if along @ (right - left) < 0 else along
    across = along
    points = [
        left - 0.48 * across - 0.10 * down,
        left - 0.30 * across - 0.48 * down,
        left + 0.15 * across - 0.66 * down,
        right - 0.15 * across - 0.66 * down,
        right + 0.30 * across - 0.48 * down,
        right + 0.48 * across - 0.10 * down,
        right + 0.46 * across + 0.45 * down,
        mouth_right + 0.34 * across + 0.05 * down,
        mouth_right + 0.12 * across + 0.48 * down,
        mouth + 0.66 * down,
        mouth_left - 0.12 * across + 0.48 * down,
        mouth_left - 0.34 * across + 0.05 * down,
        left - 0.46 * across + 0.45 * down,
        nose,
    ]
    hull = cv2.convexHull(np.array(points, np.float32))[:, 0]
    return hull.astype(np.float64)


def ghosts(landmarks: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Returns which finds of one picture are no faces: they lie on a surer one.

    The surest find is a face. Each further one is a ghost if its outline has much in
    common with a face, or its landmarks lie in one; a ghost excuses no other.

    Args:
        landmarks: `(n, 5, 2)` pixels.
        scores: `(n,)`.

    Returns:
        `(n,)` bool.
    """
    shapes = [_shape(points) for points in landmarks]
    is_ghost = np.zeros(len(landmarks), bool)
    faces: list[int] = []
    for find in np.argsort(-np.asarray(scores), kind="stable"):
        near = (face for face in faces if _touch(shapes[find], shapes[face]))
        is_ghost[find] = any(
            _is_one(landmarks[find], shapes[find], landmarks[face], shapes[face])
            for face in near
        )
        if not is_ghost[find]:
            faces.append(find)
    return is_ghost


def in_front(landmarks: np.ndarray) -> np.ndarray:
    """Returns which faces of one picture hide a part of which, or would.

    Of two faces that touch, the one behind is the one of which more landmarks lie in
    the other; if they are as many, the smaller one.

    Args:
        landmarks: `(n, 5, 2)` pixels.

    Returns:
        `(n, n)` bool, true at `[i, j]` where face j stands in front of face i.
    """
    shapes = [_shape(points) for points in landmarks]
    front = np.zeros((len(shapes), len(shapes)), bool)
    for i, j in itertools.combinations(range(len(shapes)), 2):
        if _touch(shapes[i], shapes[j]):
            behind = _behind(landmarks[i], shapes[i], landmarks[j], shapes[j])
            front[i, j], front[j, i] = behind, not behind
    return front


def _behind(
    landmarks: np.ndarray, shape: np.ndarray, other: np.ndarray, there: np.ndarray
) -> bool:
    hidden, hides = _inside(landmarks, there), _inside(other, shape)
    if hidden != hides:
        return hidden > hides
    return cv2.contourArea(shape) < cv2.contourArea(there)


def _is_one(
    landmarks: np.ndarray, shape: np.ndarray, other: np.ndarray, there: np.ndarray
) -> bool:
    hidden, hides = _inside(landmarks, there), _inside(other, shape)
    if hidden >= GHOST_LANDMARKS or hidden + hides >= SHARED_LANDMARKS:
        return True
    smaller = min(cv2.contourArea(shape), cv2.contourArea(there))
    return cv2.intersectConvexConvex(shape, there)[0] > GHOST_OVERLAP * smaller


def _shape(landmarks: np.ndarray) -> np.ndarray:
    return face_outline(np.asarray(landmarks, np.float64)).astype(np.float32)


def _touch(one: np.ndarray, other: np.ndarray) -> bool:
    """Whether the boxes around two outlines meet."""
    return bool(np.all((one.min(0) < other.max(0)) & (other.min(0) < one.max(0))))


def _inside(points: np.ndarray, outline: np.ndarray) -> int:
    """How many points lie in an outline."""
    return sum(
        cv2.pointPolygonTest(outline, (float(x), float(y)), False) >= 0
        for x, y in points
    )
