"""Pictures without a face, for the training of a detector."""

from __future__ import annotations

import typing

import cv2
import numpy as np

if typing.TYPE_CHECKING:  # it makes its scenes from these backgrounds
    from facedancer.retinaface.training.scenes import Photos, Scene


def make_background(
    photos: Photos, size: int, random: np.random.Generator
) -> np.ndarray:
    """Returns a picture without a face.

    A part of a photo beside its faces, a photo whose faces are painted over, or noise;
    often with shapes and words drawn on it.

    Args:
        photos: Labelled photos, see `scenes.Photos`.
        size: Side in pixels.
        random: Draws everything.

    Returns:
        `(size, size, 3)` uint8 RGB.
    """
    kind = random.random()
    if kind > 0.85:
        return draw_shapes(texture(size, random), random)
    photo = photos[int(random.integers(len(photos)))]
    image = _beside_faces(photo, random) if kind < 0.45 else None
    if image is None:
        image = _painted_over(photo, random)
    image = _turned(image, size, random)
    return draw_shapes(image, random) if random.random() < 0.3 else image


def _beside_faces(photo: Scene, random: np.random.Generator) -> np.ndarray | None:
    """A random window that touches no face, or None where ten draws found none."""
    height, width = photo.image.shape[:2]
    for _ in range(10):
        side = int(random.uniform(0.2, 0.7) * min(height, width))
        x, y = (int(random.integers(0, end - side + 1)) for end in (width, height))
        touched = (photo.boxes[:, :2] < [x + side, y + side]) & (
            photo.boxes[:, 2:] > [x, y]
        )
        if not touched.all(axis=1).any():
            return photo.image[y : y + side, x : x + side]
    return None


def _painted_over(photo: Scene, random: np.random.Generator) -> np.ndarray:
    """Every face under an ellipse: skin without features, a blur, or another part."""
    image = photo.image.copy()
    coarse = cv2.resize(image, (9, 9), interpolation=cv2.INTER_AREA)
    blurred = cv2.resize(coarse, image.shape[1::-1], interpolation=cv2.INTER_CUBIC)
    moved = np.roll(image, image.shape[1] // 2, axis=1)
    front = (blurred, moved, blurred[::-1])[int(random.integers(3))]
    mask: np.ndarray = np.zeros(image.shape[:2], np.uint8)
    for box in photo.boxes:
        half = 0.6 * (box[2:] - box[:2])
        centre, axes = np.round([(box[:2] + box[2:]) / 2, half]).astype(int).tolist()
        cv2.ellipse(mask, centre, axes, 0, 0, 360, 255, -1)
    mask = cv2.GaussianBlur(mask, (0, 0), 3.0)[..., None] / 255.0
    return (image + mask * (front.astype(np.float32) - image)).astype(np.uint8)


def _turned(image: np.ndarray, size: int, random: np.random.Generator) -> np.ndarray:
    """Resized to the scene, turned by quarters and mirrored."""
    method = cv2.INTER_AREA if image.shape[0] > size else cv2.INTER_LINEAR
    image = np.rot90(image, int(random.integers(4)))
    image = image[:, ::-1] if random.random() < 0.5 else image
    return cv2.resize(np.ascontiguousarray(image), (size, size), interpolation=method)


def texture(size: int, random: np.random.Generator) -> np.ndarray:
    """Returns noise of several scales.

    Args:
        size: Side in pixels.
        random: Draws everything.

    Returns:
        `(size, size, 3)` uint8 RGB.
    """
    image = np.zeros((size, size, 3), np.float32) + random.uniform(0, 255, 3)
    for cells in (2, 5, 13, 40):
        noise = random.normal(0, random.uniform(5, 50), (cells, cells, 3))
        image += cv2.resize(noise, (size, size), interpolation=cv2.INTER_CUBIC)
    return np.clip(image, 0, 255).astype(np.uint8)


def draw_shapes(image: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Returns the picture with up to 11 lines, rectangles, ellipses and words on it.

    Args:
        image: `(size, size, 3)` uint8 RGB.
        random: Draws everything.
    """
    image, size = np.ascontiguousarray(image), len(image)
    for _ in range(int(random.integers(0, 12))):
        colour = tuple(map(int, random.integers(0, 256, 3)))
        one, two = (random.integers(0, size, 2).tolist() for _ in range(2))
        thick = int(random.integers(1, 8))
        kind = int(random.integers(4))
        if kind == 0:
            cv2.line(image, one, two, colour, thick, cv2.LINE_AA)
        elif kind == 1:
            cv2.rectangle(image, one, two, colour, -1 if thick > 4 else thick)
        elif kind == 2:
            axes = (two[0] // 4 + 1, two[1] // 4 + 1)
            turn = float(random.uniform(0, 180))
            filled = -1 if thick > 3 else thick
            cv2.ellipse(image, one, axes, turn, 0, 360, colour, filled, cv2.LINE_AA)
        else:
            _write_word(image, one, colour, random)
    return image


def _write_word(
    image: np.ndarray,
    corner: tuple[int, int],
    colour: tuple[int, ...],
    random: np.random.Generator,
) -> None:
    """Letters, often with an outline: to a detector they are much like eyes."""
    word = "".join(chr(c) for c in random.integers(48, 123, int(random.integers(1, 9))))
    font, scale = int(random.integers(8)), float(random.uniform(0.4, 4.0))
    thick = max(1, round(scale * random.uniform(1.0, 4.0)))
    outline = tuple(map(int, random.integers(0, 256, 3)))
    if random.random() < 0.5:
        cv2.putText(image, word, corner, font, scale, outline, 2 * thick, cv2.LINE_AA)
    cv2.putText(image, word, corner, font, scale, colour, thick, cv2.LINE_AA)
