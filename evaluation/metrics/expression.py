"""Expression, gaze and mouth: how far two faces are apart, without their pose.

A mesh is `(478, 3)`: MediaPipe's face landmarks, x right, y down, z away from the
camera, in pixels of one crop.
"""

from __future__ import annotations

import numpy as np

from facedancer.face import pose

# Points of the mesh.
_EYE_CORNERS = ((33, 133), (362, 263))  # outer and inner, left eye in the image first
_IRIS = (468, 473)
_LIPS = (13, 14)  # inner edges, upper and lower
_MOUTH_CORNERS = (78, 308)


def procrustes(moving: np.ndarray, fixed: np.ndarray) -> np.ndarray:
    """Returns point sets turned, scaled and shifted onto others (Umeyama, 1991).

    Args:
        moving: `(n, points, axes)`.
        fixed: Same shape.

    Returns:
        `moving` after the least-squares similarity without reflection, for each of n.
    """
    moving = np.asarray(moving, np.float64)
    fixed = np.asarray(fixed, np.float64)
    centre = fixed.mean(axis=1, keepdims=True)
    a, b = moving - moving.mean(axis=1, keepdims=True), fixed - centre
    u, s, vt = np.linalg.svd(np.swapaxes(b, 1, 2) @ a)
    sign = np.ones_like(s)
    sign[:, -1] = np.sign(np.linalg.det(u @ vt))
    turn = (u * sign[:, None, :]) @ vt
    scale = (s * sign).sum(axis=1) / np.maximum((a**2).sum(axis=(1, 2)), 1e-12)
    return scale[:, None, None] * a @ np.swapaxes(turn, 1, 2) + centre


def mesh_distance(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Returns how far the points of two faces are apart after their poses are undone.

    Args:
        a: `(n, 478, 3)` meshes.
        b: Same shape.

    Returns:
        `(n,)` mean distance of points after `procrustes`, in percent of the distance
        of the outer eye corners of `b`.
    """
    moved = procrustes(a, b)
    (left, _), (_, right) = _EYE_CORNERS
    eyes = np.linalg.norm(b[:, left] - b[:, right], axis=-1)
    distance = np.linalg.norm(moved - b, axis=-1).mean(axis=1)
    return 100.0 * distance / np.maximum(eyes, 1e-9)


def landmark_residuals(landmarks: np.ndarray) -> np.ndarray:
    """Returns what is left of five landmarks when the head's pose is taken out.

    The points of an average face are turned to the pose that `pose.solve_pose` finds,
    fitted by scale and shift, and subtracted; what is left is turned back in the
    plane and divided by the size of the face.

    Args:
        landmarks: `(n, 5, 2)` pixels.

    Returns:
        `(n, 5, 2)` in percent of the distance of the eyes seen from the front; NaN
        where there is no pose.
    """
    rows = [_residual(points) for points in np.asarray(landmarks, np.float64)]
    return np.stack(rows) if rows else np.zeros((0, 5, 2))


def _residual(points: np.ndarray) -> np.ndarray:
    angles = pose.solve_pose(points)
    if not np.isfinite(angles).all():
        return np.full((5, 2), np.nan)
    model = pose.project(angles, size=1.0)
    model = model - model.mean(axis=0)
    centred = points - points.mean(axis=0)
    scale = (model * centred).sum() / (model**2).sum()
    roll = pose.rotation(np.array([0.0, 0.0, -angles[2]]))[:2, :2]
    return 100.0 * (centred / scale - model) @ roll.T


def landmark_distance(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Returns how far five landmarks are apart after both poses are taken out.

    Args:
        a: `(n, 5, 2)` pixels.
        b: Same shape; each may be of another image.

    Returns:
        `(n,)` mean distance, percent of the distance of the eyes.
    """
    apart = landmark_residuals(a) - landmark_residuals(b)
    return np.linalg.norm(apart, axis=-1).mean(axis=-1)


def vector_distance(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Returns the Euclidean distance of expression vectors, `(n,)`.

    Args:
        a: `(n, d)` blendshapes or outputs of an expression embedder.
        b: Same shape.
    """
    return np.linalg.norm(np.asarray(a, np.float64) - b, axis=-1)


def mouth_opening(mesh: np.ndarray) -> np.ndarray:
    """Returns the gap between the lips, in percent of the mouth's width, `(n,)`.

    Args:
        mesh: `(n, 478, 3)`.
    """
    gap = np.linalg.norm(mesh[:, _LIPS[0]] - mesh[:, _LIPS[1]], axis=-1)
    left, right = _MOUTH_CORNERS
    width = np.linalg.norm(mesh[:, left] - mesh[:, right], axis=-1)
    return 100.0 * gap / np.maximum(width, 1e-9)


def gaze(mesh: np.ndarray) -> np.ndarray:
    """Returns where the irises stand between the corners of their eyes.

    Args:
        mesh: `(n, 478, 3)`.

    Returns:
        `(n, 2)`, the mean of both eyes: along the line of the corners (right positive)
        and across it (down positive), from the middle, in percent of the eye's width.
    """
    both = []
    for iris, (a, b) in zip(_IRIS, _EYE_CORNERS, strict=True):
        corner, other = mesh[:, a, :2], mesh[:, b, :2]
        along = other - corner
        width = np.maximum(np.linalg.norm(along, axis=-1, keepdims=True), 1e-9)
        along = along / width
        across = np.stack([-along[:, 1], along[:, 0]], axis=-1)
        offset = mesh[:, iris, :2] - (corner + other) / 2.0
        parts = [(offset * along).sum(-1), (offset * across).sum(-1)]
        both.append(100.0 * np.stack(parts, axis=-1) / width)
    return np.mean(both, axis=0)
