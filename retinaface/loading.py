"""Which detector a path means."""

from __future__ import annotations

import dataclasses
import os
import pathlib
import typing
import zipfile
from typing import Any

from facedancer.errors import InputError
from facedancer.inference import portable
from facedancer.process import keras_needed
from facedancer.retinaface.detector import Detector, DetectorOptions
from facedancer.retinaface.portable_network import PortableRetinaFace
from facedancer.retinaface.retinaface_detector import RetinaFaceDetector
from facedancer.storage import untrusted, weights

if typing.TYPE_CHECKING:
    from facedancer.retinaface.network import RetinaFace

MTCNN = "mtcnn"  # the word that stands for the package

EXPECTED = (
    "a face detector (RetinaFace of this project, the published RetinaFace-ResNet50 "
    ".h5, or the PyTorch MobileNet0.25 weights as .npz)"
)


def load_detector(
    path: str | os.PathLike | None = None,
    runtime: str = "openvino",
    device: str = "cpu",
    **options: Any,
) -> Detector:
    """Returns a face detector.

    Args:
        path: This project's `.keras` or `.h5`; the published RetinaFace-ResNet50 `.h5`
            (retinaface-tf2); an `.npz` with the PyTorch weights of RetinaFace with
            MobileNet0.25; the portable form of one of these, `.onnx`; or the word
            `mtcnn` for the package of that name. None for the packaged weights.
        runtime: What runs a network that has a portable form: `openvino`, `onnxruntime`
            or `keras`, which also runs all others.
        device: For ONNX Runtime, see `runtimes.PROVIDERS`.
        **options: Fields of `DetectorOptions`. Published weights do as their own
            programs, without `vote` and `second_look`, unless these are given.

    Raises:
        InputError: If the file is missing, damaged or of another kind, or the package
            `mtcnn` is not installed.
        ValueError: If an option lies outside its range.
    """
    settings = DetectorOptions(**options)
    if path == MTCNN:
        from facedancer.retinaface.mtcnn_detector import MtcnnDetector

        return MtcnnDetector(settings)
    file = None
    if runtime != "keras":
        file = portable.find("detector", "" if path is None else path)
    network: RetinaFace | PortableRetinaFace
    if file is not None:
        network = PortableRetinaFace(file, runtime, device)
        is_own = network.own
    else:
        network, is_own = read(weights.find("detector") if path is None else path)
    added: dict[str, Any] = {
        name: options.get(name, is_own) for name in ("vote", "second_look")
    }
    return RetinaFaceDetector(network, dataclasses.replace(settings, **added))


def load_network(path: str | os.PathLike) -> RetinaFace:
    """Returns the network of a detector file, see `load_detector`.

    Args:
        path: The file.

    Raises:
        InputError: If the file is missing, damaged or of another kind.
    """
    return read(path)[0]


def read(path: str | os.PathLike) -> tuple[RetinaFace, bool]:
    """Returns the network of a file, and whether it is one of this project.

    Args:
        path: The file, see `load_detector`.

    Raises:
        InputError: If the file is missing, damaged or of another kind.
    """
    keras_needed.check(path)
    from facedancer.retinaface import published
    from facedancer.retinaface.network import RetinaFace
    from facedancer.storage import model_files

    if _is_npz(path):
        return published.read_state_dict(path), False
    found = model_files.read_model_file(path)
    if found.class_name == RetinaFace.__name__:
        return model_files.load_own(found, RetinaFace), True
    with untrusted.faults(path, "its description or weights are damaged"):
        if published.is_published_h5(found):
            return published.read_published_h5(found), False
    raise InputError(f"{path}: found {found.describe()}, expected {EXPECTED}")


def _is_npz(path: str | os.PathLike) -> bool:
    path = pathlib.Path(path)
    if not path.is_file() or not zipfile.is_zipfile(path):
        return False
    with untrusted.open_zip(path) as archive:
        names = archive.namelist()
    return bool(names) and all(name.endswith(".npy") for name in names)
