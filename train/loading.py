"""The networks of a training, read from the files that its settings name."""

from __future__ import annotations

import dataclasses

from absl import logging

from facedancer.alignment import Alignment, check_equal
from facedancer.arcface_model import fold, load_encoder
from facedancer.dataset.shards import shard_index
from facedancer.errors import InputError
from facedancer.models import load_discriminator, load_generator
from facedancer.models.families.facedancer.config import GeneratorConfig
from facedancer.train.config import TrainConfig
from facedancer.train.frozen import perceptual, proxy
from facedancer.train.frozen.frozen_networks import FrozenNetworks
from facedancer.train.frozen.teachers import Teacher
from facedancer.train.objective import ifsr
from facedancer.train.validation import validation

_PEOPLE = 256  # whose identities pseudo targets get


@dataclasses.dataclass(frozen=True)
class Networks:
    """The frozen networks of a training and the structure they ask for.

    Attributes:
        frozen: What the step needs.
        judge: The encoder of the validation.
        config: Structure of the generator.
        start: Generator and discriminator to fine-tune, or None each.
    """

    frozen: FrozenNetworks
    judge: Teacher
    config: GeneratorConfig
    start: tuple


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
    recipe = config.training_recipe()
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
    margins = margins_of(config, name) if recipe.weights["ifsr"] else None
    taps = margins.taps if margins else ()
    network = recipe.options.perceptual_network
    network = network if recipe.weights["perceptual"] else "none"
    if network == "encoder":
        taps = taps or encoder.taps
    seen = perceptual.load(
        network,
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
    values = margins.values if margins else ()
    made = _proxy(config, teacher)
    frozen = FrozenNetworks(teacher, values, second, seen, made)
    return Networks(frozen, judge, structure, (generator, discriminator))


def _proxy(config: TrainConfig, teacher: Teacher) -> proxy.Proxy | None:
    """Returns what makes pseudo targets, with people of the shards to swap to."""
    if not config.proxy_generator:
        return None
    generator = load_generator(config.proxy_generator)
    proxy.check(generator, teacher.encoder.name_with_hash, teacher.shrink)
    size = generator.config.image_size
    found = validation.read_pairs(config.data_dir, size, _PEOPLE, config.seed + 2)
    return proxy.Proxy(generator, teacher.embed(found.sources))


def _second(config: TrainConfig, shrink: float) -> Teacher | None:
    weight = config.training_recipe().weights["second_identity"]
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
