"""Tells which part of a face every pixel of a crop shows, whatever runs the network."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from facedancer.imaging import images
from facedancer.models.families import helper_files


class FaceParser:
    """Parses aligned crops.

    Args:
        read: Called once, when it first parses; gives the network and the side of its
            input in pixels, 0 where that is open. The network has
            `predict_on_batch(image)` from `(n, size, size, 3)` in [-1, 1] to
            `(n, height, width, 19)` scores.
        name: What it is, for reports.

    Example:
        parser = load_parser()
        classes = parser.classes([crop])[0]
    """

    def __init__(
        self, read: Callable[[], tuple[Any, int]], name: str = "parser"
    ) -> None:
        self._loaded, self.name = helper_files.AtFirstUse(read), name

    def begin(self) -> None:
        """Begins to read the network, beside other work, as it will be used."""
        self._loaded.begin()

    def scores(self, crops: Sequence[np.ndarray]) -> np.ndarray:
        """Returns logits, `(n, height, width, 19)` float32 of the network's own size.

        Args:
            crops: `(side, side, 3)` uint8 RGB each, aligned, of one size.
        """
        network, size = self._loaded()
        size = size or len(crops[0])
        batch = np.stack([images.resize(crop, size) for crop in crops])
        found = network.predict_on_batch(images.signed_from_uint8(batch))
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
