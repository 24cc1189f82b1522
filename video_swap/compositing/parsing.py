"""What covers a face stays: a mask of where its crop shows face, told by a parser."""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np

from facedancer.face import face_classes
from facedancer.models.families.face_parser.parser import FaceParser

# What is before a face: it stays where the parser is sure of it.
COVERS = (
    face_classes.BACKGROUND,
    face_classes.GLASSES,  # eyes behind clear ones are a class of their own
    face_classes.HAIR,
    face_classes.HAT,
    face_classes.CLOTH,
)
# Probability of a cover below which the swapped face is shown, above which it is not.
_DOUBT, _SURE = 0.35, 0.75
_FEATHER = 0.012  # of the crop's side
# Crops of neighbouring frames are compared in cells, 16 a side. Where 8 of them differ
# by 20 of 255, a face does not look the same any more. In eight clips a quarter to two
# thirds of the faces were parsed, with masks that are off by .005 on average, where
# those of neighbouring frames differ by .01, and flicker no more.
_GRID, _OTHER, _MANY = 16, 20.0, 8


def visible(parser: FaceParser, crop: np.ndarray) -> np.ndarray:
    """Returns where nothing covers the face of a crop.

    Args:
        parser: Tells the classes apart.
        crop: `(size, size, 3)` uint8 RGB, aligned.

    Returns:
        `(size, size)` float32 in [0, 1], soft at the edges.
    """
    classes = parser.probabilities([crop])[0]
    covered = classes[..., COVERS].sum(axis=-1)
    size = crop.shape[1], crop.shape[0]
    covered = cv2.resize(covered, size, interpolation=cv2.INTER_LINEAR)
    part = np.clip((covered - _DOUBT) / (_SURE - _DOUBT), 0.0, 1.0)
    shown = 1.0 - part * part * (3.0 - 2.0 * part)
    return cv2.GaussianBlur(shown, (0, 0), max(_FEATHER * len(crop), 0.5))


@dataclasses.dataclass(frozen=True)
class _Known:
    """What was seen of a face when it was parsed, and how often it was used."""

    look: np.ndarray
    shown: np.ndarray
    used: int


class Covers:
    """Tells what covers the faces of a clip, frame after frame.

    A mask lies in the crop and so moves with the face. As long as this looks the same
    there, the mask of some frames ago is that of now.

    Args:
        parser: Tells the classes apart; None: nothing covers a face.
        every: Each n-th frame of a face is parsed at the latest.
    """

    def __init__(self, parser: FaceParser | None, every: int = 1) -> None:
        self._parser, self._every = parser, every
        self._known: dict[int, _Known] = {}

    def visible(
        self, crop: np.ndarray, track: int | None = None
    ) -> np.ndarray | np.float32:
        """Returns where nothing covers the face of a crop, see `visible`; or 1.

        Args:
            crop: `(size, size, 3)` uint8 RGB, aligned.
            track: Number of the face; None: it is parsed by itself.
        """
        if self._parser is None:
            return np.float32(1.0)
        if track is None or self._every == 1:
            return visible(self._parser, crop)
        look, before = _look(crop), self._known.get(track)
        same = before is not None and _alike(look, before.look)
        if before is not None and same and before.used < self._every:
            now = dataclasses.replace(before, used=before.used + 1)
        else:
            shown = visible(self._parser, crop)
            if before is not None and same:  # without a step where nothing changed
                shown = 0.5 * (shown + before.shown)
            now = _Known(look, shown, 1)
        self._known[track] = now
        return now.shown


def _look(crop: np.ndarray) -> np.ndarray:
    size_wh = (_GRID, _GRID)
    return cv2.resize(crop, size_wh, interpolation=cv2.INTER_AREA).astype(np.float32)


def _alike(look: np.ndarray, other: np.ndarray) -> bool:
    """Whether little but the light of the whole changed."""
    apart = look - other
    apart -= apart.mean(axis=(0, 1))
    return int((np.abs(apart).max(axis=2) >= _OTHER).sum()) < _MANY
