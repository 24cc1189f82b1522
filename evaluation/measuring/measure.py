"""Measures pairs: everything that is known of each source, target and result."""

from __future__ import annotations

import dataclasses
import logging
import typing
from collections.abc import Iterable, Sequence

import numpy as np

from facedancer.errors import InputError
from facedancer.evaluation.inputs.cache import Cache
from facedancer.evaluation.inputs.locating import Locator
from facedancer.evaluation.inputs.pairs import Pair
from facedancer.evaluation.inputs.photos import Face, Photo
from facedancer.evaluation.instruments import instruments
from facedancer.evaluation.measuring.swappers import Swapper
from facedancer.evaluation.metrics import background
from facedancer.face import alignment
from facedancer.inference.batching import fill_up
from facedancer.process import progress
from facedancer.video_swap.compositing import masks

if typing.TYPE_CHECKING:
    from facedancer.evaluation.instruments import backbones

ROLES = ("source", "target", "swapped")
SIDE = 128  # of the crops whose pixels are compared
_BATCH = 16


@dataclasses.dataclass(frozen=True)
class Perception:
    """A perceptual distance.

    Attributes:
        backbone: The network whose maps are compared.
        weights: Of the channels of each map, None for all alike.
        name: For reports.
    """

    backbone: backbones.Backbone
    weights: list[np.ndarray] | None
    name: str


@dataclasses.dataclass(frozen=True)
class Tools:
    """What measures.

    Attributes:
        locator: Finds faces.
        cache: Keeps results.
        instruments: Networks that give one vector a face.
        perception: A perceptual distance, None to leave it out.
    """

    locator: Locator
    cache: Cache
    instruments: tuple[instruments.Instrument, ...] = ()
    perception: Perception | None = None


@dataclasses.dataclass
class Measured:
    """What was measured; every array has one row a pair.

    Attributes:
        pairs: The pairs that could be measured.
        skipped: Why others could not, one line each.
        faces: By role the faces.
        vectors: By instrument's role, then by role of the photo: `(n, d)`.
        pixels: By name: `(n,)` comparisons of target and result.
        thumbnails: By role: `(n, 128, 128, 3)` uint8 RGB.
        names: By instrument's role the network that measured.
    """

    pairs: list[Pair] = dataclasses.field(default_factory=list)
    skipped: list[str] = dataclasses.field(default_factory=list)
    faces: dict[str, list[Face]] = dataclasses.field(default_factory=dict)
    vectors: dict[str, dict[str, np.ndarray]] = dataclasses.field(default_factory=dict)
    pixels: dict[str, np.ndarray] = dataclasses.field(default_factory=dict)
    thumbnails: dict[str, np.ndarray] = dataclasses.field(default_factory=dict)
    names: dict[str, str] = dataclasses.field(default_factory=dict)

    @property
    def found(self) -> np.ndarray:
        """`(n,)` bool, whether the detector sees a face in the result."""
        return np.array([face.found for face in self.faces["swapped"]], bool)

    def landmarks(self, role: str) -> np.ndarray:
        """Returns `(n, 5, 2)` pixels.

        Args:
            role: `"source"`, `"target"` or `"swapped"`.
        """
        return np.stack([face.landmarks for face in self.faces[role]])

    def labels(self, role: str) -> np.ndarray:
        """Returns `(n,)` who is on the photos.

        Args:
            role: `"source"` or `"target"`.
        """
        return np.array([getattr(pair, f"{role}_label") for pair in self.pairs])


def measure(pairs: Sequence[Pair], swapper: Swapper | None, tools: Tools) -> Measured:
    """Returns all measurements of a list of pairs.

    Args:
        pairs: What is swapped.
        swapper: With `swap(sources, targets)`; None where pairs bring their results.
        tools: What measures.

    Raises:
        InputError: If no pair could be measured.
    """
    result = Measured(names={i.role: i.name for i in tools.instruments})
    rows: list[dict] = []
    bar = progress.bar(total=len(pairs), unit="pair", desc="measuring")
    with bar:
        for start in range(0, len(pairs), _BATCH):
            part = pairs[start : start + _BATCH]
            rows += _measure_batch(part, swapper, tools, result)
            bar.update(len(part))
    tools.cache.save()
    if not rows:
        raise InputError(
            f"None of {len(pairs)} pairs could be measured: {result.skipped[0]}"
        )
    _collect(result, rows)
    return result


def _measure_batch(
    pairs: Sequence[Pair], swapper: Swapper | None, tools: Tools, result: Measured
) -> list[dict]:
    pairs, sources, targets = _locate(pairs, tools.locator, result)
    if not pairs:
        return []
    if swapper is None:
        photos = [Photo.of_file(pair.swapped) for pair in pairs if pair.swapped]
        pairs, sources, targets, photos = _readable(
            (pairs, sources, targets, photos), result
        )
    else:
        made = swapper.swap(sources, targets)
        photos = [Photo.of_pixels(f"swap {i}", image) for i, image in enumerate(made)]
    keep = swapper is None
    swapped = tools.locator.nearest(photos, targets, keep) if photos else []
    faces = dict(zip(ROLES, (sources, targets, swapped), strict=True))
    rows = [
        {"pair": pair, **{role: faces[role][i] for role in ROLES}}
        for i, pair in enumerate(pairs)
    ]
    if rows:
        _add_vectors(rows, faces, tools, keep)
        _add_pixels(rows, tools.perception)
    for row in rows:  # the pixels are not needed any more
        for role in ROLES:
            photo = row[role].photo.unloaded()
            row[role] = dataclasses.replace(row[role], photo=photo)
    return rows


