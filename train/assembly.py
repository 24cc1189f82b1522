"""From settings to everything a training needs."""

from __future__ import annotations

import dataclasses
import json
import pathlib

import tensorflow as tf
from absl import logging

from facedancer import files
from facedancer.alignment import Alignment, check_equal
from facedancer.arcface_model import fold, load_encoder
from facedancer.dataset.reading import pairs
from facedancer.dataset.shards import shard_index
from facedancer.errors import InputError
from facedancer.models import load_discriminator, load_generator
from facedancer.models.families.facedancer.config import GeneratorConfig
from facedancer.train.config import TrainConfig
from facedancer.train.frozen import perceptual
from facedancer.train.frozen.teachers import Teacher
from facedancer.train.loop import distribution
from facedancer.train.loop.checkpoints import Checkpoints
from facedancer.train.loop.journal import Journal
from facedancer.train.loop.loop import Loop, Plan
from facedancer.train.objective import ifsr
from facedancer.train.step import state
from facedancer.train.step.divided_step import Critics, TrainStep
from facedancer.train.validation import samples, validation

_SHOWN = 6


@dataclasses.dataclass(frozen=True)
class Networks:
    """The frozen networks of a training and the structure they ask for.

    Attributes:
        critics: What the step needs.
        judge: The encoder of the validation.
        config: Structure of the generator.
        start: Generator and discriminator to fine-tune, or None each.
    """

    critics: Critics
    judge: Teacher
    config: GeneratorConfig
    start: tuple


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


def crop_alignment(config: TrainConfig) -> Alignment:
    """Returns how the crops to train on are aligned.

    Args:
        config: The settings.

    Raises:
        InputError: If training and validation crops, or --shrink_factor, differ, or no
            identity encoder can look at them.
    """
    told = Alignment(shrink=_or(config.shrink_factor, 1.0))
    found = shard_index.alignment_of(config.data_dir)
    if found is not None and config.shrink_factor is not None:
        check_equal(found, told, config.data_dir, "--shrink_factor says")
    aligned = found or told
    if config.eval_dir:
        check_equal(
            shard_index.alignment_of(config.eval_dir),
            aligned,
            config.eval_dir,
            "those to train on are",
        )
    fitting = Alignment(shrink=aligned.shrink)
    check_equal(aligned, fitting, config.data_dir, "identity encoders need it")
    return aligned


def _or(given, otherwise):
    return otherwise if given is None else given


def load_networks(config: TrainConfig) -> Networks:
    """Reads the frozen networks and those to fine-tune.

    Args:
        config: The settings.

    Raises:
        InputError: If a file is missing or they do not fit together.
    """
    objective = config.objective()
    aligned = crop_alignment(config)
    encoder = fold(load_encoder(config.arcface_path))
    name = encoder.name_with_hash
    generator = discriminator = None
    if config.init_generator:
        generator = load_generator(config.init_generator)
        structure = _fine_tuned(generator.config, encoder, name)
        check_equal(
            aligned,
            generator.contract.image.alignment,
            config.data_dir,
            "the generator of --init_generator needs it",
        )
    else:
        structure = config.generator_config(encoder.embedding_size, name, aligned)
    if config.init_discriminator:
        discriminator = load_discriminator(config.init_discriminator)
        if discriminator.config.image_size != structure.image_size:
            raise InputError(
                f"--init_discriminator is for images of "
                f"{discriminator.config.image_size} pixels, the generator for "
                f"{structure.image_size}"
            )
    margins = margins_of(config, name) if objective.ifsr else None
    taps = margins.taps if margins else ()
    if objective.perceptual_network == "encoder" and objective.perceptual:
        taps = taps or encoder.taps
    seen = perceptual.load(
        objective.perceptual_network if objective.perceptual else "none",
        structure.image_size,
        config.p_blocks,
        config.legacy_perceptual,
    )
    second = _second(config, structure.shrink)
    teacher = Teacher(encoder, taps, structure.shrink)
    judge = teacher
    if config.eval_arcface_path:
        judge = fold(load_encoder(config.eval_arcface_path))
        judge = Teacher(judge, (), structure.shrink)
    critics = Critics(
        teacher,
        margins.values if margins else (),
        second,
        seen.features,
        seen.relative,
    )
    return Networks(critics, judge, structure, (generator, discriminator))


def _second(config: TrainConfig, shrink: float) -> Teacher | None:
    weight = config.objective().second_identity
    if not config.second_arcface_path:
        if weight:
            raise InputError("--i2_lambda needs an encoder: give --second_arcface_path")
        return None
    if not weight:
        raise InputError("--second_arcface_path needs a weight: give --i2_lambda")
    return Teacher(fold(load_encoder(config.second_arcface_path)), (), shrink)


