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

from facedancer import cli
from facedancer.flags.settings import Checked, choice, positional, ranged
from facedancer.models.choices import KINDS, LAYOUTS
from facedancer.storage import claims


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
        extrapolation: To be noted in the file: how far beyond the source's identity,
            away from the target's, swaps go by default.
        average_with: A network of the same structure, whose weights are mixed in.
        average_share: How much of the mean is that one's.
        half: Round the weights to 16 bits and compress the .keras file: half the size.
        seed: Of the random test input.
    """

    source: str = positional("IN.h5")
    destination: str = positional("OUT.keras")
    kind: str = choice("auto", KINDS)
    layout: str = choice("native", LAYOUTS)
    encoder: str | None = None
    extrapolation: float | None = ranged(None, low=0.0, high=1.0)
    average_with: str = ""
    average_share: float = ranged(0.5, low=0.0, high=1.0)
    half: bool = False
    seed: int = ranged(0, low=0)


def main(settings: ConvertSettings) -> int:
    """Converts and prints; returns the exit status.

    Args:
        settings: What the flags say.
    """
    # Here, so that --help and a mistyped flag need not wait for Keras.
    from facedancer.models import conversion

    with claims.claimed(settings.destination):
        model, difference = conversion.convert(**dataclasses.asdict(settings))
    print(model.describe())
    print(f"{settings.destination}: largest output difference {difference:.2e}")
    return cli.DONE


if __name__ == "__main__":
    cli.run(main, ConvertSettings)
