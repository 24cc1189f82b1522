"""Interpretable feature similarity regularisation (Rosberg et al. 2022).

The swapped face may differ from the target, in the feature maps of the identity
encoder, as much as the results of an earlier face swapper did: the margins. They belong
to one encoder; `calibrate_margins.py` measures them for another.
"""

from __future__ import annotations

import dataclasses
import json
import os
import pathlib
from collections.abc import Sequence

from keras import ops

from facedancer.errors import InputError
from facedancer.networks.tensors import Tensor
from facedancer.storage import files
from facedancer.train.objective import losses

# Encoder architecture, or name with hash -> tap -> margin.
MARGINS = {
    # The published ones, measured with the results of SimSwap on FaceForensics++.
    "resnet50": {
        "conv4_block6_out": 0.121357,
        "conv4_block5_out": 0.128827,
        "conv4_block4_out": 0.117972,
        "conv4_block3_out": 0.109391,
        "conv4_block2_out": 0.097296,
        "conv4_block1_out": 0.089046,
        "conv3_block4_out": 0.044928,
        "conv3_block3_out": 0.048719,
        "conv3_block2_out": 0.047487,
        "conv3_block1_out": 0.047970,
        "conv2_block3_out": 0.035144,
    },
    # Where a small 64-pixel swapper stood when its results still looked acceptable.
    # The maps at stride 16 are largely identity and are left out.
    "mobilefacenet": {
        "stage2_block5_out": 0.15,
        "stage3_block4_out": 0.12,
        "stage3_block7_out": 0.12,
    },
    # The packaged encoder, measured by train/calibrate_margins.py with 512 swaps of the
    # generator that was packaged before the one trained with them.
    "mobilefacenet@4f8bba57": {
        "stage2_block5_out": 0.166923,
        "stage3_block4_out": 0.133821,
        "stage3_block7_out": 0.137676,
    },
    # The one before it.
    "mobilefacenet@05295e97": {
        "stage2_block5_out": 0.102218,
        "stage3_block4_out": 0.078074,
        "stage3_block7_out": 0.082269,
    },
    # The same maps of a public MobileFaceNet (MS1M, 128-d) read from its ONNX file.
    "onnx@c1bc8dd4": {"add_34_out": 0.15, "add_57_out": 0.12, "add_75_out": 0.12},
}


@dataclasses.dataclass(frozen=True)
class Margins:
    """The taps of one encoder that IFSR looks at, and how far they may differ.

    Attributes:
        encoder: `name_with_hash` or architecture the margins belong to.
        taps: Names of feature maps.
        values: One margin per tap, a cosine distance in [0, 2].

    Raises:
        ValueError: If there are not as many values as taps, or none, or one of them
            is no distance.
    """

    encoder: str
    taps: tuple[str, ...]
    values: tuple[float, ...]

    def __post_init__(self) -> None:
        if not self.taps or len(self.taps) != len(self.values):
            raise ValueError(
                "IFSR needs one margin per block. Received: "
                f"{len(self.taps)} blocks, {len(self.values)} margins"
            )
        if not all(0.0 <= value <= 2.0 for value in self.values):
            raise ValueError(
                f"IFSR margins must lie in [0, 2]. Received: {self.values}"
            )


def architecture(encoder_name: str) -> str:
    """Returns the architecture of `name_with_hash`: what stands before the `@`."""
    return encoder_name.split("@")[0]


def known_margins(encoder_name: str) -> Margins:
    """Returns the margins this package knows for an encoder's architecture.

    Args:
        encoder_name: `name_with_hash` of the encoder.

    Raises:
        InputError: If none are known.
    """
    table = MARGINS.get(encoder_name) or MARGINS.get(architecture(encoder_name))
    if table is None:
        raise InputError(
            f"No IFSR margins are known for the encoder {encoder_name!r}. Measure them "
            "with train/calibrate_margins.py and give --margins_file, or switch the "
            "term off with --ifsr_lambda=0"
        )
    return Margins(encoder_name, tuple(table), tuple(table.values()))


