"""Things that cover a part of a face: patches of other photos in odd shapes."""

from __future__ import annotations

import cv2
import numpy as np

from facedancer.dataset.edits.parts import Part

_CORNERS = 14
_RADIUS = (0.10, 0.22)  # of the crop's side


def occluder(
    photo: np.ndarray,
    landmarks: np.ndarray,
    texture: np.ndarray,
    random: np.random.Generator,
) -> Part:
    """Returns something before a face: a piece of another photo, round or long.

    Args:
        photo: `(size, size, 3)` uint8 RGB.
        landmarks: `(5, 2)` pixels of it.
        texture: `(size, size, 3)` uint8 RGB, another photo.
        random: Decides all the rest.
    """
    size = photo.shape[0]
    left, right, nose, *mouth = np.asarray(landmarks, np.float64)
    across = float(np.hypot(*(right - left)))
    angle = random.uniform(0.0, 2.0 * np.pi)
    away = np.array([np.cos(angle), 0.8 * np.sin(angle)]) * across
    centre = nose + random.uniform(0.4, 1.1) * away
    cover = _shape(size, centre, away, random)
    below = cv2.GaussianBlur(cover, (0, 0), size / 40)
    return Part(_surface(texture, random), cover, 0.35 * below * (1.0 - cover))


def _shape(
    size: int, centre: np.ndarray, away: np.ndarray, random: np.random.Generator
) -> np.ndarray:
    """Returns an uneven blob; half of them reach to the edge like an arm does."""
    turn = np.linspace(0.0, 2.0 * np.pi, _CORNERS, endpoint=False)
    radius = random.uniform(*_RADIUS) * size
    uneven = 1.0 + 0.25 * random.standard_normal(_CORNERS)
    uneven = (uneven + np.roll(uneven, 1) + np.roll(uneven, 2)) / 3.0
    ring = np.stack([np.cos(turn), np.sin(turn)], axis=1) * (radius * uneven)[:, None]
    if random.random() < 0.5:
        outwards = away / max(float(np.hypot(*away)), 1e-6)
        ring += np.outer((ring @ outwards > 0.0) * 2.0 * size, outwards)
    mask = np.zeros((size, size), np.uint8)
    corners = np.rint((centre + ring) * 16).astype(np.int32)
    cv2.fillPoly(mask, [corners], 255, cv2.LINE_AA, 4)
    return cv2.GaussianBlur(mask, (0, 0), 0.6).astype(np.float32) / 255.0


def _surface(texture: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Returns an enlarged corner of a photo, mirrored, turned and recoloured."""
    size = texture.shape[0]
    side = max(2, int(size * random.uniform(0.2, 0.45)))
    row, column = (int(at) for at in random.integers(0, size - side + 1, 2))
    piece = texture[row : row + side, column : column + side]
    piece = np.rot90(piece, int(random.integers(4)))
    piece = piece[..., random.permutation(3)]  # colours that no face has, too
    found = cv2.resize(piece, (size, size), interpolation=cv2.INTER_CUBIC)
    return found.astype(np.float32) * np.float32(random.uniform(0.5, 1.2))
