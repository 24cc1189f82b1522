"""What decides a network's structure: frozen records, checked when they are made."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable

from facedancer.models.families.records import StructureRecord
from facedancer.networks import contract

UP_TYPES = ("no_skip", "concat", "add", "affa", "d_affa", "do_affa")
OUTPUTS = ("linear", "tanh")
MAX_STAGES = 16


def _progression(count: int, base: int, maximum: int) -> tuple[int, ...]:
    return tuple(min(base * 2**i, maximum) for i in range(count))


def _words(values: Iterable[object]) -> str:
    return " ".join(str(value) for value in values)


def default_up_types(stages: int) -> tuple[str, ...]:
    """Returns the published fusion list, shortened or stretched to other depths.

    Args:
        stages: How often the image is halved; 5 gives the published list.

    Returns:
        `stages + 1` names, from the smallest map to the full size.
    """
    middle = max(stages - 2, 0)
    return (("no_skip",) * 2 + ("affa",) * middle + ("concat",))[-(stages + 1) :]


class _Config(StructureRecord):
    """What the two records share: widths that follow."""

    # What both have; here for a type checker, the records say their defaults.
    image_size: int
    stages: int
    base_width: int
    max_width: int
    widths: tuple[int, ...]

    def _set(self, **values: object) -> None:
        for name, value in values.items():
            object.__setattr__(self, name, value)

    def _settle_widths(self) -> None:
        """Stores widths that double up to a maximum as `base_width`, `max_width`."""
        widths = tuple(int(width) for width in self.widths)
        if widths and len(widths) != self.stages + 1:
            raise ValueError(
                f"`widths` must have {self.stages + 1} entries, one for the full size "
                f"and one per stage. Received: widths={widths}"
            )
        if min(self.base_width, self.max_width, *widths) < 1:
            raise ValueError(
                f"Widths must be positive. Received: base_width={self.base_width}, "
                f"max_width={self.max_width}, widths={widths}"
            )
        for maximum in (self.max_width, max(widths, default=1)):
            if widths and widths == _progression(len(widths), widths[0], maximum):
                self._set(base_width=widths[0], max_width=maximum)
                widths = ()
        self._set(widths=widths)

    @staticmethod
    def _check_stages(stages: int) -> None:
        """Before anything is made that grows with them: a file may ask for millions."""
        if stages > MAX_STAGES:
            raise ValueError(
                f"`stages` must be at most {MAX_STAGES}. Received: stages={stages}"
            )

    def _check_divisible(self, min_bottom: int) -> None:
        bottom, rest = divmod(self.image_size, 2**self.stages)
        if self.stages < 1 or rest or bottom < min_bottom:
            raise ValueError(
                f"`image_size` must be a multiple of {2**self.stages}, at least "
                f"{min_bottom * 2**self.stages}, to be halved {self.stages} times, and "
                f"`stages` positive. Received: image_size={self.image_size}, "
                f"stages={self.stages}"
            )

    @property
    def stage_widths(self) -> tuple[int, ...]:
        """Channels at the full size and after every halving, `stages + 1` numbers."""
        return self.widths or _progression(
            self.stages + 1, self.base_width, self.max_width
        )

    def describe(self) -> str:
        """Returns the structure in words."""
        return f"{self.image_size} px, widths {_words(self.stage_widths)}"


@dataclasses.dataclass(frozen=True)
class GeneratorConfig(_Config):
    """The structure of a FaceDancer generator, and what it is to be fed.

    Attributes:
        image_size: Side of the square images in pixels.
        stages: How often the image is halved. 0: follows from `up_types` where it is
            given, else from the size, down to a map of about 8 pixels.
        base_width: Channels at the full size; they double with every halving.
        max_width: Most channels.
        widths: Channels at the full size and after every halving, where they do not
            double; empty: `base_width` and `max_width` decide.
        up_types: How each skip connection is fused, from the smallest map to the full
            size, `stages + 1` of `UP_TYPES`; empty: the published choice.
        mapping_sizes: Units of the mapping network's layers; may be empty.
        identity_size: Length of the identity vector.
        normalise_identity: Whether the network first brings identity vectors to the
            length `sqrt(identity_size)`; published is their own length.
        output_activation: `"linear"` as published, or `"tanh"`.
        final_adain: Whether the identity reaches the last block, as published.
        gain_bias: Start of the bias of each AdaIN scale; 0 as published. 1 lets the
            map through from the first step.
        encoder: Name of the identity encoder that gives the vectors; empty: unknown.
        template: Key of `alignment.TEMPLATES` the crops are aligned to.
        shrink: The `shrink` of `alignment.template`.
        extrapolation: See `IdentityInput`.

    Raises:
        ValueError: If a value is out of range or two do not fit together.
    """

    image_size: int = 256
    stages: int = 0
    base_width: int = 64
    max_width: int = 512
    widths: tuple[int, ...] = ()
    up_types: tuple[str, ...] = ()
    mapping_sizes: tuple[int, ...] = (512, 512, 512, 512)
    identity_size: int = 512
    normalise_identity: bool = False
    output_activation: str = "linear"
    final_adain: bool = True
    gain_bias: float = 0.0
    encoder: str = ""
    template: str = "arcface"
    shrink: float = 1.0
    extrapolation: float = 0.0

    def __post_init__(self) -> None:
        up_types = tuple(self.up_types)
        if len(up_types) == 1:
            raise ValueError(
                f"`up_types` must be 2 or more of {', '.join(UP_TYPES)}, one per map "
                f"size from the smallest to the full one. Received: up_types={up_types}"
            )
        stages = self.stages or len(up_types) - 1
        if stages == -1:
            stages = max(1, round(math.log2(max(self.image_size, 1) / 8)))
        self._check_stages(stages)
        self._set(
            stages=stages,
            up_types=up_types or default_up_types(stages),
            mapping_sizes=tuple(int(size) for size in self.mapping_sizes),
        )
        self._check_divisible(min_bottom=2)
        self._settle_widths()
        self._check_values()

    def _check_values(self) -> None:
        wrong = [name for name in self.up_types if name not in UP_TYPES]
        if wrong or len(self.up_types) != self.stages + 1:
            raise ValueError(
                f"`up_types` must be {self.stages + 1} of {', '.join(UP_TYPES)}, one "
                "per map size from the smallest to the full one. Received: "
                f"up_types={self.up_types}"
            )
        if min((self.identity_size, *self.mapping_sizes)) < 1:
            raise ValueError(
                "`identity_size` and `mapping_sizes` must be positive. Received: "
                f"identity_size={self.identity_size}, "
                f"mapping_sizes={self.mapping_sizes}"
            )
        if self.output_activation not in OUTPUTS:
            raise ValueError(
                f"`output_activation` must be one of {', '.join(OUTPUTS)}. Received: "
                f"output_activation={self.output_activation!r}"
            )
        if not 0.0 < self.shrink <= 1.0:
            raise ValueError(f"`shrink` must lie in (0, 1]. Received: {self.shrink}")
        if not 0.0 <= self.extrapolation <= 1.0:
            raise ValueError(
                f"`extrapolation` must lie in [0, 1]. Received: {self.extrapolation}"
            )

    @property
    def contract(self) -> contract.SwapContract:
        """What the generator is fed and what it gives."""
        return contract.SwapContract(
            contract.InputContract(
                self.image_size, "signed", self.template, self.shrink
            ),
            contract.IdentityInput(
                "vector",
                self.identity_size,
                self.encoder,
                extrapolation=self.extrapolation,
            ),
        )

    def describe(self) -> str:
        """Returns the structure in words."""
        return (
            f"{super().describe()}, fusions {_words(self.up_types)}, mapping "
            f"{_words(self.mapping_sizes) or 'none'}, identity {self.identity_size} "
            f"from {self.encoder or 'an unknown encoder'}"
        )


@dataclasses.dataclass(frozen=True)
class DiscriminatorConfig(_Config):
    """The structure of a FaceDancer discriminator.

    Attributes:
        image_size: Side of the square images in pixels.
        stages: How often the image is halved; 0: down to a map of about 4 pixels.
        base_width: Channels at the full size; they double with every halving.
        max_width: Most channels.
        widths: Channels at the full size and after every halving, where they do not
            double; empty: `base_width` and `max_width` decide.

    Raises:
        ValueError: If a value is out of range or two do not fit together.
    """

    image_size: int = 256
    stages: int = 0
    base_width: int = 64
    max_width: int = 512
    widths: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        stages = self.stages or len(self.widths) - 1
        if stages == -1:
            stages = max(1, round(math.log2(max(self.image_size, 1) / 4)))
            while stages > 1 and self.image_size % 2**stages:
                stages -= 1
        self._check_stages(stages)
        self._set(stages=stages)
        self._check_divisible(min_bottom=1)
        self._settle_widths()
