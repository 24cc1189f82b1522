"""The faces found in one image."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np


@dataclasses.dataclass(frozen=True)
class Faces:
    """Faces found in one image, best score first.

    All coordinates are pixels of the image that was searched: x to the right,
    y down, the centre of the top-left pixel at (0, 0).

    Attributes:
        boxes: `(n, 4)` float32, each row `x_min, y_min, x_max, y_max`.
        landmarks: `(n, 5, 2)` float32, `x, y` of the left eye, right eye, nose,
            left mouth corner and right mouth corner, left as seen in the image.
        scores: `(n,)` float32 in [0, 1].

    Raises:
        ValueError: If a field has another shape.
    """

    boxes: np.ndarray
    landmarks: np.ndarray
    scores: np.ndarray

    def __post_init__(self) -> None:
        n = len(self.scores)
        expected = {"boxes": (n, 4), "landmarks": (n, 5, 2), "scores": (n,)}
        for name, shape in expected.items():
            value = np.asarray(getattr(self, name), np.float32)
            if value.shape != shape:
                raise ValueError(
                    f"`{name}` must have shape {shape} for {n} scores. "
                    f"Received: shape {value.shape}"
                )
            object.__setattr__(self, name, value)

    def __len__(self) -> int:
        return len(self.scores)

    def __getitem__(self, keep: slice | np.ndarray) -> Faces:
        """Returns the faces at a slice, a boolean mask or an index array."""
        return Faces(self.boxes[keep], self.landmarks[keep], self.scores[keep])

    @classmethod
    def empty(cls) -> Faces:
        """Returns what a detector gives for an image without a face."""
        return cls(np.zeros((0, 4)), np.zeros((0, 5, 2)), np.zeros(0))

    @property
    def sides(self) -> np.ndarray:
        """`(n,)` float32, the longer side of each box in pixels."""
        return (self.boxes[:, 2:] - self.boxes[:, :2]).max(axis=1, initial=0.0)

    @property
    def areas(self) -> np.ndarray:
        """`(n,)` float32, the area of each box in square pixels."""
        width, height = (self.boxes[:, 2:] - self.boxes[:, :2]).clip(0).T
        return width * height


def concatenate(parts: Sequence[Faces]) -> Faces:
    """Returns the faces of several findings in one image, in the order given.

    Args:
        parts: At least one, all in pixels of the same image.
    """
    names = [field.name for field in dataclasses.fields(Faces)]
    return Faces(
        *(np.concatenate([getattr(part, name) for part in parts]) for name in names)
    )


def turn_back(faces: Faces, turns: int, size: tuple[int, int]) -> Faces:
    """Returns faces of an image turned by `numpy.rot90` in pixels of the image itself.

    Args:
        faces: In pixels of the turned image.
        turns: Quarter turns, counterclockwise.
        size: Height and width of the image before it was turned.
    """
    corners, points = faces.boxes.reshape(-1, 2, 2), faces.landmarks
    for turn in range(turns, 0, -1):
        width = size[1] if turn % 2 else size[0]  # before this turn
        corners, points = (
            np.stack([width - 1 - xy[..., 1], xy[..., 0]], axis=-1)
            for xy in (corners, points)
        )
    boxes = np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=1)
    return Faces(boxes, points, faces.scores)


def rescale(faces: Faces, size: tuple[int, int], new_size: tuple[int, int]) -> Faces:
    """Returns faces of an image in pixels of the same image at another size.

    Args:
        faces: In pixels of the image.
        size: Its height and width.
        new_size: Height and width of the image they shall fit.
    """
    factor = np.array([new_size[1] / size[1], new_size[0] / size[0]], np.float32)
    # The centre of the top-left pixel is (0, 0), so edges lie at -0.5.
    boxes = (faces.boxes.reshape(-1, 2, 2) + 0.5) * factor - 0.5
    landmarks = (faces.landmarks + 0.5) * factor - 0.5
    return Faces(boxes.reshape(-1, 4), landmarks, faces.scores)
