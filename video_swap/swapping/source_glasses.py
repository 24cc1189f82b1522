"""Glasses that a source wears are no part of a person: their trace is taken off.

A generator paints what an identity vector says of glasses, as rings and dark smudges
around the target's eyes. In the vectors of an encoder glasses are about one direction,
measured on people with and without them (`benchmarks/glasses_direction.py`). A vector
of a photo on which a face parser finds glasses gets the length along it that photos
without have.
"""

from __future__ import annotations

import functools
import pathlib

import numpy as np

from facedancer import pretrained
from facedancer.face import face_classes
from facedancer.models.families.face_parser.parser import FaceParser
from facedancer.storage import untrusted

# Fraction of a crop of which the parser must say glasses: of 200 crops of 64 pixels
# with glasses it says so of 95 %, of 200 without of none. Where it says so of thin rims
# only, the vector must say so too, by more than halfway to what glasses make of it.
WORN, RIMS = 0.02, 0.004
_SURE = 0.5
_AT_ONCE = 16  # crops


class GlassesOff:
    """Takes glasses off the identity vectors of one encoder.

    Args:
        parser: Tells who wears some.
        direction: `(d,)` of length 1: how glasses change a vector of length 1.
        level: Length along it of photos without, the mean.
        worn: Length along it of photos with glasses, the mean.
    """

    def __init__(
        self, parser: FaceParser, direction: np.ndarray, level: float, worn: float
    ) -> None:
        self._parser, self.direction = parser, direction
        self.level, self.worn = level, worn

    def __call__(self, vectors: np.ndarray, crops: np.ndarray) -> np.ndarray:
        """Returns the vectors, those of people with glasses as if without.

        Args:
            vectors: `(n, d)` raw identity vectors; lengths stay.
            crops: `(n, size, size, 3)` uint8 RGB, the aligned crops they are of.
        """
        shown, along = fractions(self._parser, crops), _units(vectors) @ self.direction
        told = along > 0.5 * (self.level + self.worn)
        worn = (shown > WORN) | ((shown > RIMS) & told)
        return np.where(worn[:, None], self.without(vectors), vectors)

    def without(self, vectors: np.ndarray) -> np.ndarray:
        """Returns vectors as they are without glasses; lengths stay.

        Args:
            vectors: `(n, d)` raw identity vectors of people with glasses.
        """
        length, units = np.linalg.norm(vectors, axis=1, keepdims=True), _units(vectors)
        along = units @ self.direction - self.level
        bare = _units(units - along[:, None] * self.direction)
        return (length * bare).astype(np.float32)


def _units(vectors: np.ndarray) -> np.ndarray:
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.maximum(length, 1e-12)  # of a vector of zeros: zeros


def fractions(parser: FaceParser, crops: np.ndarray) -> np.ndarray:
    """Returns which part of each crop shows glasses, `(n,)` in [0, 1].

    Args:
        parser: Tells the classes apart.
        crops: `(n, size, size, 3)` uint8 RGB, aligned.
    """
    found = []
    for first in range(0, len(crops), _AT_ONCE):
        classes = parser.probabilities(list(crops[first : first + _AT_ONCE]))
        sure = classes[..., face_classes.GLASSES] > _SURE
        found.append(sure.mean(axis=(1, 2)))
    return np.concatenate(found)


def find(parser: FaceParser | None, encoder_name: str) -> GlassesOff | None:
    """Returns what takes glasses off an encoder's vectors, None where none is known.

    Args:
        parser: Tells who wears some, or None.
        encoder_name: `name_with_hash` of the encoder.
    """
    if parser is None:
        return None
    known = _known(encoder_name)
    return None if known is None else GlassesOff(parser, *known)


@functools.cache
def _known(encoder_name: str) -> tuple[np.ndarray, float, float] | None:
    """Returns direction, level and worn of `GlassesOff` for an encoder."""
    folder = pathlib.Path(str(pretrained.__file__)).parent
    path = folder / file_name(encoder_name)
    if not path.is_file():
        return None
    found = untrusted.load_arrays(path)
    return found["direction"], float(found["level"]), float(found["worn"])


def file_name(encoder_name: str) -> str:
    """Returns the name of the packaged file for an encoder.

    Args:
        encoder_name: Its `name_with_hash`.
    """
    return f"glasses_{encoder_name.lower().replace('@', '_')}.npz"
