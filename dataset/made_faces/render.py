"""Draws made faces: image, exact landmarks, mask and pose."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import cv2
import numpy as np

from facedancer.dataset.made_faces import paint as paint
from facedancer.dataset.made_faces import shape as shape
from facedancer.dataset.made_faces.made_face import Light, MadeFace

_SUPERSAMPLED = 2
_COARSE = 200  # geometry is computed on this many rows and columns


@dataclasses.dataclass(frozen=True)
class Rendered:
    """A picture and the truth about it.

    Attributes:
        image: `(height, width, 3)` uint8 RGB.
        mask: `(height, width)` uint8, classes of `made_faces_paint`.
        landmarks: `(5, 2)` float32 pixels, order of `Faces`.
        box: `(4,)` float32, `x_min, y_min, x_max, y_max` of the face without the hair.
        pose: Yaw, pitch and roll in degrees, as in `made_face.Pose`.
    """

    image: np.ndarray
    mask: np.ndarray
    landmarks: np.ndarray
    box: np.ndarray
    pose: tuple[float, float, float]


def render(face: MadeFace, height: int = 256, width: int = 256) -> Rendered:
    """Returns the picture of a made face.

    Args:
        face: What to draw.
        height: Of the image in pixels.
        width: The same.
    """
    size = (height * _SUPERSAMPLED, width * _SUPERSAMPLED)
    canvas, label = _backdrop(face, *size)
    _draw_body(face, canvas, label)
    _draw_head(face, canvas, label)
    _draw_occluder(face, canvas, label)
    image = cv2.resize(canvas, (width, height), interpolation=cv2.INTER_AREA)
    points = shape.landmarks_3d(face.identity, face.expression)
    pose = face.pose
    return Rendered(
        image=_develop(image, face),
        mask=label[1::_SUPERSAMPLED, 1::_SUPERSAMPLED].copy(),
        landmarks=shape.project(points, pose, height, width)[:, :2].astype(np.float32),
        box=_face_box(face, height, width),
        pose=(pose.yaw, pose.pitch, pose.roll),
    )


def _develop(image: np.ndarray, face: MadeFace) -> np.ndarray:
    """Adds the camera's noise and makes it uint8."""
    draw = np.random.default_rng([face.scene.seed, 5])
    grain = draw.standard_normal(image.shape).astype(np.float32) * face.scene.noise
    return np.rint(image * 255.0 + grain).clip(0, 255).astype(np.uint8)


def _face_box(face: MadeFace, height: int, width: int) -> np.ndarray:
    angle = np.linspace(-1.3, 1.3, 27)[None, :]
    y = np.linspace(-0.45, 1.0, 30)[:, None]
    points = shape.surface(face.identity, face.expression, angle, y)
    flat = shape.project(points, face.pose, height, width)[..., :2].reshape(-1, 2)
    return np.concatenate([flat.min(0), flat.max(0)]).astype(np.float32)


def _light_colour(light: Light) -> np.ndarray:
    warm = np.array([1.0 + 0.08 * light.warmth, 1.0, 1.0 - 0.12 * light.warmth])
    return (light.strength * warm).astype(np.float32)


