"""Trains a face refiner: large swapped faces sharp, with the target's own detail.

    facedancer align --data_dir=photos --target_dir=aligned --im_size=256
    facedancer train-refiner --data_dir=aligned --output=refiner.keras

The generator swaps every photo to some strangers first; the refiner then learns from
squares of what it made and the photos (`train/refining`). Held out are the first
`--holdout` photos by the SHA-256 of `0:NAME`; how sharp and how right refined faces of
theirs are stands in the log. A run that was stopped goes on from its last epoch.
"""

from __future__ import annotations

from absl import logging

from facedancer import cli, places
from facedancer.storage import claims
from facedancer.train.refining.settings import TrainRefinerSettings


def main(settings: TrainRefinerSettings) -> int:
    # Here, so that --help and a mistyped flag need not wait for TensorFlow.
    from facedancer.train.refining import fitting

    logging.set_verbosity(logging.INFO)
    places.check_places(settings, {"output": settings.output})
    with claims.claimed(settings.output):
        fitting.train(settings)
    print(settings.output)
    return cli.DONE


if __name__ == "__main__":
    cli.run(main, TrainRefinerSettings)
