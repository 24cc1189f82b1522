"""Trains a face swapper, or exports a trained one.

    python train/train.py --data_dir="shards/faces_train_*" --log_name=first
    python train/train.py --log_name=first --load=30000 --export True

The run's folder, `--log_dir/--log_name`, holds config.json, metrics.jsonl, curves.png,
checkpoints/, samples/ and tensorboard/. Started again, the training goes on from its
last checkpoint as if it had never stopped. An export is `exports/<log_name>/
facedancer_<load>.keras` and `.h5`.
"""

from __future__ import annotations

from absl import logging

from facedancer import cli
from facedancer.programs import choose_backend
from facedancer.train.config import TrainConfig

choose_backend()  # before anything imports Keras; the settings do not


def main(config: TrainConfig) -> int:
    """Trains or exports, as the flags say; returns the exit status.

    Args:
        config: What the flags say.

    Raises:
        InputError: If the settings, files or data cannot be used, or the training
            went wrong.
    """
    # Here, since --help does not need Keras.
    from facedancer.models import exports
    from facedancer.train import training

    logging.set_verbosity(logging.INFO)
    if not config.output.export:
        return training.train(config)
    for path, difference in training.export(config):
        print(f"{path}  {exports.words(difference)}")
    return cli.DONE


if __name__ == "__main__":
    cli.run(main, TrainConfig)
