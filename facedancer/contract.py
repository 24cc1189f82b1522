"""What a network wants to be fed, kept with its weights."""

from __future__ import annotations

import dataclasses

import numpy as np

from facedancer import images
from facedancer.alignment import TEMPLATES, Alignment

_FROM_UINT8 = {
    "unit": images.unit_from_uint8,
    "signed": images.signed_from_uint8,
}


@dataclasses.dataclass(frozen=True)
class InputContract:
    """The image input of a network. Colour order is always RGB.

    Attributes:
        size: Side of the square input in pixels.
        value_range: `"unit"` for [0, 1] or `"signed"` for [-1, 1].
        template: Key of `alignment.TEMPLATES` the crops are aligned to.
        shrink: The `shrink` of `alignment.template`.

    Raises:
        ValueError: If the size is not positive, the range or the template is unknown.
    """

    size: int
    value_range: str
    template: str = "arcface"
    shrink: float = 1.0

    def __post_init__(self):
        if self.size < 1:
            raise ValueError(f"`size` must be positive. Received: size={self.size}")
        if self.value_range not in _FROM_UINT8:
            raise ValueError(
                f"`value_range` must be one of {sorted(_FROM_UINT8)}. "
                f"Received: value_range={self.value_range!r}"
            )
        if self.template not in TEMPLATES:
            raise ValueError(
                f"`template` must be one of {sorted(TEMPLATES)}. "
                f"Received: template={self.template!r}"
            )

    @property
    def alignment(self) -> Alignment:
        """How the crops are aligned."""
        return Alignment(self.template, self.shrink)

    def from_uint8(self, image: np.ndarray) -> np.ndarray:
        """Returns uint8 RGB images of any leading shape in the network's range.

        Args:
            image: `(..., height, width, 3)` uint8.
        """
        return _FROM_UINT8[self.value_range](image)

    def from_unit(self, image_unit):
        """Returns images or tensors in [0, 1] in the network's range.

        Args:
            image_unit: Any shape, [0, 1].
        """
        return image_unit if self.value_range == "unit" else image_unit * 2.0 - 1.0

    def from_signed(self, image_signed):
        """Returns images or tensors in [-1, 1] in the network's range.

        Args:
            image_signed: Any shape, [-1, 1].
        """
        signed = self.value_range == "signed"
        return image_signed if signed else image_signed * 0.5 + 0.5
