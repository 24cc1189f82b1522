"""What decides the structure of faceswap-GAN's networks: frozen records."""

from __future__ import annotations

import dataclasses

from facedancer.models.families.records import StructureRecord
from facedancer.networks import contract

SIZES = (64, 128, 256)
NORMS = ("none", "batch", "instance", "layer", "group", "hybrid")
BOTTLENECKS = ("dense", "conv")
SIDE = 4  # of the encoder's smallest map


@dataclasses.dataclass(frozen=True)
class FaceswapConfig(StructureRecord):
    """The structure of encoder, decoders and what is made of both.

    Attributes:
        image_size: Side of the square images in pixels: 64, 128 or 256.
        width: Channels of the first map; published is 64, of `lite` 32.
        lite: Enlarge by repeating places instead of by moving channels into places,
            and keep the smallest maps narrow.
        latent: Numbers between encoder and decoders; published is 1024, of `lite` above
            64 pixels 2048.
        norm: none, batch, instance (each channel by itself), layer (a map as a whole
            with one gain; published, and called instance there), group (16 groups) or
            hybrid (half of the channels is normalised).
        attention: Largest side of a map with self-attention, whose memory and time grow
            with the fourth power of the side; published is 64, 0: there is none.
        bottleneck: dense as published, or conv: the map is halved to one place first.
        landmarks: Feed the places of eyes, nose and mouth besides.
        people: Who the decoders show, the first and the second; empty: unknown.
        shows: Which of them the exported network shows, 0 or 1.
        template: Key of `alignment.TEMPLATES` the crops are aligned to.
        shrink: The `shrink` of `alignment.template`.

    Raises:
        ValueError: If a value is out of range or two do not fit together.
    """

    image_size: int = 64
    width: int = 64
    lite: bool = False
    latent: int = 1024
    norm: str = "layer"
    attention: int = 64
    bottleneck: str = "dense"
    landmarks: bool = False
    people: tuple[str, ...] = ()
    shows: int = 1
    template: str = "arcface"
    shrink: float = 1.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "people", tuple(self.people))
        for name, known in (
            ("image_size", SIZES),
            ("norm", NORMS),
            ("bottleneck", BOTTLENECKS),
            ("shows", (0, 1)),
        ):
            if getattr(self, name) not in known:
                words = ", ".join(map(str, known))
                raise ValueError(
                    f"`{name}` must be one of {words}. Received: {getattr(self, name)}"
                )
        numbers = self.latent, self.attention + 1
        if self.width < 4 or self.width % 4 or min(numbers) < 1:
            raise ValueError(
                "`width` must be a multiple of 4, `latent` positive, `attention` at "
                f"least 0. Received: width={self.width}, latent={self.latent}, "
                f"attention={self.attention}"
            )
        if len(self.people) not in (0, 2):
            raise ValueError(
                f"`people` must name two people. Received: {', '.join(self.people)}"
            )
        if not 0.0 < self.shrink <= 1.0:
            raise ValueError(f"`shrink` must lie in (0, 1]. Received: {self.shrink}")

    @property
    def halvings(self) -> tuple[int, ...]:
        """Channels after each halving of the encoder, down to four places a side."""
        widest = self.width * (8 if self.lite else 16)
        count = (self.image_size // SIDE).bit_length() - 1
        return tuple(min(self.width << i, widest) for i in range(1, count + 1))

    @property
    def contract(self) -> contract.SwapContract:
        """What the network that swaps is fed and what it gives."""
        names = (self.people[self.shows],) if self.people else ()
        return contract.SwapContract(
            contract.InputContract(
                self.image_size, "signed", self.template, self.shrink
            ),
            contract.IdentityInput("none", 0, names=names),
            inputs=("target", "semantic_mask") if self.landmarks else ("target",),
            outputs=("swapped", "alpha"),
        )

    def describe(self) -> str:
        """Returns the structure in words."""
        kind = "lite" if self.lite else "standard"
        people = " and ".join(self.people) or "two people"
        return (
            f"{self.image_size} px, {kind}, width {self.width}, norm {self.norm}, "
            f"{people}"
        )


@dataclasses.dataclass(frozen=True)
class FaceswapDiscriminatorConfig(StructureRecord):
    """The structure of the discriminator of one person.

    Attributes:
        image_size: Side of the square images in pixels.
        d_base_width: Channels after the first convolution.
        norm: See `FaceswapConfig`.
        attention: See `FaceswapConfig`.

    Raises:
        ValueError: If a value is out of range.
    """

    image_size: int = 64
    d_base_width: int = 64
    norm: str = "layer"
    attention: int = 64

    def __post_init__(self) -> None:
        if self.image_size not in SIZES or self.norm not in NORMS:
            raise ValueError(
                f"`image_size` must be one of {SIZES}, `norm` of {', '.join(NORMS)}. "
                f"Received: {self.image_size}, {self.norm}"
            )
        if self.d_base_width < 2 or self.d_base_width % 2:
            raise ValueError(
                f"`d_base_width` must be even. Received: {self.d_base_width}"
            )

    def describe(self) -> str:
        """Returns the structure in words."""
        return f"{self.image_size} px, width {self.d_base_width}, norm {self.norm}"


@dataclasses.dataclass(frozen=True)
class FaceswapCriticConfig(StructureRecord):
    """The structure of what tells from a code whose picture it was.

    Attributes:
        latent: Numbers of the code; those of `FaceswapConfig`.

    Raises:
        ValueError: If it is not positive.
    """

    latent: int = 1024

    def __post_init__(self) -> None:
        if self.latent < 1:
            raise ValueError(f"`latent` must be positive. Received: {self.latent}")

    def describe(self) -> str:
        """Returns the structure in words."""
        return f"codes of {self.latent} numbers"
