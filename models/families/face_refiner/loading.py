"""Which face refiner a path means."""

from __future__ import annotations

import os
import typing
from collections.abc import Callable, Mapping

import numpy as np

from facedancer.inference import runtimes
from facedancer.inference.portable import PortableFile
from facedancer.models.families import helper_files
from facedancer.models.families.face_refiner.refiner import FaceRefiner

if typing.TYPE_CHECKING:
    from facedancer.models.families.face_refiner.network import FaceRefinerNetwork

_KIND, _COMMAND = "refiner", "train-refiner"
_REFINED = "refined"


def load_refiner(
    path: str | os.PathLike = "", runtime: str = "openvino", device: str = "cpu"
) -> FaceRefiner:
    """Returns a face refiner, without Keras where that goes.

    Its network is made ready when it first refines.

    Args:
        path: A refiner of this project, `.keras` or `.h5`; its portable form, `.onnx`;
            empty: the packaged one.
        runtime: What runs a refiner that has a portable form: `openvino`,
            `onnxruntime` or `keras`, which also runs all others.
        device: For ONNX Runtime, see `runtimes.PROVIDERS`.

    Raises:
        InputError: If the file is missing, damaged or of another kind.
    """
    file = helper_files.portable_form(_KIND, path, runtime)
    if file is not None:
        return FaceRefiner(_portable(file, runtime, device), file.path.name)
    found = helper_files.keras_file(_KIND, path)
    return FaceRefiner(_of_keras(_reader(path)), found.name)


def _portable(
    file: PortableFile, runtime: str, device: str
) -> Callable[[], tuple[typing.Any, int]]:
    size = file.image.size  # refused now where the description is damaged
    return lambda: (runtimes.run_by(runtime, file, (_REFINED,), device), size)


def _of_keras(
    read: Callable[[], FaceRefinerNetwork],
) -> Callable[[], tuple[typing.Any, int]]:
    def make() -> tuple[typing.Any, int]:
        network = read()

        def run(feeds: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
            given = [feeds[name] for name in network.feed_names]
            return {_REFINED: network.predict_on_batch(given)}

        return run, network.config.image_size

    return make


def load_network(path: str | os.PathLike = "") -> FaceRefinerNetwork:
    """Returns the network of a refiner of this project.

    Args:
        path: Its `.keras` or `.h5` file; empty: the packaged one.

    Raises:
        InputError: If the file is missing, damaged or of another kind.
    """
    return _reader(path)()


def _reader(path: str | os.PathLike) -> Callable[[], FaceRefinerNetwork]:
    found = helper_files.keras_file(_KIND, path)
    from facedancer.models.families.face_refiner.network import FaceRefinerNetwork

    return helper_files.own_network(found, FaceRefinerNetwork, _COMMAND)
