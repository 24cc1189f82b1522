"""How sharp and how right a refiner's pictures are, on photos it never saw."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import cv2
import numpy as np

from facedancer.imaging import images
from facedancer.models.families.face_refiner.network import FaceRefinerNetwork
from facedancer.train.refining import examples
from facedancer.train.refining.photos import SwappedPhoto

_CELL = 4  # pixels, as in the loss


@dataclasses.dataclass(frozen=True)
class Refined:
    """Means over photos, of faces that are only enlarged and of refined ones.

    Attributes:
        sharpness: Of strangers' faces, in units of the target's: mean absolute
            Laplacian in the middle of the crop.
        moved: Mean difference of strangers' faces from the generator's, in cells of 4 x
            4 pixels, of 255; without the refiner it is 0.
        wrong: Mean difference from the photo where it is the right answer, of 255.
    """

    sharpness: tuple[float, float]
    moved: float
    wrong: tuple[float, float]

    def lines(self) -> list[str]:
        """Returns it in words."""
        return [
            f"sharpness, of the target's: enlarged {self.sharpness[0]:.3f}, refined "
            f"{self.sharpness[1]:.3f}",
            f"moved from the generator's face, of 255: {self.moved:.2f}",
            f"from the truth, of 255: enlarged {self.wrong[0]:.2f}, refined "
            f"{self.wrong[1]:.2f}",
        ]


def measure(
    network: FaceRefinerNetwork, photos: Sequence[SwappedPhoto], seed: int = 0
) -> Refined:
    """Returns what a refiner makes of photos.

    Args:
        network: The refiner.
        photos: Which it did not learn from.
        seed: Of what happens to the targets.
    """
    sharp, moved, wrong = [], [], []
    for number, photo in enumerate(photos):
        other = photos[(number + 1) % len(photos)]
        for known in (0.0, 1.0):
            random = np.random.default_rng([seed, number])
            drawn = examples.draw(photo, other, known, random)
            found = refined(network, drawn)
            if known:
                truth = drawn.truth.astype(np.float32)
                pair = (drawn.swapped, found)
                wrong.append([np.abs(one - truth).mean() for one in pair])
                continue
            unit = sharpness(drawn.target)
            sharp.append([sharpness(one) / unit for one in (drawn.swapped, found)])
            moved.append(_cells(found - drawn.swapped.astype(np.float32)))
    return Refined(_pair(sharp), float(np.mean(moved)), _pair(wrong))


def refined(network: FaceRefinerNetwork, drawn: examples.Example) -> np.ndarray:
    """Returns what a refiner makes of an example, `(side, side, 3)` in [0, 255].

    Args:
        network: The refiner.
        drawn: The example.
    """
    feeds = {
        name: images.signed_from_uint8(getattr(drawn, name)[None])
        for name in ("swapped", "target")
    }
    found = np.asarray(network.named(feeds)["refined"])[0]
    return found.clip(-1.0, 1.0) * 127.5 + 127.5


def sharpness(image: np.ndarray) -> float:
    """Returns the mean absolute Laplacian in the middle of a crop, of 255.

    Args:
        image: `(side, side, 3)`, in [0, 255].
    """
    low, high = len(image) // 4, len(image) * 3 // 4
    grey = cv2.cvtColor(image.astype(np.float32), cv2.COLOR_RGB2GRAY)
    return float(np.abs(cv2.Laplacian(grey, cv2.CV_32F))[low:high, low:high].mean())


def _cells(difference: np.ndarray) -> float:
    side = len(difference) // _CELL
    small = cv2.resize(difference, (side, side), interpolation=cv2.INTER_AREA)
    return float(np.abs(small).mean())


def _pair(rows: list) -> tuple[float, float]:
    first, second = np.mean(rows, axis=0)
    return float(first), float(second)
