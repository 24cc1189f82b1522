"""Converts a generator or discriminator between published files and ours.

    facedancer-convert FaceDancer_config_c_HQ.h5 generator.keras
    facedancer-convert checkpoints/gen_12.h5 generator.h5
    facedancer-convert generator.keras for_the_original.h5 --layout=published

The first argument is what `load_generator` reads: a whole model of the original, one
of its checkpoints, or our own file. The second ends in `.keras` or `.h5`. What was
found is printed, and the largest difference between the outputs of the network as
published and of the written file, on a seeded random input.
"""

from __future__ import annotations

import dataclasses
import os
import pathlib

from facedancer import claims, cli, writing
from facedancer.errors import InputError
from facedancer.models import architectures, saving
from facedancer.models.families.built_network import BuiltNetwork
from facedancer.models.published import reading
from facedancer.network import Network
from facedancer.settings import Checked, choice, positional, ranged

KINDS = ("auto", *architectures.roles())


@dataclasses.dataclass(frozen=True)
class ConvertSettings(Checked):
    """What is converted, and how.

    Attributes:
        source: What is read.
        destination: What is written.
        kind: What the file must hold; auto: whichever it holds.
        layout: How an .h5 is written: native for this project; published for the
            original programs.
        encoder: Name of the identity encoder to be noted in the file.
        half: Round the weights to 16 bits and compress the .keras file: half the size.
        seed: Of the random test input.
    """

    source: str = positional("IN.h5")
    destination: str = positional("OUT.keras")
    kind: str = choice("auto", KINDS)
    layout: str = choice("native", saving.LAYOUTS)
    encoder: str | None = None
    half: bool = False
    seed: int = ranged(0, low=0)


def convert(
    source: str | os.PathLike,
    destination: str | os.PathLike,
    kind: str = "auto",
    layout: str = "native",
    encoder: str | None = None,
    seed: int = 0,
    half: bool = False,
) -> tuple[Network, float]:
    """Converts one file and reports what was done.

    Args:
        source: What is read, see `reading.load_generator`.
        destination: A `.keras` or `.h5` file.
        kind: One of `KINDS`.
        layout: See `saving.save`.
        encoder: Name of the identity encoder to note; `None` keeps what the file says.
        seed: Of the test input.
        half: Round the weights to 16 bits and compress the file, a `.keras`.

    Returns:
        The written model, read again, and the largest output difference.

    Raises:
        InputError: If the source does not fit, or the destination is the source or of
            a kind that cannot be compressed.
    """
    source, destination = pathlib.Path(source), pathlib.Path(destination)
    saving.check(destination, layout)
    if half and destination.suffix != ".keras":
        raise InputError(f"--half is for .keras files. Received: {destination}")
    if destination.exists() and source.exists() and destination.samefile(source):
        raise InputError(f"{destination}: is also the file to be read")
    model = reading.load(source, kind, form="plain")
    if encoder is not None:
        model = _with_encoder(model, encoder)
    inputs = model.example_inputs(seed=seed)
    before = model.named(inputs)
    if half:
        writing.round_to_half(model)
    saving.save(model, destination, layout)
    if half:
        writing.compress(destination)
    again = reading.load(destination, kind)
    return again, saving.difference(before, again.named(inputs))


def _with_encoder(model: BuiltNetwork, encoder: str) -> BuiltNetwork:
    if not hasattr(model.config, "encoder"):
        raise InputError(f"--encoder is for generators, found a {model.role}")
    return model.variant(config=dataclasses.replace(model.config, encoder=encoder))


def main(settings: ConvertSettings) -> int:
    """Converts and prints; returns the exit status.

    Args:
        settings: What the flags say.
    """
    with claims.claimed(settings.destination):
        model, difference = convert(**dataclasses.asdict(settings))
    print(model.describe())
    print(f"{settings.destination}: largest output difference {difference:.2e}")
    return cli.DONE


if __name__ == "__main__":
    cli.run(main, ConvertSettings)
