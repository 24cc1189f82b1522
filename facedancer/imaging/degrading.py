"""Bad cameras and bad light, and things in front of faces."""

from __future__ import annotations

import cv2
import numpy as np


def degrade(image: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Returns the picture in other light, blurred, noisy and compressed, by chance.

    Half of the pictures get other light and colours, a third each a blur, noise, a
    lower resolution and JPEG of quality 15 to 90.

    Args:
        image: `(height, width, 3)` uint8 RGB.
        random: Draws everything.
    """
    if random.random() < 0.5:
        image = relight(image, random)
    if random.random() < 0.33:
        image = _blurred(image, random)
    if random.random() < 0.2:
        image = _coarse(image, random)
    if random.random() < 0.33:
        noise = random.standard_normal(image.shape, np.float32)
        noise *= random.uniform(2, 20)
        image = np.clip(image + noise, 0, 255).astype(np.uint8)
    if random.random() < 0.33:
        quality = [cv2.IMWRITE_JPEG_QUALITY, int(random.integers(15, 91))]
        data = cv2.imencode(".jpg", image, quality)[1]
        image = np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR))
    return image


def relight(image: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Returns the picture darker or over-exposed, of other contrast and colours.

    Args:
        image: `(height, width, 3)` uint8 RGB.
        random: Draws everything.
    """
    levels = np.arange(256)[:, None] / 255.0
    gamma = np.exp(random.uniform(-0.9, 0.9))
    gain = np.exp(random.uniform(-0.7, 0.7) + random.normal(0, 0.08, 3))
    table = np.clip(np.round(255 * gain * levels**gamma), 0, 255).astype(np.uint8)
    image = cv2.LUT(image, table[None])
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    saturation = 0.0 if random.random() < 0.15 else random.uniform(0.5, 1.4)
    grey = cv2.cvtColor(grey, cv2.COLOR_GRAY2RGB)
    return cv2.addWeighted(image, saturation, grey, 1.0 - saturation, 0.0)


def _blurred(image: np.ndarray, random: np.random.Generator) -> np.ndarray:
    if random.random() < 0.7:
        return cv2.GaussianBlur(image, (0, 0), random.uniform(0.4, 2.5))
    length = int(random.integers(3, 12))
    line = np.zeros((length, length), np.float32)
    line[length // 2] = 1.0 / length
    turn = cv2.getRotationMatrix2D(
        ((length - 1) / 2, (length - 1) / 2), random.uniform(0, 180), 1.0
    )
    kernel: np.ndarray = cv2.warpAffine(line, turn, (length, length))
    return cv2.filter2D(image, -1, kernel / max(float(kernel.sum()), 1e-6))


def _coarse(image: np.ndarray, random: np.random.Generator) -> np.ndarray:
    factor = random.uniform(0.3, 0.8)
    small = cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
    size = image.shape[1], image.shape[0]
    method = (cv2.INTER_LINEAR, cv2.INTER_NEAREST)[int(random.random() < 0.2)]
    return cv2.resize(small, size, interpolation=method)


def occlude(
    image: np.ndarray, boxes: np.ndarray, fraction: float, random: np.random.Generator
) -> np.ndarray:
    """Returns the picture with things in front of some faces.

    A mask over mouth and nose, a bar over the eyes, or an ellipse anywhere, in one
    colour with noise; two fifths of a face at most.

    Args:
        image: `(height, width, 3)` uint8 RGB.
        boxes: `(n, 4)` pixels.
        fraction: Share of the faces that are covered.
        random: Draws everything.
    """
    image = image.copy()
    for box in boxes[random.random(len(boxes)) < fraction]:
        corner, size = box[:2], box[2:] - box[:2]
        kind = int(random.integers(3))
        if kind == 0:
            middle = np.array([0.5, random.uniform(0.75, 0.9)])
            half = np.array([0.45, 0.22])
        elif kind == 1:
            middle = np.array([0.5, 0.38])
            half = np.array([0.5, random.uniform(0.06, 0.12)])
        else:
            middle, half = random.uniform(0.1, 0.9, 2), random.uniform(0.1, 0.35, 2)
        centre, axes = np.round([corner + size * middle, size * half + 1]).astype(int)
        colour = tuple(map(int, random.integers(0, 256, 3)))
        turn = float(random.uniform(-15, 15))
        cv2.ellipse(
            image, centre.tolist(), axes.tolist(), turn, 0, 360, colour, -1, cv2.LINE_AA
        )
    return image
