"""Load the networks of a swap, and refuse those that do not fit together."""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Callable
from concurrent import futures
from typing import TYPE_CHECKING

from facedancer.arcface_model import Embedder, load_embedder
from facedancer.arcface_model.portable_encoder import PortableEncoder
from facedancer.errors import InputError
from facedancer.inference import openvino_core, portable
from facedancer.inference.portable import PortableFile
from facedancer.models.families.face_parser.loading import (
    load_parser as read_parser,
)
from facedancer.models.families.face_parser.parser import FaceParser
from facedancer.models.families.face_refiner.loading import (
    load_refiner as read_refiner,
)
from facedancer.models.families.face_refiner.refiner import FaceRefiner
from facedancer.networks.contract import IdentityInput, SwapContract
from facedancer.process import keras_needed
from facedancer.retinaface import Detector, load_detector
from facedancer.retinaface.loading import MTCNN
from facedancer.storage import weights
from facedancer.video_swap.engines import devices, make
from facedancer.video_swap.settings import NONE, NetworkSettings, SwapSettings
from facedancer.video_swap.swapping import converting, identities, source_glasses

if TYPE_CHECKING:
    from facedancer.arcface_model import Encoder
    from facedancer.models.families.built_network import SwapperNetwork


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
        refiner: Makes large faces sharp, or None.
        warnings: What the user should know, one line each.
    """

    engine: make.Engine
    contract: SwapContract
    detector: Detector
    embedder: Embedder
    names: dict[str, str]
    parser: FaceParser | None = None
    refiner: FaceRefiner | None = None
    warnings: tuple[str, ...] = ()

    def glasses(self, settings: SwapSettings) -> source_glasses.GlassesOff | None:
        """Returns what takes glasses off sources; None where they stay.

        Args:
            settings: Say whether they are to stay.
        """
        if settings.source_glasses == "keep" or self.parser is None:
            return None  # and the name, a hash of the encoder, is not computed
        return source_glasses.find(self.parser, self.embedder.encoder.name_with_hash)

    def begin(self, refines: bool) -> None:
        """Begins to make ready what a swap uses at its end, beside what comes before.

        Args:
            refines: Whether the refiner will be used.
        """
        for one in (self.parser, self.refiner if refines else None):
            if one is not None:
                one.begin()


def load_networks(settings: NetworkSettings) -> Networks:
    """Returns the networks that the settings name.

    Args:
        settings: Paths and options.

    Raises:
        InputError: If a file is missing or of another kind, or two do not fit together.
    """
    engine_name = make.choose(settings.engine, settings.precision, settings.device)
    if settings.engine == "auto" and portable.is_litert(settings.facedancer_path):
        engine_name = "litert"
    if engine_name == "openvino" and _all_portable(settings):
        # Compiling one keeps one core busy: beside each other they take half the time.
        openvino_core.core()
        with futures.ThreadPoolExecutor(1) as beside:
            others = beside.submit(load_finders, settings)
            path, contract, engine = _load_engine(settings, engine_name, others.result)
            detector, embedder = others.result()
            parser, refiner = load_helpers(settings, engine_name)
    else:
        finders = detector, embedder = load_finders(settings)
        path, contract, engine = _load_engine(settings, engine_name, lambda: finders)
        parser, refiner = load_helpers(settings, engine_name)
    names = {
        "generator": path.name,
        "encoder": embedder.encoder.name_with_hash,
        "detector": detector.name,
        "engine": f"{engine.name} {engine.precision}",
    }
    found = {"parser": parser, "refiner": refiner}
    names |= {role: one.name for role, one in found.items() if one is not None}
    warnings = check_encoder(contract.identity, embedder.encoder)
    return Networks(
        engine, contract, detector, embedder, names, parser, refiner, warnings
    )


def _all_portable(settings: NetworkSettings) -> bool:
    paths = (settings.facedancer_path, settings.arcface_path, settings.retina_path)
    return all(not path or portable.is_portable(path) for path in paths)


def load_helpers(
    settings: NetworkSettings, engine: str
) -> tuple[FaceParser | None, FaceRefiner | None]:
    """Returns what tells what covers a face and what makes large ones sharp.

    Args:
        settings: Name the files; where one says `none`, there is None.
        engine: What runs the networks, see `make.choose`.

    Raises:
        InputError: If a file is missing, damaged or of another kind.
    """
    device = "cpu" if settings.device == "auto" else settings.device
    found: list = []
    for flag, read in (("parsing_path", read_parser), ("refiner_path", read_refiner)):
        path = getattr(settings, flag)
        try:
            found.append(None if path == NONE else read(path, engine, device))
        except InputError as error:
            raise InputError(f"--{flag}: {error}") from None
    parser, refiner = found
    return parser, refiner


def _load_engine(
    settings: NetworkSettings,
    engine_name: str,
    finders: Callable[[], tuple[Detector, Embedder]],
) -> tuple[pathlib.Path, SwapContract, make.Engine]:
    """Returns the file of the generator, its contract, and what runs it."""
    path, generator = _generator(settings.facedancer_path, engine_name)
    outputs = None
    if settings.occlusion == "generator":
        outputs = (*generator.contract.outputs, "fusion_mask")
    engine = make.make_engine(
        generator,
        engine_name,
        settings.precision,
        outputs,
        lambda crops: identities.embed_crops(finders()[1], crops),
        settings.device,
    )
    return path, generator.contract, engine


def load_finders(settings: NetworkSettings) -> tuple[Detector, Embedder]:
    """Returns what finds faces and what tells them apart.

    Args:
        settings: Paths and options.

    Raises:
        InputError: If a file is missing or of another kind.
    """
    engine = make.choose(settings.engine, settings.precision, settings.device)
    if engine != "onnxruntime":
        devices.use_device(settings.device_id)
    if engine != "keras":
        _convert_once(settings)
    device = "cpu" if settings.device == "auto" else settings.device
    detector = load_detector(
        settings.retina_path or None,
        engine,
        device,
        score_threshold=settings.score_threshold,
        working_size=settings.working_size,
        min_face=settings.min_face,
        turned=settings.multi_angle,
    )
    return detector, load_embedder(settings.arcface_path, engine, device)


def _convert_once(settings: NetworkSettings) -> None:
    """Converts networks of the user, where a folder to keep them in is named."""
    for kind, path in (
        ("generator", settings.facedancer_path),
        ("encoder", settings.arcface_path),
        ("detector", settings.retina_path),
    ):
        if path and path != MTCNN:
            converting.keep(kind, path)


def _generator(
    path: str, engine: str
) -> tuple[pathlib.Path, SwapperNetwork | PortableFile]:
    """Returns the file of the generator, and what an engine takes of it."""
    file = None
    # LiteRT reads no ONNX: it is given the network that the packaged file came from.
    if engine != "keras" and (engine != "litert" or portable.is_portable(path)):
        file = portable.find("generator", path)
    if file is not None:
        return pathlib.Path(path or file.path), file
    found = pathlib.Path(path or weights.find("generator"))
    keras_needed.check(found)
    from facedancer.models import load_generator

    return found, load_generator(found)


def check_encoder(
    told: IdentityInput, encoder: Encoder | PortableEncoder
) -> tuple[str, ...]:
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
    if not known or weights.same_vectors(known, name):
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
