"""A second detector: the package `mtcnn`, which carries its own weights."""

from __future__ import annotations

import importlib.resources

import numpy as np

from facedancer.errors import InputError
from facedancer.face.faces import Faces
from facedancer.process import keras_needed
from facedancer.retinaface.detector import Detector, DetectorOptions

# Below this score the last network sees background more often than faces.
MIN_SCORE = 0.8
MIN_FACE = 20.0  # pixels; a smaller first scale costs time and finds little
MIN_SIDE = 12  # pixels; the window of the first network


class MtcnnDetector(Detector):
    """Three small networks one after another, each on what the one before left.

    Scores below 0.8 are never returned.

    Args:
        options: How to search.

    Raises:
        InputError: If the package or TensorFlow is missing.

    Reference:
        - [Zhang et al., 2016](https://arxiv.org/abs/1604.02878)
    """

    name = "mtcnn"

    def __init__(self, options: DetectorOptions | None = None) -> None:
        super().__init__(options)
        keras_needed.check(self.name)
        import keras

        if keras.backend.backend() != "tensorflow":
            raise InputError(
                "The mtcnn detector needs the TensorFlow backend of Keras. Received: "
                f"{keras.backend.backend()}. Give a RetinaFace file instead"
            )
        try:
            from mtcnn import stages
        except ImportError as error:
            raise InputError(
                f"The mtcnn detector needs the package mtcnn ({error}): "
                'pip install "facedancer[mtcnn]", or give a RetinaFace file'
            ) from None
        # Whole paths: from a bare name the package would prefer a file of that name
        # in the working directory.
        folder = importlib.resources.files("mtcnn.assets.weights")
        with keras.device("cpu:0"):
            self._propose = stages.StagePNet(weights=str(folder / "pnet.lz4"))
            self._refine = (
                stages.StageRNet(weights=str(folder / "rnet.lz4")),
                stages.StageONet(weights=str(folder / "onet.lz4")),
            )

    def _search(self, batch: np.ndarray, min_side: float) -> list[Faces]:
        if min(batch.shape[1:3]) < MIN_SIDE:
            return [Faces.empty() for _ in batch]
        import keras

        with keras.device("cpu:0"):
            rows = self._run_stages(batch, max(min_side, MIN_FACE))
        return [_faces(rows[rows[:, 0] == index]) for index in range(len(batch))]

    def _run_stages(self, batch: np.ndarray, min_side: float) -> np.ndarray:
        """Returns `(n, 16)`: image, box, score, five x, five y."""
        normalized = (batch.astype(np.float32) - 127.5) / 128.0
        rows = self._propose(
            images_normalized=normalized,
            images_oshapes=np.array([batch.shape[1:]] * len(batch)),
            min_face_size=min_side,
        )
        for stage in self._refine:
            if len(rows) == 0:  # the package fails on an empty batch
                return np.zeros((0, 16))
            rows = stage(
                images_normalized=normalized,
                bboxes_batch=rows,
                threshold_onet=max(MIN_SCORE, self.options.score_threshold),
            )
        return np.asarray(rows).reshape(-1, 16)


def _faces(rows: np.ndarray) -> Faces:
    points = np.stack([rows[:, 6:11], rows[:, 11:16]], axis=-1)
    return Faces(rows[:, 1:5], points, rows[:, 5].clip(0.0, 1.0))
