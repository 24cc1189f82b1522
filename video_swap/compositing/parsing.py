"""Which pixels of a crop are face, told by a parsing model: no hair, no hands."""

from __future__ import annotations

import os

import cv2
import numpy as np

from facedancer import images
from facedancer.errors import InputError

# Of the 19 classes of CelebAMask-HQ: skin, nose, glasses, eyes, brows, mouth, lips.
FACE_CLASSES = (1, 2, 3, 4, 5, 6, 7, 10, 11, 12)
NUM_CLASSES = 19
_FEATHER = 0.012  # of the crop's side


class FaceParser:
    """Finds the visible face in aligned crops.

    Args:
        path: A Keras model from `(n, size, size, 3)` in [-1, 1] to one score a class,
            `(n, height, width, 19)`, classes in the order of CelebAMask-HQ.

    Raises:
        InputError: If the file is missing or no such model.
    """

    def __init__(self, path: str | os.PathLike) -> None:
        from facedancer import foreign  # brings Keras along

        try:
            self.model = foreign.load_network(path)
        except InputError as error:
            raise InputError(f"--parsing_path: {error}") from None
        shapes = self.model.input_shape, self.model.output_shape
        fits = [len(shape) == 4 for shape in shapes if isinstance(shape, tuple)]
        if fits != [True, True] or shapes[1][-1] != NUM_CLASSES:
            raise InputError(
                f"--parsing_path: {path}: must be a model from one image to "
                f"{NUM_CLASSES} scores a pixel. Received: {shapes[0]} to {shapes[1]}"
            )

    def visible(self, crop: np.ndarray) -> np.ndarray:
        """Returns where the face is not covered.

        Args:
            crop: `(size, size, 3)` uint8 RGB, aligned.

        Returns:
            `(size, size)` float32 in [0, 1], soft at the edges.
        """
        size = self.model.input_shape[1] or len(crop)
        image = cv2.resize(crop, (size, size), interpolation=cv2.INTER_AREA)
        scores = self.model.predict_on_batch(images.signed_from_uint8(image)[None])[0]
        face = np.isin(np.asarray(scores).argmax(axis=-1), FACE_CLASSES)
        shown = cv2.resize(
            face.astype(np.float32),
            (crop.shape[1], crop.shape[0]),
            interpolation=cv2.INTER_LINEAR,
        )
        return cv2.GaussianBlur(shown, (0, 0), max(_FEATHER * len(crop), 0.5))
