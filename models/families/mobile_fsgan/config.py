"""What decides the structure of MobileFSGAN's networks: frozen records."""

from __future__ import annotations

import dataclasses

from facedancer.models.families.records import StructureRecord
from facedancer.networks import contract

MAX_STAGES = 10
# Names of the outputs and of the discriminators by how often the size is halved.
ENDINGS = ("", "_half", "_quarter")


@dataclasses.dataclass(frozen=True)
class MobileGeneratorConfig(StructureRecord):
    """The structure of a MobileFSGAN generator, and what it is to be fed.

    Attributes:
        image_size: Side of the square images in pixels; the other two pictures have a
            half and a quarter of it.
        width: Channels of every map.
        blocks: How many residual blocks work on a map of full, half and quarter size.
        stages: How often the identity's stream is halved.
        bounded: Keep the share of each mix of target and identity in [0, 1] by a
            sigmoid; published is false, a number without limits, whose powers can run
            over in bright parts of a picture.
        identity_size: Length of the identity vector.
        encoder: Name of the identity encoder that gives the vectors; empty: unknown.
        template: Key of `alignment.TEMPLATES` the crops are aligned to.
        shrink: The `shrink` of `alignment.template`; the published crop, whose rows 26
            to 230 of 256 are the encoder's, has 204 / 256.

    Raises:
        ValueError: If a value is out of range or two do not fit together.
    """

    image_size: int = 256
    width: int = 64
    blocks: tuple[int, int, int] = (2, 3, 4)
    stages: int = 5
    bounded: bool = False
    identity_size: int = 512
    encoder: str = ""
    template: str = "arcface"
    shrink: float = 204 / 256

    def __post_init__(self) -> None:
        object.__setattr__(self, "blocks", tuple(int(one) for one in self.blocks))
        smallest = min(self.width, self.identity_size, *self.blocks, 1)
        if smallest < 1 or len(self.blocks) != len(ENDINGS):
            raise ValueError(
                "`width`, `identity_size` and the three `blocks` must be positive. "
                f"Received: width={self.width}, identity_size={self.identity_size}, "
                f"blocks={self.blocks}"
            )
        if not len(ENDINGS) <= self.stages <= MAX_STAGES:
            raise ValueError(
                f"`stages` must lie in [{len(ENDINGS)}, {MAX_STAGES}]. Received: "
                f"stages={self.stages}"
            )
        side, rest = divmod(self.image_size, 2**self.stages)
        if rest or side < 2:
            raise ValueError(
                f"`image_size` must be a multiple of {2**self.stages}, at least "
                f"{2 * 2**self.stages}, to be halved {self.stages} times. Received: "
                f"image_size={self.image_size}"
            )
        if not 0.0 < self.shrink <= 1.0:
            raise ValueError(f"`shrink` must lie in (0, 1]. Received: {self.shrink}")

    @property
    def contract(self) -> contract.SwapContract:
        """What the generator is fed and what it gives."""
        return contract.SwapContract(
            contract.InputContract(
                self.image_size, "signed", self.template, self.shrink
            ),
            contract.IdentityInput("vector", self.identity_size, self.encoder, True),
            outputs=tuple(f"swapped{ending}" for ending in ENDINGS),
        )

    def describe(self) -> str:
        """Returns the structure in words."""
        return (
            f"{self.image_size} px, width {self.width}, blocks "
            f"{' '.join(map(str, self.blocks))}, identity {self.identity_size} from "
            f"{self.encoder or 'an unknown encoder'}"
        )


@dataclasses.dataclass(frozen=True)
class MobileDiscriminatorConfig(StructureRecord):
    """The structure of one of the three discriminators.

    Attributes:
        image_size: Side of the square images in pixels.
        base_width: Channels after the first convolution; each further one doubles them.
        stages: How many convolutions halve the map.

    Raises:
        ValueError: If a value is out of range.
    """

    image_size: int = 256
    base_width: int = 16
    stages: int = 4

    def __post_init__(self) -> None:
        values = dataclasses.astuple(self)
        if min(values) < 1 or self.stages > MAX_STAGES:
            raise ValueError(
                f"`image_size`, `base_width` and `stages` must be positive, `stages` "
                f"at most {MAX_STAGES}. Received: {values}"
            )

    def describe(self) -> str:
        """Returns the structure in words."""
        widths = [self.base_width << i for i in range(self.stages + 1)]
        return f"{self.image_size} px, widths {' '.join(map(str, widths))}"
