"""Turns an identity encoder in ONNX into a `.keras` file.

facedancer-onnx-encoder --onnx_path w600k_mbf.onnx --output encoder.keras
"""

from __future__ import annotations

import dataclasses

from facedancer import cli, places
from facedancer.flags.settings import Checked, setting
from facedancer.storage import files


@dataclasses.dataclass(frozen=True)
class ImportSettings(Checked):
    """Settings of the program.

    Attributes:
        onnx_path: The encoder as ONNX: one RGB image in, one identity vector out.
        output: Where the `.keras` file goes.
        mean: Of each RGB channel of an image in [0, 1], subtracted by the network's
            own preprocessing. The default is that of (x - 127.5) / 127.5.
        std: Of each RGB channel, divided by.
    """

    onnx_path: str = setting(essential=True)
    output: str = setting(essential=True, ending=".keras")
    mean: tuple[float, ...] = (0.5, 0.5, 0.5)
    std: tuple[float, ...] = (0.5, 0.5, 0.5)


def main(settings: ImportSettings) -> int:
    # Here, so that --help and a mistyped flag need not wait for Keras.
    from facedancer.arcface_model.onnx_network import load_onnx_encoder

    places.check_places(settings, {"output": settings.output})
    encoder = load_onnx_encoder(settings.onnx_path, settings.mean, settings.std)
    with files.whole(settings.output) as temporary:
        encoder.save(temporary)
    print(
        f"{settings.output}: {encoder.count_params():,} parameters, "
        f"{encoder.embedding_size} values a face, taps {', '.join(encoder.taps)}"
    )
    return cli.DONE


if __name__ == "__main__":
    cli.run(main, ImportSettings)
