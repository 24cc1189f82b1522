"""The surface of a made head, and where its features lie on it.

A head is a stack of ovals: at height y, between -1 (top) and 1 (chin), the surface
runs through `x = w(y) sin(a)`, `z = d(y) cos(a)`, a the angle about the vertical from
the front; bumps are added for brow, nose, lips, chin, cheeks, ears and hair.
"""

from __future__ import annotations

import numpy as np

from facedancer.dataset.made_faces.made_face import Expression, Hair, Identity, Pose

MAX_ANGLE = 2.4  # radians to each side; the back of the head is never seen
_DEPTH = 0.80
EAR_ANGLE, EAR_TOP, EAR_END = 1.5, -0.12, 0.26


def half_width(identity: Identity, y: np.ndarray) -> np.ndarray:
    """Returns the half width of a head at given heights.

    Args:
        identity: Whose.
        y: In [-1, 1].
    """
    y = np.clip(y, -1.0, 1.0)
    top = (1.0 - np.abs(y) ** 2.3) ** 0.5
    power = 2.7 + 0.5 * identity.jaw
    bottom = (1.0 - np.abs(y) ** power) ** (0.78 - 0.10 * identity.jaw)
    return identity.width * np.where(y < 0, top, bottom)


def mouth_middle(identity: Identity) -> float:
    """Returns the y of the closed mouth."""
    return identity.eye_height + identity.nose_length + identity.mouth_height


def mouth_corner(identity: Identity, expression: Expression) -> tuple[float, float]:
    """Returns x and y of the right corner of the mouth.

    Args:
        identity: Whose.
        expression: Which.
    """
    x = identity.mouth_width * (1.0 + 0.16 * expression.smile)
    x *= 1.0 - 0.15 * expression.mouth_open
    y = mouth_middle(identity) - 0.05 * expression.smile
    return x, y + 0.05 * expression.mouth_open


def _bump(
    x: np.ndarray,
    y: np.ndarray,
    at: tuple[float, float],
    radius: tuple[float, float],
    height: float,
) -> np.ndarray:
    square = ((x - at[0]) / radius[0]) ** 2 + ((y - at[1]) / radius[1]) ** 2
    return height * np.exp(-0.5 * square)


