"""From settings to everything a training needs."""

from __future__ import annotations

import dataclasses
import functools
import json
import pathlib
from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np
from absl import logging

from facedancer.dataset.reading import readers, triplet_reader
from facedancer.dataset.reading.pair_reader import PairSettings
from facedancer.dataset.shards import shard_index
from facedancer.errors import InputError
from facedancer.flags.settings import flat
from facedancer.storage import files
from facedancer.train import loading
from facedancer.train.config import DeviceSettings, TrainConfig
from facedancer.train.frozen.compiled import compiled
from facedancer.train.loading import Networks
from facedancer.train.loop.checkpoints import Checkpoints
from facedancer.train.loop.clock import Clock
from facedancer.train.loop.journal import Journal
from facedancer.train.loop.loop import Loop, Plan
from facedancer.train.step import state
from facedancer.train.step.divided_step import DividedStep
from facedancer.train.validation import samples, validation

_SHOWN = 6


def checkpoints_of(config: TrainConfig) -> Checkpoints:
    """Returns the checkpoints of the run."""
    output = config.output
    folder = (
        pathlib.Path(output.chkp_dir, output.log_name)
        if output.chkp_dir
        else output.folder / "checkpoints"
    )
    return Checkpoints(folder, output.keep)


def data_settings(config: TrainConfig, image_size: int) -> tuple[str, object]:
    """Returns how batches are read: the form's name, a key of `readers.READERS`.

    Args:
        config: The settings.
        image_size: Side of the images.

    Returns:
        The form and its settings.

    Raises:
        InputError: If there are no shards, or a value is out of its range.
    """
    photos, form = pair_settings(config, image_size), loading.system_of(config).batches
    if not config.data.triplets:
        return form, photos
    if form != "pairs":
        raise InputError(
            f"--triplets has no meaning for --system={config.system.system}"
        )
    ratio = config.data.triplet_ratio
    try:
        return "triplets", triplet_reader.TripletSettings(
            photos,
            config.data.triplets,
            ratio[0] if len(ratio) == 1 else ratio,
            flip=0.5 if photos.flip else 0.0,
            augment=photos.jitter != "none",
        )
    except ValueError as error:
        raise InputError(str(error)) from None


def pair_settings(config: TrainConfig, image_size: int) -> PairSettings:
    """Returns how pairs are drawn: settings and recipe call it as `PairSettings` does.

    Args:
        config: The settings.
        image_size: Side of the images.

    Raises:
        InputError: If there are no shards, or a value is out of its range.
    """
    data, drawn = config.data, dict(vars(config.training_recipe.pairs))
    if drawn["same_person_ratio"]:
        shards = shard_index.open_index(data.data_dir, on_corrupt=data.on_corrupt)
        if shards.identity.max(initial=-1) < 0:
            logging.warning("The shards have no labels: no pairs of one person")
            drawn["same_person_ratio"] = 0.0
    kind = readers.READERS[loading.system_of(config).batches].photos
    known = {field.name for field in dataclasses.fields(kind)}
    given = {**vars(data), **vars(config.optimisation), **drawn}
    values = {name: value for name, value in given.items() if name in known}
    try:
        return kind(**values | {"image_size": image_size})
    except ValueError as error:
        raise InputError(str(error)) from None


def make_driver(config: TrainConfig) -> Any:
    """Returns what the training runs on, see `Driver`.

    Args:
        config: The settings.

    Raises:
        InputError: If Keras runs on another backend than is asked for, a device is
            missing, or the backend has not what is asked for.
    """
    backend, devices = keras.backend.backend(), config.devices
    if devices.backend not in ("", backend):
        raise InputError(
            f"--backend={devices.backend} must stand on the command line, or in the "
            "environment variable KERAS_BACKEND, since Keras is told when it is "
            f"imported. Received: Keras runs on {backend}"
        )
    if backend == "jax":
        _refuse_with_jax(devices)
        from facedancer.train.drivers.jax_driver import JaxDriver

        return JaxDriver(devices.devices, devices.compile_cache, devices.photo_mb)
    for name in ("compile_cache", "photo_mb"):
        if getattr(devices, name):
            raise InputError(f"--{name} is for --backend=jax")
    from facedancer.train.drivers import distribution, tensorflow_driver

    distribution.quiet()
    timed = config.optimisation.max_minutes or config.output.save_minutes
    if timed and distribution.of_several_processes(devices.strategy):
        raise InputError(
            "Several workers would end and save at different steps by their clocks. "
            "Leave --max_minutes and --save_minutes out, or train with one process"
        )
    strategy = distribution.make_strategy(
        devices.strategy, devices.devices, devices.device_id
    )
    return tensorflow_driver.TensorFlowDriver(strategy, devices.xla)


