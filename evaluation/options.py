"""Settings of the evaluation program, and the tools they name."""

from __future__ import annotations

import dataclasses
import os
import pathlib
import types

from facedancer import places
from facedancer.arcface_model import load_embedder
from facedancer.dataset.jobs import report
from facedancer.evaluation.inputs.cache import Cache
from facedancer.evaluation.inputs.locating import Locator
from facedancer.evaluation.instruments import (
    face_mesh,
    instruments,
    judges,
    pose_network,
)
from facedancer.evaluation.instruments.instruments import Instrument
from facedancer.evaluation.measuring.measure import Perception, Tools
from facedancer.evaluation.plots import charts
from facedancer.evaluation.report import document
from facedancer.evaluation.settings import EvaluateSettings
from facedancer.face.alignment import Alignment
from facedancer.process import keras_needed
from facedancer.retinaface import Detector, load_detector
from facedancer.storage import files, weights


@dataclasses.dataclass(frozen=True)
class Loaded:
    """The networks of an evaluation.

    Attributes:
        tools: What measures pairs.
        judge: What judges identity; None: it is left out.
        networks: By role, name with hash and file, for the report.
        official: Whether the Frechet distance is the published one.
        notes: What is left out for lack of a network.
    """

    tools: Tools
    judge: Instrument | None
    networks: dict[str, dict]
    official: bool
    notes: tuple[str, ...]

    def without_judge(self, why: str) -> Loaded:
        """Returns the same networks but for the judge.

        Args:
            why: Note for the report.
        """
        kept = [one for one in self.tools.instruments if one is not self.judge]
        networks = {role: one for role, one in self.networks.items() if role != "judge"}
        tools = dataclasses.replace(self.tools, instruments=tuple(kept))
        return Loaded(tools, None, networks, self.official, (why, *self.notes))


def load(settings: EvaluateSettings) -> Loaded:
    """Returns the networks that the settings name.

    Args:
        settings: The settings.

    Raises:
        InputError: If a file is missing or of another kind.
    """
    detector = load_detector(settings.retina_path or None)
    judge_path = settings.judge_path or weights.find_portable("encoder")
    judge = judges.load_judge(
        judge_path,
        judges.JudgeInput(
            settings.judge_mean,
            settings.judge_std,
            settings.judge_columns,
            settings.judge_bgr,
        ),
    )
    found: list[Instrument] = [judge]
    networks = {
        "detector": _detector(detector, settings.retina_path),
        "judge": _entry(judge, judge_path),
    }
    if settings.pose_path:
        found.append(pose_network.PoseNetwork(settings.pose_path))
        networks["pose"] = _entry(found[-1], ",".join(settings.pose_path))
    if settings.landmarker_path:
        found.append(face_mesh.FaceMesh(settings.landmarker_path))
        networks["mesh"] = _entry(found[-1], settings.landmarker_path)
    if settings.eval_model_expface:
        found.append(_expression(settings.eval_model_expface))
        networks["expression"] = _entry(found[-1], settings.eval_model_expface)
    features, official = _features(settings)
    if features is not None:
        found.append(features)
        path = settings.features_path or settings.perceptual_path
        networks["features"] = _entry(features, path)
    perception = _perception(settings)
    if perception is not None:
        networks["perceptual"] = {
            "name": perception.name,
            "file": settings.perceptual_path,
        }
    cache = Cache(settings.cache_dir)
    aligned = None
    if settings.aligned:
        aligned = report.alignment_of(settings.data_dir) or Alignment()
    locator = Locator(detector, cache, aligned)
    tools = Tools(locator, cache, tuple(found), perception)
    return Loaded(tools, judge, networks, official, _missing(settings))


def _detector(detector: Detector, path: str) -> dict[str, str]:
    if detector.name == path:  # a package, not a file
        return {"name": detector.name, "file": ""}
    file = path or str(weights.find_portable("detector"))
    digest = files.file_hash(file)[:8]
    return {"name": f"{detector.name}@{digest}", "file": file}


def _entry(instrument: Instrument, path: str | os.PathLike) -> dict[str, str]:
    return {"name": instrument.name, "file": str(path)}


def _expression(path: str | os.PathLike) -> instruments.ExpressionEmbedder:
    keras_needed.check(path)
    from facedancer.networks import foreign

    network = foreign.load_network(path)
    name = f"{pathlib.Path(path).stem}@{files.file_hash(path)[:8]}"
    return instruments.ExpressionEmbedder(network, name)


def _features(settings: EvaluateSettings) -> tuple[Instrument | None, bool]:
    path = settings.features_path or settings.perceptual_path
    if path:
        backbone = _backbones(path).load_backbone(path)
        return instruments.BackboneFeatures(backbone), backbone.official
    if weights.available("encoder"):
        embedder = load_embedder()
        return instruments.EncoderFeatures(embedder.encoder), False
    return None, False


def _backbones(path: str | os.PathLike) -> types.ModuleType:
    """Returns the module of image networks, which Keras runs."""
    keras_needed.check(path)
    from facedancer.evaluation.instruments import backbones

    return backbones


def _perception(settings: EvaluateSettings) -> Perception | None:
    if not settings.perceptual_path:
        return None
    backbones = _backbones(settings.perceptual_path)
    backbone = backbones.load_backbone(settings.perceptual_path)
    channel_weights, name = None, f"{backbone.name}, all channels alike"
    if settings.lpips_weights:
        channel_weights = backbones.read_channel_weights(
            settings.lpips_weights, backbone
        )
        digest = files.file_hash(settings.lpips_weights)[:8]
        name = f"{backbone.name} with weights@{digest}"
    return Perception(backbone, channel_weights, name)


def _missing(settings: EvaluateSettings) -> tuple[str, ...]:
    optional = {
        "pose_path": "pose by a network",
        "landmarker_path": "mesh, blendshapes, gaze and mouth",
        "perceptual_path": "perceptual distance",
    }
    notes = [
        f"Not measured: {what} (--{name} not given)"
        for name, what in optional.items()
        if not getattr(settings, name)
    ]
    if not settings.features_path:
        notes.append("Frechet distance by a small network: compare only with itself")
    if not charts.can_draw():
        notes.append(
            'Plots were left out: pip install "facedancer[evaluation]" draws them'
        )
    return tuple(notes)


def check_out(settings: EvaluateSettings) -> pathlib.Path:
    """Returns the folder for the report.

    Args:
        settings: The settings.

    Raises:
        InputError: If something else than a folder stands there, or what is read.
    """
    return places.check_folder(settings, "out", settings.out, document.FILES)
