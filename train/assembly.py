"""From settings to everything a training needs."""

from __future__ import annotations

import dataclasses
import json
import pathlib

import keras
from absl import logging

from facedancer import files
from facedancer.dataset.reading import triplet_reader
from facedancer.dataset.reading.pair_reader import PairSettings
from facedancer.dataset.shards import shard_index
from facedancer.errors import InputError
from facedancer.models import build_discriminator, build_generator
from facedancer.train.config import TrainConfig
from facedancer.train.frozen.compiled import compiled
from facedancer.train.loading import Networks
from facedancer.train.loop.checkpoints import Checkpoints
from facedancer.train.loop.journal import Journal
from facedancer.train.loop.loop import Loop, Plan
from facedancer.train.step import state
from facedancer.train.step.divided_step import DividedStep
from facedancer.train.systems import SYSTEMS
from facedancer.train.validation import samples, validation

_SHOWN = 6


def run_folder(config: TrainConfig) -> pathlib.Path:
    """Returns the folder of the run."""
    return pathlib.Path(config.log_dir, config.log_name)


def checkpoints_of(config: TrainConfig) -> Checkpoints:
    """Returns the checkpoints of the run."""
    folder = (
        pathlib.Path(config.chkp_dir, config.log_name)
        if config.chkp_dir
        else run_folder(config) / "checkpoints"
    )
    return Checkpoints(folder, config.keep)


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
    photos = pair_settings(config, image_size)
    if not config.triplets:
        return SYSTEMS[config.system].batches, photos
    ratio = config.triplet_ratio
    try:
        return "triplets", triplet_reader.TripletSettings(
            photos,
            config.triplets,
            ratio[0] if len(ratio) == 1 else ratio,
            flip=0.5 if photos.flip else 0.0,
            augment=photos.jitter != "none",
        )
    except ValueError as error:
        raise InputError(str(error)) from None


def pair_settings(config: TrainConfig, image_size: int) -> PairSettings:
    """Returns how pairs are drawn.

    Args:
        config: The settings.
        image_size: Side of the images.

    Raises:
        InputError: If there are no shards, or a value is out of its range.
    """
    recipe = config.training_recipe().pairs
    share = recipe.same_person_ratio
    shards = share and shard_index.open_index(
        config.data_dir, on_corrupt=config.on_corrupt
    )
    if share and shards.identity.max(initial=-1) < 0:
        logging.warning("The shards have no labels: no pairs of one person")
        share = 0.0
    try:
        return PairSettings(
            config.data_dir,
            batch_size=config.batch_size,
            image_size=image_size,
            same_ratio=recipe.same_ratio,
            same_person_ratio=share,
            jitter=recipe.jitter,
            flip=recipe.flip,
            colour_match=config.colour_match,
            affine=config.affine,
            motion_blur=config.motion_blur,
            cache_mb=config.cache_mb,
            shuffle=config.shuffle,
            seed=config.seed,
            on_corrupt=config.on_corrupt,
        )
    except ValueError as error:
        raise InputError(str(error)) from None


def make_driver(config: TrainConfig):
    """Returns what the training runs on, see `Driver`.

    Args:
        config: The settings.

    Raises:
        InputError: If Keras runs on another backend than is asked for, a device is
            missing, or the backend has not what is asked for.
    """
    backend = keras.backend.backend()
    if config.backend not in ("", backend):
        raise InputError(
            f"--backend={config.backend} must stand on the command line, or in the "
            "environment variable KERAS_BACKEND, since Keras is told when it is "
            f"imported. Received: Keras runs on {backend}"
        )
    if backend == "jax":
        _refuse_with_jax(config)
        from facedancer.train.drivers.jax_driver import JaxDriver

        return JaxDriver(config.devices, config.compile_cache)
    if config.compile_cache:
        raise InputError("--compile_cache is for --backend=jax")
    from facedancer.train.drivers import distribution, tensorflow_driver

    distribution.quiet()
    strategy = distribution.make_strategy(
        config.strategy, config.devices, config.device_id
    )
    return tensorflow_driver.TensorFlowDriver(strategy, config.xla)


def _refuse_with_jax(config: TrainConfig) -> None:
    if config.precision == "mixed_float16":
        raise InputError(
            "--backend=jax trains in float32 or mixed_bfloat16, which needs no loss "
            f"scale. Received: --precision={config.precision}"
        )
    if config.strategy not in ("auto", "one"):
        raise InputError(
            "--strategy is for TensorFlow; with --backend=jax all devices of this "
            f"machine, or --devices, share the batch. Received: {config.strategy}"
        )


