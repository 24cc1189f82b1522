"""Parts of made faces, pasted on photos: glasses, beards, hair over the forehead.

A made head is drawn in the photo's pose, and its part laid over the photo by the five
landmarks. Beards and hair get the photo's light and, where it shows some, the colour of
its hair.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import cv2
import numpy as np

from facedancer.dataset.made_faces import made_face, paint, render
from facedancer.face import alignment, pose
from facedancer.imaging.images import LUMA

_MAX_TURN = 40.0  # degrees: farther than that made heads are not drawn
_NOD = 0.25  # five points tell little of the nod, and temples show it
_BANGS = (-0.34, -0.16)  # y of the end of the hair over the forehead, in half heads
_CLEAN = made_face.Scene(noise=0.0)


@dataclasses.dataclass(frozen=True)
class Part:
    """Something to lay over a crop.

    Attributes:
        image: `(size, size, 3)` float32 RGB in [0, 255].
        cover: `(size, size)` float32, how much of it is laid over, 0 to 1.
        shadow: `(size, size)` float32, how much darker it makes what is below.
    """

    image: np.ndarray
    cover: np.ndarray
    shadow: np.ndarray

    def over(self, photo: np.ndarray) -> np.ndarray:
        """Returns a photo with the part over it, uint8.

        Args:
            photo: `(size, size, 3)` uint8 RGB.
        """
        shaded = photo.astype(np.float32) * (1.0 - self.shadow[..., None])
        found = shaded + self.cover[..., None] * (self.image - shaded)
        return np.rint(found).clip(0, 255).astype(np.uint8)


def glasses(
    photo: np.ndarray, landmarks: np.ndarray, random: np.random.Generator
) -> Part:
    """Returns a frame for a photo, with a faint shadow below it.

    Args:
        photo: `(size, size, 3)` uint8 RGB.
        landmarks: `(5, 2)` pixels of it.
        random: Decides all the rest.
    """
    return _spectacles(photo, landmarks, random, "glasses")


def sunglasses(
    photo: np.ndarray, landmarks: np.ndarray, random: np.random.Generator
) -> Part:
    """Returns dark glasses for a photo.

    Args:
        photo: `(size, size, 3)` uint8 RGB.
        landmarks: `(5, 2)` pixels of it.
        random: Decides all the rest.
    """
    return _spectacles(photo, landmarks, random, "sunglasses")


def _spectacles(
    photo: np.ndarray, landmarks: np.ndarray, random: np.random.Generator, kind: str
) -> Part:
    face = _face(landmarks, random)
    scene = dataclasses.replace(face.scene, occluder=kind)
    drawn, matrix = _drawn(dataclasses.replace(face, scene=scene), landmarks, photo)
    size = photo.shape[0]
    cover = _laid(drawn.mask == paint.GLASSES, matrix, size)
    below = np.roll(cv2.GaussianBlur(cover, (0, 0), size / 90), size // 60, axis=0)
    image = alignment.crop(drawn.image, matrix, size).astype(np.float32)
    opacity = 1.0 if kind == "glasses" else random.uniform(0.85, 0.98)
    return Part(image, opacity * cover, 0.25 * below * (1.0 - cover))


def forehead_hair(
    photo: np.ndarray, landmarks: np.ndarray, random: np.random.Generator
) -> Part:
    """Returns hair that hangs over a photo's forehead.

    Args:
        photo: `(size, size, 3)` uint8 RGB.
        landmarks: `(5, 2)` pixels of it.
        random: Decides all the rest.
    """
    face, size = _face(landmarks, random), photo.shape[0]
    hair = dataclasses.replace(
        face.hair,
        line=random.uniform(*_BANGS),
        length=-0.1,
        colour=_hair_colour(photo, landmarks, face.hair.colour),
    )
    drawn, matrix = _drawn(dataclasses.replace(face, hair=hair), landmarks, photo)
    cover = _laid(drawn.mask == paint.HAIR, matrix, size)
    # What stands off the head is before the background: keep what is over the face.
    middle = landmarks[:2].mean(axis=0)
    across = float(np.hypot(*(landmarks[1] - landmarks[0])))
    columns = np.arange(size, dtype=np.float32)[None, :]
    cover = cover * np.clip(1.6 - np.abs(columns - middle[0]) / across / 0.9, 0.0, 1.0)
    below = np.roll(cv2.GaussianBlur(cover, (0, 0), size / 60), size // 50, axis=0)
    image = _lit(alignment.crop(drawn.image, matrix, size), photo, landmarks, drawn)
    return Part(image, cover, 0.3 * below * (1.0 - cover))


def beard(
    photo: np.ndarray, landmarks: np.ndarray, random: np.random.Generator
) -> Part:
    """Returns a beard for a photo, in the light of its skin.

    Args:
        photo: `(size, size, 3)` uint8 RGB.
        landmarks: `(5, 2)` pixels of it.
        random: Decides all the rest.
    """
    size, made = photo.shape[0], _face(landmarks, random)
    colour = np.array(_hair_colour(photo, landmarks, made.identity.brow))
    cover = _beard_area(np.asarray(landmarks, np.float64), size)
    hairs = 0.85 + 0.15 * paint.noise(random, size, (size, size // 2))
    cover = random.uniform(0.6, 0.95) * cover * np.clip(hairs, 0.5, 1.0)
    luma = photo @ np.array(LUMA, np.float32)
    light: np.ndarray = cv2.GaussianBlur(luma, (0, 0), size / 60)
    light = light / max(_skin_light(photo, landmarks), 1.0)
    image = 255.0 * colour * np.clip(light, 0.3, 1.3)[..., None]
    return Part(image.astype(np.float32), cover, np.zeros_like(cover))


def _beard_area(landmarks: np.ndarray, size: int) -> np.ndarray:
    """Returns where beards grow: jaw, chin and above the lip, `(size, size)`."""
    left, right, nose, mouth_left, mouth_right = landmarks
    mouth, across = (mouth_left + mouth_right) / 2, right - left
    down = mouth - (left + right) / 2
    turn = np.array([across, down]).T  # from parts of a face to pixels
    lip = nose + 0.42 * (mouth - nose)
    # The hull of a face, from ear to ear below the cheeks and over the lip.
    corners = np.array(
        [(-0.90, -0.35), (-0.80, 0.30), (-0.52, 0.78), (0.0, 1.0)]
        + [(0.52, 0.78), (0.80, 0.30), (0.90, -0.35), (0.62, -0.02)]
    )
    outline = [mouth + turn @ corner for corner in corners]
    side = turn @ np.array([0.30, 0.0])
    outline += [lip + side, lip - side, mouth + turn @ np.array([-0.62, -0.02])]
    area = np.zeros((size, size), np.uint8)
    cv2.fillPoly(area, [np.rint(np.array(outline) * 16).astype(np.int32)], 255, 8, 4)
    wide = float(np.hypot(*(mouth_right - mouth_left)))
    angle = float(np.degrees(np.arctan2(*(mouth_right - mouth_left)[::-1])))
    middle = tuple(np.rint(mouth * 16).astype(int).tolist())
    axes = (round(16 * 0.52 * wide), round(16 * 0.20 * wide))
    cv2.ellipse(area, middle, axes, angle, 0.0, 360.0, 0, -1, 8, 4)
    soft = cv2.GaussianBlur(area, (0, 0), size / 45).astype(np.float32) / 255.0
    cv2.ellipse(area := np.ones_like(area), middle, axes, angle, 0, 360, 0, -1, 8, 4)
    return soft * cv2.GaussianBlur(area.astype(np.float32), (0, 0), size / 120)


PARTS: dict[str, Callable[[np.ndarray, np.ndarray, np.random.Generator], Part]] = {
    "beard": beard,
    "forehead_hair": forehead_hair,
    "glasses": glasses,
    "sunglasses": sunglasses,
}


def _face(landmarks: np.ndarray, random: np.random.Generator) -> made_face.MadeFace:
    """Returns somebody who looks the same way as the photo."""
    seeds = [int(seed) for seed in random.integers(1 << 30, size=3)]
    found = pose.solve_pose(landmarks)
    turn = np.clip(np.nan_to_num(found), -_MAX_TURN, _MAX_TURN)
    turn[1] *= _NOD
    yaw, pitch, roll = map(float, turn)
    person = made_face.make_identity(seeds[0])
    person = dataclasses.replace(person, beard=0.0, marks=())
    face = made_face.make_face(person, seeds[1], hair=made_face.make_hair(seeds[2]))
    return dataclasses.replace(
        face,
        pose=made_face.Pose(yaw, pitch, roll, scale=0.62),
        expression=made_face.Expression(),
        scene=dataclasses.replace(_CLEAN, seed=face.scene.seed),
    )


def _drawn(
    face: made_face.MadeFace, landmarks: np.ndarray, photo: np.ndarray
) -> tuple[render.Rendered, np.ndarray]:
    """Returns a picture of a made head, and the matrix from it to the photo."""
    size = 2 * photo.shape[0]
    drawn = render.render(face, size, size)
    return drawn, alignment.similarity(drawn.landmarks, landmarks)


def _laid(mask: np.ndarray, matrix: np.ndarray, size: int) -> np.ndarray:
    """Returns a mask of the made picture as one of the photo, smooth at its edge."""
    grey = (255 * np.clip(mask, 0, 1)).astype(np.uint8)[..., None].repeat(3, axis=2)
    return alignment.crop(grey, matrix, size)[..., 0].astype(np.float32) / 255.0


def _skin_light(photo: np.ndarray, landmarks: np.ndarray) -> float:
    """Returns how bright the skin between eyes and mouth is, 0 to 255."""
    left, right, _, mouth_left, mouth_right = np.asarray(landmarks)
    low = np.minimum(left, mouth_left).astype(int)
    high = np.maximum(right, mouth_right).astype(int) + 1
    part = photo[max(low[1], 0) : high[1], max(low[0], 0) : high[0]]
    return float(np.median(part @ np.array(LUMA, np.float32))) if part.size else 128.0


def _lit(
    image: np.ndarray,
    photo: np.ndarray,
    landmarks: np.ndarray,
    drawn: render.Rendered,
) -> np.ndarray:
    """Returns a made picture as bright as the photo, by the skin of both."""
    ratio = _skin_light(photo, landmarks)
    ratio /= max(_skin_light(drawn.image, drawn.landmarks), 1.0)
    return image.astype(np.float32) * np.clip(ratio, 0.3, 1.6)


def _hair_colour(
    photo: np.ndarray, landmarks: np.ndarray, otherwise: tuple[float, float, float]
) -> tuple[float, float, float]:
    """Returns the colour of the dark pixels above the eyes, where there are enough."""
    eyes = float(np.asarray(landmarks)[:2, 1].mean())
    above = photo[: max(1, round(0.35 * eyes))].reshape(-1, 3).astype(np.float32)
    light = above @ np.array(LUMA, np.float32)
    dark = above[light < 0.6 * _skin_light(photo, landmarks)]
    if len(dark) < 0.1 * len(above):
        return otherwise
    red, green, blue = (np.median(dark, axis=0) / 255.0).tolist()
    return red, green, blue