def _backdrop(face: MadeFace, height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns canvas and labels with the background: large soft shapes."""
    draw = np.random.default_rng([face.scene.seed, 4])
    grey = draw.uniform(0.15, 0.85) + 0.12 * draw.standard_normal((5, 5, 1))
    small = grey + 0.06 * draw.standard_normal((5, 5, 3))
    canvas = cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)
    canvas = np.ascontiguousarray(canvas, np.float32)
    for _ in range(draw.integers(0, 7)):
        corner = draw.uniform(-0.2, 1.0, 2) * (width, height)
        extent = draw.uniform(0.1, 0.6, 2) * (width, height)
        low, high = corner.astype(int).tolist(), (corner + extent).astype(int).tolist()
        colour = draw.uniform(0.1, 0.9) + 0.12 * draw.standard_normal(3)
        cv2.rectangle(canvas, low, high, colour.tolist(), -1)
    canvas = cv2.GaussianBlur(canvas, (0, 0), draw.uniform(0.004, 0.04) * height)
    canvas *= _light_colour(face.light)
    return canvas.clip(0, 1), np.full((height, width), paint.BACKGROUND, np.uint8)


def _polygon(
    canvas: np.ndarray,
    label: np.ndarray,
    points: np.ndarray,
    colour: np.ndarray | Sequence[float],
    kind: int,
    opacity: float = 1.0,
) -> None:
    """Fills a polygon `(n, 2)` in pixels, with smooth edges."""
    corners = np.rint(np.asarray(points)[:, :2] * 16).astype(np.int32)
    cover = np.zeros(label.shape, np.uint8)
    cv2.fillPoly(cover, [corners], 255, cv2.LINE_AA, 4)
    inside = cover[..., None].astype(np.float32) * (opacity / 255.0)
    canvas += inside * (np.asarray(colour, np.float32) - canvas)
    label[cover > 127] = kind


def _draw_body(face: MadeFace, canvas: np.ndarray, label: np.ndarray) -> None:
    """Draws what is behind the head: long hair, neck and shoulders."""
    light = _light_colour(face.light)
    size = label.shape

    def flat(points: Sequence[Sequence[float]] | np.ndarray) -> np.ndarray:
        return shape.project(np.array(points, float), face.pose, *size)

    if face.hair.length > 0 and face.hair.line > -1:
        y = np.linspace(-0.9, face.hair.length, 24)
        upper = np.minimum(y, 0.2)
        wide = shape.half_width(face.identity, upper) + face.hair.volume + 0.04
        right = np.stack([wide, y, np.full_like(y, -0.25)], axis=1)
        outline = np.vstack([right, right[::-1] * [-1, 1, 1]])
        colour = np.array(face.hair.colour) * 0.7 * light
        _polygon(canvas, label, flat(outline), colour, paint.HAIR)
    neck = [(-0.36, 0.5, -0.15), (0.36, 0.5, -0.15), (0.40, 1.5, -0.3)]
    skin = np.array(face.identity.skin) * 0.62 * light
    _polygon(canvas, label, flat([*neck, (-0.40, 1.5, -0.3)]), skin, paint.NECK)
    body = [(-0.42, 1.28, -0.2), (-1.25, 1.55, -0.3), (-1.6, 6.0, -0.3)]
    body += [(1.6, 6.0, -0.3), (1.25, 1.55, -0.3), (0.42, 1.28, -0.2), (0, 1.45, 0)]
    cloth = np.array(face.scene.cloth) * 0.85 * light
    _polygon(canvas, label, flat(body), cloth, paint.CLOTH)


def _draw_head(face: MadeFace, canvas: np.ndarray, label: np.ndarray) -> None:
    size = max(500, int(1.35 * face.pose.scale * label.shape[0]))
    skin = paint.paint(face.identity, face.hair, face.expression, size)
    points, normals = _geometry(face, skin)
    projected = shape.project(points, face.pose, *label.shape).astype(np.float32)
    turned = normals @ shape.rotation(face.pose).T.astype(np.float32)
    lit = skin.colour * _shading(turned, face.light, skin.label)
    seen = turned[..., 2] > 0.0
    _splat(canvas, label, projected[seen], lit[seen], skin.label[seen])


def _geometry(face: MadeFace, skin: paint.Skin) -> tuple[np.ndarray, np.ndarray]:
    """Returns points and unit normals of all pixels of the skin, `(size, size, 3)`."""
    step = (np.arange(_COARSE) + 0.5) / _COARSE * 2.0 - 1.0
    lift = cv2.resize(skin.lift, (_COARSE, _COARSE), interpolation=cv2.INTER_AREA)
    angle, y = step[None, :] * shape.MAX_ANGLE, step[:, None]
    points = shape.surface(face.identity, face.expression, angle, y, lift)
    along = np.gradient(points, axis=1)
    down = np.gradient(points, axis=0)
    normals = np.cross(along, down)
    normals /= np.linalg.norm(normals, axis=-1, keepdims=True) + 1e-12
    wanted = (skin.size, skin.size)
    points = cv2.resize(points, wanted, interpolation=cv2.INTER_LINEAR)
    normals = cv2.resize(normals, wanted, interpolation=cv2.INTER_LINEAR)
    return points.astype(np.float32), normals.astype(np.float32)


def _shading(normals: np.ndarray, light: Light, label: np.ndarray) -> np.ndarray:
    """Returns what the colours are multiplied with: Lambert and a weak gloss."""
    direction = np.array([light.x, light.y, light.z], np.float32)
    direction /= np.linalg.norm(direction)
    facing = normals @ direction
    diffuse = np.clip(0.85 * facing + 0.15, 0.0, 1.0)
    half = direction + np.array([0.0, 0.0, 1.0], np.float32)
    half /= np.linalg.norm(half)
    gloss = 0.10 * np.clip(normals @ half, 0.0, 1.0) ** 18
    gloss[label == paint.HAIR] *= 0.5
    amount = light.ambient + 1.05 * (1.0 - light.ambient) * diffuse + gloss
    return amount[..., None] * _light_colour(light)


def _splat(
    canvas: np.ndarray,
    label: np.ndarray,
    projected: np.ndarray,
    colour: np.ndarray,
    kinds: np.ndarray,
) -> None:
    """Puts surface points into the canvas, the nearest of each pixel on top."""
    height, width = label.shape
    column = np.rint(projected[:, 0]).astype(np.int32)
    row = np.rint(projected[:, 1]).astype(np.int32)
    inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
    order = np.argsort(projected[inside, 2], kind="stable")
    at = (row[inside].astype(np.int64) * width + column[inside])[order]
    layer = np.zeros((height * width, 3), np.float32)
    covered = np.zeros(height * width, np.float32)
    layer_kinds = np.zeros(height * width, np.uint8)
    layer[at] = colour[inside][order]
    layer_kinds[at] = kinds[inside][order]
    covered[at] = 1.0
    layer = layer.reshape(height, width, 3)
    covered = covered.reshape(height, width)
    kinds = layer_kinds.reshape(height, width)
    layer, covered, kinds = _close_gaps(layer, covered, kinds)
    canvas += covered[..., None] * (layer.clip(0, 1) - canvas)
    label[covered > 0] = kinds[covered > 0]


def _close_gaps(
    layer: np.ndarray, covered: np.ndarray, kinds: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Fills pixels that no point met from their neighbours."""
    for _ in range(3):
        count = cv2.boxFilter(covered, -1, (3, 3), normalize=False)
        gaps = (covered == 0) & (count >= 5)
        if not gaps.any():
            break
        total = cv2.boxFilter(layer, -1, (3, 3), normalize=False)
        layer[gaps] = total[gaps] / count[gaps][:, None]
        kinds[gaps] = cv2.dilate(kinds, np.ones((3, 3), np.uint8))[gaps]
        covered[gaps] = 1.0
    return layer, covered, kinds


def _draw_occluder(face: MadeFace, canvas: np.ndarray, label: np.ndarray) -> None:
    kind = face.scene.occluder
    if kind in ("glasses", "sunglasses"):
        _draw_glasses(face, canvas, label, dark=kind == "sunglasses")
    elif kind == "bar":
        _draw_bar(face, canvas, label)


def _draw_glasses(
    face: MadeFace, canvas: np.ndarray, label: np.ndarray, dark: bool
) -> None:
    eyes, apart = face.identity.eye_height, face.identity.eye_distance
    front = shape.landmarks_3d(face.identity, face.expression)[:2, 2].max() + 0.10
    draw = np.random.default_rng([face.scene.seed, 6])
    frame = draw.uniform(0.0, 0.25, 3)
    thick = max(1, round(0.016 * face.pose.scale * label.shape[0]))
    turn = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    square = np.sign(np.cos(turn)) * np.abs(np.cos(turn)) ** 0.7
    tall = np.sign(np.sin(turn)) * np.abs(np.sin(turn)) ** 0.7

    def line(points: Sequence[Sequence[float]] | np.ndarray, closed: bool) -> None:
        flat = shape.project(np.array(points), face.pose, *label.shape)[:, :2]
        corners = [np.rint(flat * 16).astype(np.int32)]
        cv2.polylines(canvas, corners, closed, frame.tolist(), thick, cv2.LINE_AA, 4)
        cv2.polylines(label, corners, closed, paint.GLASSES, thick, cv2.LINE_8, 4)

    for side in (-1, 1):
        rim = np.stack(
            [side * apart + 0.19 * square, eyes + 0.02 + 0.13 * tall, front + 0 * turn],
            axis=1,
        )
        flat = shape.project(rim, face.pose, *label.shape)
        if dark:
            _polygon(canvas, label, flat, (0.04, 0.04, 0.05), paint.GLASSES, 0.93)
        line(rim, True)
        outer = side * (apart + 0.19)
        if side * face.pose.yaw < 8:  # the other temple is behind the head
            line([(outer, eyes, front), (side * 0.74, eyes, 0.0)], False)
    line([(-apart + 0.19, eyes, front), (apart - 0.19, eyes, front)], False)


def _draw_bar(face: MadeFace, canvas: np.ndarray, label: np.ndarray) -> None:
    """Draws something long, like an arm or a microphone, before the chin."""
    draw = np.random.default_rng([face.scene.seed, 7])
    angle = np.radians(face.scene.bar_angle)
    along = np.array([np.cos(angle), np.sin(angle)])
    across = np.array([-along[1], along[0]]) * draw.uniform(0.10, 0.22)
    middle = np.array([face.scene.bar_x, face.scene.bar_y])
    far = middle + along * (2.5 if middle[0] > 0 else -2.5)
    corners = np.array([middle - across, middle + across, far + across, far - across])
    front = np.full((4, 1), 1.1)
    flat = shape.project(np.hstack([corners, front]), face.pose, *label.shape)
    colour = draw.uniform(0.1, 0.9, 3) * _light_colour(face.light)
    _polygon(canvas, label, flat, colour, paint.OCCLUDER)