def _locate(
    pairs: Sequence[Pair], locator: Locator, result: Measured
) -> tuple[list[Pair], list[Face], list[Face]]:
    """Returns the pairs whose photos both have a face, and these faces."""
    photos: dict = {}
    for pair in pairs:
        for path in (pair.source, pair.target):
            photos.setdefault(path, Photo.of_file(path))
    readable = _loaded(photos.values())
    faces = {
        face.photo.path: face for face in locator.largest(readable) if face is not None
    }
    kept = []
    for pair in pairs:
        lost = [p for p in (pair.source, pair.target) if p not in faces]
        if lost:
            result.skipped.append(f"{lost[0]}: no face was found or it is damaged")
        else:
            kept.append(pair)
    return kept, [faces[p.source] for p in kept], [faces[p.target] for p in kept]


def _loaded(photos: Iterable[Photo]) -> list[Photo]:
    """Returns the photos that can be read, with their pixels."""
    found = []
    for photo in photos:
        try:
            found.append(photo.loaded())
        except InputError as error:
            logging.getLogger("absl").warning("%s", error)
    return found


def _readable(columns: tuple[list, ...], result: Measured) -> list[list]:
    """Leaves out triples whose result is damaged or of another size."""
    kept = []
    for row in zip(*columns, strict=True):
        target, photo = row[2], row[3]
        try:
            photo = photo.loaded()
            shapes = photo.read().shape, target.photo.read().shape
        except InputError as error:
            result.skipped.append(str(error))
            continue
        if shapes[0] == shapes[1]:
            kept.append((*row[:3], photo))
        else:
            result.skipped.append(
                f"{photo.name}: {shapes[0][1]}x{shapes[0][0]} pixels, but its target "
                f"has {shapes[1][1]}x{shapes[1][0]}"
            )
    return [list(column) for column in zip(*kept, strict=True)] or [[], [], [], []]


def _add_vectors(
    rows: list[dict], faces: dict[str, list[Face]], tools: Tools, keep: bool
) -> None:
    for instrument in tools.instruments:
        for role in ROLES:
            found = instrument.measure(
                faces[role], tools.cache, keep or role != "swapped"
            )
            for row, vector in zip(rows, found, strict=True):
                row[instrument.role, role] = vector


def _add_pixels(rows: list[dict], perception: Perception | None) -> None:
    """Compares target and result in one crop, placed by the target's face."""
    face_masks = []
    for row in rows:
        landmarks = row["target"].landmarks
        matrix = instruments.wide_matrix(landmarks, SIDE)
        for role in ROLES:
            own = row["source"].landmarks if role == "source" else landmarks
            row["thumbnail", role] = instruments.wide_crop(
                row[role].photo.read(), own, SIDE
            )
        mask = masks.face_mask(alignment.apply(matrix, landmarks), SIDE)
        a, b = row["thumbnail", "target"], row["thumbnail", "swapped"]
        inside, outside = background.inside_and_outside(background.ssim_map(a, b), mask)
        row["pixels", "ssim_inside"], row["pixels", "ssim_outside"] = inside, outside
        row["pixels", "unchanged"] = background.unchanged_fraction(a, b, mask)
        face_masks.append(mask)
    if perception is not None:
        _add_perception(rows, perception, face_masks)


def _add_perception(
    rows: list[dict], perception: Perception, face_masks: list[np.ndarray]
) -> None:
    """Outside the face, results are compared with the target's face put into them.

    A network's maps look beyond their places: what changed inside would be seen from
    outside.
    """
    target, swapped = [
        np.stack([row["thumbnail", role] for row in rows])
        for role in ("target", "swapped")
    ]
    inside_masks = np.stack(face_masks)
    surroundings = np.where(inside_masks[..., None] > 0.0, target, swapped)
    maps = [_maps(perception, crops) for crops in (target, swapped, surroundings)]
    weights = perception.weights
    changed = background.perceptual_maps(maps[0], maps[1], weights)
    inside, _ = background.perceptual_distances(changed, inside_masks)
    changed = background.perceptual_maps(maps[0], maps[2], weights)
    _, outside = background.perceptual_distances(changed, inside_masks)
    for row, one, other in zip(rows, inside, outside, strict=True):
        row["pixels", "lpips_inside"], row["pixels", "lpips_outside"] = one, other


def _maps(perception: Perception, crops: np.ndarray) -> list[np.ndarray]:
    """Returns the maps of crops, filled up to one size so that Keras compiles once."""
    full = fill_up(crops, _BATCH)
    return [one[: len(crops)] for one in perception.backbone.maps(full)]


def _collect(result: Measured, rows: list[dict]) -> None:
    result.pairs = [row["pair"] for row in rows]
    result.faces = {role: [row[role] for row in rows] for role in ROLES}
    for key in rows[0]:
        if not isinstance(key, tuple):
            continue
        kind, name = key
        values = np.stack([row[key] for row in rows])
        if kind == "pixels":
            result.pixels[name] = values
        elif kind == "thumbnail":
            result.thumbnails[name] = values
        else:
            result.vectors.setdefault(kind, {})[name] = values
