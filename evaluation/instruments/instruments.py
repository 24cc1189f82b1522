"""The networks that measure a face: each cuts its own crop and gives one vector."""

from __future__ import annotations

import abc
import typing
from collections.abc import Callable, Mapping, Sequence

import cv2
import numpy as np

from facedancer.arcface_model.portable_encoder import PortableEncoder
from facedancer.evaluation.inputs.cache import Cache
from facedancer.evaluation.inputs.photos import Face
from facedancer.face import alignment
from facedancer.inference.batching import in_batches

if typing.TYPE_CHECKING:
    import keras

    from facedancer.arcface_model import Encoder
    from facedancer.evaluation.instruments import backbones

BATCH = 16  # faces that go through a network at once


class Instrument(abc.ABC):
    """Measures faces.

    Attributes:
        role: What it measures: identity, pose, mesh, expression or features.
        name: Architecture and hash of its weights; with the way of cutting, what its
            results are cached by.
    """

    role = ""
    name = ""

    @abc.abstractmethod
    def cut(self, image: np.ndarray, face: Face) -> np.ndarray:
        """Returns the crop of a face, uint8 RGB, the same shape for all.

        Args:
            image: `(height, width, 3)` uint8 RGB, the photo.
            face: Where the face is.
        """

    @abc.abstractmethod
    def run(self, crops: np.ndarray) -> np.ndarray:
        """Returns one vector for each crop, `(n, d)` float32.

        Args:
            crops: `(n, ...)` uint8, what `cut` gave.
        """

    def measure(
        self, faces: Sequence[Face], cache: Cache, keep: bool = True
    ) -> np.ndarray:
        """Returns one vector for each face, from the cache where it is known.

        Args:
            faces: The faces; their photos are read only where needed.
            cache: Where results are looked for and put.
            keep: Whether new results are put there.
        """

        def make(indices: Sequence[int]) -> np.ndarray:
            crops = [self.cut(faces[i].photo.read(), faces[i]) for i in indices]
            return self.run(np.stack(crops))

        keys = [face.key for face in faces]
        return cache.compute(f"{self.role} {self.name}", keys, make, keep)


class BackboneFeatures(Instrument):
    """Features for the Frechet distance: the face with its surroundings.

    Args:
        backbone: The image network.
    """

    role = "features"

    def __init__(self, backbone: backbones.Backbone) -> None:
        self.backbone = backbone
        self.name = backbone.name

    def cut(self, image: np.ndarray, face: Face) -> np.ndarray:
        """Returns the crop of a face that the network takes.

        Args:
            image: See `Instrument.cut`.
            face: See `Instrument.cut`.
        """
        return wide_crop(image, face.landmarks, self.backbone.size)

    def run(self, crops: np.ndarray) -> np.ndarray:
        """Returns the deepest map's means, `(n, d)` float32.

        Args:
            crops: `(n, ...)` uint8, what `cut` gave.
        """
        return in_batches(self.backbone.vectors, crops, size=BATCH)


class EncoderFeatures(Instrument):
    """Features for the Frechet distance from inside an identity encoder.

    The mean over places of its default tap maps, one after the other.

    Args:
        encoder: The `encoder` of an `Embedder`.
    """

    role = "features"

    def __init__(self, encoder: Encoder | PortableEncoder) -> None:
        self.maps, self.contract = _maps_of(encoder), encoder.contract
        self.taps = encoder.taps
        self.name = f"{encoder.name_with_hash} maps"

    def cut(self, image: np.ndarray, face: Face) -> np.ndarray:
        """Returns the crop of a face that the network takes.

        Args:
            image: See `Instrument.cut`.
            face: See `Instrument.cut`.
        """
        return wide_crop(image, face.landmarks, self.contract.size)

    def run(self, crops: np.ndarray) -> np.ndarray:
        """Returns the means of the tap maps, `(n, d)` float32.

        Args:
            crops: `(n, ...)` uint8, what `cut` gave.
        """
        return in_batches(self._features, crops, size=BATCH)

    def _features(self, crops: np.ndarray) -> np.ndarray:
        found = self.maps(self.contract.from_uint8(crops))
        maps = [np.asarray(found[tap], np.float32) for tap in self.taps]
        return np.concatenate([one.mean(axis=(1, 2)) for one in maps], axis=1)


