"""A training from its first file to its last, and the export of what it made."""

from __future__ import annotations

import contextlib
import pathlib
from typing import Any

import keras
from absl import logging

from facedancer import cli
from facedancer.errors import InputError
from facedancer.storage import claims
from facedancer.train import assembly, exporting, loading
from facedancer.train.config import TrainConfig
from facedancer.train.loop import alarms, checkpoints
from facedancer.train.loop.clock import Clock
from facedancer.train.systems import SYSTEMS


def train(config: TrainConfig) -> int:
    """Runs a training to its end; returns the exit status.

    Args:
        config: The settings.

    Raises:
        InputError: If the settings, files or data cannot be used, another process
            trains in the run's folder, or a loss is not finite.
    """
    clock = Clock(config.optimisation.max_minutes, config.output.save_minutes)
    if not config.data.data_dir:
        raise InputError("--data_dir must be given to train")
    saved = assembly.checkpoints_of(config)
    driver = assembly.make_driver(config)
    driver.seed(config.optimisation.seed)  # the first weights
    with contextlib.ExitStack() as claimed:
        if driver.chief:
            for folder in {config.output.folder, saved.folder}:
                claimed.enter_context(claims.claimed(folder, folder=True))
        return _train(config, driver, saved, clock)


def _train(
    config: TrainConfig, driver: Any, saved: checkpoints.Checkpoints, clock: Clock
) -> int:
    """Trains in a run's folder that no other process has; returns the exit status."""
    start = _start(config, saved)
    with driver.scope():
        networks = loading.load_networks(config)
        size = networks.contract.image.size
        form, data = assembly.data_settings(config, size)
        step = assembly.build_step(config, networks, driver)
        if start is not None:
            saved.restore(step.state, start, config.system.system)
            if driver.chief:
                saved.set_aside(start)
        loop = assembly.build_loop(config, step, networks, clock)
    if driver.chief:
        assembly.write_settings(config)
    logging.info(
        "%s %s from step %d to %d, %d replicas, %s, run folder %s",
        config.system.system,
        config.recipe_name,
        step.taken,
        config.optimisation.steps,
        driver.replicas,
        keras.backend.backend(),
        config.output.folder,
    )
    try:
        loop.run(driver.batches(form, data, step.taken))
    except alarms.NotFiniteError as error:
        raise InputError(str(error)) from None
    if loop.out_of_time:
        logging.info(
            "--max_minutes=%g are over after step %d of %d; the same command goes on",
            config.optimisation.max_minutes,
            step.taken,
            config.optimisation.steps,
        )
    logging.info("Done. Curves: %s", loop.journal.curves() or "none")
    driver.wait_for_all()
    return cli.DONE


def _start(config: TrainConfig, saved: checkpoints.Checkpoints) -> int | None:
    """Returns the checkpoint to start from, or None for a new training."""
    if config.output.load:
        return saved.find(config.output.load)
    steps = saved.steps()
    if steps and not config.output.resume:
        raise InputError(
            f"{saved.folder} holds checkpoints up to step {steps[-1]}. Choose another "
            "--log_name, or go on with --resume"
        )
    return steps[-1] if steps else None


def export(config: TrainConfig) -> list[tuple[pathlib.Path, float | None]]:
    """Writes the swapper of a checkpoint; returns each file and its difference.

    Args:
        config: The settings.

    Raises:
        InputError: If there is no such checkpoint, or a format cannot be written here.
    """
    output, saved = config.output, assembly.checkpoints_of(config)
    exporting.check(output.export_formats)
    number = saved.find(output.load or "latest")
    arrays, record = checkpoints.read(saved.path(number))
    name = record.get("system", config.system.system)  # early records do not say it
    if name not in SYSTEMS:
        raise InputError(f"{saved.path(number)}: unknown system {name!r}")
    swappers = exporting.trained_swappers(SYSTEMS[name], record, arrays)
    folder = pathlib.Path("exports", output.log_name)
    stem = f"facedancer_{output.load or number}"
    written = []
    for ending, swapper in swappers.items():
        written += exporting.export(
            swapper, folder, stem + ending, output.export_formats
        )
    return written
