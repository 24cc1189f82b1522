"""Many small pictures on one large one, to look through a data set."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import cv2
import numpy as np

CAPTION_HEIGHT = 14


def contact_sheet(
    pictures: Iterable[tuple[np.ndarray, str]], columns: int = 10, side: int = 128
) -> np.ndarray:
    """Returns pictures in rows, each fitted into a square, with a caption below.

    Args:
        pictures: `(height, width, 3)` uint8 RGB each, and its caption.
        columns: Pictures in a row.
        side: Of the squares in pixels.

    Returns:
        `(rows * (side + 14), columns * side, 3)` uint8 RGB.

    Raises:
        ValueError: If there is no picture.
    """
    tiles = [_tile(picture, caption, side) for picture, caption in pictures]
    if not tiles:
        raise ValueError("A contact sheet needs at least one picture.")
    columns = min(columns, len(tiles))
    tiles += [np.full_like(tiles[0], 255)] * (-len(tiles) % columns)
    rows = [np.hstack(tiles[at : at + columns]) for at in range(0, len(tiles), columns)]
    return np.vstack(rows)


def _tile(picture: np.ndarray, caption: str, side: int) -> np.ndarray:
    tile = np.full((side + CAPTION_HEIGHT, side, 3), 255, np.uint8)
    scale = side / max(picture.shape[:2])
    width = max(1, round(picture.shape[1] * scale))
    height = max(1, round(picture.shape[0] * scale))
    small = fitted(picture, height, width)
    top, left = (side - height) // 2, (side - width) // 2
    tile[top : top + height, left : left + width] = small
    corner = (2, side + CAPTION_HEIGHT - 4)
    plain = caption.encode("ascii", "replace").decode()[-side // 6 :]
    cv2.putText(tile, plain, corner, cv2.FONT_HERSHEY_SIMPLEX, 0.33, (0, 0, 0), 1)
    return tile


def fitted(picture: np.ndarray, height: int, width: int) -> np.ndarray:
    """Returns an image of another size, averaged where it gets smaller.

    Args:
        picture: `(any, any, 3)` uint8.
        height: In pixels.
        width: In pixels.
    """
    interpolation = cv2.INTER_AREA if height < picture.shape[0] else cv2.INTER_LINEAR
    return cv2.resize(picture, (width, height), interpolation=interpolation)


def mark_face(
    image: np.ndarray,
    box: Sequence[float] | np.ndarray,
    landmarks: Sequence[Sequence[float]] | np.ndarray,
) -> np.ndarray:
    """Returns a copy of an image with one face drawn in.

    Args:
        image: `(height, width, 3)` uint8 RGB.
        box: `x_min, y_min, x_max, y_max` in pixels.
        landmarks: `(5, 2)` pixels.
    """
    marked = image.copy()
    thick = max(1, max(image.shape[:2]) // 128)
    x_min, y_min, x_max, y_max = (int(round(value)) for value in box)
    cv2.rectangle(marked, (x_min, y_min), (x_max, y_max), (255, 220, 0), thick)
    for x, y in landmarks:
        cv2.circle(marked, (int(round(x)), int(round(y))), thick, (0, 255, 0), -1)
    return marked
