"""Frames whose pixels are not square: searched and aligned as they are shown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np

from facedancer.face import alignment
from facedancer.face.faces import Faces
from facedancer.networks.contract import InputContract
from facedancer.retinaface import Detector
from facedancer.video_swap.pixels.picture import Picture


def search(detector: Any, frames: Sequence[Picture], aspect: float) -> list[Faces]:
    """Returns the faces of frames, in pixels of the frames as they are stored.

    Args:
        detector: What finds faces in pictures of square pixels: has `detect_batch`. A
            `Detector` is given no more pixels than it looks at.
        frames: The frames.
        aspect: Width over height of one pixel.
    """
    if aspect == 1.0 and isinstance(detector, Detector):
        sizes = [detector.working_size_of(frame.shape) for frame in frames]
        if all(
            max(size) < max(frame.shape)
            for frame, size in zip(frames, sizes, strict=True)
        ):
            small = [
                frame.small(size[::-1])
                for frame, size in zip(frames, sizes, strict=True)
            ]
            return detector.detect_small(small, [frame.shape for frame in frames])
    if aspect == 1.0:
        return detector.detect_batch([frame.image for frame in frames])
    shown = [as_shown(frame.image, aspect) for frame in frames]
    return [as_stored(faces, aspect) for faces in detector.detect_batch(shown)]


def crop_matrix(
    landmarks: np.ndarray, size: int, contract: InputContract, aspect: float = 1.0
) -> np.ndarray:
    """Returns the matrix from an image to a crop whose pixels are square.

    Args:
        landmarks: `(5, 2)` pixels of the image.
        size: Side of the crop in pixels.
        contract: The `InputContract` of the network the crop is for.
        aspect: Width over height of one pixel of the image.

    Returns:
        `(2, 3)`: a similarity of the picture as it is shown.
    """
    shown = alignment.apply(_widening(aspect), landmarks)
    matrix = alignment.crop_matrix(shown, size, contract.template, contract.shrink)
    offset = matrix[:, :2] @ _widening(aspect)[:, 2] + matrix[:, 2]
    return np.column_stack([matrix[:, :2] @ _widening(aspect)[:, :2], offset])


def _widening(aspect: float) -> np.ndarray:
    """Returns the `(2, 3)` matrix from stored to shown pixels; edges lie at -0.5."""
    return np.array([[aspect, 0.0, 0.5 * aspect - 0.5], [0.0, 1.0, 0.0]])


def as_shown(image: np.ndarray, aspect: float) -> np.ndarray:
    """Returns an image with square pixels.

    Args:
        image: `(height, width, 3)` uint8.
        aspect: Width over height of one of its pixels.
    """
    height, width = image.shape[:2]
    return cv2.resize(image, (max(1, round(width * aspect)), height))


def as_stored(faces: Faces, aspect: float) -> Faces:
    """Returns faces found in what `as_shown` gave, in pixels of the image itself.

    Args:
        faces: The faces.
        aspect: See `as_shown`.
    """
    back = alignment.invert(_widening(aspect))
    boxes = alignment.apply(back, faces.boxes.reshape(-1, 2, 2)).reshape(-1, 4)
    landmarks = alignment.apply(back, faces.landmarks)
    return Faces(
        boxes.astype(faces.boxes.dtype),
        landmarks.astype(faces.landmarks.dtype),
        faces.scores,
    )
