"""Turns a network into one .onnx file, which swaps without TensorFlow.

    facedancer convert generator.keras generator.onnx

A generator, an identity encoder, a face detector, a face parser or a face refiner, in
any form that the programs take. The file runs on OpenVINO and on ONNX Runtime; on its
contract, licence and the hash of its source it carries a note. Converting needs
TensorFlow, swapping with the result does not. The largest difference between the
outputs of both, on a seeded random input, is printed.
"""

from __future__ import annotations

import dataclasses
import os

import numpy as np

from facedancer import cli
from facedancer.errors import InputError
from facedancer.flags.settings import Checked, choice, positional, ranged
from facedancer.inference import portable, runtimes
from facedancer.storage import claims

KINDS = ("auto", "generator", "encoder", "detector", "parser", "refiner")


@dataclasses.dataclass(frozen=True)
class PortableSettings(Checked):
    """What is converted, and where to.

    Attributes:
        source: The network.
        destination: The file.
        kind: What the file must hold; auto: whichever it holds.
        seed: Of the random test input.
    """

    source: str = positional("IN.keras")
    destination: str = positional("OUT.onnx", ending=portable.ENDING)
    kind: str = choice("auto", KINDS)
    seed: int = ranged(0, low=0)


def main(settings: PortableSettings) -> int:
    """Converts and prints; returns the exit status.

    Args:
        settings: What the flags say.

    Raises:
        InputError: If the file is no network that can be converted.
    """
    from facedancer.video_swap.swapping import converting

    if portable.is_portable(settings.source):
        raise InputError(
            f"{settings.source}: is an ONNX file already. Give a .keras or .h5 file; "
            "for encoders that others made `facedancer encoder` makes one"
        )
    with claims.claimed(settings.destination):
        file = converting.convert(settings.source, settings.destination, settings.kind)
    apart = difference(file, settings.source, settings.seed)
    size = file.path.stat().st_size / 1e6
    print(f"{file.kind} {file.name}, {size:.1f} MB")
    print(f"{file.path}: largest output difference {apart:.2e}")
    return cli.DONE


def difference(
    file: portable.PortableFile, source: str | os.PathLike, seed: int = 0
) -> float:
    """Returns how far the outputs of a portable file are from those of Keras.

    Args:
        file: The file.
        source: What it was made from.
        seed: Of the inputs, which are uniform over the range of pictures.
    """
    from facedancer.video_swap.swapping import converting

    feeds, expected = converting.examples(file, source, seed)
    found = runtimes.OpenVINORuntime(file)(feeds)
    apart = [np.abs(found[name] - values).max() for name, values in expected.items()]
    return float(max(apart))


if __name__ == "__main__":
    cli.run(main, PortableSettings)
