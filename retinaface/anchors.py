"""The boxes that RetinaFace starts from, and what its outputs mean against them.

Anchors are `(n, 4)`: centre x, centre y, width, height, in pixels of the searched
image. Boxes are `x_min, y_min, x_max, y_max`. After Liu et al., 2016 (SSD) and Deng et
al., 2019 (RetinaFace).
"""

from __future__ import annotations

import functools

import numpy as np

STRIDES = (8, 16, 32)
SIDES = ((16, 32), (64, 128), (256, 512))
VARIANCES = (0.1, 0.2)  # of centres and landmarks; of sizes


@functools.lru_cache(maxsize=32)
def make_anchors(height: int, width: int) -> np.ndarray:
    """Returns the anchors of an image, in the order of the network's outputs.

    Strides from fine to coarse; cells row by row, also the ones the image only partly
    covers; at each cell the small and the large square.

    Args:
        height: Of the searched image in pixels.
        width: Of the searched image in pixels.

    Returns:
        `(n, 4)` float32, read only: it is kept for the next image of that size.
    """
    parts = []
    for stride, sides in zip(STRIDES, SIDES, strict=True):
        rows, columns = -(-height // stride), -(-width // stride)
        y, x, side = np.meshgrid(
            (np.arange(rows) + 0.5) * stride,
            (np.arange(columns) + 0.5) * stride,
            np.array(sides, np.float64),
            indexing="ij",
        )
        parts.append(np.stack([x, y, side, side], axis=-1).reshape(-1, 4))
    anchors = np.concatenate(parts).astype(np.float32)
    anchors.setflags(write=False)
    return anchors


def decode_boxes(offsets: np.ndarray, anchors: np.ndarray) -> np.ndarray:
    """Returns the boxes that the network's offsets describe.

    Args:
        offsets: `(n, 4)`: centre offsets in anchor sizes over 0.1, logarithms of the
            size ratios over 0.2.
        anchors: `(n, 4)` pixels.

    Returns:
        `(n, 4)` `x_min, y_min, x_max, y_max` in pixels.
    """
    centre = anchors[:, :2] + offsets[:, :2] * VARIANCES[0] * anchors[:, 2:]
    size = anchors[:, 2:] * np.exp(offsets[:, 2:] * VARIANCES[1])
    return np.concatenate([centre - size / 2, centre + size / 2], axis=1)


def encode_boxes(boxes: np.ndarray, anchors: np.ndarray) -> np.ndarray:
    """Returns the offsets that `decode_boxes` would turn into these boxes.

    Args:
        boxes: `(n, 4)` pixels, with positive sizes.
        anchors: `(n, 4)` pixels.
    """
    centre = (boxes[:, :2] + boxes[:, 2:]) / 2
    size = boxes[:, 2:] - boxes[:, :2]
    centre_offsets = (centre - anchors[:, :2]) / (VARIANCES[0] * anchors[:, 2:])
    size_offsets = np.log(size / anchors[:, 2:]) / VARIANCES[1]
    return np.concatenate([centre_offsets, size_offsets], axis=1)


def decode_landmarks(offsets: np.ndarray, anchors: np.ndarray) -> np.ndarray:
    """Returns the five points that the network's offsets describe.

    Args:
        offsets: `(n, 10)`: `x, y` of five points from the anchor's centre, in anchor
            sizes over 0.1.
        anchors: `(n, 4)` pixels.

    Returns:
        `(n, 5, 2)` pixels.
    """
    offsets = offsets.reshape(-1, 5, 2) * VARIANCES[0]
    return anchors[:, None, :2] + offsets * anchors[:, None, 2:]


def encode_landmarks(landmarks: np.ndarray, anchors: np.ndarray) -> np.ndarray:
    """Returns the `(n, 10)` offsets that `decode_landmarks` would turn into these.

    Args:
        landmarks: `(n, 5, 2)` pixels.
        anchors: `(n, 4)` pixels.
    """
    offsets = (landmarks - anchors[:, None, :2]) / (VARIANCES[0] * anchors[:, None, 2:])
    return offsets.reshape(-1, 10)
