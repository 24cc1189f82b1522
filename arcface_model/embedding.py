"""Crops -> identity vectors, in batches; the mean identity of several."""

from __future__ import annotations

import typing

import numpy as np

from facedancer.inference.batching import in_batches
from facedancer.networks.vectors import normalize

if typing.TYPE_CHECKING:
    from facedancer.arcface_model.encoder import Encoder
    from facedancer.arcface_model.portable_encoder import PortableEncoder


class Embedder:
    """Runs an encoder on uint8 crops.

    Args:
        encoder: What `load_encoder` or a builder gave, or its portable form.
        batch_size: Largest batch. Smaller ones are padded to a power of two, so that
            few shapes are ever compiled.

    Raises:
        ValueError: If the batch size is not positive.
    """

    def __init__(
        self, encoder: Encoder | PortableEncoder, batch_size: int = 32
    ) -> None:
        if batch_size < 1:
            raise ValueError(
                f"`batch_size` must be positive. Received: batch_size={batch_size}"
            )
        self.encoder = encoder
        self.batch_size = batch_size

    def embed(self, crops: np.ndarray) -> np.ndarray:
        """Returns the raw identity vectors of aligned crops.

        Args:
            crops: `(n, size, size, 3)` uint8 RGB, size as the encoder's contract says.

        Returns:
            `(n, d)` float32, not normalised.

        Raises:
            ValueError: If shape or dtype differ.
        """
        crops = np.asarray(crops)
        size = self.encoder.contract.size
        if crops.dtype != np.uint8 or crops.shape[1:] != (size, size, 3):
            raise ValueError(
                f"`crops` must be uint8 of shape (n, {size}, {size}, 3). "
                f"Received: {crops.dtype} of shape {crops.shape}"
            )
        if not len(crops):
            return np.zeros((0, self.encoder.embedding_size), np.float32)
        return in_batches(self._embed_batch, crops, size=self.batch_size, whole=False)

    def _embed_batch(self, crops: np.ndarray) -> np.ndarray:
        image = self.encoder.contract.from_uint8(crops)
        return np.asarray(self.encoder.predict_on_batch(image), np.float32)


def mean_of_embeddings(embeddings: np.ndarray) -> np.ndarray:
    """The mean direction of several embeddings, with their mean length.

    Each vector counts alike whatever its length, and the result is as long as the
    vectors that a generator saw in training.

    Args:
        embeddings: `(n, d)`, n at least 1.

    Returns:
        `(d,)` float32.

    Raises:
        ValueError: If there is no embedding.
    """
    embeddings = np.asarray(embeddings, np.float32)
    if embeddings.ndim != 2 or len(embeddings) == 0:
        raise ValueError(
            f"`embeddings` must be (n, d) with n > 0. Received: {embeddings.shape}"
        )
    mean = normalize(normalize(embeddings).mean(axis=0))
    return mean * np.linalg.norm(embeddings, axis=1).mean()
