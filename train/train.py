"""Trains a face swapper, or exports a trained one.

    python train/train.py --data_dir="shards/faces_train_*" \\
        --arcface_path=arcface_model/ArcFace-Res50.h5 --log_name=first
    python train/train.py --data_dir=x --arcface_path=x --log_name=first \\
        --load 30000 --export True

The run's folder, `--log_dir/--log_name`, holds config.json, metrics.jsonl, curves.png,
checkpoints/, samples/ and tensorboard/. Started again, the training goes on from its
last checkpoint as if it had never stopped. An export is `exports/<log_name>/
facedancer_<load>.keras` and `.h5`.
"""

from __future__ import annotations

import contextlib
import pathlib

import keras
from absl import logging

from facedancer import claims, cli
from facedancer.errors import InputError
from facedancer.models.families.facedancer.config import GeneratorConfig
from facedancer.train import assembly, exporting
from facedancer.train.config import TrainConfig
from facedancer.train.loop import alarms, checkpoints, distribution


def main(config: TrainConfig) -> int:
    """Trains or exports, as the flags say; returns the exit status.

    Args:
        config: What the flags say.

    Raises:
        InputError: If the settings, files or data cannot be used, or the training
            went wrong.
    """
    logging.set_verbosity(logging.INFO)
    return export(config) if config.export else train(config)


def train(config: TrainConfig) -> int:
    """Runs a training to its end; returns the exit status.

    Args:
        config: The settings.

    Raises:
        InputError: If the settings, files or data cannot be used, another process
            trains in the run's folder, or a loss is not finite.
    """
    for name in ("data_dir", "arcface_path"):
        if not getattr(config, name):
            raise InputError(f"--{name} must be given to train")
    saved = assembly.checkpoints_of(config)
    distribution.quiet()
    keras.utils.set_random_seed(config.seed)  # the first weights
    strategy = distribution.make_strategy(
        config.strategy, config.devices, config.device_id
    )
    with contextlib.ExitStack() as claimed:
        if distribution.is_chief(strategy):
            for folder in {assembly.run_folder(config), saved.folder}:
                claimed.enter_context(claims.claimed(folder, folder=True))
        return _train(config, strategy, saved)


def _train(config: TrainConfig, strategy, saved: checkpoints.Checkpoints) -> int:
    """Trains in a run's folder that no other process has; returns the exit status."""
    start = _start(config, saved)
    with strategy.scope():
        networks = assembly.load_networks(config)
        pairs = assembly.pair_settings(config, networks.config.image_size)
        step = assembly.build_step(config, networks, strategy)
        if start is not None:
            saved.restore(step.state, start)
            if distribution.is_chief(strategy):
                saved.set_aside(start)
        loop = assembly.build_loop(config, step, networks)
    if distribution.is_chief(strategy):
        assembly.write_settings(config)
    logging.info(
        "%s from step %d to %d, %d replicas, run folder %s",
        config.recipe,
        step.state.step,
        config.steps,
        strategy.num_replicas_in_sync,
        assembly.run_folder(config),
    )
    try:
        loop.run(distribution.batches(strategy, pairs, step.state.step))
    except alarms.NotFiniteError as error:
        raise InputError(str(error)) from None
    logging.info("Done. Curves: %s", loop.journal.curves())
    distribution.wait_for_all(strategy)
    return cli.DONE


def _start(config: TrainConfig, saved: checkpoints.Checkpoints) -> int | None:
    """Returns the checkpoint to start from, or None for a new training."""
    if config.load:
        return saved.find(config.load)
    steps = saved.steps()
    if steps and not config.resume:
        raise InputError(
            f"{saved.folder} holds checkpoints up to step {steps[-1]}. Choose another "
            "--log_name, or go on with --resume"
        )
    return steps[-1] if steps else None


def export(config: TrainConfig) -> int:
    """Writes the generator of a checkpoint; returns the exit status.

    Args:
        config: The settings.

    Raises:
        InputError: If there is no such checkpoint.
    """
    saved = assembly.checkpoints_of(config)
    number = saved.find(config.load or "latest")
    arrays, record = checkpoints.read(saved.path(number))
    structure = GeneratorConfig.from_dict(record["generator"])
    generator = exporting.plain_generator(structure, arrays)
    written = exporting.export(
        generator,
        pathlib.Path("exports", config.log_name),
        f"facedancer_{config.load or number}",
        config.export_formats,
    )
    for path, difference in written:
        print(f"{path}  largest difference {difference:.1e}")
    return cli.DONE


if __name__ == "__main__":
    cli.run(main, TrainConfig)