def _maps_of(
    encoder: Encoder | PortableEncoder,
) -> Callable[[np.ndarray], Mapping[str, np.ndarray]]:
    """Returns the function that gives the maps inside an encoder by name."""
    if isinstance(encoder, PortableEncoder):
        return encoder.maps
    from facedancer.arcface_model import tap_model  # brings Keras along

    return tap_model(encoder).predict_on_batch


class ExpressionEmbedder(Instrument):
    """A Keras network from face crops in [0, 1] to an expression vector.

    Args:
        network: From `(n, size, size, 3)` or, for grey images in [-1, 1],
            `(n, size, size, 1)`. Of several outputs the first is taken.
        name: Name and hash for reports.
    """

    role = "expression"

    def __init__(self, network: keras.Model, name: str) -> None:
        self.network, self.name = network, name
        _, self.size, _, self.channels = network.input_shape

    def cut(self, image: np.ndarray, face: Face) -> np.ndarray:
        """Returns the crop of a face that the network takes.

        Args:
            image: See `Instrument.cut`.
            face: See `Instrument.cut`.
        """
        return alignment.crop(
            image, alignment.crop_matrix(face.landmarks, self.size), self.size
        )

    def run(self, crops: np.ndarray) -> np.ndarray:
        """Returns expression vectors, `(n, d)` float32.

        Args:
            crops: `(n, ...)` uint8, what `cut` gave.
        """
        return in_batches(self._vectors, crops, size=BATCH)

    def _vectors(self, crops: np.ndarray) -> np.ndarray:
        image = crops.astype(np.float32) / 255.0
        if self.channels == 1:
            grey = [cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY) for crop in crops]
            image = np.stack(grey)[..., None].astype(np.float32) / 127.5 - 1.0
        output = self.network.predict_on_batch(image)
        output = output[0] if isinstance(output, list | tuple) else output
        return np.asarray(output, np.float32).reshape(len(crops), -1)


def wide_crop(image: np.ndarray, landmarks: np.ndarray, size: int) -> np.ndarray:
    """Returns a crop that shows the head with some of its surroundings.

    Args:
        image: `(height, width, 3)` uint8 RGB.
        landmarks: `(5, 2)` pixels of it.
        size: Side of the crop in pixels.

    Returns:
        `(size, size, 3)` uint8 RGB, upright, template `ffhq`.
    """
    matrix = alignment.crop_matrix(landmarks, size, "ffhq")
    return alignment.crop(image, matrix, size)


def wide_matrix(landmarks: np.ndarray, size: int) -> np.ndarray:
    """Returns the `(2, 3)` matrix from the photo to `wide_crop`.

    Args:
        landmarks: `(5, 2)` pixels of the photo.
        size: Side of the crop in pixels.
    """
    return alignment.crop_matrix(landmarks, size, "ffhq")


def box_crop(
    image: np.ndarray, box: np.ndarray, size: int, enlarge: float
) -> np.ndarray:
    """Returns the upright square around a face box, resized.

    Args:
        image: `(height, width, 3)` uint8 RGB; outside it is black.
        box: `(4,)` x_min, y_min, x_max, y_max in pixels.
        size: Side of the crop in pixels.
        enlarge: Part of the box's longer side that is added in all.
    """
    box = np.asarray(box, np.float64)
    centre, side = (box[:2] + box[2:]) / 2.0, (box[2:] - box[:2]).max()
    scale = size / max(side * (1.0 + enlarge), 1.0)
    shift = (size - 1) / 2.0 - centre * scale
    matrix = np.array([[scale, 0.0, shift[0]], [0.0, scale, shift[1]]])
    return alignment.crop(image, matrix, size)
