"""Trains RetinaFace-MobileNet on labelled photos.

    python retinaface/train_detector.py --data_dir=photos --labels=labels.csv \
        --backbone_path=mobilenet025_imagenet.npz --output=detector.keras

The table of labels is that of `retinaface/label_faces.py`. Every picture is put
together anew from the photos (`scenes`), degraded, and matched with the anchors. It
runs on any backend of Keras. A run that was stopped goes on from its last epoch.
"""

from __future__ import annotations

from absl import logging

from facedancer import cli, places
from facedancer.retinaface.training.settings import TrainDetectorSettings
from facedancer.storage import claims


def main(settings: TrainDetectorSettings) -> int:
    # Here, so that --help and a mistyped flag need not wait for Keras.
    from facedancer.retinaface.training import fitting

    logging.set_verbosity(logging.INFO)
    places.check_places(settings, {"output": settings.output})
    with claims.claimed(settings.output):
        fitting.train(settings)
    print(settings.output)
    return cli.DONE


if __name__ == "__main__":
    cli.run(main, TrainDetectorSettings)