def _relief(identity: Identity, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Returns how far the face stands out of the oval, along z."""
    eyes, tip = identity.eye_height, identity.eye_height + identity.nose_length
    mouth = mouth_middle(identity)
    size, wide = identity.nose_height, identity.nose_width
    # the bridge rises in a line from between the eyes to the tip
    along = np.clip((y - eyes + 0.08) / (identity.nose_length + 0.02), 0.0, 1.0)
    below = np.exp(-0.5 * (np.maximum(y - tip, 0.0) / 0.045) ** 2)
    spread = 0.035 + 0.35 * wide * along**2
    nose = size * (0.15 + 0.85 * along**1.3) * (along > 0) * below
    relief = nose * np.exp(-0.5 * (x / spread) ** 2)
    for side in (-1, 1):
        wing = (side * wide * 0.75, tip + 0.015)
        relief += _bump(x, y, wing, (wide * 0.32, 0.05), 0.3 * size)
        eye = (side * identity.eye_distance, eyes)
        relief += _bump(x, y, eye, (0.14, 0.08), -0.055)
        relief += _bump(x, y, eye, (0.07, 0.05), 0.02)
        cheek = (side * 0.36, eyes + 0.22)
        relief += _bump(x, y, cheek, (0.14, 0.12), identity.cheek)
        ridge = (side * 0.24, eyes - 0.17)
        relief += _bump(x, y, ridge, (0.18, 0.05), 0.025)
    relief += _bump(x, y, (0, mouth), (identity.mouth_width, 0.09), 0.035)
    return relief + _bump(x, y, (0, 0.92), (0.14, 0.09), 0.06)


def surface(
    identity: Identity,
    expression: Expression,
    angle: np.ndarray,
    y: np.ndarray,
    lift: np.ndarray | float = 0.0,
) -> np.ndarray:
    """Returns points of a head's surface, `(..., 3)` in half heads.

    Args:
        identity: Whose.
        expression: An open mouth lowers the chin.
        angle: Radians from the front, to the right of the image.
        y: Height on the closed face, in [-1, 1].
        lift: How far the hair stands off.
    """
    width = half_width(identity, y)
    depth = _DEPTH * (1.0 - np.abs(np.clip(y, -1, 1)) ** 3.2) ** 0.42
    ear = np.exp(-0.5 * ((np.abs(angle) - EAR_ANGLE) / 0.07) ** 2)
    ear = ear * np.clip((y - EAR_TOP) / 0.05, 0, 1) * np.clip((EAR_END - y) / 0.1, 0, 1)
    x = (width + lift + 0.09 * ear) * np.sin(angle)
    cosine = np.cos(angle)
    z = (depth + lift) * np.sign(cosine) * np.abs(cosine) ** 0.85
    z = z + _relief(identity, x, y) * (cosine > 0)
    middle = mouth_middle(identity)
    fall = np.clip((y - middle) / (1.0 - middle), 0.0, 1.0)
    top = np.clip(-y - 0.5, 0.0, 1.0)
    lowered = y + 0.10 * expression.mouth_open * fall * (2.0 - fall) - lift * top
    return np.stack(np.broadcast_arrays(x, lowered, z), axis=-1)


def front_angle(identity: Identity, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Returns the angle at which a point seen from the front lies.

    Args:
        identity: Whose.
        x: In half heads.
        y: The same.
    """
    width = np.maximum(half_width(identity, np.asarray(y)), 1e-3)
    return np.arcsin(np.clip(np.asarray(x) / width, -0.999, 0.999))


def landmarks_3d(identity: Identity, expression: Expression) -> np.ndarray:
    """Returns eyes, nose tip and mouth corners, `(5, 3)`, left as in the image.

    Args:
        identity: Whose.
        expression: Which.
    """
    x, y = mouth_corner(identity, expression)
    eyes, apart = identity.eye_height, identity.eye_distance
    flat = np.array(
        [
            [-apart, eyes],
            [apart, eyes],
            [0.0, eyes + identity.nose_length],
            [-x, y],
            [x, y],
        ]
    )
    angle = front_angle(identity, flat[:, 0], flat[:, 1])
    return surface(identity, expression, angle, flat[:, 1])


def rotation(pose: Pose) -> np.ndarray:
    """Returns the `(3, 3)` matrix from the head's axes to the camera's.

    Turned about the vertical first, then nodded, then leaned.

    Args:
        pose: The angles.
    """
    yaw, pitch, roll = np.radians([pose.yaw, pose.pitch, pose.roll])
    c, s = np.cos(yaw), np.sin(yaw)
    turn = np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]])
    c, s = np.cos(pitch), np.sin(pitch)
    nod = np.array([[1, 0, 0], [0, c, s], [0, -s, c]])
    c, s = np.cos(roll), np.sin(roll)
    lean = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])
    return lean @ nod @ turn


def project(points: np.ndarray, pose: Pose, height: int, width: int) -> np.ndarray:
    """Returns x, y in pixels of the image and z in the same unit, `(..., 3)`.

    The camera is far away (scaled orthographic). The origin is the centre of the
    top-left pixel.

    Args:
        points: `(..., 3)` in half heads.
        pose: Of the head.
        height: Of the image in pixels.
        width: The same.
    """
    scale = pose.scale * height / 2.0
    centre = np.array([pose.x * width - 0.5, pose.y * height - 0.5, 0.0])
    return scale * (np.asarray(points) @ rotation(pose).T) + centre


def hair_line(hair: Hair, angle: np.ndarray) -> np.ndarray:
    """Returns the y above which hair grows, for angles about the head.

    Args:
        hair: The hair.
        angle: Radians from the front.
    """
    away = np.abs(angle)
    front = hair.line + 0.10 * (angle - hair.parting) ** 2 * (away < 1)
    temple = np.clip((away - 0.85) / 0.3, 0.0, 1.0)
    side = np.clip((away - 1.15) / 0.2, 0.0, 1.0)
    line = front + temple * (-0.25 - front)
    line = line + side * (max(hair.length, -0.15) - line)
    return np.where(hair.line < -1.0, -1.2, line)