def chosen_margins(
    encoder_name: str,
    margins_file: str = "",
    blocks: tuple[str, ...] = (),
    values: tuple[float, ...] = (),
) -> Margins:
    """Returns the margins of a training.

    Args:
        encoder_name: `name_with_hash` of the encoder.
        margins_file: What `calibrate_margins` wrote; the rest then counts for nothing.
        blocks: Layers of the encoder; empty: those whose margins are known.
        values: One margin for each of them, or for all; empty: those that are known.

    Raises:
        InputError: If there are none, or they do not fit together.
    """
    if margins_file:
        return read_margins(margins_file, encoder_name)
    if not values and not blocks:
        return known_margins(encoder_name)
    blocks = blocks or known_margins(encoder_name).taps
    if not values:
        known = known_margins(encoder_name)
        table = dict(zip(known.taps, known.values, strict=True))
        missing = [block for block in blocks if block not in table]
        if missing:
            raise InputError(
                f"No margin is known for {', '.join(missing)}: give --ifsr_margin"
            )
        values = tuple(table[block] for block in blocks)
    if len(values) == 1:
        values *= len(blocks)
    try:
        return Margins(encoder_name, blocks, values)
    except ValueError as error:
        raise InputError(str(error)) from None


def distances(target_maps: Sequence[Tensor], swapped_maps: Sequence[Tensor]) -> Tensor:
    """Cosine distances between feature maps, flattened per example.

    Args:
        target_maps: List of `(batch, ...)` maps of the targets, one per tap.
        swapped_maps: The same maps of the swapped faces.

    Returns:
        `(batch, taps)` float32 in [0, 2].
    """
    pairs = zip(target_maps, swapped_maps, strict=True)
    return ops.stack([1.0 - losses.cosine_similarity(t, s) for t, s in pairs], axis=1)


def hinge(
    values: Tensor, margins: Tensor | Sequence[float], scale: float = 1.2
) -> Tensor:
    """How far distances lie beyond their scaled margins, summed over the taps.

    Applied to the mean over the global batch it is the published form; applied to
    `distances` it is the form per sample.

    Args:
        values: `(taps,)` or `(batch, taps)` distances.
        margins: `(taps,)` margins.
        scale: Factor on the margins; 1.2 is published.

    Returns:
        A scalar or `(batch,)`.
    """
    return ops.sum(ops.relu(values - scale * ops.cast(margins, "float32")), axis=-1)


def write_margins(path: str | os.PathLike, margins: Margins, extra: dict) -> None:
    """Writes a margins file (JSON).

    Args:
        path: The file.
        margins: What to write.
        extra: Further entries, for the reader's information.
    """
    record = {
        "encoder": margins.encoder,
        "margins": dict(zip(margins.taps, margins.values, strict=True)),
        **extra,
    }
    files.write_atomic(path, (json.dumps(record, indent=2) + "\n").encode())


def read_margins(path: str | os.PathLike, encoder_name: str) -> Margins:
    """Reads a margins file that was made for this encoder.

    Args:
        path: Written by `write_margins`.
        encoder_name: `name_with_hash` of the encoder that will be used.

    Raises:
        InputError: If the file is missing, no margins file, or made for another
            encoder.
    """
    try:
        record = json.loads(pathlib.Path(path).read_text())
        made_for, table = record["encoder"], record["margins"]
        margins = Margins(made_for, tuple(table), tuple(map(float, table.values())))
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{path}: not a margins file ({error})") from None
    if architecture(made_for) != architecture(encoder_name) or (
        "@" in made_for and "@" in encoder_name and made_for != encoder_name
    ):
        raise InputError(
            f"{path}: these margins were measured with the encoder {made_for!r}, the "
            f"training uses {encoder_name!r}. Measure them again with "
            "train/calibrate_margins.py"
        )
    return margins
