"""MediaPipe's face mesh and blendshapes, read from its `.task` file.

The `.task` file is an archive of TFLite networks; they run here without MediaPipe.
Instead of its face detector the five landmarks at hand say where to look.
"""

from __future__ import annotations

import os
import pathlib
import tempfile
from collections.abc import Iterator, Sequence

import numpy as np

from facedancer.evaluation.inputs.photos import Face
from facedancer.evaluation.instruments import runtime
from facedancer.evaluation.instruments.instruments import Instrument
from facedancer.face import alignment
from facedancer.storage import files, untrusted

POINTS, BLENDSHAPES = 478, 52
_LANDMARKS, _SHAPES = "face_landmarks_detector.tflite", "face_blendshapes.tflite"
_SIDE = 384  # of the first crop, pixels
_INPUT = 256  # of the mesh network
_MARGIN = 1.5  # side of the network's view over the longer side of the mesh
_OUTER_EYES = (33, 263)
# Points the blendshape network takes, as ranges `first, last` of the mesh's numbers.
_RUNS = (
    "0-1 4-8 10 13-14 17 21 33 37 39-40 46 52-55 58 61 63 65-67 70 78 80-82 84 87-88 "
    "91 93 95 103 105 107 109 127 132-133 136 144-146 148-150 152-155 157-163 168 "
    "172-173 176 178 181 185 191 195 197 234 246 249 251 263 267 269-270 276 282-285 "
    "288 291 293 295-297 300 308 310-312 314 317-318 321 323-324 332 334 336 338 356 "
    "361-362 365 373-375 377-382 384-390 397-398 400 402 405 409 415 454 466 468-477"
)


def _expand(runs: str) -> Iterator[int]:
    for run in runs.split():
        first, _, last = run.partition("-")
        yield from range(int(first), int(last or first) + 1)


SUBSET = tuple(_expand(_RUNS))


class FaceMesh(Instrument):
    """478 points (x, y, z in pixels of the crop) and 52 blendshapes of a face.

    The vector is the flattened mesh, then the blendshapes, then the network's score
    that there is a face.

    Args:
        path: The `.task` file of MediaPipe's Face Landmarker, version 2.

    Raises:
        InputError: If the file is missing or of another kind.
    """

    role = "mesh"

    def __init__(self, path: str | os.PathLike) -> None:
        self.name = f"{pathlib.Path(path).stem}@{files.file_hash(path)[:8]}"
        with (
            untrusted.open_zip(path, "not a Face Landmarker file") as archive,
            tempfile.TemporaryDirectory() as to,
        ):
            mesh, shapes = [archive.extract(n, to) for n in (_LANDMARKS, _SHAPES)]
            self.mesh = runtime.PortableNetwork(mesh, _LANDMARKS)
            self.shapes = runtime.PortableNetwork(shapes, _SHAPES, batched=False)

    def cut(self, image: np.ndarray, face: Face) -> np.ndarray:
        """Returns the crop of a face that the network takes.

        Args:
            image: See `Instrument.cut`.
            face: See `Instrument.cut`.
        """
        matrix = alignment.crop_matrix(face.landmarks, _SIDE, "arcface", 0.45)
        return alignment.crop(image, matrix, _SIDE)

    def run(self, crops: np.ndarray) -> np.ndarray:
        """Returns meshes, blendshapes and scores, `(n, d)` float32.

        Args:
            crops: `(n, ...)` uint8, what `cut` gave.
        """
        parts = [
            self._run(crops[start : start + 16]) for start in range(0, len(crops), 16)
        ]
        return np.concatenate(parts).astype(np.float32)

    def _run(self, crops: np.ndarray) -> np.ndarray:
        # Where the template puts the face; then once more around what was found.
        first = _view(np.array([_SIDE / 2, _SIDE * 0.5]), _SIDE * 0.62, 0.0)
        mesh, _ = self._look(crops, [first] * len(crops))
        mesh, score = self._look(crops, [_view_of(points) for points in mesh])
        shapes = self.shapes(mesh[:, SUBSET, :2])[0].reshape(len(crops), BLENDSHAPES)
        return np.concatenate([mesh.reshape(len(crops), -1), shapes, score], axis=1)

    def _look(
        self, crops: np.ndarray, matrices: Sequence[np.ndarray]
    ) -> tuple[np.ndarray, np.ndarray]:
        """Returns meshes in pixels of the crops, and scores in [0, 1]."""
        views = [
            alignment.crop(c, m, _INPUT) for c, m in zip(crops, matrices, strict=True)
        ]
        outputs = self.mesh(np.stack(views).astype(np.float32) / 255.0)
        points = next(o for o in outputs if o.size == len(crops) * POINTS * 3)
        logit = next(o for o in outputs if o.ndim == 4 and o.size == len(crops))
        mesh = points.reshape(-1, POINTS, 3).astype(np.float64)
        back = [_back(points, m) for points, m in zip(mesh, matrices, strict=True)]
        score = 1.0 / (1.0 + np.exp(-logit.reshape(-1, 1).clip(-60.0, 60.0)))
        return np.stack(back), score


def _view(centre: np.ndarray, side: float, roll: float) -> np.ndarray:
    """Returns the matrix from the crop to a square view of it, turned by a roll."""
    scale = _INPUT / side
    c, s = scale * np.cos(-roll), scale * np.sin(-roll)
    linear = np.array([[c, -s], [s, c]])
    return np.column_stack([linear, (_INPUT - 1) / 2.0 - linear @ centre])


def _view_of(mesh: np.ndarray) -> np.ndarray:
    left, right = mesh[_OUTER_EYES[0], :2], mesh[_OUTER_EYES[1], :2]
    roll = float(np.arctan2(*(right - left)[::-1]))
    low, high = mesh[:468, :2].min(axis=0), mesh[:468, :2].max(axis=0)
    side = float(np.clip((high - low).max() * _MARGIN, 32.0, 4.0 * _SIDE))
    return _view((low + high) / 2.0, side, roll)


def _back(points: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    inverse = alignment.invert(matrix)
    scale = np.hypot(inverse[0, 0], inverse[1, 0])
    flat = alignment.apply(inverse, points[:, :2])
    return np.column_stack([flat, points[:, 2] * scale])


def split(vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns the parts of what `FaceMesh` measured.

    Args:
        vectors: `(n, 1487)`.

    Returns:
        Meshes `(n, 478, 3)`, blendshapes `(n, 52)` in [0, 1], scores `(n,)`.
    """
    vectors = np.asarray(vectors)
    mesh = vectors[:, : POINTS * 3].reshape(-1, POINTS, 3)
    return mesh, vectors[:, POINTS * 3 : -1], vectors[:, -1]
