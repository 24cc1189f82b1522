"""Trains a face parser on photos with a class for every pixel.

    facedancer train-parser --data_dir=celebamask --labels=celebamask_faces.csv \
        --masks=celebamask/masks --output=parser.keras

The table of labels is that of `facedancer label`; a mask is a PNG of one number a
pixel, `STEM.png` for a photo `STEM.jpg`, the 19 classes of CelebAMask-HQ. Crops are cut
as a swap cuts them, with things laid before the face, and degraded (`train/parsing`).
Held out are the first `--holdout` photos by the SHA-256 of `0:NAME`; how well their
classes are found stands in the log. A run that was stopped goes on from its last epoch.
"""

from __future__ import annotations

from absl import logging

from facedancer import cli, places
from facedancer.storage import claims
from facedancer.train.parsing.settings import TrainParserSettings


def main(settings: TrainParserSettings) -> int:
    # Here, so that --help and a mistyped flag need not wait for TensorFlow.
    from facedancer.train.parsing import fitting

    logging.set_verbosity(logging.INFO)
    places.check_places(settings, {"output": settings.output})
    with claims.claimed(settings.output):
        fitting.train(settings)
    print(settings.output)
    return cli.DONE


if __name__ == "__main__":
    cli.run(main, TrainParserSettings)
