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

from facedancer.programs import choose_backend

choose_backend()  # before anything imports Keras

import keras  # noqa: E402
from absl import logging  # noqa: E402

from facedancer import claims, cli  # noqa: E402
from facedancer.errors import InputError  # noqa: E402
from facedancer.models.families.facedancer.config import GeneratorConfig  # noqa: E402
from facedancer.train import assembly, exporting, loading  # noqa: E402
from facedancer.train.config import TrainConfig  # noqa: E402
from facedancer.train.loop import alarms, checkpoints  # noqa: E402


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
    driver = assembly.make_driver(config)
    driver.seed(config.seed)  # the first weights
    with contextlib.ExitStack() as claimed:
        if driver.chief:
            for folder in {assembly.run_folder(config), saved.folder}:
                claimed.enter_context(claims.claimed(folder, folder=True))
        return _train(config, driver, saved)


def _train(config: TrainConfig, driver, saved: checkpoints.Checkpoints) -> int:
    """Trains in a run's folder that no other process has; returns the exit status."""
    start = _start(config, saved)
    with driver.scope():
        networks = loading.load_networks(config)
        form, data = assembly.data_settings(config, networks.config.image_size)
        step = assembly.build_step(config, networks, driver)
        if start is not None:
            saved.restore(step.state, start)
            if driver.chief:
                saved.set_aside(start)
        loop = assembly.build_loop(config, step, networks)
    if driver.chief:
        assembly.write_settings(config)
    logging.info(
        "%s from step %d to %d, %d replicas, %s, run folder %s",
        config.recipe,
        step.taken,
        config.steps,
        driver.replicas,
        keras.backend.backend(),
        assembly.run_folder(config),
    )
    try:
        loop.run(driver.batches(form, data, step.taken))
    except alarms.NotFiniteError as error:
        raise InputError(str(error)) from None
    logging.info("Done. Curves: %s", loop.journal.curves())
    driver.wait_for_all()
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
