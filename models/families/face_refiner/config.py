"""What decides the structure of a face refiner: a frozen record."""

from __future__ import annotations

import dataclasses

from facedancer.models.families.records import StructureRecord
from facedancer.networks.contract import InputContract


@dataclasses.dataclass(frozen=True)
class FaceRefinerConfig(StructureRecord):
    """The structure of a face refiner.

    Attributes:
        image_size: Side of the square crops in pixels, a multiple of 4.
        stem: Channels at half of the size.
        width: Channels at a quarter of it.
        blocks: Residual blocks there.
        fine: Standard deviation in pixels of the blur below which lies what the
            generator's own pixels can show.
        coarse: Of the blur above which nothing of the target is taken.

    Raises:
        ValueError: If a number is not positive, the blurs are not in order, or the size
            is no multiple of 4.
    """

    image_size: int = 256
    stem: int = 24
    width: int = 48
    blocks: int = 6
    fine: float = 1.6
    coarse: float = 5.0

    def __post_init__(self) -> None:
        if min(self.stem, self.width, self.blocks) < 1:
            raise ValueError(
                "Widths and blocks must be positive. Received: "
                f"stem={self.stem}, width={self.width}, blocks={self.blocks}"
            )
        if not 0.0 < self.fine < self.coarse:
            raise ValueError(
                "The blurs must be positive, `fine` below `coarse`. Received: "
                f"fine={self.fine:g}, coarse={self.coarse:g}"
            )
        if self.image_size < 4 or self.image_size % 4:
            raise ValueError(
                "`image_size` must be a multiple of 4. Received: "
                f"image_size={self.image_size}"
            )

    @property
    def image(self) -> InputContract:
        """What crops it is fed, swapped face and target alike."""
        return InputContract(self.image_size, "signed")

    def describe(self) -> str:
        """Returns the structure in words."""
        return (
            f"{self.image_size} px, widths {self.stem} {self.width}, "
            f"{self.blocks} blocks"
        )
