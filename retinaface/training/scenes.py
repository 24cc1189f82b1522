"""Photos for the training of a detector, put together from labelled ones.

A scene is one photo turned and scaled, a mosaic of photos, a crowd of cut-out heads or
a picture without a face. Faces are known by the label of the photo they come from. All
random numbers come from the generator that is given.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import cv2
import numpy as np

from facedancer.face import alignment
from facedancer.face.boxes import areas
from facedancer.face.face_labels import LabelledPhoto
from facedancer.imaging import images
from facedancer.imaging.degrading import degrade, occlude
from facedancer.retinaface.training.backgrounds import make_background

MIN_SEEN = 0.35  # fraction of a box that must be seen for the face to count
MIRRORED = [1, 0, 2, 4, 3]  # the landmarks' order after a flip


@dataclasses.dataclass(frozen=True)
class SceneSettings:
    """What scenes look like.

    Attributes:
        size: Side of the square scene in pixels.
        mosaics: Share of scenes that are mosaics of 4 to 16 photos.
        crowds: Share of scenes that are crowds of cut-out heads.
        empty: Share of scenes without a face.
        smallest: Longer side of the smallest face that counts, in pixels.
        degrees: Largest rotation to each side.
        min_score: Smallest score of a label that counts as a face; weaker ones are
            ignored.
        occluders: Share of faces that something is put in front of.

    Raises:
        ValueError: If the fractions add up to more than 1.
    """

    size: int = 320
    mosaics: float = 0.25
    crowds: float = 0.2
    empty: float = 0.2
    smallest: float = 16.0
    degrees: float = 45.0
    min_score: float = 0.8
    occluders: float = 0.2

    def __post_init__(self) -> None:
        total = self.mosaics + self.crowds + self.empty
        if not 0.0 <= total <= 1.0:
            raise ValueError(
                "`mosaics`, `crowds` and `empty` must add up to at most 1. "
                f"Received: {self.mosaics}, {self.crowds}, {self.empty}"
            )


class Photos:
    """Labelled photos, decoded once and kept in memory.

    Args:
        labelled: The photos.
        longest: Longer side above which a photo is made smaller, in pixels.
        min_score: Smallest score of a label that counts as a face.
    """

    def __init__(
        self,
        labelled: Sequence[LabelledPhoto],
        longest: int = 512,
        min_score: float = 0.8,
    ) -> None:
        self._labelled = list(labelled)
        self._longest = longest
        self._min_score = min_score
        self._read: dict[int, Scene] = {}

    def __len__(self) -> int:
        return len(self._labelled)

    def __getitem__(self, index: int) -> Scene:
        """Returns a photo as a scene that must not be changed."""
        if index not in self._read:
            self._read[index] = self._decode(self._labelled[index])
        return self._read[index]

    def _decode(self, photo: LabelledPhoto) -> Scene:
        image, faces = images.read_image(photo.path), photo.faces
        scale = min(1.0, self._longest / max(image.shape[:2]))
        if scale < 1.0:
            image = cv2.resize(
                image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA
            )
        return Scene(
            image,
            (faces.boxes + 0.5) * scale - 0.5,
            (faces.landmarks + 0.5) * scale - 0.5,
            faces.scores >= self._min_score,
        )


@dataclasses.dataclass
class Scene:
    """A picture in the making.

    Attributes:
        image: `(height, width, 3)` uint8 RGB.
        boxes: `(n, 4)` pixels, cut by the border of the picture.
        landmarks: `(n, 5, 2)` pixels; some may lie outside.
        counted: `(n,)` bool: False for what is neither a face nor background.
    """

    image: np.ndarray
    boxes: np.ndarray
    landmarks: np.ndarray
    counted: np.ndarray

    @classmethod
    def empty(cls, image: np.ndarray) -> Scene:
        """Returns a scene without a face.

        Args:
            image: `(height, width, 3)` uint8 RGB.
        """
        return cls(image, np.zeros((0, 4)), np.zeros((0, 5, 2)), np.zeros(0, bool))


def make_scene(
    photos: Photos, settings: SceneSettings, random: np.random.Generator
) -> Scene:
    """Returns a picture of `settings.size` with its faces, not yet degraded.

    Args:
        photos: What it is put together from.
        settings: Which kinds of scenes, how often.
        random: Draws everything.
    """
    kind = random.random()
    scene = Scene.empty(make_background(photos, settings.size, random))
    if kind < settings.empty:
        return scene
    if kind < settings.empty + settings.mosaics:
        return _mosaic(scene, photos, settings, random)
    if kind < settings.empty + settings.mosaics + settings.crowds:
        return _crowd(scene, photos, settings, random)
    return _single(scene, photos, settings, random)


def make_picture(
    photos: Photos, settings: SceneSettings, random: np.random.Generator
) -> Scene:
    """Returns a scene as a bad camera would show it, some faces partly covered.

    Faces smaller than `settings.smallest` are in it, but not counted.

    Args:
        photos: What it is put together from.
        settings: Which kinds of scenes, how often.
        random: Draws everything.
    """
    scene = make_scene(photos, settings, random)
    image = occlude(scene.image, scene.boxes, settings.occluders, random)
    sides = (scene.boxes[:, 2:] - scene.boxes[:, :2]).max(axis=1, initial=0.0)
    counted = scene.counted & (sides >= settings.smallest)
    return dataclasses.replace(scene, image=degrade(image, random), counted=counted)


def _single(
    scene: Scene, photos: Photos, settings: SceneSettings, random: np.random.Generator
) -> Scene:
    """One photo; its main face anywhere, of any size up to the whole picture."""
    side = _log_uniform(random, settings.smallest, 1.2 * settings.size)
    centre = random.uniform(0.1, 0.9, 2) * settings.size
    window = (0, 0, settings.size, settings.size)
    return _place(scene, _any(photos, random), side, centre, window, settings, random)


def _mosaic(
    scene: Scene, photos: Photos, settings: SceneSettings, random: np.random.Generator
) -> Scene:
    """2 x 2 to 4 x 4 photos side by side."""
    count = int(random.integers(2, 5))
    edges = np.linspace(0, settings.size, count + 1).astype(int)
    for y0, y1 in zip(edges[:-1], edges[1:], strict=True):
        for x0, x1 in zip(edges[:-1], edges[1:], strict=True):
            side = _log_uniform(random, settings.smallest, x1 - x0)
            side = max(side, 0.25 * (x1 - x0))
            centre = np.array([x0, y0]) + random.uniform(0.3, 0.7, 2) * (x1 - x0)
            window, photo = (x0, y0, x1, y1), _any(photos, random)
            scene = _place(scene, photo, side, centre, window, settings, random)
    return scene


def _crowd(
    scene: Scene, photos: Photos, settings: SceneSettings, random: np.random.Generator
) -> Scene:
    """Cut-out heads, the far ones first, some half behind others."""
    count = int(random.integers(3, 14))
    largest = settings.size / random.uniform(2.0, 6.0)
    sides = [_log_uniform(random, settings.smallest, largest) for _ in range(count)]
    window = (0, 0, settings.size, settings.size)
    for side in sorted(sides):
        centre = random.uniform(0.02, 0.98, 2) * settings.size
        photo = _any(photos, random)
        scene = _place(scene, photo, side, centre, window, settings, random, head=True)
    return scene


def _any(photos: Photos, random: np.random.Generator) -> Scene:
    return photos[int(random.integers(len(photos)))]


def _log_uniform(random: np.random.Generator, low: float, high: float) -> float:
    return float(np.exp(random.uniform(np.log(low), np.log(max(low, high)))))


def _place(
    scene: Scene,
    photo: Scene,
    side: float,
    centre: np.ndarray,
    window: tuple[int, int, int, int],
    settings: SceneSettings,
    random: np.random.Generator,
    head: bool = False,
) -> Scene:
    """Puts a photo into a window of the scene, its main face at a place and size."""
    box = photo.boxes[0]
    angle = random.uniform(-settings.degrees, settings.degrees)
    if random.random() < 0.6:  # most people stand upright
        angle *= 0.2
    scale = side / max(box[2:] - box[:2])
    if scale < 0.5:
        photo, scale = _halve(photo, scale)
        box = photo.boxes[0]
    if random.random() < 0.5:
        photo = mirror(photo)
        box = photo.boxes[0]
    matrix = _similarity((box[:2] + box[2:]) / 2, centre, scale, math.radians(angle))
    mask = _head_mask(photo.image, box) if head else np.ones(photo.image.shape[:2])
    return paste(scene, photo, matrix, mask.astype(np.float32), window)


def _halve(photo: Scene, scale: float) -> tuple[Scene, float]:
    """Averages the photo down as far as the scale asks, against aliasing."""
    factor = max(scale, 8 / min(photo.image.shape[:2]))
    image = cv2.resize(
        photo.image, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA
    )
    boxes, points = (
        (value + 0.5) * factor - 0.5 for value in (photo.boxes, photo.landmarks)
    )
    return Scene(image, boxes, points, photo.counted), scale / factor


def mirror(photo: Scene) -> Scene:
    """Returns the picture seen in a mirror; the left eye is left in the picture.

    Args:
        photo: A picture and its faces.
    """
    last = photo.image.shape[1] - 1
    boxes = photo.boxes[:, [2, 1, 0, 3]] * [-1, 1, -1, 1] + [last, 0, last, 0]
    points = photo.landmarks[:, MIRRORED] * [-1, 1] + [last, 0]
    image = np.ascontiguousarray(photo.image[:, ::-1])
    return Scene(image, boxes, points, photo.counted)


def _similarity(
    origin: np.ndarray, destination: np.ndarray, scale: float, angle: float
) -> np.ndarray:
    """`(2, 3)` matrix that turns and scales about `origin` and moves it."""
    a, b = scale * math.cos(angle), scale * math.sin(angle)
    turn = np.array([[a, -b], [b, a]])
    return np.concatenate([turn, (destination - turn @ origin)[:, None]], axis=1)


def _head_mask(image: np.ndarray, box: np.ndarray) -> np.ndarray:
    """A soft ellipse around a face box, hair and ears inside."""
    mask = np.zeros(image.shape[:2], np.uint8)
    centre = (box[:2] + box[2:]) / 2 - [0, 0.08 * (box[3] - box[1])]
    axes = (box[2:] - box[:2]) * [0.72, 0.7]
    middle, half = np.round([centre, axes]).astype(int).tolist()
    cv2.ellipse(mask, middle, half, 0, 0, 360, 255, -1)
    soft = max(1.0, 0.03 * float(axes[0]))
    return cv2.GaussianBlur(mask, (0, 0), soft) / 255.0


def turned_boxes(boxes: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Returns the boxes of faces after a similarity map.

    A face is taken as the ellipse inside its box: the box of the turned ellipse is
    closer to the face than the box of the turned corners.

    Args:
        boxes: `(n, 4)` pixels.
        matrix: `(2, 3)` similarity.
    """
    centres = alignment.apply(matrix, (boxes[:, :2] + boxes[:, 2:]) / 2)
    halves = (boxes[:, 2:] - boxes[:, :2]) / 2
    extents = np.sqrt(halves**2 @ (matrix[:, :2] ** 2).T)
    return np.concatenate([centres - extents, centres + extents], axis=1)


