"""Pictures of where a face is, for swappers that are fed more than target and identity.

Training and swapping make them here, so that a network sees the same in both.
"""

from __future__ import annotations

import cv2
import numpy as np

from facedancer import outlines

# Of a semantic mask: brows to chin, both eyes, and the mouth with the nose.
PARTS = ("face", "eyes", "nose and mouth")
_EYE, _NOSE, _MOUTH = 0.22, 0.20, (0.75, 0.35)  # of the distance of eyes, of the mouth


def face_area(landmarks: np.ndarray, size: int) -> np.ndarray:
    """Returns which pixels of a crop are face, `(size, size)` float32 of 0 and 1.

    Args:
        landmarks: `(5, 2)` pixels of the crop.
        size: Side of the crop in pixels.
    """
    area = np.zeros((size, size), np.uint8)
    outline = outlines.face_outline(np.asarray(landmarks, np.float64))
    cv2.fillPoly(area, [np.rint(outline).astype(np.int32)], 1)
    return area.astype(np.float32)


def without_face(images: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
    """Returns crops whose face is the middle of the range, 0 in [-1, 1].

    Args:
        images: `(..., size, size, 3)` in [-1, 1].
        landmarks: `(5, 2)` pixels of each of them.
    """
    return images * (1.0 - face_area(landmarks, images.shape[-2])[..., None])


def semantic_mask(landmarks: np.ndarray, size: int) -> np.ndarray:
    """Returns where which part of a face is, one channel each of `PARTS`.

    Args:
        landmarks: `(5, 2)` pixels of the crop.
        size: Side of the crop in pixels.

    Returns:
        `(size, size, 3)` float32 of 0 and 1.
    """
    points = np.asarray(landmarks, np.float64)
    left, right, nose, mouth_left, mouth_right = points
    apart = float(np.hypot(*(right - left)))
    middle, across = (mouth_left + mouth_right) / 2, mouth_right - mouth_left
    wide = float(np.hypot(*across))
    eyes, below = np.zeros((2, size, size), np.uint8)
    for eye in (left, right):
        _ellipse(eyes, eye, (_EYE * apart, 0.6 * _EYE * apart), right - left)
    _ellipse(below, nose, (_NOSE * apart, _NOSE * apart), right - left)
    _ellipse(below, middle, (_MOUTH[0] * wide, _MOUTH[1] * wide), across)
    parts = (face_area(points, size), eyes, below)
    return np.stack(parts, axis=-1).astype(np.float32)


def _ellipse(
    mask: np.ndarray, centre: np.ndarray, axes: tuple[float, float], along: np.ndarray
) -> None:
    """Fills an ellipse whose first axis lies along a direction."""
    angle = float(np.degrees(np.arctan2(along[1], along[0])))
    cv2.ellipse(
        mask, (tuple(map(float, centre)), (2 * axes[0], 2 * axes[1]), angle), 1, -1
    )
