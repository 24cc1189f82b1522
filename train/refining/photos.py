"""Photos a refiner learns from, and what the generator makes of them beforehand."""

from __future__ import annotations

import dataclasses
import os
import pathlib
from collections.abc import Iterator, Sequence

import numpy as np
from absl import logging

from facedancer.dataset.edits.swaps import FaceChanger, towards
from facedancer.dataset.jobs import report
from facedancer.dataset.photos.quality import sharpness
from facedancer.dataset.shards.splits import hash_order
from facedancer.errors import InputError
from facedancer.face.alignment import Alignment
from facedancer.imaging import images
from facedancer.train.refining.settings import TrainRefinerSettings


@dataclasses.dataclass(frozen=True)
class SwappedPhoto:
    """A sharp photo, and faces of the generator's own size.

    Attributes:
        image: `(size, size, 3)` uint8 RGB, aligned.
        own: `(side, side, 3)` uint8, the generator's face of the same person.
        others: `(n, side, side, 3)` uint8, its faces of strangers on this photo.
    """

    image: np.ndarray
    own: np.ndarray
    others: np.ndarray


def read(settings: TrainRefinerSettings) -> dict[str, np.ndarray]:
    """Returns the crops that are sharp enough, by their path in the folder.

    Args:
        settings: Name the folder, the size and the smallest sharpness.

    Raises:
        InputError: If there are too few, or they are not aligned as ArcFace's.
    """
    folder = pathlib.Path(settings.data_dir)
    aligned = report.alignment_of(folder) or Alignment()
    if aligned != Alignment():
        raise InputError(
            f"{folder}: its crops must be aligned to {Alignment()}. Received: {aligned}"
        )
    found, soft = {}, 0
    for path in images.list_images(folder):
        image = images.read_image(path)
        if sharpness(image) < settings.min_sharpness:
            soft += 1
            continue
        name = path.relative_to(folder).as_posix()
        found[name] = images.resize(image, settings.image_size)
    if len(found) <= settings.holdout + 1:
        raise InputError(
            f"{folder}: {len(found)} crops are sharp enough ({soft} are not), of which "
            f"--holdout={settings.holdout} are not learned from. Give more photos"
        )
    logging.info("%d crops, %d left out as soft", len(found), soft)
    return found


def split(
    crops: dict[str, np.ndarray], holdout: int
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Returns the crops to learn from and those held out.

    Held out are the first by the SHA-256 of `0:NAME`, see `splits.hash_order`.

    Args:
        crops: By name.
        holdout: How many are held out.
    """
    names = hash_order(crops, seed=0)
    held, learned = names[:holdout], names[holdout:]
    return {k: crops[k] for k in learned}, {k: crops[k] for k in held}


class Changer:
    """Gives crops the faces of the generator, cut down to its own size.

    Args:
        generator_path: The generator, .onnx; empty: the packaged one.
        arcface_path: Its identity encoder; empty: the packaged one.

    Raises:
        InputError: If a file is missing or they do not fit together.
    """

    def __init__(
        self, generator_path: str | os.PathLike, arcface_path: str | os.PathLike
    ) -> None:
        self._changer = FaceChanger(str(generator_path), str(arcface_path), Alignment())

    def changed(
        self, crops: Sequence[np.ndarray], count: int, seed: int
    ) -> Iterator[SwappedPhoto]:
        """Yields each crop with its own face and those of strangers.

        Args:
            crops: `(size, size, 3)` uint8 RGB each, aligned.
            count: Strangers a crop.
            seed: Of who they are and how strongly they are shown.
        """
        vectors = [self._changer.vector(crop) for crop in crops]
        random = np.random.default_rng(seed)
        for number, crop in enumerate(crops):
            others = []
            for _ in range(count):
                other = (number + random.integers(1, len(crops))) % len(crops)
                vector = towards(vectors[number], vectors[other], random)
                others.append(_uint8(self._changer.swap(crop, vector)))
            own = _uint8(self._changer.swap(crop, vectors[number]))
            yield SwappedPhoto(crop, own, np.stack(others))


def _uint8(face: np.ndarray) -> np.ndarray:
    return np.rint(face).clip(0, 255).astype(np.uint8)
