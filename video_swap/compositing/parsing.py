"""What covers a face stays: a mask of where its crop shows face, told by a parser."""

from __future__ import annotations

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