def paste(
    scene: Scene,
    photo: Scene,
    matrix: np.ndarray,
    mask: np.ndarray,
    window: tuple[int, int, int, int],
) -> Scene:
    """Returns a scene with a photo warped over it.

    Args:
        scene: What lies behind. Faces that the photo hides are left out, or not
            counted where less than a third of them is seen.
        photo: What is put in front.
        matrix: `(2, 3)` similarity from the photo to the scene.
        mask: `(height, width)` float32 in [0, 1], which part of the photo is put.
        window: `x0, y0, x1, y1` of the scene that may be painted.
    """
    x0, y0, x1, y1 = _touched(photo.image.shape, matrix, window)
    if x0 >= x1 or y0 >= y1:
        return scene
    shifted = matrix - np.array([[0, 0, x0], [0, 0, y0]])
    over = cv2.warpAffine(mask, shifted, (x1 - x0, y1 - y0))
    front = cv2.warpAffine(photo.image, shifted, (x1 - x0, y1 - y0))
    image, shown = scene.image.copy(), np.zeros(scene.image.shape[:2], np.float32)
    part = image[y0:y1, x0:x1].astype(np.float32)
    image[y0:y1, x0:x1] = np.round(part + over[..., None] * (front - part))
    shown[y0:y1, x0:x1] = over
    boxes = turned_boxes(photo.boxes, matrix)
    points = alignment.apply(matrix, photo.landmarks.reshape(-1, 2))
    cut = np.clip(boxes.reshape(-1, 2, 2), window[:2], window[2:]).reshape(-1, 4)
    behind = _seen(scene.boxes, scene.boxes, scene.counted, 1.0 - shown)
    new = _seen(boxes, cut, photo.counted, shown)
    return Scene(
        image,
        np.concatenate([scene.boxes[behind >= 0], cut[new >= 0]]),
        np.concatenate(
            [scene.landmarks[behind >= 0], points.reshape(-1, 5, 2)[new >= 0]]
        ),
        np.concatenate([behind[behind >= 0], new[new >= 0]]) > 0,
    )


