"""Tells which part of a face every pixel of a crop shows, whatever runs the network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from facedancer.imaging import images


class FaceParser:
    """Parses aligned crops.

    Args:
        network: With `predict_on_batch(image)` from `(n, size, size, 3)` in [-1, 1] to
            `(n, height, width, 19)` scores.
        size: Side of the network's input in pixels; 0 where that is open.
        name: What it is, for reports.

    Example:
        parser = load_parser()
        classes = parser.classes([crop])[0]
    """

    def __init__(self, network: Any, size: int, name: str = "parser") -> None:
        self._network, self._size, self.name = network, size, name

    def scores(self, crops: Sequence[np.ndarray]) -> np.ndarray:
        """Returns logits, `(n, height, width, 19)` float32 of the network's own size.

        Args:
            crops: `(side, side, 3)` uint8 RGB each, aligned, of one size.
        """
        size = self._size or len(crops[0])
        batch = np.stack([images.resize(crop, size) for crop in crops])
        found = self._network.predict_on_batch(images.signed_from_uint8(batch))
        return np.asarray(found, np.float32)

    def classes(self, crops: Sequence[np.ndarray]) -> np.ndarray:
        """Returns indices into `face_classes.NAMES`, `(n, height, width)` uint8.

        Args:
            crops: See `scores`.
        """
        return self.scores(crops).argmax(axis=-1).astype(np.uint8)

    def probabilities(self, crops: Sequence[np.ndarray]) -> np.ndarray:
        """Returns how likely each class is, `(n, height, width, 19)` in [0, 1].

        Args:
            crops: See `scores`.
        """
        scores = self.scores(crops)
        scores -= scores.max(axis=-1, keepdims=True)
        np.exp(scores, out=scores)
        return scores / scores.sum(axis=-1, keepdims=True)
