"""Which face parser a path means."""

from __future__ import annotations

import os
import pathlib
import typing

from facedancer.errors import InputError
from facedancer.face import face_classes
from facedancer.inference import portable
from facedancer.models.families.face_parser.parser import FaceParser
from facedancer.models.families.face_parser.portable_parser import PortableParser
from facedancer.process import keras_needed
from facedancer.storage import weights

if typing.TYPE_CHECKING:
    import keras

    from facedancer.models.families.face_parser.network import FaceParserNetwork


def load_parser(
    path: str | os.PathLike = "", runtime: str = "openvino", device: str = "cpu"
) -> FaceParser:
    """Returns a face parser, without Keras where that goes.

    Args:
        path: A parser of this project, `.keras` or `.h5`; its portable form, `.onnx`;
            another Keras model from one image in [-1, 1] to 19 scores a pixel in the
            order of `face_classes.NAMES`; empty: the packaged one.
        runtime: What runs a parser that has a portable form: `openvino`, `onnxruntime`
            or `keras`, which also runs all others.
        device: For ONNX Runtime, see `runtimes.PROVIDERS`.

    Raises:
        InputError: If the file is missing, damaged or of another kind.
    """
    file = portable.find("parser", path) if runtime != "keras" else None
    if file is not None:
        run = PortableParser(file, runtime, device)
        return FaceParser(run, run.size, file.path.name)
    found = pathlib.Path(path or weights.find("parser"))
    network = read(found)
    return FaceParser(network, network.input_shape[1] or 0, found.name)


def load_network(path: str | os.PathLike = "") -> FaceParserNetwork:
    """Returns the network of a parser of this project.

    Args:
        path: Its `.keras` or `.h5` file; empty: the packaged one.

    Raises:
        InputError: If the file is missing, damaged or of another kind.
    """
    found = pathlib.Path(path or weights.find("parser"))
    keras_needed.check(found)
    from facedancer.models.families.face_parser.network import FaceParserNetwork
    from facedancer.storage import model_files

    stored = model_files.read_model_file(found)
    if stored.class_name != FaceParserNetwork.__name__:
        raise InputError(
            f"{found}: found {stored.describe()}, expected a face parser of this "
            "project (facedancer train-parser)"
        )
    return model_files.load_own(stored, FaceParserNetwork)


def read(path: str | os.PathLike) -> keras.Model:
    """Returns the network of a file: of this project, or any that fits.

    Args:
        path: A `.keras` or `.h5` file.

    Raises:
        InputError: If the file is missing, damaged or of another kind.
    """
    keras_needed.check(path)
    from facedancer.models.families.face_parser.network import FaceParserNetwork
    from facedancer.networks import foreign
    from facedancer.storage import model_files

    stored = model_files.read_model_file(path)
    if stored.class_name == FaceParserNetwork.__name__:
        return model_files.load_own(stored, FaceParserNetwork)
    model = foreign.load_network(path)
    shapes = model.input_shape, model.output_shape
    fits = [len(shape) == 4 for shape in shapes if isinstance(shape, tuple)]
    count = len(face_classes.NAMES)
    if fits != [True, True] or shapes[1][-1] != count:
        raise InputError(
            f"{path}: must be a model from one image to {count} scores a pixel. "
            f"Received: {shapes[0]} to {shapes[1]}"
        )
    return model