def _touched(
    shape: tuple[int, ...], matrix: np.ndarray, window: tuple[int, int, int, int]
) -> tuple[int, int, int, int]:
    """The part of a window that a warped image can reach, in whole pixels."""
    height, width = shape[:2]
    corners = np.array([[-1, -1], [width, -1], [-1, height], [width, height]])
    moved = alignment.apply(matrix, corners.astype(np.float64))
    low = np.maximum(np.floor(moved.min(axis=0)), window[:2]).astype(int)
    high = np.minimum(np.ceil(moved.max(axis=0)) + 1, window[2:]).astype(int)
    return (*low.tolist(), *high.tolist())


def _seen(
    boxes: np.ndarray, cut: np.ndarray, counted: np.ndarray, visible: np.ndarray
) -> np.ndarray:
    """`(n,)`: 1 a face that is seen, 0 one that is not counted, -1 gone."""
    result = np.full(len(boxes), -1)
    sizes = areas(boxes)
    for index, (x0, y0, x1, y1) in enumerate(np.round(cut).astype(int)):
        part = visible[max(0, y0) : y1, max(0, x0) : x1]
        fraction = float(part.sum()) / max(float(sizes[index]), 1.0)
        if fraction > 0.05:
            result[index] = int(fraction >= MIN_SEEN and counted[index])
    return result
