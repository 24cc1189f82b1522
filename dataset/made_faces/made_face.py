"""Made faces: what a picture of a face is made of, each part on its own.

Identity, hair, pose, expression, light, occluder and background are independent
records of numbers, so the right answer of a face swap is known: the identity of one
with all else of the other (`true_swap`). They are drawn by `made_faces_render`.

Lengths are in half heads: a head reaches from y = -1 (top) to y = 1 (chin), x to the
right of the image, y down, z towards the camera.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

OCCLUDERS = ("none", "glasses", "sunglasses", "bar")

# Linear mix of these gives a skin; from pale to dark, RGB in [0, 1].
_SKINS = np.array(
    [[0.96, 0.82, 0.73], [0.90, 0.72, 0.59], [0.76, 0.57, 0.44], [0.45, 0.30, 0.22]]
)
_IRISES = (
    (0.35, 0.22, 0.12),
    (0.30, 0.45, 0.62),
    (0.35, 0.48, 0.32),
    (0.16, 0.10, 0.07),
)
_HAIRS = (
    (0.10, 0.08, 0.07),
    (0.28, 0.17, 0.10),
    (0.55, 0.38, 0.20),
    (0.62, 0.60, 0.58),
    (0.45, 0.18, 0.08),
)


@dataclasses.dataclass(frozen=True)
class Identity:
    """Shape and texture of one person's face.

    Attributes:
        skin: RGB in [0, 1].
        iris: RGB in [0, 1].
        brow: RGB in [0, 1].
        lips: How red and dark the lips are, 0 to 1.
        width: Half the width of the head.
        jaw: How square the jaw is, about -1 to 1.
        cheek: How far the cheekbones stand out.
        eye_distance: Half the distance of the pupils.
        eye_height: y of the pupils.
        eye_size: Half the length of an eye.
        eye_open: Height of the opened eye by its length.
        eye_slant: How much higher the outer corners are.
        brow_height: Distance of the brows above the eyes.
        brow_thickness: Their thickness.
        brow_arch: How bent they are.
        nose_length: y of the tip below the eyes.
        nose_width: Half width at the nostrils.
        nose_height: How far the tip stands out.
        mouth_height: y of the mouth below the tip of the nose.
        mouth_width: Half its width.
        lip_upper: Thickness of the upper lip.
        lip_lower: Thickness of the lower lip.
        beard: 0 none to 1 full.
        age: 0 to 1, draws lines.
        marks: Freckles and moles: `x, y, radius, darkness` each.
        seed: Of the fine texture of the skin.
    """

    skin: tuple[float, float, float]
    iris: tuple[float, float, float]
    brow: tuple[float, float, float]
    lips: float
    width: float
    jaw: float
    cheek: float
    eye_distance: float
    eye_height: float
    eye_size: float
    eye_open: float
    eye_slant: float
    brow_height: float
    brow_thickness: float
    brow_arch: float
    nose_length: float
    nose_width: float
    nose_height: float
    mouth_height: float
    mouth_width: float
    lip_upper: float
    lip_lower: float
    beard: float
    age: float
    marks: tuple[tuple[float, float, float, float], ...]
    seed: int


@dataclasses.dataclass(frozen=True)
class Hair:
    """The hair, which a face swap leaves to the target.

    Attributes:
        colour: RGB in [0, 1].
        line: y of the hair line at the forehead; above -1 means bald.
        length: y where the hair at the sides ends.
        volume: How far it stands off the head.
        parting: x where it is parted.
        seed: Of the strands.
    """

    colour: tuple[float, float, float]
    line: float
    length: float
    volume: float
    parting: float
    seed: int


@dataclasses.dataclass(frozen=True)
class Pose:
    """Where the head is and which way it looks.

    Attributes:
        yaw: Degrees; positive: the nose points to the right of the image.
        pitch: Degrees; positive: the nose points down.
        roll: Degrees; positive: the head leans clockwise.
        scale: Height of the head by the height of the image.
        x: Centre of the head by the width of the image.
        y: Centre of the head by the height of the image.
    """

    yaw: float = 0.0
    pitch: float = 0.0
    roll: float = 0.0
    scale: float = 0.62
    x: float = 0.5
    y: float = 0.5


@dataclasses.dataclass(frozen=True)
class Expression:
    """What the face does.

    Attributes:
        mouth_open: 0 closed to 1 wide open.
        smile: -1 corners down to 1 corners up and apart.
        blink: 0 open eyes to 1 closed.
        brow_raise: -1 to 1.
        gaze_x: -1 to 1, to the right of the image.
        gaze_y: -1 to 1, down.
    """

    mouth_open: float = 0.0
    smile: float = 0.0
    blink: float = 0.0
    brow_raise: float = 0.0
    gaze_x: float = 0.0
    gaze_y: float = 0.0


@dataclasses.dataclass(frozen=True)
class Light:
    """One far light and light from all around.

    Attributes:
        x: Direction to the light, to the right.
        y: Direction to the light, down.
        z: Direction to the light, to the camera.
        ambient: Share of the light from all around, 0 to 1.
        strength: Brightness of all.
        warmth: -1 bluish to 1 yellowish.
    """

    x: float = 0.3
    y: float = -0.5
    z: float = 0.8
    ambient: float = 0.45
    strength: float = 1.0
    warmth: float = 0.0


@dataclasses.dataclass(frozen=True)
class Scene:
    """What is around the face and before it.

    Attributes:
        occluder: One of `OCCLUDERS`.
        bar_x: Middle of the bar, in half heads from the middle of the face.
        bar_y: The same, down.
        bar_angle: Degrees.
        cloth: RGB in [0, 1].
        noise: Standard deviation of the camera's noise, in grey levels.
        seed: Of background and noise.
    """

    occluder: str = "none"
    bar_x: float = 0.0
    bar_y: float = 0.8
    bar_angle: float = 0.0
    cloth: tuple[float, float, float] = (0.3, 0.3, 0.4)
    noise: float = 2.0
    seed: int = 0


@dataclasses.dataclass(frozen=True)
class MadeFace:
    """All that decides one picture.

    Attributes:
        identity: Who.
        hair: The hair.
        pose: Where and which way.
        expression: What the face does.
        light: How it is lit.
        scene: What is around it.
    """

    identity: Identity
    hair: Hair
    pose: Pose
    expression: Expression
    light: Light
    scene: Scene


def true_swap(source: MadeFace, target: MadeFace) -> MadeFace:
    """Returns the right answer of a swap: the source's identity, all else the target's.

    Args:
        source: Gives the identity.
        target: Gives hair, pose, expression, light and scene.
    """
    return dataclasses.replace(target, identity=source.identity)


def make_identity(seed: int) -> Identity:
    """Returns person number `seed`.

    Args:
        seed: Any integer of at least 0.
    """
    draw = np.random.default_rng([seed, 1])
    between = draw.uniform
    tone = between(0, 2.999)
    low = int(tone)
    skin = _SKINS[low] + (tone - low) * (_SKINS[low + 1] - _SKINS[low])
    skin = np.clip(skin * between(0.94, 1.06, 3), 0, 1)
    brow = np.array(_HAIRS[draw.choice(5, p=(0.4, 0.3, 0.12, 0.08, 0.1))])
    num_marks = draw.choice((0, 2, 30), p=(0.3, 0.5, 0.2))
    return Identity(
        skin=_colour(skin),
        iris=_colour(_IRISES[draw.integers(4)] * between(0.8, 1.2, 3)),
        brow=_colour(brow * between(0.7, 1.0)),
        lips=between(0.15, 0.9),
        width=between(0.62, 0.76),
        jaw=between(-1, 1),
        cheek=between(0.0, 0.06),
        eye_distance=between(0.245, 0.31),
        eye_height=between(-0.06, 0.05),
        eye_size=between(0.105, 0.145),
        eye_open=between(0.34, 0.62),
        eye_slant=between(-0.2, 0.25),
        brow_height=between(0.15, 0.24),
        brow_thickness=between(0.018, 0.055),
        brow_arch=between(0.0, 0.07),
        nose_length=between(0.31, 0.43),
        nose_width=between(0.095, 0.165),
        nose_height=between(0.15, 0.27),
        mouth_height=between(0.20, 0.29),
        mouth_width=between(0.17, 0.255),
        lip_upper=between(0.025, 0.065),
        lip_lower=between(0.035, 0.085),
        beard=max(0.0, between(-1.6, 1.0)),
        age=between(0, 1),
        marks=_marks(draw, int(num_marks)),
        seed=int(draw.integers(1 << 30)),
    )


def _colour(values: np.ndarray | Sequence[float]) -> tuple[float, float, float]:
    red, green, blue = np.clip(values, 0.0, 1.0).tolist()
    return red, green, blue


def _marks(draw: np.random.Generator, count: int) -> tuple:
    many = count > 5
    rows = []
    for _ in range(count):
        x, y = draw.uniform(-0.5, 0.5), draw.uniform(-0.3 if not many else 0.0, 0.75)
        radius = draw.uniform(0.006, 0.012) if many else draw.uniform(0.012, 0.028)
        rows.append((x, y * (0.5 if many else 1), radius, draw.uniform(0.25, 0.8)))
    return tuple(rows)


def make_hair(seed: int) -> Hair:
    """Returns hair number `seed`.

    Args:
        seed: Any integer of at least 0.
    """
    draw = np.random.default_rng([seed, 2])
    colour = np.array(_HAIRS[draw.choice(5, p=(0.35, 0.3, 0.15, 0.1, 0.1))])
    bald = draw.random() < 0.08
    return Hair(
        colour=_colour(colour * draw.uniform(0.8, 1.25)),
        line=-1.2 if bald else draw.uniform(-0.72, -0.5),
        length=-0.1 if draw.random() < 0.5 else draw.uniform(0.3, 1.2),
        volume=draw.uniform(0.03, 0.12),
        parting=draw.uniform(-0.4, 0.4),
        seed=int(draw.integers(1 << 30)),
    )


def make_face(
    identity: Identity, seed: int, max_yaw: float = 35.0, hair: Hair | None = None
) -> MadeFace:
    """Returns a person in random circumstances.

    Args:
        identity: Who.
        seed: Of everything but the identity.
        max_yaw: Largest turn to a side in degrees.
        hair: Its hair; also from the seed if None.
    """
    draw = np.random.default_rng([seed, 3])
    between = draw.uniform
    pose = Pose(
        yaw=between(-max_yaw, max_yaw),
        pitch=between(-15, 15),
        roll=draw.normal(0, 8),
        scale=between(0.5, 0.78),
        x=between(0.42, 0.58),
        y=between(0.42, 0.54),
    )
    expression = Expression(
        mouth_open=max(0.0, between(-1.2, 0.8)),
        smile=between(-0.5, 1),
        blink=max(0.0, between(-2.0, 0.9)),
        brow_raise=between(-0.6, 1),
        gaze_x=draw.normal(0, 0.4),
        gaze_y=draw.normal(0, 0.2),
    )
    light = Light(
        x=between(-1, 1),
        y=between(-1, 0.2),
        z=between(0.5, 1),
        ambient=between(0.3, 0.65),
        strength=between(0.8, 1.1),
        warmth=between(-0.7, 0.7),
    )
    scene = Scene(
        occluder=OCCLUDERS[draw.choice(4, p=(0.78, 0.12, 0.04, 0.06))],
        bar_x=between(-0.5, 0.5),
        bar_y=between(0.75, 1.05),
        bar_angle=between(-40, 40),
        cloth=_colour(between(0.05, 0.9, 3)),
        noise=between(0, 4),
        seed=int(draw.integers(1 << 30)),
    )
    hair = hair or make_hair(int(draw.integers(1 << 30)))
    return MadeFace(identity, hair, pose, expression, light, scene)
