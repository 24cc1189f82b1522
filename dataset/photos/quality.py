"""How sharp a crop is and which way its face looks."""

from __future__ import annotations

import cv2
import numpy as np

# Left eye, right eye, nose, mouth corners of an average adult in millimetres, left as
# seen in the image: x right, y down, z towards the camera. Rounded anthropometric
# means: pupils 63 apart, mouth 50 wide, nose tip 30 before the plane of the pupils.
FIVE_POINTS_MM = np.array(
    [
        [-31.5, -18.0, 0.0],
        [31.5, -18.0, 0.0],
        [0.0, 18.0, 30.0],
        [-25.0, 47.0, 2.0],
        [25.0, 47.0, 2.0],
    ]
)


def sharpness(crop: np.ndarray) -> float:
    """Returns the variance of the Laplacian of a crop's middle, at 112 pixels.

    A blurred face has about 20 and less, a sharp one some hundreds
    (Pech-Pacheco et al. 2000).

    Args:
        crop: `(size, size, 3)` uint8 RGB.
    """
    grey = cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY)
    grey = cv2.resize(grey, (112, 112), interpolation=cv2.INTER_AREA)
    return float(cv2.Laplacian(grey[16:96, 16:96], cv2.CV_64F).var())


def pose(landmarks: np.ndarray) -> tuple[float, float, float]:
    """Returns yaw, pitch and roll of a face in degrees, estimated from five points.

    A scaled orthographic camera is fitted to an average face by least squares; the
    rows of the fit are made a rotation. Yaw is positive when the nose points to the
    right of the image, pitch when it points down, roll when the head leans clockwise.

    Args:
        landmarks: `(5, 2)` pixels.
    """
    model = FIVE_POINTS_MM - FIVE_POINTS_MM.mean(0)
    points = np.asarray(landmarks, np.float64)
    fit, *_ = np.linalg.lstsq(model, points - points.mean(0), rcond=None)
    u, _, v = np.linalg.svd(fit.T, full_matrices=False)  # nearest two unit rows
    x_row, y_row = u @ v
    z_row = np.cross(x_row, y_row)
    yaw = np.degrees(np.arctan2(x_row[2], z_row[2]))
    pitch = np.degrees(np.arcsin(np.clip(y_row[2], -1.0, 1.0)))
    roll = np.degrees(np.arctan2(y_row[0], y_row[1]))
    return float(yaw), float(pitch), float(roll)
