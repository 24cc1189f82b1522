"""Load the three networks of a swap, and refuse those that do not fit together."""

from __future__ import annotations

import dataclasses
import functools
import pathlib

from facedancer import weights
from facedancer.arcface_model import Embedder, load_encoder
from facedancer.arcface_model.encoder import Encoder
from facedancer.contract import IdentityInput, SwapContract
from facedancer.errors import InputError
from facedancer.models import load_generator
from facedancer.retinaface import load_detector
from facedancer.video_swap.compositing import parsing
from facedancer.video_swap.engines import devices, make
from facedancer.video_swap.settings import NetworkSettings
from facedancer.video_swap.swapping import identities


@dataclasses.dataclass(frozen=True)
class Networks:
    """What a swap needs, loaded.

    Attributes:
        engine: Runs the generator.
        contract: The generator's `SwapContract`.
        detector: Finds faces.
        embedder: Gives identity vectors.
        names: What they are, for reports, by role.
        parser: Tells what covers a face, or None.
        warnings: What the user should know, one line each.
    """

    engine: make.Engine
    contract: SwapContract
    detector: object
    embedder: Embedder
    names: dict[str, str]
    parser: parsing.FaceParser | None = None
    warnings: tuple[str, ...] = ()


def load_networks(settings: NetworkSettings) -> Networks:
    """Returns the networks that the settings name.

    Args:
        settings: Paths and options.

    Raises:
        InputError: If a file is missing or of another kind, or two do not fit together.
    """
    devices.use_device(settings.device_id)
    detector = load_detector(
        settings.retina_path or None,
        score_threshold=settings.score_threshold,
        working_size=settings.working_size,
        min_face=settings.min_face,
        turned=settings.multi_angle,
    )
    encoder_path = settings.arcface_path or weights.find("encoder")
    encoder = load_encoder(encoder_path)
    path = settings.facedancer_path or weights.find("generator")
    generator = load_generator(path)
    contract, embedder = generator.contract, Embedder(encoder)
    warnings = check_encoder(contract.identity, encoder)
    outputs = None
    if settings.occlusion == "generator":
        outputs = (*contract.outputs, "fusion_mask")
    engine = make.make_engine(
        generator,
        settings.engine,
        settings.precision,
        outputs,
        functools.partial(identities.embed_crops, embedder),
    )
    names = {
        "generator": pathlib.Path(path).name,
        "encoder": encoder.name_with_hash,
        "detector": detector.name,
        "engine": f"{engine.name} {engine.precision}",
    }
    parser = None
    if settings.parsing_path:
        parser = parsing.FaceParser(settings.parsing_path)
        names["parser"] = pathlib.Path(settings.parsing_path).name
    return Networks(engine, contract, detector, embedder, names, parser, warnings)


def check_encoder(told: IdentityInput, encoder: Encoder) -> tuple[str, ...]:
    """Refuses an encoder whose vectors the generator cannot know.

    Args:
        told: How the generator is told whom to show.
        encoder: The identity encoder.

    Returns:
        Warnings, none if all fits or it takes no vectors.

    Raises:
        InputError: If length or architecture differ from what it was trained with.
    """
    if told.kind != "vector":
        return ()
    name, known = encoder.name_with_hash, told.encoder
    if told.size != encoder.embedding_size:
        raise InputError(
            f"The generator takes identity vectors of {told.size} numbers "
            f"(trained with {known or 'an unknown encoder'}), the encoder {name} "
            f"gives {encoder.embedding_size}. Give the right one with --arcface_path"
        )
    if not known or known == name:
        return ()
    if known.split("@")[0] != name.split("@")[0]:
        raise InputError(
            f"The generator was trained with the encoder {known}; its faces would be "
            f"wrong with {name}. Give the right one with --arcface_path"
        )
    return (
        f"The generator was trained with other weights of the encoder ({known}) than "
        f"these ({name}); likeness may be worse",
    )
