"""Pictures of where a face is, for swappers that are fed more than target and identity.

Training and swapping make them here, so that a network sees the same in both: the
functions compute on NumPy arrays or, with `xp=keras.ops`, on tensors. A picture is
resized or blurred by a matrix from both sides.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from types import ModuleType
from typing import Any

import cv2
import numpy as np

from facedancer.face import face_classes, outlines

# Of a semantic mask: brows to chin, both eyes, and the mouth with the nose.
PARTS = ("face", "eyes", "nose and mouth")
_EYE, _NOSE, _MOUTH = 0.22, 0.20, (0.75, 0.35)  # of the distance of eyes, of the mouth
CELLS = (4, 15)  # a side that a hidden face is averaged over, in training
SHOWN_CELLS = 9  # the same where a face is swapped
# Classes that are hidden of a face; hair, hands and the like before it are not.
FACE = (
    face_classes.SKIN,
    face_classes.NOSE,
    face_classes.GLASSES,
    *face_classes.EYES,
    *face_classes.BROWS,
    face_classes.INNER_MOUTH,
    face_classes.UPPER_LIP,
    face_classes.LOWER_LIP,
)
RECOGNISED = 0.2  # of a face's outline: with less of it in `FACE` it was not seen
_COLOURS = {
    "skin": (0, 0, 255),
    "nose": (0, 0, 255),
    "glasses": (0, 128, 128),
    "left eye": (255, 255, 255),
    "right eye": (255, 255, 255),
    "left brow": (0, 255, 255),
    "right brow": (0, 255, 255),
    "left ear": (0, 0, 128),
    "right ear": (0, 0, 128),
    "inner mouth": (255, 128, 160),
    "upper lip": (255, 0, 0),
    "lower lip": (255, 0, 0),
    "hair": (255, 255, 170),
    "hat": (255, 0, 255),
    "earring": (170, 255, 0),
}
_LINE = (1.0, 1.0, 0.0)  # of the nose


def _table() -> np.ndarray:
    table = [_COLOURS.get(name, (0, 0, 0)) for name in face_classes.NAMES]
    return np.array(table, np.float32) / 255.0


COLOURS = _table()  # `(classes, 3)` in [0, 1]: what a semantic mask is painted in


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


def nose_line(landmarks: np.ndarray, size: int) -> np.ndarray:
    """Returns the bridge of the nose, `(size, size, 1)` float32 of 0 and 1.

    Args:
        landmarks: `(5, 2)` pixels of the crop.
        size: Side of the crop in pixels.
    """
    points = np.asarray(landmarks, np.float64)
    ends = np.rint([points[:2].mean(axis=0), points[2]]).astype(int)
    line = np.zeros((size, size), np.uint8)
    cv2.line(line, ends[0].tolist(), ends[1].tolist(), 1, max(1, round(size / 64)))
    return line[..., None].astype(np.float32)


@functools.lru_cache(maxsize=32)
def resizing(size: int, side: int) -> np.ndarray:
    """Returns the matrix that resizes, `(size, side)`: averaged down, linear up.

    Args:
        size: Of the result in pixels.
        side: Of what is resized.
    """
    smaller = size < side
    method = cv2.INTER_AREA if smaller else cv2.INTER_LINEAR
    return cv2.resize(
        np.eye(side, dtype=np.float32), (side, size), interpolation=method
    )


@functools.lru_cache(maxsize=8)
def feathering(size: int, side: int) -> np.ndarray:
    """Returns the matrix that resizes and softens edges, `(size, side)`.

    Args:
        size: Of the result in pixels; a 60th of it is the blur's deviation.
        side: Of what is resized.
    """
    places = np.arange(size, dtype=np.float32)
    apart = (places[:, None] - places[None]) / max(size / 60.0, 0.5)
    blur = np.exp(-0.5 * apart**2)
    return (blur / blur.sum(axis=1, keepdims=True)) @ resizing(size, side)


@functools.lru_cache(maxsize=64)
def coarsening(size: int, cells: int, cubic: bool = False) -> np.ndarray:
    """Returns the matrix that averages over cells and enlarges again, `(size, size)`.

    Args:
        size: Of the picture in pixels.
        cells: A side.
        cubic: Enlarge by cubics instead of lines.
    """
    method = cv2.INTER_CUBIC if cubic else cv2.INTER_LINEAR
    small = np.eye(cells, dtype=np.float32)
    return cv2.resize(small, (cells, size), interpolation=method) @ resizing(
        cells, size
    )


def both_ways(matrix: Any, images: Any, xp: ModuleType = np) -> Any:
    """Returns pictures multiplied by a matrix along rows and along columns.

    Args:
        matrix: `(size, side)`, or one for each picture, `(n, size, side)`.
        images: `(n, side, side, channels)`.
        xp: `numpy` or `keras.ops`.

    Returns:
        `(n, size, size, channels)`.
    """
    side, size, channels = images.shape[1], matrix.shape[-2], images.shape[-1]
    for _ in range(2):
        flat = xp.reshape(images, (-1, side, images.shape[2] * channels))
        found = xp.matmul(matrix, flat)
        images = xp.reshape(found, (-1, size, images.shape[2], channels))
        images = xp.swapaxes(images, 1, 2)
    return images


def hidden(
    images: Any, classes: Any, area: np.ndarray, coarse: Any, xp: ModuleType = np
) -> Any:
    """Returns crops whose face is nothing but soft colours.

    Args:
        images: `(n, size, size, 3)`.
        classes: `(n, side, side)` int, indices into `face_classes.NAMES`.
        area: `(side, side)` or `(n, side, side)`, see `face_area`.
        coarse: `(size, size)` or `(n, size, size)`, see `coarsening`.
        xp: `numpy` or `keras.ops`.
    """
    table = np.isin(np.arange(len(face_classes.NAMES)), FACE).astype(np.float32)
    face = xp.take(table, classes, axis=0) * area
    soft = both_ways(feathering(images.shape[1], classes.shape[1]), face[..., None], xp)
    return images + soft * (both_ways(coarse, images, xp) - images)


def is_recognised(classes: np.ndarray, landmarks: np.ndarray, size: int) -> bool:
    """Returns whether a parser sees a face where the landmarks say that one is.

    Args:
        classes: `(side, side)` int, indices into `face_classes.NAMES`.
        landmarks: `(5, 2)` pixels of the crop.
        size: Side of the crop in pixels.
    """
    side = len(classes)
    area = face_area(scaled(landmarks, size, side), side)
    return bool((np.isin(classes, FACE) * area).sum() >= RECOGNISED * area.sum())


def coloured_parts(
    classes: Any, line: np.ndarray, size: int, xp: ModuleType = np
) -> Any:
    """Returns the parts of faces in colours, `(n, size, size, 3)` in [0, 1].

    Args:
        classes: `(n, side, side)` int, indices into `face_classes.NAMES`.
        line: `(size, size, 1)` or `(n, size, size, 1)`, see `nose_line`.
        size: Side of the crops in pixels.
        xp: `numpy` or `keras.ops`.
    """
    colours = xp.take(COLOURS, classes, axis=0)
    found = both_ways(resizing(size, classes.shape[1]), colours, xp)
    return found + line * (np.array(_LINE, np.float32) - found)


def scaled(landmarks: np.ndarray, size: int, side: int) -> np.ndarray:
    """Returns landmarks of a crop in one of another size.

    Args:
        landmarks: `(5, 2)` pixels.
        size: Side of their crop.
        side: Of the other one.
    """
    return (np.asarray(landmarks, np.float64) + 0.5) * (side / size) - 0.5


def of_crops(
    images: np.ndarray,
    classes: np.ndarray,
    landmarks: Sequence[np.ndarray],
    cells: int = SHOWN_CELLS,
) -> tuple[np.ndarray, np.ndarray]:
    """Returns crops with hidden faces, and their parts in colours.

    Args:
        images: `(n, size, size, 3)` in [-1, 1].
        classes: `(n, side, side)`, see `hidden`.
        landmarks: `(5, 2)` pixels of each crop.
        cells: See `coarsening`.

    Returns:
        `(n, size, size, 3)` in [-1, 1], and the same in [0, 1].
    """
    size, side = images.shape[1], classes.shape[1]
    areas = [face_area(scaled(points, size, side), side) for points in landmarks]
    lines = [nose_line(points, size) for points in landmarks]
    masked = hidden(images, classes, np.stack(areas), coarsening(size, cells))
    return masked, coloured_parts(classes, np.stack(lines), size)


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
