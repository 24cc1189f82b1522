"""Exports a generator for other runtimes, and compares each with Keras.

    python models/export.py generator.keras generator.onnx --fused

The ending of the second argument decides: `.keras`, `.h5`, `.onnx`, `.tflite` (LiteRT),
`.mlpackage` (Core ML), `.xml` (OpenVINO, with a `.bin` beside it); a name without an
ending becomes a TensorFlow SavedModel. LiteRT and Core ML may hold 16 bits, LiteRT 8
(`--precision=int8`), and a LiteRT file swaps without TensorFlow (`--engine=litert`).
The exported file is run on a seeded random input and the largest difference to Keras is
printed. Core ML runs on Macs only: elsewhere its operations are computed one by one, as
the package says them, where they are known here.
"""

from __future__ import annotations

import dataclasses
import pathlib

from facedancer import cli
from facedancer.flags.settings import Checked, choice, positional
from facedancer.models.choices import PRECISIONS
from facedancer.storage import claims


@dataclasses.dataclass(frozen=True)
class ExportSettings(Checked):
    """What is exported, and where to.

    Attributes:
        source: A generator, as `facedancer-convert` reads it.
        destination: The file or folder; its ending decides the format.
        fused: Export the fused form: the same function with fewer operations.
        precision: Of LiteRT: f32, f16 (weights of 16 bits) or int8 (integers, their
            ranges from a few faces); of Core ML: f32 or f16.
    """

    source: str = positional("IN.keras")
    destination: str = positional("OUT")
    fused: bool = True
    precision: str = choice("f32", PRECISIONS)


def main(settings: ExportSettings) -> int:
    """Exports and prints; returns the exit status.

    Args:
        settings: What the flags say.
    """
    # Here, so that --help and a mistyped flag need not wait for Keras.
    from facedancer.models import exports, saving
    from facedancer.models.architectures import fuse
    from facedancer.models.published import reading

    exports.check(pathlib.Path(settings.destination), settings.precision)
    model = reading.load_generator(settings.source)
    if settings.fused:
        model = fuse(model)
    with claims.claimed(settings.destination):
        difference = exports.export(model, settings.destination, settings.precision)
    size = saving.bytes_of(settings.destination) / 1e6
    print(f"{settings.destination}: {size:.1f} MB, {exports.words(difference)}")
    return cli.DONE


if __name__ == "__main__":
    cli.run(main, ExportSettings)
