"""Which detector a path means."""

from __future__ import annotations

import os

from facedancer import weights
from facedancer.errors import InputError
from facedancer.retinaface.detector import Detector, DetectorOptions
from facedancer.retinaface.mtcnn_detector import MtcnnDetector


def load_detector(path: str | os.PathLike | None = None, **options) -> Detector:
    """Returns a face detector.

    Args:
        path: None for the weights of the catalogue if the package carries them, else
            the `mtcnn` package.
        **options: Fields of `DetectorOptions`.

    Raises:
        InputError: If the file is missing or of another kind.
        ValueError: If an option lies outside its range.
    """
    settings = DetectorOptions(**options)
    if path is not None or weights.available("detector"):
        raise InputError(f"{path}: no detector file that is known")
    return MtcnnDetector(settings)
