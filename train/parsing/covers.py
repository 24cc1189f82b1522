"""Things laid over parsed photos, with the classes that they bring.

Real masks hardly show what covers faces, and count a hand on a chin as skin: hands,
microphones, pieces of other photos, glasses and strands of hair are drawn here.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from facedancer.face import face_classes
from facedancer.train.parsing.parsed_photos import ParsedPhoto

Random = np.random.Generator
_SHIFT = 4  # bits after the point of drawn coordinates
# Classes that a clear glass does not hide.
_BEHIND_GLASS = (*face_classes.EYES, *face_classes.BROWS)


def cover(photo: ParsedPhoto, other: ParsedPhoto, random: Random) -> ParsedPhoto:
    """Returns a crop with something in front of its face.

    Args:
        photo: A crop.
        other: Another one, whose skin, hair or colours are borrowed.
        random: Draws everything.
    """
    kinds, chances = zip(*_KINDS, strict=True)
    return kinds[random.choice(len(kinds), p=chances)](photo, other, random)


def _hand(photo: ParsedPhoto, other: ParsedPhoto, random: Random) -> ParsedPhoto:
    """Fingers and a palm in the colour of somebody's skin, mostly the person's own."""
    apart, centre, mask = _space(photo)
    whose = photo if random.random() < 0.6 else other
    colour = _mean_colour(whose, face_classes.SKIN) * random.uniform(0.75, 1.15)
    tip = centre + random.normal(0, 0.7, 2) * apart
    angle = random.uniform(0, np.pi) + random.choice([0.0, 0.0, np.pi])
    wide = random.uniform(0.2, 0.32) * apart
    count, long = int(random.integers(1, 6)), random.uniform(0.9, 1.8) * apart
    along = np.array([np.cos(angle), np.sin(angle)])
    across = np.array([-along[1], along[0]])
    shade: np.ndarray = np.ones(mask.shape, np.float32)
    root = tip + along * long
    for finger in range(count):
        at = across * (finger - (count - 1) / 2) * wide * random.uniform(0.85, 1.1)
        bend = random.normal(0, 0.15, 2) * apart
        end = tip + at * random.uniform(0.8, 1.3) + random.normal(0, 0.12, 2) * apart
        points = np.array([end, (end + root + at) / 2 + bend, root + at])
        for part, thick in ((shade, 1.0), (mask, 0.86)):
            value = float(random.uniform(0.55, 0.75)) if part is shade else 1.0
            _line(part, points, thick * wide, value)
            if part is shade:
                _line(part, points, 0.72 * wide, float(random.uniform(0.95, 1.1)))
    palm = (root + along * wide, (count * wide * 0.62 + wide, 2.2 * wide))
    _ellipse(mask, *palm, angle + np.pi / 2, 1.0)
    _ellipse(shade, *palm, angle + np.pi / 2, 1.0)
    shade = cv2.GaussianBlur(shade, (0, 0), max(0.14 * wide, 0.6))
    image = _grainy(colour * shade[..., None], 5.0, random)
    return _laid(photo, image, mask, face_classes.BACKGROUND, random)


def _microphone(photo: ParsedPhoto, other: ParsedPhoto, random: Random) -> ParsedPhoto:
    """A ball or a foam with a stick that comes from below or from a side."""
    apart, centre, mask = _space(photo)
    mouth = photo.landmarks[3:].mean(axis=0)
    at = mouth + random.normal(0, [0.5, 0.45], 2) * apart
    angle = random.normal(np.pi / 2, 0.7)
    along = np.array([np.cos(angle), np.sin(angle)])
    radius = random.uniform(0.22, 0.5) * apart
    _ellipse(mask, at, (radius * random.uniform(1, 1.5), radius), angle, 1.0)
    thick = radius * random.uniform(0.5, 1.4)
    _line(mask, np.array([at, at + along * 5 * apart]), thick, 1.0)
    level = random.choice([random.uniform(5, 60), random.uniform(60, 220)])
    colour = level * np.exp(
        random.normal(0, [0.2] * 3 if random.random() < 0.3 else 0.03)
    )
    shine: np.ndarray = np.zeros(mask.shape, np.float32)
    spot = at + random.normal(0, 0.3, 2) * radius
    _ellipse(shine, spot, (0.5 * radius, 0.35 * radius), angle, 1.0)
    shine = cv2.GaussianBlur(shine, (0, 0), max(0.3 * radius, 0.6))
    image = np.broadcast_to(np.asarray(colour, np.float32), (*mask.shape, 3))
    image = image + shine[..., None] * random.uniform(0, 120)
    return _laid(
        photo,
        _grainy(image, random.uniform(2, 25), random),
        mask,
        face_classes.BACKGROUND,
        random,
    )


def _piece(photo: ParsedPhoto, other: ParsedPhoto, random: Random) -> ParsedPhoto:
    """An uneven piece of another photo, its colours changed; half reach the border."""
    apart, centre, mask = _space(photo)
    turn = np.linspace(0.0, 2.0 * np.pi, 14, endpoint=False)
    radius = apart * random.uniform(0.3, 0.9)
    uneven = 1.0 + 0.25 * random.standard_normal(14)
    uneven = (uneven + np.roll(uneven, 1) + np.roll(uneven, 2)) / 3.0
    ring = np.stack([np.cos(turn), np.sin(turn)], axis=1) * (radius * uneven)[:, None]
    away = random.normal(0, 1, 2)
    away /= max(float(np.hypot(*away)), 1e-6)
    if random.random() < 0.5:
        ring += np.outer((ring @ away > 0) * 5.0 * apart, away)
    _fill(mask, centre + away * random.uniform(0.2, 1.3) * apart + ring, 1.0)
    height, width = mask.shape
    side = max(2, int(height * random.uniform(0.2, 0.6)))
    row, column = (int(at) for at in random.integers(0, height - side + 1, 2))
    piece = np.rot90(
        other.image[row : row + side, column : column + side], int(random.integers(4))
    )
    if random.random() < 0.6:
        piece = piece[..., random.permutation(3)]
    image = cv2.resize(piece, (width, height), interpolation=cv2.INTER_LINEAR)
    image = image.astype(np.float32) * np.float32(random.uniform(0.5, 1.2))
    return _laid(photo, image, mask, face_classes.BACKGROUND, random)


def _strands(photo: ParsedPhoto, other: ParsedPhoto, random: Random) -> ParsedPhoto:
    """Locks over forehead or cheek in the colour of the person's or another's hair."""
    apart, centre, mask = _space(photo)
    whose = photo if random.random() < 0.5 else other
    colour = _mean_colour(whose, face_classes.HAIR) * random.uniform(0.8, 1.2)
    side = random.choice([-1.0, 1.0])
    spread = random.uniform(0.3, 1.6) * apart
    shade: np.ndarray = np.ones(mask.shape, np.float32)
    start = (
        centre
        + np.array([side * random.uniform(0, 1.2), -random.uniform(1.3, 1.8)]) * apart
    )
    drop = random.uniform(0.5, 2.2) * apart
    lean = random.normal(0, 0.6)
    for _ in range(int(random.integers(6, 40))):
        begin = start + np.array(
            [random.uniform(-spread, spread), random.normal(0, 0.1) * apart]
        )
        end = begin + np.array(
            [
                lean * drop + random.normal(0, 0.15) * apart,
                drop * random.uniform(0.6, 1.1),
            ]
        )
        middle = (begin + end) / 2 + np.array([random.normal(0, 0.12) * apart, 0])
        thick = random.uniform(0.03, 0.13) * apart
        points = np.array([begin, middle, end])
        _line(mask, points, thick, 1.0)
        _line(shade, points, thick, float(random.uniform(0.55, 1.3)))
    image = _grainy(
        colour * cv2.GaussianBlur(shade, (0, 0), 0.6)[..., None], 6.0, random
    )
    return _laid(photo, image, mask, face_classes.HAIR, random)


def _glasses(photo: ParsedPhoto, other: ParsedPhoto, random: Random) -> ParsedPhoto:
    """A frame with clear or dark glasses; what is seen through clear ones stays."""
    apart, _, frame = _space(photo)
    glass = np.zeros_like(frame)
    left, right = photo.landmarks[:2]
    angle = float(np.arctan2(*(right - left)[::-1]))
    wide, high = random.uniform(0.34, 0.46) * apart, random.uniform(0.2, 0.36) * apart
    thick = max(random.uniform(0.02, 0.1) * apart, 1.0)
    power = random.uniform(2.0, 5.0)  # 2: oval, more: square
    turn = np.linspace(0, 2 * np.pi, 40)
    shape = np.stack([np.cos(turn), np.sin(turn)], axis=1)
    shape = np.sign(shape) * np.abs(shape) ** (2 / power) * [wide, high]
    spin = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    down = spin[1] * random.uniform(0.0, 0.12) * apart
    for eye in (left, right):
        ring = shape @ spin + eye + down
        _fill(glass, ring, 1.0)
        _line(frame, np.concatenate([ring, ring[:1]]), thick, 1.0)
    bridge = np.array([left + spin[0] * wide * 0.95, right - spin[0] * wide * 0.95])
    _line(frame, bridge + down, thick, 1.0)
    temples = ((left, -1.0), (right, 1.0))
    for eye, way in temples:
        ends = [
            eye + spin[0] * way * reach * apart for reach in (0.9 * wide / apart, 1.2)
        ]
        _line(frame, np.array(ends) + down, thick, 1.0)
    dark = random.random() < 0.3
    colour = random.uniform(0, 90) * np.exp(random.normal(0, 0.25, 3))
    if random.random() < 0.2:
        colour = random.uniform(60, 230, 3)
    strength = random.uniform(0.75, 1.0) if dark else random.uniform(0.0, 0.2)
    tint = random.uniform(0, 60, 3) if dark else random.uniform(80, 255, 3)
    image = photo.image.astype(np.float32)
    image += strength * glass[..., None] * (tint - image)
    classes = photo.classes.copy()
    seen = np.isin(classes, _BEHIND_GLASS) & (not dark)
    classes[(glass > 0.5) & ~seen] = face_classes.GLASSES
    below = ParsedPhoto(_bytes(image), classes, photo.landmarks)
    over = _grainy(np.broadcast_to(colour, (*frame.shape, 3)), 4.0, random)
    return _laid(below, over, frame, face_classes.GLASSES, random)


_KINDS: tuple[tuple[Callable[..., ParsedPhoto], float], ...] = (
    (_hand, 0.3),
    (_microphone, 0.15),
    (_piece, 0.2),
    (_strands, 0.15),
    (_glasses, 0.2),
)


def _space(photo: ParsedPhoto) -> tuple[float, np.ndarray, np.ndarray]:
    """Returns the distance of the eyes, the middle of the face and an empty mask."""
    apart = float(np.hypot(*(photo.landmarks[1] - photo.landmarks[0])))
    mask = np.zeros(photo.classes.shape, np.float32)
    return max(apart, 4.0), photo.landmarks.mean(axis=0), mask


def _mean_colour(photo: ParsedPhoto, kind: int) -> np.ndarray:
    """Returns the mean colour of a class, of the whole picture where there is none."""
    inside = photo.classes == kind
    pixels = photo.image[inside] if inside.sum() > 20 else photo.image.reshape(-1, 3)
    return pixels.mean(axis=0).astype(np.float32)


def _grainy(image: np.ndarray, deviation: float, random: Random) -> np.ndarray:
    """Returns a picture with soft noise, fine and coarse."""
    height, width = image.shape[:2]
    fine = random.standard_normal((height, width, 1)).astype(np.float32)
    coarse: np.ndarray = random.standard_normal((6, 6)).astype(np.float32)
    coarse = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    return image + deviation * fine + 2.0 * deviation * coarse[..., None]


def _laid(
    photo: ParsedPhoto, image: np.ndarray, mask: np.ndarray, kind: int, random: Random
) -> ParsedPhoto:
    """Returns a photo with a picture over it where the mask is, and a faint shadow."""
    soft = cv2.GaussianBlur(mask, (0, 0), random.uniform(0.4, 1.0))[..., None]
    shadow = cv2.GaussianBlur(mask, (0, 0), len(mask) / 30)[..., None]
    below = photo.image * (1.0 - random.uniform(0.0, 0.5) * shadow)
    classes = photo.classes.copy()
    classes[soft[..., 0] > 0.5] = kind
    made = below + soft * (image - below)
    return ParsedPhoto(_bytes(made), classes, photo.landmarks)


def _bytes(image: np.ndarray) -> np.ndarray:
    return np.clip(np.rint(image), 0, 255).astype(np.uint8)


def _fixed(points: np.ndarray) -> np.ndarray:
    limit = 1 << 20
    return np.rint(np.clip(points * (1 << _SHIFT), -limit, limit)).astype(np.int32)


def _fill(mask: np.ndarray, points: np.ndarray, value: float) -> None:
    cv2.fillPoly(mask, [_fixed(points)], value, cv2.LINE_AA, _SHIFT)


def _line(mask: np.ndarray, points: np.ndarray, thick: float, value: float) -> None:
    """Draws a bent line with round ends."""
    if len(points) == 3:  # a curve through the middle one
        along = np.linspace(0, 1, 9)[:, None]
        first, middle, last = points
        bend = 2 * middle - (first + last) / 2
        points = (1 - along) ** 2 * first + 2 * along * (1 - along) * bend
        points = points + along**2 * last
    cv2.polylines(
        mask, [_fixed(points)], False, value, max(1, round(thick)), cv2.LINE_AA, _SHIFT
    )


def _ellipse(
    mask: np.ndarray,
    centre: np.ndarray,
    halves: tuple[float, float],
    angle: float,
    value: float,
) -> None:
    turn = np.linspace(0, 2 * np.pi, 32)
    ring = np.stack([np.cos(turn) * halves[0], np.sin(turn) * halves[1]], axis=1)
    spin = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    _fill(mask, centre + ring @ spin, value)
