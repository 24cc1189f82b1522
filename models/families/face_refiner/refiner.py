"""Makes enlarged faces sharp, whatever runs the network."""

from __future__ import annotations

from typing import Any

import numpy as np

from facedancer.imaging import images


class FaceRefiner:
    """Refines enlarged faces.

    Args:
        network: Called with `swapped` and `target`, each `(n, size, size, 3)` float32
            in [-1, 1], by name; gives `refined` of that form by name.
        size: Side of the network's crops in pixels.
        name: What it is, for reports.
    """

    def __init__(self, network: Any, size: int, name: str = "refiner") -> None:
        self._network, self.size, self.name = network, size, name

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
        refined = np.asarray(self._network(feeds)["refined"][0], np.float32)
        return refined.clip(-1.0, 1.0) * np.float32(127.5) + np.float32(127.5)
