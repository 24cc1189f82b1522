"""Photos whose face is swapped to somebody else, by a generator that already swaps."""

from __future__ import annotations

import cv2
import numpy as np

from facedancer.arcface_model import load_embedder
from facedancer.errors import InputError
from facedancer.face import alignment, face_maps
from facedancer.imaging import images
from facedancer.inference import portable, runtimes
from facedancer.networks.vectors import normalize
from facedancer.storage import weights

_STRENGTH = (0.8, 1.3)  # of the other identity; so that it is no constant sign


class FaceChanger:
    """Swaps faces of aligned crops without Keras.

    Args:
        generator_path: The generator, .onnx; empty: the packaged one.
        arcface_path: Its identity encoder; empty: the packaged one.
        aligned: How the crops are aligned.

    Raises:
        InputError: If a file is missing or they do not fit together.
    """

    def __init__(
        self, generator_path: str, arcface_path: str, aligned: alignment.Alignment
    ) -> None:
        file = portable.find("generator", generator_path)
        if file is None:
            raise InputError(
                f"{generator_path}: must be an ONNX file. Make it by `facedancer "
                "convert NETWORK.keras NETWORK.onnx`"
            )
        self.contract, self.name = file.contract, file.name
        told = self.contract.image.alignment
        alignment.check_equal(aligned, told, "--data_dir", f"{file.name} needs it")
        self._embedder = load_embedder(arcface_path)
        encoder = self._embedder.encoder.name_with_hash
        known = self.contract.identity.encoder
        fits = not known or weights.same_vectors(known, encoder)
        if self.contract.identity.kind != "vector" or not fits:
            raise InputError(
                f"{file.path}: its generator is told whom to show by {known or 'no'} "
                f"vectors, the encoder is {encoder}. Give the right --arcface_path"
            )
        self._run = runtimes.OpenVINORuntime(file, ("swapped",))

    def vector(self, crop: np.ndarray) -> np.ndarray:
        """Returns the raw identity vector of a crop, `(d,)`.

        Args:
            crop: `(size, size, 3)` uint8 RGB.
        """
        shrink = self.contract.image.shrink
        margin = round((1.0 - shrink) / 2.0 * crop.shape[0])
        middle = crop[margin : crop.shape[0] - margin, margin : crop.shape[1] - margin]
        size = self._embedder.encoder.contract.size
        return self._embedder.embed(images.resize(middle, size)[None])[0]

    def change(
        self,
        crop: np.ndarray,
        landmarks: np.ndarray,
        other: np.ndarray,
        random: np.random.Generator,
    ) -> np.ndarray:
        """Returns a crop with somebody else's face, pasted softly, uint8.

        Args:
            crop: `(size, size, 3)` uint8 RGB.
            landmarks: `(5, 2)` pixels of it.
            other: A crop of somebody else.
            random: Decides how strongly.
        """
        size = crop.shape[0]
        vector = towards(self.vector(crop), self.vector(other), random)
        swapped = self.swap(crop, vector)
        method = cv2.INTER_CUBIC if len(swapped) < size else cv2.INTER_AREA
        swapped = cv2.resize(swapped, (size, size), interpolation=method)
        area = cv2.erode(
            face_maps.face_area(landmarks, size), np.ones((3, 3)), iterations=size // 64
        )
        area = cv2.GaussianBlur(area, (0, 0), size / 40)[..., None]
        found = crop + area * (swapped - crop)
        return np.rint(found).clip(0, 255).astype(np.uint8)

    def swap(self, crop: np.ndarray, vector: np.ndarray) -> np.ndarray:
        """Returns what the generator makes of a crop, of the generator's own size.

        Args:
            crop: `(size, size, 3)` uint8 RGB.
            vector: `(d,)`, raw, whom to show.

        Returns:
            `(side, side, 3)` float32 in [0, 255] and a bit beyond.
        """
        image = self.contract.image
        small = image.from_uint8(images.resize(crop, image.size)[None])
        found = self._run({"target": small, "identity": vector[None]})
        return image.to_255(found["swapped"][0])


def towards(
    own: np.ndarray, other: np.ndarray, random: np.random.Generator
) -> np.ndarray:
    """Returns an identity on the way to another's, or a little beyond it, `(d,)`.

    Args:
        own: `(d,)` raw vector of whom a photo shows.
        other: `(d,)` raw vector of somebody else.
        random: Decides how far.
    """
    fraction = random.uniform(*_STRENGTH)
    mixed = normalize((1.0 - fraction) * normalize(own) + fraction * normalize(other))
    return (mixed * np.linalg.norm(other)).astype(np.float32)
