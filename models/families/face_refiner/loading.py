"""Which face refiner a path means."""

from __future__ import annotations

import os
import pathlib
import typing
from collections.abc import Mapping

import numpy as np

from facedancer.errors import InputError
from facedancer.inference import portable, runtimes
from facedancer.models.families.face_refiner.refiner import FaceRefiner
from facedancer.process import keras_needed
from facedancer.storage import weights

if typing.TYPE_CHECKING:
    from facedancer.models.families.face_refiner.network import FaceRefinerNetwork


def load_refiner(
    path: str | os.PathLike = "", runtime: str = "openvino", device: str = "cpu"
) -> FaceRefiner:
    """Returns a face refiner, without Keras where that goes.

    Args:
        path: A refiner of this project, `.keras` or `.h5`; its portable form, `.onnx`;
            empty: the packaged one.
        runtime: What runs a refiner that has a portable form: `openvino`,
            `onnxruntime` or `keras`, which also runs all others.
        device: For ONNX Runtime, see `runtimes.PROVIDERS`.

    Raises:
        InputError: If the file is missing, damaged or of another kind.
    """
    file = portable.find("refiner", path) if runtime != "keras" else None
    if file is not None:
        portable_run = runtimes.run_by(runtime, file, ("refined",), device)
        return FaceRefiner(portable_run, file.image.size, file.path.name)
    found = pathlib.Path(path or weights.find("refiner"))
    network = load_network(found)

    def run(feeds: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        given = [feeds[name] for name in network.feed_names]
        return {"refined": network.predict_on_batch(given)}

    return FaceRefiner(run, network.config.image_size, found.name)


def load_network(path: str | os.PathLike = "") -> FaceRefinerNetwork:
    """Returns the network of a refiner of this project.

    Args:
        path: Its `.keras` or `.h5` file; empty: the packaged one.

    Raises:
        InputError: If the file is missing, damaged or of another kind.
    """
    found = pathlib.Path(path or weights.find("refiner"))
    keras_needed.check(found)
    from facedancer.models.families.face_refiner.network import FaceRefinerNetwork
    from facedancer.storage import model_files

    stored = model_files.read_model_file(found)
    if stored.class_name != FaceRefinerNetwork.__name__:
        raise InputError(
            f"{found}: found {stored.describe()}, expected a face refiner of this "
            "project (facedancer train-refiner)"
        )
    return model_files.load_own(stored, FaceRefinerNetwork)