def _fine_tuned(structure: GeneratorConfig, encoder, name: str) -> GeneratorConfig:
    """Returns the structure of a generator that goes on with this encoder."""
    if structure.identity_size != encoder.embedding_size:
        raise InputError(
            f"--init_generator takes identity vectors of {structure.identity_size}, "
            f"the encoder gives {encoder.embedding_size}"
        )
    if structure.encoder and structure.encoder != name:
        logging.warning(
            "The generator was trained with the encoder %s, this is %s: identities "
            "mean something else now",
            structure.encoder,
            name,
        )
    return dataclasses.replace(structure, encoder=name)


def margins_of(config: TrainConfig, encoder_name: str) -> ifsr.Margins:
    """Returns the IFSR margins of the settings.

    Args:
        config: The settings.
        encoder_name: `name_with_hash` of the encoder.

    Raises:
        InputError: If there are none, or they do not fit together.
    """
    if config.margins_file:
        return ifsr.read_margins(config.margins_file, encoder_name)
    if not config.ifsr_margin and not config.ifsr_blocks:
        return ifsr.known_margins(encoder_name)
    blocks = config.ifsr_blocks or ifsr.known_margins(encoder_name).taps
    values = config.ifsr_margin
    if not values:
        known = ifsr.known_margins(encoder_name)
        table = dict(zip(known.taps, known.values, strict=True))
        missing = [block for block in blocks if block not in table]
        if missing:
            raise InputError(
                f"No margin is known for {', '.join(missing)}: give --ifsr_margin"
            )
        values = tuple(table[block] for block in blocks)
    if len(values) == 1:
        values *= len(blocks)
    try:
        return ifsr.Margins(encoder_name, blocks, values)
    except ValueError as error:
        raise InputError(str(error)) from None


def pair_settings(config: TrainConfig, image_size: int) -> pairs.PairSettings:
    """Returns how pairs are drawn.

    Args:
        config: The settings.
        image_size: Side of the images.

    Raises:
        InputError: If there are no shards, or a value is out of its range.
    """
    objective = config.objective()
    share = objective.same_person_ratio
    shards = share and shard_index.open_index(
        config.data_dir, on_corrupt=config.on_corrupt
    )
    if share and shards.identity.max(initial=-1) < 0:
        logging.warning("The shards have no labels: no pairs of one person")
        share = 0.0
    try:
        return pairs.PairSettings(
            config.data_dir,
            batch_size=config.batch_size,
            image_size=image_size,
            same_ratio=objective.same_ratio,
            same_person_ratio=share,
            jitter=objective.jitter,
            flip=objective.flip,
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


def build_step(
    config: TrainConfig, networks: Networks, strategy: tf.distribute.Strategy
) -> TrainStep:
    """Returns the training step with a new state.

    Args:
        config: The settings.
        networks: Of the settings; call this in the strategy's scope.
        strategy: Where it runs.

    Raises:
        InputError: If the structures do not fit, the batch cannot be divided, or the
            device cannot compile the precision.
    """
    half = config.precision == "mixed_bfloat16"
    if config.xla and half and not tf.config.list_logical_devices("GPU"):
        raise InputError(
            "XLA compiles no bfloat16 training on CPUs. Leave out --xla, which is "
            "slower there, or use --precision=float32"
        )
    try:
        new = state.build_state(
            config.objective(),
            networks.config,
            config.discriminator_config(networks.config)
            if networks.start[1] is None
            else networks.start[1].config,
            config.precision,
            generator=networks.start[0],
            discriminator=networks.start[1],
        )
        return TrainStep(
            new,
            networks.critics,
            config.objective(),
            config.batch_size,
            strategy,
            config.accumulation,
            config.seed,
            config.xla,
        )
    except ValueError as error:
        raise InputError(str(error)) from None


def build_loop(config: TrainConfig, step: TrainStep, networks: Networks) -> Loop:
    """Returns the loop around a step.

    Args:
        config: The settings.
        step: The training step.
        networks: Of the settings.

    Raises:
        InputError: If the validation's shards or networks are missing.
    """
    chief = distribution.is_chief(step.strategy)
    generator = tf.function(step.state.best_generator.named, autograph=False)
    validate = show = None
    if config.eval_dir and chief:
        measure = _validation(config, networks)
        validate = lambda: measure(generator)  # noqa: E731
        show = _shower(measure, step.state, generator)
    elif chief:
        found = validation.read_pairs(
            config.data_dir, networks.config.image_size, _SHOWN, config.seed + 1
        )
        teacher = networks.critics.teacher
        show = _shower(
            validation.Validation(found, teacher, teacher), step.state, generator
        )
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
        networks.critics.teacher,
        networks.judge,
        {name: validation.load_embedder(path) for name, path in named.items() if path},
    )


def _shower(measure: validation.Validation, trained: state.State, generator):
    """Returns what draws the same faces each time."""
    targets = measure.pairs.targets[:_SHOWN]
    sources = measure.pairs.sources[:_SHOWN]
    vectors = measure.source_vectors[:_SHOWN]

    def show(journal: Journal, step: int) -> None:
        picture = samples.swap_grid(generator, targets, sources, vectors)
        journal.picture("swaps", step, picture)
        masks = samples.mask_maps(trained.best_generator, targets, vectors)
        journal.picture("masks", step, masks)

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
