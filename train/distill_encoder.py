"""Trains a small identity encoder to agree with a larger one.

    python train/distill_encoder.py --data_dir=aligned/train --eval_dir=aligned/val \
        --teacher=teacher.keras --output=mobilefacenet.keras

`--data_dir` holds aligned crops (`dataset/crop_align.py`), at any depth; no labels are
used. Teacher and student look at the same altered picture, mixtures of two faces among
them (Beyer et al. 2022, arXiv 2106.05237); the student's is often degraded on top. The
student learns the teacher's raw vector and, by `--hints`, maps inside it. A run that
was stopped goes on from its last checkpoint.
"""

from __future__ import annotations

from absl import logging

from facedancer import cli, places
from facedancer.storage import claims
from facedancer.train.distillation.settings import DistillSettings


def main(settings: DistillSettings) -> int:
    # Here, so that --help and a mistyped flag need not wait for TensorFlow.
    from facedancer.train.distillation import distilling

    logging.set_verbosity(logging.INFO)
    places.check_places(settings, {"output": settings.output})
    with claims.claimed(settings.output):
        distilling.distill(settings)
    print(settings.output)
    return cli.DONE


if __name__ == "__main__":
    cli.run(main, DistillSettings)
