"""Measures the IFSR margins of an identity encoder from the results of a face swapper.

    python train/calibrate_margins.py --arcface_path=encoder.keras \\
        --facedancer_path=facedancer.keras --data_dir="shards/faces_test_*" \\
        --output=margins.json
    python train/calibrate_margins.py --arcface_path=encoder.keras \\
        --pairs_dir=results --output=margins.json

The swapper is a FaceDancer generator that runs on pairs of the shards, or anything
whose results lie in a folder: `target/` and `swapped/`, perhaps `source/`, with equal
file names. Train with `--margins_file=margins.json`.
"""

from __future__ import annotations

import pathlib

from facedancer import cli, places
from facedancer.storage import claims
from facedancer.train.validation.calibration_settings import CalibrationConfig


def main(config: CalibrationConfig) -> int:
    """Measures, writes and prints the margins; returns the exit status.

    Args:
        config: What the flags say.

    Raises:
        InputError: If a file cannot be used.
    """
    # Here, so that --help and a mistyped flag need not wait for TensorFlow.
    from facedancer.train.validation import calibrating

    plot = pathlib.Path(config.output).with_suffix(".png")
    places.check_places(config, {"output": config.output, "output's plot": plot})
    with claims.claimed(config.output):
        margins, count = calibrating.calibrate(config)
    for tap, value in zip(margins.taps, margins.values, strict=True):
        print(f"{tap}  {value:.6f}")
    print(f"{count} pairs. Margins: {config.output}  plot: {plot}")
    return cli.DONE


if __name__ == "__main__":
    cli.run(main, CalibrationConfig)
