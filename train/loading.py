"""The networks of a training, read from the files that its settings name."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import keras
from absl import logging

from facedancer.arcface_model import Encoder, fold, load_encoder
from facedancer.dataset.reading import readers
from facedancer.dataset.shards import shard_index
from facedancer.errors import InputError
from facedancer.face.alignment import Alignment, check_equal
from facedancer.models import ARCHITECTURES
from facedancer.models.published import reading
from facedancer.networks.contract import SwapContract
from facedancer.storage import weights
from facedancer.train.config import TrainConfig
from facedancer.train.frozen import (
    face_parsing,
    face_points,
    people,
    perceptual,
    projector,
    proxy,
)
from facedancer.train.frozen.frozen_networks import FrozenNetworks
from facedancer.train.frozen.teachers import Teacher, tap_widths
from facedancer.train.objective import ifsr
from facedancer.train.objective.recipes import Recipe
from facedancer.train.systems import SYSTEMS
from facedancer.train.systems.base import Fed, System
from facedancer.train.validation import validation

_PEOPLE = 256  # whose identities pseudo targets get


@dataclasses.dataclass(frozen=True)
class Networks:
    """The frozen networks of a training and the structures of those that learn.

    Attributes:
        frozen: What the step needs.
        judge: The encoder of the validation, None without any.
        structures: Of each network that learns, by name.
        contract: Of what is trained to swap.
        start: Networks to fine-tune, by name.
    """

    frozen: FrozenNetworks
    judge: Teacher | None
    structures: Mapping[str, Any]
    contract: SwapContract
    start: Mapping[str, keras.Model]


def system_of(config: TrainConfig) -> type[System]:
    """Returns the system that is trained.

    Args:
        config: The settings.
    """
    return SYSTEMS[config.system.system]


def crop_alignment(config: TrainConfig) -> Alignment:
    """Returns how the crops to train on are aligned.

    Args:
        config: The settings.

    Raises:
        InputError: If training and validation crops, or --shrink_factor, differ.
    """
    data = config.data
    told = Alignment(shrink=1.0 if data.shrink_factor is None else data.shrink_factor)
    found = shard_index.alignment_of(data.data_dir)
    if found is not None and data.shrink_factor is not None:
        check_equal(found, told, data.data_dir, "--shrink_factor says")
    aligned = found or told
    if folder := config.validation.eval_dir:
        known = shard_index.alignment_of(folder)
        check_equal(known, aligned, folder, "those to train on are")
    return aligned


def load_networks(config: TrainConfig) -> Networks:
    """Reads the frozen networks and those to fine-tune.

    Args:
        config: The settings.

    Raises:
        InputError: If a file is missing or they do not fit together.
    """
    aligned, encoder = crop_alignment(config), _encoder(config)
    start, fed = _start(config), Fed(template=aligned.template, shrink=aligned.shrink)
    if encoder is not None:
        fed = dataclasses.replace(
            fed,
            identity_size=encoder.embedding_size,
            encoder=encoder.name_with_hash,
            tap_widths=tap_widths(encoder, encoder.taps),
        )
    fed = dataclasses.replace(fed, people=_learned(config))
    structures = structures_of(config, fed, start)
    contract = system_of(config).contract_of(structures)
    check_equal(
        aligned,
        contract.image.alignment,
        config.data.data_dir,
        "the generator of --init_generator needs it",
    )
    if encoder is not None:
        fitting = Alignment(shrink=aligned.shrink)
        check_equal(aligned, fitting, config.data.data_dir, "identity encoders need it")
    frozen = load_frozen(config, encoder, contract)
    judge = frozen.teacher
    if path := config.validation.eval_arcface_path:
        judge = Teacher(fold(load_encoder(path)), (), contract.image.shrink)
    return Networks(frozen, judge, structures, contract, start)


def _learned(config: TrainConfig) -> tuple[str, ...] | None:
    """Returns the names of the people of the shards, None where it does not matter."""
    form = readers.READERS[system_of(config).batches]
    if form.people is None:
        return None
    drawn = config.training_recipe.pairs
    known = {field.name for field in dataclasses.fields(form.photos)}
    told = {name: value for name, value in vars(drawn).items() if name in known}
    data = {"data_dir": config.data.data_dir, "on_corrupt": config.data.on_corrupt}
    try:
        return form.people(form.photos(**told | data))
    except ValueError as error:
        raise InputError(str(error)) from None


def _encoder(config: TrainConfig) -> Encoder | None:
    """Returns the identity encoder, the packaged one where none is given.

    None where none is needed either.
    """
    if config.frozen.arcface_path:
        return fold(load_encoder(config.frozen.arcface_path))
    if "teacher" in system_of(config).needs_frozen(config.training_recipe):
        packaged = weights.find("encoder")
        logging.info("Identity encoder: %s, the packaged one", packaged.name)
        return fold(load_encoder(packaged))
    return None


def _start(config: TrainConfig) -> dict[str, keras.Model]:
    """Returns the networks to fine-tune, by name."""
    networks = config.networks
    given = {
        "generator": networks.init_generator,
        "discriminator": networks.init_discriminator,
    }
    system = system_of(config)
    roles = system.networks
    for name, path in given.items():
        if path and name not in roles:
            raise InputError(
                f"--init_{name} is for a {name}; --system={config.system.system} "
                f"trains {', '.join(roles)}"
            )
    found = {
        name: reading.load(path, roles[name]) for name, path in given.items() if path
    }
    for name, network in found.items():
        _check_family(name, given[name], network, system)
    side = networks.image_size
    if side and "generator" in found and found["generator"].config.image_size != side:
        found["generator"] = found["generator"].resized(side)
    return found


def _check_family(name: str, path: str, network: Any, system: type[System]) -> None:
    """Refuses to fine-tune the network of another system."""
    wanted, found = system.family(), type(network).__name__
    if found not in wanted.classes():
        theirs = [a.title for a in ARCHITECTURES.values() if found in a.classes()]
        raise InputError(
            f"--init_{name}={path}: a network of {' or '.join(theirs) or found}; "
            f"--system={system.name} fine-tunes those of {wanted.title}"
        )


def structures_of(
    config: TrainConfig, fed: Fed, start: Mapping[str, keras.Model] | None = None
) -> dict[str, Any]:
    """Returns the structure of each network that learns, by name.

    Args:
        config: The settings.
        fed: What follows from data and encoder.
        start: Networks to fine-tune, by name.

    Raises:
        InputError: If preset, flags and files do not fit together.
    """
    system, networks, start = system_of(config), config.networks, start or {}
    known = {name: _fine_tuned(name, model, fed) for name, model in start.items()}
    changes = {**config.training_recipe.structure, **networks.changes()}
    preset = networks.preset or system.preset
    try:
        found = system.structures(preset, changes, fed, known)
    except (ValueError, TypeError) as error:
        raise InputError(str(error)) from None
    size = system.contract_of(found).image.size
    for name, structure in known.items():
        if getattr(structure, "image_size", size) != size:
            raise InputError(
                f"--init_{name} is for images of {structure.image_size} pixels, the "
                f"generator for {size}"
            )
    return found


def _fine_tuned(name: str, model: Any, fed: Fed) -> Any:
    """Returns the structure of a network that goes on with this encoder."""
    structure = model.config
    told = getattr(getattr(structure, "contract", None), "identity", None)
    if told is None or told.kind != "vector":
        return structure
    if told.size != fed.identity_size:
        raise InputError(
            f"--init_{name} takes identity vectors of {told.size}, "
            f"the encoder gives {fed.identity_size}"
        )
    if told.encoder and not weights.same_vectors(told.encoder, fed.encoder):
        logging.warning(
            "The generator was trained with the encoder %s, this is %s: identities "
            "mean something else now",
            told.encoder,
            fed.encoder,
        )
    return dataclasses.replace(structure, encoder=fed.encoder)


@dataclasses.dataclass(frozen=True)
class Asked:
    """What a frozen network is chosen by.

    Attributes:
        config: The settings.
        recipe: The numbers of the training.
        contract: Of what is trained to swap.
        teacher: The identity encoder, None without one.
        margins: IFSR margins, None without.
    """

    config: TrainConfig
    recipe: Recipe
    contract: SwapContract
    teacher: Teacher | None
    margins: ifsr.Margins | None


def load_frozen(
    config: TrainConfig, encoder: Encoder | None, contract: SwapContract
) -> FrozenNetworks:
    """Reads what the training's system needs of `FrozenNetworks`.

    Args:
        config: The settings.
        encoder: The identity encoder, None without one.
        contract: Of what is trained to swap.

    Raises:
        InputError: If a file is missing or they do not fit together.
    """
    recipe = config.training_recipe
    needed = system_of(config).needs_frozen(recipe)
    margins = teacher = None
    if encoder is not None:
        if "margins" in needed:
            given = config.frozen
            margins = ifsr.chosen_margins(
                encoder.name_with_hash,
                given.margins_file,
                given.ifsr_blocks,
                given.ifsr_margin,
            )
        taps = margins.taps if margins else ()
        by_encoder = "perceptual" in needed and _perceptual_network(recipe) == "encoder"
        if by_encoder or "taps" in needed:
            taps = taps or encoder.taps
        teacher = Teacher(encoder, taps, contract.image.shrink)
    asked = Asked(config, recipe, contract, teacher, margins)
    found = {name: LOADERS[name](asked) for name in LOADERS if name in needed}
    frozen = FrozenNetworks(teacher, **found)
    if "people" in needed:
        frozen = dataclasses.replace(frozen, people=_people(asked, frozen))
    return frozen


def _perceptual_network(recipe: Recipe) -> str:
    options: Any = recipe.options
    wanted = recipe.weights.get("perceptual")
    return options.perceptual_network if wanted else "none"


def _margins(asked: Asked) -> tuple[float, ...]:
    return asked.margins.values if asked.margins else ()


def _perceptual(asked: Asked) -> perceptual.Perceptual:
    given = asked.config.frozen
    return perceptual.load(
        _perceptual_network(asked.recipe),
        asked.contract.image.size,
        given.p_blocks,
        given.legacy_perceptual,
    )


def _second(asked: Asked) -> Teacher | None:
    weight = asked.recipe.weights["second_identity"]
    path = asked.config.frozen.second_arcface_path
    if not path:
        if weight:
            raise InputError("--i2_lambda needs an encoder: give --second_arcface_path")
        return None
    if not weight:
        raise InputError("--second_arcface_path needs a weight: give --i2_lambda")
    return Teacher(fold(load_encoder(path)), (), asked.contract.image.shrink)


def _proxy(asked: Asked) -> proxy.Proxy | None:
    """Returns what makes pseudo targets, with people of the shards to swap to."""
    config, teacher = asked.config, asked.teacher
    if not config.frozen.proxy_generator or teacher is None:
        return None
    generator = reading.load_generator(config.frozen.proxy_generator)
    proxy.check(generator, teacher.encoder.name_with_hash, teacher.shrink)
    size, seed = generator.config.image_size, config.optimisation.seed + 2
    found = validation.read_pairs(config.data.data_dir, size, _PEOPLE, seed)
    return proxy.Proxy(generator, teacher.embed(found.sources))


def _features(asked: Asked) -> projector.Features | None:
    weight = asked.recipe.weights["adversarial_projected"]
    paths = asked.config.frozen.projector_path
    if paths and not weight:
        raise InputError(
            "--projector_path, the networks to judge by, needs --projected_lambda, the "
            f"weight of the judgement. Received: {','.join(paths)} and 0"
        )
    paths = paths or (projector.FACE_PARSER,)
    return projector.load(paths, asked.contract.image.size) if weight else None


def _parsing(asked: Asked) -> face_parsing.FaceParsing:
    image = asked.contract.image
    return face_parsing.load(image.size, image.alignment)


def _points(asked: Asked) -> face_points.FacePoints:
    return face_points.load(asked.contract.image.alignment)


def _people(asked: Asked, frozen: FrozenNetworks) -> tuple[people.People, ...]:
    """Returns what the encoders of the identity losses say of the shards' people."""
    data, size = asked.config.data, asked.contract.image.size
    kept = asked.config.output.folder / "people"
    return tuple(
        people.read(data.data_dir, size, encoder, data.on_corrupt, kept)
        for encoder in (frozen.teacher, frozen.second)
        if encoder is not None
    )


# What reads each field of `FrozenNetworks` but the teacher and the people; a system
# names those that it needs in `System.needs_frozen`.
LOADERS: dict[str, Callable[[Asked], Any]] = {
    "margins": _margins,
    "second": _second,
    "perceptual": _perceptual,
    "proxy": _proxy,
    "features": _features,
    "parsing": _parsing,
    "points": _points,
}
