"""Makes enlarged faces sharp, whatever runs the network."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from facedancer.imaging import images
from facedancer.models.families import helper_files


class FaceRefiner:
    """Refines enlarged faces.

    Args:
        read: Called once, when it first refines; gives the network and the side of its
            crops in pixels. The network is called with `swapped` and `target`, each
            `(n, size, size, 3)` float32 in [-1, 1], by name; it gives `refined` of
            that form by name.
        name: What it is, for reports.
    """

    def __init__(
        self, read: Callable[[], tuple[Any, int]], name: str = "refiner"
    ) -> None:
        self._loaded, self.name = helper_files.AtFirstUse(read), name

    def begin(self) -> None:
        """Begins to read the network, beside other work, as it will be used."""
        self._loaded.begin()

    @property
    def size(self) -> int:
        """Side of the network's crops in pixels."""
        return self._loaded()[1]

    def refine(self, swapped: np.ndarray, target: np.ndarray) -> np.ndarray:
        """Returns a face with detail, `(size, size, 3)` float32 in [0, 255].

        Args:
            swapped: `(size, size, 3)` float32 in [0, 255], the enlarged face.
            target: `(size, size, 3)` uint8 RGB, the target's crop.
        """
        feeds = {
            "swapped": images.signed_from_uint8(swapped.clip(0.0, 255.0)[None]),
            "target": images.signed_from_uint8(target[None]),
        }
        network, _ = self._loaded()
        refined = np.asarray(network(feeds)["refined"][0], np.float32)
        return refined.clip(-1.0, 1.0) * np.float32(127.5) + np.float32(127.5)
