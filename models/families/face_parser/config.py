"""What decides the structure of a face parser: a frozen record."""

from __future__ import annotations

import dataclasses

from facedancer.models.families.records import StructureRecord
from facedancer.networks.contract import InputContract


@dataclasses.dataclass(frozen=True)
class FaceParserConfig(StructureRecord):
    """The structure of a face parser.

    Attributes:
        image_size: Side of the square crops in pixels, a multiple of 16.
        stem: Channels at half of the size.
        widths: Channels at a quarter, an eighth and a sixteenth of it.
        blocks: Residual blocks at each of these.
        decoder: Channels on the way back up to a quarter.
        fine: Channels at half of the size on the way back.
        folded: Without batch norms, for weights they were folded into.

    Raises:
        ValueError: If a number is not positive or the size is no multiple of 16.
    """

    image_size: int = 96
    stem: int = 16
    widths: tuple[int, int, int] = (40, 80, 112)
    blocks: tuple[int, int, int] = (1, 2, 2)
    decoder: int = 48
    fine: int = 24
    folded: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "widths", tuple(int(one) for one in self.widths))
        object.__setattr__(self, "blocks", tuple(int(one) for one in self.blocks))
        numbers = (self.stem, self.decoder, self.fine, *self.widths)
        counts = {len(self.widths), len(self.blocks)}
        if min(*numbers, *self.blocks) < 1 or counts != {3}:
            raise ValueError(
                "Widths and blocks must be positive, three of each. Received: "
                f"widths={self.widths}, blocks={self.blocks}, stem={self.stem}, "
                f"decoder={self.decoder}, fine={self.fine}"
            )
        if self.image_size < 16 or self.image_size % 16:
            raise ValueError(
                "`image_size` must be a multiple of 16. Received: "
                f"image_size={self.image_size}"
            )

    @property
    def image(self) -> InputContract:
        """What crops it is fed; those of any template and shrink will do."""
        return InputContract(self.image_size, "signed")

    def describe(self) -> str:
        """Returns the structure in words."""
        widths = " ".join(map(str, (self.stem, *self.widths)))
        return f"{self.image_size} px, widths {widths}"
