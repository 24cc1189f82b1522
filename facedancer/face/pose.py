"""Head pose in degrees from five landmarks (PnP), and differences of poses.

Angles are yaw, pitch and roll: rotations about the axes down, right and into the
image, applied in the order yaw, pitch, roll. Positive yaw turns the nose to the right
of the image, positive pitch lowers it, positive roll turns the head clockwise.
"""

from __future__ import annotations

import cv2
import numpy as np

# Left eye, right eye, nose, mouth corners of an upright face, left as seen in the
# image: x right, y down, z away from the camera; unit: distance of the eyes. x and y
# are those of the ArcFace template (Deng et al., 2019), z of an average adult face.
FACE_POINTS = np.array(
    [
        [-0.500, -0.574, 0.000],
        [0.500, -0.574, 0.000],
        [0.000, 0.000, -0.450],
        [-0.414, 0.585, -0.080],
        [0.414, 0.585, -0.080],
    ]
)


def rotation(angles: np.ndarray) -> np.ndarray:
    """Returns the rotation matrix of a pose.

    Args:
        angles: `(3,)` yaw, pitch, roll in degrees.

    Returns:
        `(3, 3)` float64; it is multiplied from the left to points as columns.
    """
    yaw, pitch, roll = np.radians(np.asarray(angles, np.float64))
    c, s = np.cos(-yaw), np.sin(-yaw)
    about_y = np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]])
    c, s = np.cos(-pitch), np.sin(-pitch)
    about_x = np.array([[1, 0, 0], [0, c, s], [0, -s, c]])
    c, s = np.cos(roll), np.sin(roll)
    about_z = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])
    return about_z @ about_x @ about_y


def angles_of(matrix: np.ndarray) -> np.ndarray:
    """Returns the pose of a rotation matrix, the inverse of `rotation`.

    Args:
        matrix: `(3, 3)`.

    Returns:
        `(3,)` yaw in [-180, 180], pitch in [-90, 90] and roll, in degrees.
    """
    # The last row is (cos pitch sin yaw, sin pitch, cos pitch cos yaw).
    pitch = np.arcsin(np.clip(matrix[2, 1], -1.0, 1.0))
    yaw = np.arctan2(matrix[2, 0], matrix[2, 2])
    roll = np.arctan2(-matrix[0, 1], matrix[1, 1])
    return np.degrees([yaw, pitch, roll])


def project(
    angles: np.ndarray, size: float = 60.0, distance: float = 12.0
) -> np.ndarray:
    """Returns where a camera sees the five points of a head in some pose.

    Args:
        angles: `(3,)` yaw, pitch, roll in degrees.
        size: Distance of the eyes in pixels when seen from the front.
        distance: Of head and camera, in distances of the eyes.

    Returns:
        `(5, 2)` pixels from the centre of the image.
    """
    points = FACE_POINTS @ rotation(angles).T
    depth = points[:, 2:] + distance
    return points[:, :2] / depth * size * distance


def solve_pose(landmarks: np.ndarray, distance: float = 12.0) -> np.ndarray:
    """Returns the pose of a head from five landmarks, by perspective-n-point.

    The camera looks at the middle of the landmarks from `distance`, which leaves the
    crop and the focal length of the photo out of the figure.

    Args:
        landmarks: `(5, 2)` pixels; left eye, right eye, nose, left and right mouth
            corner, left as seen in the image.
        distance: Of head and camera, in distances of the eyes.

    Returns:
        `(3,)` yaw, pitch, roll in degrees; NaN where no pose fits.
    """
    landmarks = np.asarray(landmarks, np.float64)
    if not np.isfinite(landmarks).all():
        return np.full(3, np.nan)
    centred = landmarks - landmarks.mean(axis=0)
    extent = np.sqrt((centred**2).sum(axis=1).mean())
    if extent <= 0.0:
        return np.full(3, np.nan)
    focal = distance * extent / _EXTENT
    camera = np.array([[focal, 0, 0], [0, focal, 0], [0, 0, 1.0]])
    done, turn, shift = cv2.solvePnP(
        FACE_POINTS, centred, camera, None, flags=cv2.SOLVEPNP_SQPNP
    )
    if not done:
        return np.full(3, np.nan)
    turn, _ = cv2.solvePnPRefineLM(FACE_POINTS, centred, camera, None, turn, shift)
    return angles_of(cv2.Rodrigues(turn)[0])


_EXTENT = float(
    np.sqrt(((FACE_POINTS[:, :2] - FACE_POINTS[:, :2].mean(axis=0)) ** 2).sum(1).mean())
)


def angle_difference(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Returns `b - a` in degrees, wrapped to [-180, 180).

    Args:
        a: Degrees, any shape.
        b: Degrees, same shape.
    """
    return (np.asarray(b) - np.asarray(a) + 180.0) % 360.0 - 180.0


def pose_distance(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Returns the length of the difference of angles, `(n,)` degrees.

    Args:
        a: `(n, 3)` yaw, pitch, roll in degrees.
        b: `(n, 3)`.
    """
    return np.linalg.norm(angle_difference(a, b), axis=-1)
