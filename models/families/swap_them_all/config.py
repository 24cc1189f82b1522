"""What decides the structure of swap-them-all's networks: frozen records."""

from __future__ import annotations

import dataclasses

from facedancer.models.families.records import StructureRecord
from facedancer.networks import contract

SEES = ("masked_target", "target")


@dataclasses.dataclass(frozen=True)
class SwapThemAllConfig(StructureRecord):
    """The structure of a generator, and what it is to be fed.

    Attributes:
        version: 1 (SPADE-Res2Net decoder) or 2 (AdaIN at the bottleneck, SPADE after).
        sees: What it is fed of the target: masked_target (its face is hidden) or target
            (all of it, as version 2 is swapped with).
        image_size: Side of the square images in pixels.
        widths: Channels after each of the four convolutions that halve the map.
        spade_width: Channels that gain and shift are made of in a SPADE.
        style_width: Of version 2: length of the style that AdaIN reads.
        separate_adain: Of version 2: gains and shifts of their own for the second
            convolution of a residual block.
        use_nwg: Of version 2: kernels made of the identity vector after each SPADE
            block, for each example its own.
        identity_size: Length of the identity vector.
        encoder: Name of the identity encoder that gives the vectors; empty: unknown.
        template: Key of `alignment.TEMPLATES` the crops are aligned to.
        shrink: The `shrink` of `alignment.template`.

    Raises:
        ValueError: If a value is out of range or two do not fit together.
    """

    version: int = 1
    sees: str = "masked_target"
    image_size: int = 224
    widths: tuple[int, int, int, int] = (64, 128, 256, 512)
    spade_width: int = 128
    style_width: int = 256
    separate_adain: bool = False
    use_nwg: bool = False
    identity_size: int = 512
    encoder: str = ""
    template: str = "arcface"
    shrink: float = 1.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "widths", tuple(int(one) for one in self.widths))
        numbers = (self.spade_width, self.style_width, self.identity_size)
        if len(self.widths) != 4 or min(*numbers, *self.widths) < 1:
            raise ValueError(
                "The four `widths`, `spade_width`, `style_width` and `identity_size` "
                f"must be positive. Received: widths={self.widths}, {numbers}"
            )
        if self.version not in (1, 2):
            raise ValueError(f"`version` must be 1 or 2. Received: {self.version}")
        if self.sees not in SEES:
            raise ValueError(
                f"`sees` must be one of {', '.join(SEES)}. Received: {self.sees}"
            )
        if self.version == 1 and (self.use_nwg or self.separate_adain):
            raise ValueError(
                "`use_nwg` and `separate_adain` are of version 2. Received: version=1"
            )
        if self.version == 1 and any(width % 4 for width in self.widths[1:]):
            raise ValueError(
                "Version 1 splits its maps in four: `widths` after the first must be "
                f"multiples of 4. Received: {self.widths}"
            )
        if self.image_size < 32 or self.image_size % 16:
            raise ValueError(
                "`image_size` must be a multiple of 16, at least 32. Received: "
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
            inputs=(self.sees, "semantic_mask", "reference", "identity"),
        )

    def describe(self) -> str:
        """Returns the structure in words."""
        more = " with generated kernels" if self.use_nwg else ""
        return (
            f"version {self.version}{more}, {self.image_size} px, widths "
            f"{' '.join(map(str, self.widths))}, identity {self.identity_size} from "
            f"{self.encoder or 'an unknown encoder'}"
        )


@dataclasses.dataclass(frozen=True)
class SemanticDiscriminatorConfig(StructureRecord):
    """The structure of a discriminator that sees the semantic mask, too.

    Attributes:
        image_size: Side of the square images in pixels.
        base_width: Channels of the first two convolutions; 2, 4, 8 and 16 times of it
            follow.
        vector_size: Length of the identity vector it tells of an image; 0: none.

    Raises:
        ValueError: If a value is out of range.
    """

    image_size: int = 224
    base_width: int = 32
    vector_size: int = 0

    def __post_init__(self) -> None:
        _check(self.image_size, self.base_width, self.vector_size + 1)

    def describe(self) -> str:
        """Returns the structure in words."""
        return f"{self.image_size} px, width {self.base_width}, image and mask"


@dataclasses.dataclass(frozen=True)
class PairDiscriminatorConfig(StructureRecord):
    """The structure of a discriminator that sees two photos of one person.

    Attributes:
        image_size: Side of the square images in pixels.
        base_width: Channels of the first convolution.
        tap_widths: Channels of the maps of a frozen network; the narrowest, a middle
            and the widest one of both photos are what it is given besides, resized to
            an eighth, a sixteenth and a 32nd of the size. Empty: none.

    Raises:
        ValueError: If a value is out of range.
    """

    image_size: int = 224
    base_width: int = 32
    tap_widths: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(
            self, "tap_widths", tuple(int(one) for one in self.tap_widths)
        )
        _check(self.image_size, self.base_width, *self.tap_widths)

    @property
    def chosen(self) -> tuple[int, ...]:
        """Which of the maps it is given, up to three; narrow ones are large."""
        order = sorted(range(len(self.tap_widths)), key=self.tap_widths.__getitem__)
        last = len(order) - 1
        places = sorted({0, (last + 1) // 2, last}) if order else []
        return tuple(order[place] for place in places)

    @property
    def map_shapes(self) -> tuple[tuple[int, int, int], ...]:
        """What it is given of both photos besides, `(side, side, channels)`."""
        return tuple(
            (self.image_size >> (level + 3),) * 2 + (2 * self.tap_widths[place],)
            for level, place in enumerate(self.chosen)
        )

    def describe(self) -> str:
        """Returns the structure in words."""
        return f"{self.image_size} px, width {self.base_width}, pairs of images"


def _check(image_size: int, *widths: int) -> None:
    if min(widths) < 1 or image_size < 64 or image_size % 32:
        raise ValueError(
            "`image_size` must be a multiple of 32, at least 64, and widths positive. "
            f"Received: image_size={image_size}, widths={widths}"
        )
