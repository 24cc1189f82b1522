"""The skin of a made head: colours and classes on the unrolled surface."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from facedancer.dataset.made_faces import shape as shape
from facedancer.dataset.made_faces.made_face import Expression, Hair, Identity

# Classes of the mask; numbers as in CelebAMask-HQ, and one for what hides the face.
BACKGROUND, SKIN, NOSE, GLASSES = 0, 1, 2, 3
LEFT_EYE, RIGHT_EYE, LEFT_BROW, RIGHT_BROW = 4, 5, 6, 7  # left: the person's
LEFT_EAR, RIGHT_EAR, MOUTH, UPPER_LIP, LOWER_LIP = 8, 9, 10, 11, 12
HAIR, NECK, CLOTH, OCCLUDER = 13, 17, 18, 19

_SHIFT = 4  # bits behind the point in OpenCV's coordinates


class Skin:
    """The unrolled surface: columns are angles, rows heights.

    Attributes:
        colour: `(size, size, 3)` float32 in [0, 1].
        label: `(size, size)` uint8, classes.
        lift: `(size, size)` float32, how far hair stands off, in half heads.

    Args:
        identity: Whose.
        size: Pixels of a side.
    """

    def __init__(self, identity: Identity, size: int) -> None:
        self.identity = identity
        self.size = size
        step = (np.arange(size) + 0.5) / size * 2.0 - 1.0
        self.angle = (step * shape.MAX_ANGLE).astype(np.float32)[None, :]
        self.y = step.astype(np.float32)[:, None]
        self.colour = np.empty((size, size, 3), np.float32)
        self.colour[:] = identity.skin
        self.label = np.full((size, size), SKIN, np.uint8)
        self.lift = np.zeros((size, size), np.float32)

    def pixels(self, points: np.ndarray) -> np.ndarray:
        """Returns where front-view points `(n, 2)` lie, in pixels `(n, 2)`."""
        points = np.asarray(points, np.float64)
        angle = shape.front_angle(self.identity, points[:, 0], points[:, 1])
        column = (angle / shape.MAX_ANGLE + 1.0) / 2.0 * self.size - 0.5
        row = (points[:, 1] + 1.0) / 2.0 * self.size - 0.5
        return np.stack([column, row], axis=1)

    def cover(self, points: np.ndarray, blur: float = 0.0) -> np.ndarray:
        """Returns `(size, size)` float32 in [0, 1]: 1 inside a front-view polygon.

        Args:
            points: `(n, 2)` in half heads.
            blur: Standard deviation of its soft edge, in half heads.
        """
        mask = np.zeros((self.size, self.size), np.uint8)
        corners = np.rint(self.pixels(points) * (1 << _SHIFT)).astype(np.int32)
        cv2.fillPoly(mask, [corners], 255, cv2.LINE_AA, _SHIFT)
        return self._soft(mask, corners, blur)

    def stroke(self, points: np.ndarray, thickness: float, blur: float) -> np.ndarray:
        """Returns the same for a line of a thickness in half heads.

        Args:
            points: `(n, 2)` in half heads.
            thickness: In half heads.
            blur: See `cover`.
        """
        mask = np.zeros((self.size, self.size), np.uint8)
        corners = np.rint(self.pixels(points) * (1 << _SHIFT)).astype(np.int32)
        wide = max(1, round(thickness * self.size / 2.0))
        cv2.polylines(mask, [corners], False, 255, wide, cv2.LINE_AA, _SHIFT)
        return self._soft(mask, corners, blur)

    def _soft(self, mask: np.ndarray, corners: np.ndarray, blur: float) -> np.ndarray:
        sigma = blur * self.size / 2.0
        reach = int(4 * sigma) + 8
        low = np.maximum((corners.min(0) >> _SHIFT) - reach, 0)
        high = (corners.max(0) >> _SHIFT) + reach
        part = np.s_[low[1] : high[1], low[0] : high[0]]
        cover = np.zeros((self.size, self.size), np.float32)
        cover[part] = mask[part] * np.float32(1.0 / 255.0)
        if sigma >= 0.3:
            cover[part] = cv2.GaussianBlur(cover[part], (0, 0), sigma)
        return cover

    def blend(
        self,
        cover: np.ndarray,
        colour: np.ndarray | Sequence[float],
        label: int | None = None,
    ) -> None:
        """Paints a colour where `cover` is 1, in part where it is less.

        Args:
            cover: `(size, size)` in [0, 1].
            colour: RGB in [0, 1], or an image.
            label: The class of what is more than half covered.
        """
        part = _covered_part(cover)
        weight = cover[part][..., None]
        colour = np.asarray(colour, np.float32)
        colour = colour[part] if colour.ndim == 3 else colour
        self.colour[part] += weight * (colour - self.colour[part])
        if label is not None:
            self.label[part][cover[part] > 0.5] = label

    def shade(self, cover: np.ndarray, strength: float) -> None:
        """Darkens (or, below 0, lightens) where `cover` is 1."""
        part = _covered_part(cover)
        self.colour[part] *= 1.0 - np.float32(strength) * cover[part][..., None]


def _covered_part(cover: np.ndarray) -> tuple[slice, slice]:
    """Returns the smallest part of an array outside of which it is 0."""
    rows = np.flatnonzero(cover.max(axis=1, initial=0.0))
    if not len(rows):
        return np.s_[:0, :0]
    row_part = slice(rows[0], rows[-1] + 1)
    columns = np.flatnonzero(cover[row_part].max(axis=0))
    return row_part, slice(columns[0], columns[-1] + 1)


def paint(
    identity: Identity, hair: Hair, expression: Expression, size: int = 800
) -> Skin:
    """Returns the painted surface of a head.

    Args:
        identity: Whose.
        hair: Its hair.
        expression: What it does.
        size: Pixels of a side of the unrolled surface.
    """
    skin = Skin(identity, size)
    _texture(skin)
    _soft_shadows(skin, expression)
    _beard(skin)
    for side in (-1, 1):
        _eye(skin, expression, side)
        _brow(skin, expression, side)
    _nose(skin)
    _mouth(skin, expression)
    _lines(skin, expression)
    for x, y, radius, darkness in identity.marks:
        cover = skin.cover(_ellipse((x, y), (radius, radius)), 0.2 * radius)
        skin.blend(darkness * cover, np.array(identity.skin) * (0.45, 0.32, 0.28))
    _ears(skin)
    _hair(skin, hair)
    np.clip(skin.colour, 0.0, 1.0, out=skin.colour)
    return skin


def _ellipse(
    centre: Sequence[float] | np.ndarray, radii: Sequence[float], count: int = 24
) -> np.ndarray:
    turn = np.linspace(0, 2 * np.pi, count, endpoint=False)
    x = centre[0] + radii[0] * np.cos(turn)
    return np.stack([x, centre[1] + radii[1] * np.sin(turn)], axis=1)


def noise(draw: np.random.Generator, size: int, cells: tuple[int, ...]) -> np.ndarray:
    """Returns smooth noise of several scales, `(size, size)`, variance about 1.

    Args:
        draw: Random numbers.
        size: Pixels of a side.
        cells: How many cells a side has, for each scale.
    """
    total = np.zeros((size, size), np.float32)
    for count in cells:
        small = draw.standard_normal((count, count)).astype(np.float32)
        total += cv2.resize(small, (size, size), interpolation=cv2.INTER_CUBIC)
    return total / np.sqrt(len(cells))


def _texture(skin: Skin) -> None:
    draw = np.random.default_rng(skin.identity.seed)
    tone = noise(draw, skin.size, (6, 24, 110))[..., None]
    skin.colour *= 1.0 + tone * np.array([0.018, 0.025, 0.028], np.float32)
    redness = 0.12
    for side in (-1, 1):
        position = (side * 0.36, skin.identity.eye_height + 0.3)
        cover = skin.cover(_ellipse(position, (0.13, 0.11)), 0.07)
        skin.colour *= 1.0 - redness * cover[..., None] * np.array([0.0, 0.6, 0.5])


def _soft_shadows(skin: Skin, expression: Expression) -> None:
    """Darkens where little light of the surroundings comes in."""
    identity = skin.identity
    eyes, mouth = identity.eye_height, shape.mouth_middle(identity)
    for side in (-1, 1):
        position = (side * identity.eye_distance, eyes - 0.03)
        skin.shade(skin.cover(_ellipse(position, (0.14, 0.10)), 0.04), 0.16)
        inner = (side * identity.eye_distance * 0.55, eyes - 0.02)
        skin.shade(skin.cover(_ellipse(inner, (0.04, 0.07)), 0.03), 0.18)
    tip = eyes + identity.nose_length
    under = _ellipse((0, tip + 0.07), (identity.nose_width * 0.9, 0.025))
    skin.shade(skin.cover(under, 0.025), 0.30)
    low = mouth + identity.lip_lower + 0.06 + 0.14 * expression.mouth_open
    skin.shade(skin.cover(_ellipse((0, low), (0.11, 0.025)), 0.025), 0.22)
    rim = np.clip((skin.y - 0.80) / 0.2, 0, 1) ** 2 * np.ones_like(skin.angle)
    skin.shade(rim, 0.25)


def _eye_outline(
    identity: Identity, expression: Expression, side: int
) -> tuple[np.ndarray, np.ndarray]:
    t = np.linspace(-1.0, 1.0, 21)
    high = identity.eye_size * identity.eye_open * (1.0 - 0.97 * expression.blink)
    x = side * identity.eye_distance + identity.eye_size * t
    middle = identity.eye_height - identity.eye_slant * identity.eye_size * t * side
    bow = 1.0 - t**2
    drop = 0.35 * identity.eye_size * identity.eye_open * expression.blink
    upper = np.stack([x, middle + (drop - 1.05 * high) * bow**0.75], axis=1)
    lower = np.stack([x, middle + (drop + 0.55 * high) * bow], axis=1)
    return upper, lower


def _eye(skin: Skin, expression: Expression, side: int) -> None:
    identity = skin.identity
    upper, lower = _eye_outline(identity, expression, side)
    label = RIGHT_EYE if side < 0 else LEFT_EYE
    opening = skin.cover(np.vstack([upper, lower[::-1]]), 0.004)
    skin.blend(opening, (0.90, 0.87, 0.85), label)
    centre = np.array([side * identity.eye_distance, identity.eye_height])
    centre += [0.035 * expression.gaze_x, 0.02 * expression.gaze_y - 0.008]
    for radius, colour in (
        (0.056, np.array(identity.iris) * 0.45),
        (0.049, np.array(identity.iris)),
        (0.022, np.array([0.03, 0.03, 0.03])),
    ):
        disc = skin.cover(_ellipse(centre, (radius, radius)), 0.004)
        skin.blend(disc * opening, colour)
    spot = skin.cover(_ellipse(centre + [0.016, -0.018], (0.010, 0.010), 12), 0.002)
    skin.blend(spot * opening, (1.0, 1.0, 1.0))
    under_lid = skin.stroke(upper + [0.0, 0.014], 0.02, 0.008)
    skin.shade(under_lid * opening, 0.45)
    dark = np.array(identity.skin) * 0.22
    skin.blend(0.9 * skin.stroke(upper, 0.016, 0.003), dark)
    skin.blend(0.35 * skin.stroke(lower, 0.008, 0.004), dark)
    skin.shade(skin.stroke(upper - [0.0, 0.035], 0.008, 0.006), 0.35)
    skin.shade(skin.stroke(lower + [0.0, 0.045], 0.012, 0.012), 0.18)


def _brow(skin: Skin, expression: Expression, side: int) -> None:
    identity = skin.identity
    t = np.linspace(0.0, 1.0, 15)
    x = side * (identity.eye_distance - 0.13 + 0.30 * t)
    high = identity.eye_height - identity.brow_height - 0.035 * expression.brow_raise
    y = high - identity.brow_arch * (1.0 - ((t - 0.6) / 0.6) ** 2) + 0.02 * t
    thick = identity.brow_thickness * (1.0 - 0.75 * t**2)
    above = np.stack([x, y - thick], axis=1)
    below = np.stack([x, y + thick], axis=1)
    cover = skin.cover(np.vstack([above, below[::-1]]), 0.007)
    draw = np.random.default_rng(identity.seed + 1)
    hairs = 0.85 + 0.15 * noise(draw, skin.size, (200,))
    label = RIGHT_BROW if side < 0 else LEFT_BROW
    skin.blend(0.9 * cover * np.clip(hairs, 0.4, 1.0), identity.brow, label)


def _nose(skin: Skin) -> None:
    identity = skin.identity
    tip = identity.eye_height + identity.nose_length
    wide = identity.nose_width
    outline = [(-0.05, identity.eye_height), (0.05, identity.eye_height)]
    outline += [(wide, tip), (0.6 * wide, tip + 0.07), (-0.6 * wide, tip + 0.07)]
    inside = skin.cover(np.array([*outline, (-wide, tip)]))
    skin.label[inside > 0.5] = NOSE
    for side in (-1, 1):
        hole = _ellipse((side * wide * 0.45, tip + 0.045), (wide * 0.26, 0.018))
        skin.blend(0.8 * skin.cover(hole, 0.006), np.array(identity.skin) * 0.22)
        t = np.linspace(-0.5, 0.5, 9)
        wing = np.stack(
            [side * wide * (1.02 - 0.9 * t**2), tip + 0.01 + 0.1 * t], axis=1
        )
        skin.shade(skin.stroke(wing, 0.015, 0.010), 0.35)
    skin.shade(skin.cover(_ellipse((0, tip - 0.02), (0.03, 0.035)), 0.02), -0.10)


def _lip_curves(identity: Identity, expression: Expression) -> list[np.ndarray]:
    """Returns upper edge, upper inner, lower inner and lower edge, `(n, 2)` each."""
    corner_x, corner_y = shape.mouth_corner(identity, expression)
    t = np.linspace(-1.0, 1.0, 25)
    bow = 1.0 - t**2
    centre = shape.mouth_middle(identity) + 0.012 * expression.smile
    middle = corner_y + (centre - corner_y) * bow
    gap = 0.17 * expression.mouth_open * bow
    cupid = bow**0.8 * (1.0 - 0.22 * np.exp(-0.5 * (t / 0.12) ** 2))
    x = corner_x * t
    rows = (
        middle - 0.25 * gap - identity.lip_upper * cupid,
        middle - 0.25 * gap,
        middle + 0.75 * gap,
        middle + 0.75 * gap + identity.lip_lower * bow**0.75,
    )
    return [np.stack([x, row], axis=1) for row in rows]


def _mouth(skin: Skin, expression: Expression) -> None:
    identity = skin.identity
    top, inner_top, inner_low, low = _lip_curves(identity, expression)
    red = np.array(identity.skin) * (0.92, 0.55, 0.55)
    red = np.array(identity.skin) * (1 - identity.lips) + red * identity.lips
    red = red * (0.95, 0.82, 0.82)
    skin.blend(
        skin.cover(np.vstack([top, inner_top[::-1]]), 0.006), red * 0.88, UPPER_LIP
    )
    skin.blend(skin.cover(np.vstack([inner_low, low[::-1]]), 0.006), red, LOWER_LIP)
    skin.shade(skin.cover(_ellipse(low.mean(0) - [0, 0.035], (0.06, 0.01)), 0.01), -0.1)
    opening = skin.cover(np.vstack([inner_top, inner_low[::-1]]), 0.004)
    if expression.mouth_open > 0.03:
        skin.blend(opening, (0.16, 0.05, 0.05), MOUTH)
        teeth = inner_top + [0.0, 0.05]
        teeth = skin.cover(np.vstack([inner_top, teeth[::-1]]) * [0.82, 1.0], 0.006)
        skin.blend(teeth * opening, (0.88, 0.86, 0.80))
    skin.blend(
        0.75 * skin.stroke(inner_top, 0.010, 0.004), np.array(identity.skin) * 0.25
    )
    for corner in (top[0], top[-1]):
        skin.shade(skin.cover(_ellipse(corner, (0.018, 0.02)), 0.012), 0.30)


def _lines(skin: Skin, expression: Expression) -> None:
    """Folds beside nose and mouth, on the forehead and beside the eyes."""
    identity = skin.identity
    tip = identity.eye_height + identity.nose_length
    corner_x, corner_y = shape.mouth_corner(identity, expression)
    depth = 0.10 + 0.22 * identity.age + 0.15 * max(expression.smile, 0.0)
    t = np.linspace(0.0, 1.0, 11)
    for side in (-1, 1):
        x = (
            identity.nose_width * 1.15
            + (corner_x + 0.05 - identity.nose_width) * t**0.8
        )
        fold = np.stack([side * x, tip - 0.02 + (corner_y - tip + 0.02) * t], axis=1)
        skin.shade(skin.stroke(fold, 0.012, 0.012), depth)
        if identity.age > 0.5:
            outer = side * (identity.eye_distance + identity.eye_size + 0.03)
            for slope in (-0.05, 0.0, 0.05):
                crow = np.stack(
                    [outer + side * 0.08 * t, identity.eye_height + slope * (1 + t)], 1
                )
                skin.shade(skin.stroke(crow, 0.006, 0.006), 0.4 * (identity.age - 0.4))
    for number in range(3 if identity.age > 0.55 else 0):
        across = np.linspace(-0.26, 0.26, 15)
        row = -0.32 - 0.07 * number + 0.25 * across**2 - 0.03 * expression.brow_raise
        crease = np.stack([across, row + identity.eye_height], axis=1)
        skin.shade(skin.stroke(crease, 0.008, 0.008), 0.45 * (identity.age - 0.4))


def _beard(skin: Skin) -> None:
    identity = skin.identity
    if identity.beard < 0.05:
        return
    mouth = shape.mouth_middle(identity)
    away = np.abs(skin.angle)
    line = mouth - 0.10 - 0.35 * np.clip(away - 0.55, 0, 1)
    cover = np.clip((skin.y - line) / 0.06, 0.0, 1.0) * (away < shape.EAR_ANGLE - 0.1)
    bare = skin.cover(_ellipse((0, mouth), (identity.mouth_width, 0.06)), 0.01)
    soft = cv2.GaussianBlur(cover.astype(np.float32), (0, 0), skin.size / 100)
    draw = np.random.default_rng(identity.seed + 2)
    stubble = np.clip(0.75 + 0.35 * noise(draw, skin.size, (260,)), 0.0, 1.0)
    weight = min(1.0, 0.25 + identity.beard) * 0.85
    skin.blend(weight * soft * stubble * (1.0 - bare), identity.brow)


def _ears(skin: Skin) -> None:
    near = np.abs(np.abs(skin.angle) - shape.EAR_ANGLE) < 0.11
    inside = near & (skin.y > shape.EAR_TOP) & (skin.y < shape.EAR_END)
    person_left = np.broadcast_to(skin.angle > 0, inside.shape)
    skin.label[inside] = np.where(person_left[inside], LEFT_EAR, RIGHT_EAR)
    skin.shade(inside.astype(np.float32) * (np.abs(skin.y - 0.05) < 0.09), 0.12)


def _hair(skin: Skin, hair: Hair) -> None:
    draw = np.random.default_rng(hair.seed)
    size = skin.size
    ragged = 0.02 * noise(draw, size, (90,))[0]
    line = shape.hair_line(hair, skin.angle[0]) + ragged
    cover = np.clip((line[None, :] - skin.y) / 0.035 + 0.5, 0.0, 1.0)
    cover = cover.astype(np.float32)
    rows = draw.standard_normal((6, size)).astype(np.float32)
    strands = cv2.resize(rows, (size, size), interpolation=cv2.INTER_CUBIC)
    strands = cv2.GaussianBlur(strands, (0, 0), 0.8)
    colour = np.array(hair.colour, np.float32) * (1.0 + 0.30 * strands[..., None])
    skin.shade(cv2.GaussianBlur(cover, (0, 0), size / 45), 0.25)
    skin.blend(cover, np.clip(colour, 0.0, 1.0), HAIR)
    skin.lift = hair.volume * cv2.GaussianBlur(cover, (0, 0), size / 60)
