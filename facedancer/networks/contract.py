"""What a network wants to be fed and what it gives, kept with its weights."""

from __future__ import annotations

import dataclasses
import typing

import numpy as np

from facedancer.face.alignment import TEMPLATES, Alignment
from facedancer.imaging import images

if typing.TYPE_CHECKING:  # else flags and help would bring Keras along
    from facedancer.networks.tensors import Tensor

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

    def __post_init__(self) -> None:
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

    def from_unit(self, image_unit: Tensor) -> Tensor:
        """Returns images or tensors in [0, 1] in the network's range.

        Args:
            image_unit: Any shape, [0, 1].
        """
        return image_unit if self.value_range == "unit" else image_unit * 2.0 - 1.0

    def from_signed(self, image_signed: Tensor) -> Tensor:
        """Returns images or tensors in [-1, 1] in the network's range.

        Args:
            image_signed: Any shape, [-1, 1].
        """
        signed = self.value_range == "signed"
        return image_signed if signed else image_signed * 0.5 + 0.5

    def to_255(self, values: np.ndarray) -> np.ndarray:
        """Returns values of the network's range in [0, 255], not rounded or clipped.

        Args:
            values: Any shape, float.
        """
        if self.value_range == "signed":
            return values * 127.5 + 127.5
        return values * 255.0


KINDS = ("vector", "label", "none")
# Names that the inputs and outputs of swappers can have.
INPUTS = {
    "target": "the aligned crop that is changed, (n, size, size, 3)",
    "identity": "who it becomes, (n, d): an encoder's vector",
    "label": "who it becomes, (n, 1): a number",
    "masked_target": "the target without its face, (n, size, size, 3)",
    "semantic_mask": "where which part of the face is, (n, size, size, 3)",
    "reference": "an aligned crop of who it becomes, (n, size, size, 3)",
}
OUTPUTS = {
    "swapped": "the changed crop, (n, size, size, 3), in the range of the target",
    "alpha": "how much of `swapped` is pasted, (n, size, size, 1) in [0, 1]",
    "fusion_mask": "near 1 where the picture comes from the identity, near 0 where "
    "the target is let through, (n, size, size, 1)",
}


@dataclasses.dataclass(frozen=True)
class IdentityInput:
    """How a swapper is told whom to show.

    Attributes:
        kind: `vector` of an encoder, `label` (one of the people it was trained with) or
            `none` (the network knows one person).
        size: Length of the vector, or number of labels.
        encoder: `name_with_hash` of the encoder that gives the vectors, empty: unknown.
        unit: Whether vectors are brought to length one first.
        names: Of the people by label, or of the one person; empty: unknown.
        extrapolation: How far beyond the source's vector, away from the target's, a
            swap goes by default, as a part of the way between both: what a generator
            that keeps too much of the target needs. 0: it is told the source's.

    Raises:
        ValueError: If the kind is unknown, or another value does not fit it.
    """

    kind: str = "vector"
    size: int = 512
    encoder: str = ""
    unit: bool = False
    names: tuple[str, ...] = ()
    extrapolation: float = 0.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "names", tuple(self.names))
        if self.kind not in KINDS or (self.size < 1) != (self.kind == "none"):
            raise ValueError(
                f"`kind` must be one of {', '.join(KINDS)}, `size` positive, for "
                f"`none` 0. Received: kind={self.kind!r}, size={self.size}"
            )
        if not 0.0 <= self.extrapolation <= (1.0 if self.kind == "vector" else 0.0):
            raise ValueError(
                "`extrapolation` must lie in [0, 1], and be 0 without vectors. "
                f"Received: {self.extrapolation}"
            )
        count = {"vector": 0, "label": self.size, "none": 1}[self.kind]
        if len(self.names) not in (0, count) or len({*self.names}) < len(self.names):
            raise ValueError(
                f"`names` must be {count} different ones, or none. "
                f"Received: {len(self.names)}"
            )


@dataclasses.dataclass(frozen=True)
class SwapContract:
    """What a swapper is fed and what it gives, by name.

    Attributes:
        image: Size, value range and alignment of its pictures.
        identity: How it is told whom to show.
        inputs: Keys of `INPUTS`, in the order of the network's inputs.
        outputs: Of `OUTPUTS`, and others that stand for nothing in a swap, such as
            smaller pictures. One is `swapped`.

    Raises:
        ValueError: If a name is unknown, or `swapped` or the identity is missing.
    """

    image: InputContract
    identity: IdentityInput = IdentityInput()
    inputs: tuple[str, ...] = ("target", "identity")
    outputs: tuple[str, ...] = ("swapped",)

    def __post_init__(self) -> None:
        told = {"vector": {"identity"}, "label": {"label"}, "none": set()}
        wanted = told[self.identity.kind]
        if not wanted <= set(self.inputs) <= set(INPUTS):
            raise ValueError(
                f"`inputs` must be of {', '.join(INPUTS)}, with {wanted or 'any'}. "
                f"Received: {self.inputs}"
            )
        if "swapped" not in self.outputs:
            raise ValueError(f"`outputs` must hold `swapped`. Received: {self.outputs}")