def _refuse_with_jax(devices: DeviceSettings) -> None:
    if devices.precision == "mixed_float16":
        raise InputError(
            "--backend=jax trains in float32 or mixed_bfloat16, which needs no loss "
            f"scale. Received: --precision={devices.precision}"
        )
    if devices.strategy not in ("auto", "one"):
        raise InputError(
            "--strategy is for TensorFlow; with --backend=jax all devices of this "
            f"machine, or --devices, share the batch. Received: {devices.strategy}"
        )


def build_step(config: TrainConfig, networks: Networks, driver: Any) -> DividedStep:
    """Returns the training step with a new state.

    Args:
        config: The settings.
        networks: Of the settings; call this in the driver's scope.
        driver: What it runs on.

    Raises:
        InputError: If the structures do not fit, the batch cannot be divided, or the
            device cannot compile the precision.
    """
    precision, moves = config.devices.precision, config.optimisation
    half = precision == "mixed_bfloat16"
    if getattr(driver, "xla", False) and half and not driver.gpus:
        raise InputError(
            "XLA compiles no bfloat16 training on CPUs. Leave out --xla, which is "
            "slower there, or use --precision=float32"
        )
    system = loading.system_of(config)(
        config.training_recipe, networks.frozen, moves.batch_size
    )
    builders = system.builders(networks.structures, precision)
    try:
        new = state.build_state(system, builders, precision, networks.start)
        return DividedStep(system, new, driver, moves.accumulation, moves.seed)
    except ValueError as error:
        raise InputError(str(error)) from None


def build_loop(
    config: TrainConfig, step: DividedStep, networks: Networks, clock: Clock
) -> Loop:
    """Returns the loop around a step.

    Args:
        config: The settings.
        step: The training step.
        networks: Of the settings.
        clock: What ends the training and saves states by time.

    Raises:
        InputError: If the validation's shards or networks are missing.
    """
    trained = step.state
    best = step.system.swapper({name: trained.best(name) for name in trained.networks})
    call = compiled(best.named, best)

    def generator(feeds: dict[str, np.ndarray]) -> np.ndarray:
        step.driver.release()  # its weights are those of now
        return call(feeds)

    show = validate = None
    if step.driver.chief:
        measure = _validation(config, networks)
        show = _sample_writer(measure, best, generator)
        if config.validation.eval_dir:
            validate = functools.partial(measure, generator)
    values = flat(config)
    plan = Plan(
        **{field.name: values[field.name] for field in dataclasses.fields(Plan)}
    )
    return Loop(
        step,
        plan,
        Journal(config.output.folder, step.driver.chief),
        checkpoints_of(config),
        record_of(config, networks.structures),
        show,
        validate,
        clock=clock,
    )


def record_of(config: TrainConfig, structures: Mapping[str, Any]) -> dict:
    """Returns what a checkpoint says of its networks, as JSON values.

    Args:
        config: The settings.
        structures: Of each network, by name.
    """
    told = {name: structure.to_dict() for name, structure in structures.items()}
    return {"system": config.system.system, **told}


def _validation(config: TrainConfig, networks: Networks) -> validation.Validation:
    """Returns what measures the generator; without --eval_dir it only has pictures."""
    given, contract = config.validation, networks.contract
    folder, count = config.data.data_dir, _SHOWN
    named, seed = {}, config.optimisation.seed + 1
    if given.eval_dir:
        folder, count, seed = given.eval_dir, given.eval_pairs, 0
        named = {
            "expression_distance": given.eval_model_expface,
            "pose_distance": given.eval_model_pose,
        }
        if networks.judge is None:
            raise InputError("--eval_dir needs an encoder: give --eval_arcface_path")
    return validation.Validation(
        validation.read_pairs(folder, contract.image.size, count, seed),
        networks.frozen.teacher,
        networks.judge,
        {name: validation.load_embedder(path) for name, path in named.items() if path},
        contract,
    )


def _sample_writer(
    measure: validation.Validation,
    trained: keras.Model,
    generator: Callable[..., np.ndarray],
) -> Callable[[Journal, int], None]:
    """Returns what draws the same faces each time."""
    shown, contract = measure.first(_SHOWN), measure.contract

    def show(journal: Journal, number: int) -> None:
        picture = samples.swap_grid(generator, shown, shown, contract)
        journal.picture("swaps", number, picture)
        masks = samples.mask_maps(trained, shown, contract)
        journal.picture("masks", number, masks)

    return show


def write_settings(config: TrainConfig) -> None:
    """Writes the settings into the run's folder, before the first step.

    A run that goes on with other settings tells which.

    Args:
        config: The settings.

    Raises:
        InputError: If the folder cannot be written.
    """
    path = config.output.folder / "config.json"
    text = config.to_json()
    new = json.loads(text)
    before = flat(json.loads(path.read_text())) if path.is_file() else new
    for name, value in new.items():
        if name in before and before[name] != value:
            logging.warning(
                "The run goes on with another --%s: %s, before %s",
                name,
                value,
                before[name],
            )
    files.write_atomic(path, text.encode())