def build_step(config: TrainConfig, networks: Networks, driver) -> DividedStep:
    """Returns the training step with a new state.

    Args:
        config: The settings.
        networks: Of the settings; call this in the driver's scope.
        driver: What it runs on.

    Raises:
        InputError: If the structures do not fit, the batch cannot be divided, or the
            device cannot compile the precision.
    """
    half = config.precision == "mixed_bfloat16"
    if getattr(driver, "xla", False) and half and not driver.gpus:
        raise InputError(
            "XLA compiles no bfloat16 training on CPUs. Leave out --xla, which is "
            "slower there, or use --precision=float32"
        )
    system = SYSTEMS[config.system](
        config.training_recipe(), networks.frozen, config.batch_size
    )
    start = dict(zip(("generator", "discriminator"), networks.start, strict=True))
    start = {name: model for name, model in start.items() if model is not None}
    try:
        new = state.build_state(
            system, _builders(config, networks), config.precision, start
        )
        return DividedStep(system, new, driver, config.accumulation, config.seed)
    except ValueError as error:
        raise InputError(str(error)) from None


def _builders(config: TrainConfig, networks: Networks) -> dict:
    """Returns what makes each network anew."""
    discriminator = networks.start[1]
    structure = (
        config.discriminator_config(networks.config)
        if discriminator is None
        else discriminator.config
    )
    form, precision = "composed", config.precision
    return {
        "generator": lambda: build_generator(networks.config, form, precision),
        "discriminator": lambda: build_discriminator(structure, form, precision),
    }


def build_loop(config: TrainConfig, step: DividedStep, networks: Networks) -> Loop:
    """Returns the loop around a step.

    Args:
        config: The settings.
        step: The training step.
        networks: Of the settings.

    Raises:
        InputError: If the validation's shards or networks are missing.
    """
    chief = step.driver.chief
    best = step.state.best_generator
    call = compiled(best.named, best)

    def generator(feeds):
        step.driver.release()  # its weights are those of now
        return call(feeds)

    validate = show = None
    if config.eval_dir and chief:
        measure = _validation(config, networks)
        validate = lambda: measure(generator)  # noqa: E731
        show = _shower(measure, step, generator)
    elif chief:
        found = validation.read_pairs(
            config.data_dir, networks.config.image_size, _SHOWN, config.seed + 1
        )
        teacher = networks.frozen.teacher
        show = _shower(validation.Validation(found, teacher, teacher), step, generator)
    plan = Plan(**{f.name: getattr(config, f.name) for f in dataclasses.fields(Plan)})
    return Loop(
        step,
        plan,
        Journal(run_folder(config), chief),
        checkpoints_of(config),
        {"generator": networks.config.to_dict()},
        show,
        validate,
    )


def _validation(config: TrainConfig, networks: Networks) -> validation.Validation:
    named = {
        "expression_distance": config.eval_model_expface,
        "pose_distance": config.eval_model_pose,
    }
    return validation.Validation(
        validation.read_pairs(
            config.eval_dir, networks.config.image_size, config.eval_pairs
        ),
        networks.frozen.teacher,
        networks.judge,
        {name: validation.load_embedder(path) for name, path in named.items() if path},
    )


def _shower(measure: validation.Validation, step: DividedStep, generator):
    """Returns what draws the same faces each time."""
    targets = measure.pairs.targets[:_SHOWN]
    sources = measure.pairs.sources[:_SHOWN]
    vectors = measure.source_vectors[:_SHOWN]

    def show(journal: Journal, number: int) -> None:
        trained = step.state.best_generator
        picture = samples.swap_grid(generator, targets, sources, vectors)
        journal.picture("swaps", number, picture)
        masks = samples.mask_maps(trained, targets, vectors)
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
    path = run_folder(config) / "config.json"
    text = config.to_json()
    new = json.loads(text)
    before = json.loads(path.read_text()) if path.is_file() else new
    for name, value in new.items():
        if name in before and before[name] != value:
            logging.warning(
                "The run goes on with another --%s: %s, before %s",
                name,
                value,
                before[name],
            )
    files.write_atomic(path, text.encode())
