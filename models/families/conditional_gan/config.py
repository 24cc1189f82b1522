"""What decides the structure of the conditional GAN's networks: frozen records."""

from __future__ import annotations

import dataclasses

from facedancer.models.families.records import StructureRecord
from facedancer.networks import contract

BOTTLENECKS = ("mlp", "legacy_attention", "cross_attention")
HALVINGS = 4  # by valid convolutions of 5x5
FIRST = 32  # by what the side is larger than that of the decoder's first map


@dataclasses.dataclass(frozen=True)
class ConditionalConfig(StructureRecord):
    """The structure of the generator, and what it is to be fed.

    Attributes:
        image_size: Side of the square images in pixels, a multiple of 32.
        encoder_width: Channels of the encoder's first map; each further one doubles
            them.
        width: Channels between encoder and decoder.
        decoder_width: An eighth of the channels of the decoder's first map.
        mask_width: The same of the branch that draws where the face is; 0: there is
            none.
        bottleneck: mlp (published), legacy_attention (published too, of hundreds of
            millions of numbers at 512 pixels) or cross_attention (places ask the
            person).
        label_size: Numbers that stand for a person; published is 1024, of
            legacy_attention 5096.
        people: Names by label.
        template: Key of `alignment.TEMPLATES` the crops are aligned to.
        shrink: The `shrink` of `alignment.template`.

    Raises:
        ValueError: If a value is out of range or two do not fit together.
    """

    image_size: int = 512
    encoder_width: int = 32
    width: int = 64
    decoder_width: int = 32
    mask_width: int = 8
    bottleneck: str = "mlp"
    label_size: int = 1024
    people: tuple[str, ...] = ("0", "1")
    template: str = "arcface"
    shrink: float = 1.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "people", tuple(self.people))
        if self.bottleneck not in BOTTLENECKS:
            raise ValueError(
                f"`bottleneck` must be one of {', '.join(BOTTLENECKS)}. "
                f"Received: {self.bottleneck}"
            )
        if self.image_size % FIRST or self.image_size < 2 * FIRST:
            raise ValueError(
                f"`image_size` must be a multiple of {FIRST}, at least {2 * FIRST}. "
                f"Received: {self.image_size}"
            )
        widths = self.encoder_width, self.decoder_width, self.label_size
        if min(*widths, self.mask_width + 1) < 1 or self.width < 4 or self.width % 4:
            raise ValueError(
                "`encoder_width`, `decoder_width` and `label_size` must be positive, "
                f"`width` a multiple of 4. Received: {(*widths, self.width)}"
            )
        if len(self.people) < 2:
            raise ValueError(
                f"`people` must name two or more. Received: {len(self.people)}"
            )
        if not 0.0 < self.shrink <= 1.0:
            raise ValueError(f"`shrink` must lie in (0, 1]. Received: {self.shrink}")

    @property
    def contract(self) -> contract.SwapContract:
        """What the generator is fed and what it gives."""
        count = len(self.people)
        return contract.SwapContract(
            contract.InputContract(self.image_size, "unit", self.template, self.shrink),
            contract.IdentityInput("label", count, names=self.people),
            inputs=("target", "label"),
            outputs=("swapped", "alpha") if self.mask_width else ("swapped",),
        )

    def describe(self) -> str:
        """Returns the structure in words."""
        return (
            f"{self.image_size} px, {self.bottleneck}, widths {self.encoder_width} "
            f"{self.width} {self.decoder_width}, {len(self.people)} people"
        )


@dataclasses.dataclass(frozen=True)
class ConditionalJudgeConfig(StructureRecord):
    """The structure of the discriminator.

    Attributes:
        image_size: Side of the square images in pixels, a multiple of 4.
        d_base_width: Channels of its two maps.
        people: Names by label.

    Raises:
        ValueError: If a value is out of range.
    """

    image_size: int = 512
    d_base_width: int = 32
    people: tuple[str, ...] = ("0", "1")

    def __post_init__(self) -> None:
        object.__setattr__(self, "people", tuple(self.people))
        if self.image_size < 4 or self.image_size % 4 or self.d_base_width < 1:
            raise ValueError(
                "`image_size` must be a multiple of 4, `d_base_width` positive. "
                f"Received: {self.image_size}, {self.d_base_width}"
            )

    def describe(self) -> str:
        """Returns the structure in words."""
        return f"{self.image_size} px, width {self.d_base_width}"
