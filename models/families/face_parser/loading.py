"""Which face parser a path means."""

from __future__ import annotations

import os
import pathlib
import typing
from collections.abc import Callable

from facedancer.errors import InputError
from facedancer.face import face_classes
from facedancer.models.families import helper_files
from facedancer.models.families.face_parser.parser import FaceParser
from facedancer.models.families.face_parser.portable_parser import PortableParser

if typing.TYPE_CHECKING:
    import keras

    from facedancer.models.families.face_parser.network import FaceParserNetwork

_KIND, _COMMAND = "parser", "train-parser"


def load_parser(
    path: str | os.PathLike = "", runtime: str = "openvino", device: str = "cpu"
) -> FaceParser:
    """Returns a face parser, without Keras where that goes.

    Its network is made ready when it first parses.

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
    file = helper_files.portable_form(_KIND, path, runtime)
    if file is not None:
        run = PortableParser(file, runtime, device)
        return FaceParser(lambda: (run, run.size), file.path.name)
    found = helper_files.keras_file(_KIND, path)
    read = _reader(found)
    return FaceParser(lambda: (read(), read().input_shape[1] or 0), found.name)


def load_network(path: str | os.PathLike = "") -> FaceParserNetwork:
    """Returns the network of a parser of this project.

    Args:
        path: Its `.keras` or `.h5` file; empty: the packaged one.

    Raises:
        InputError: If the file is missing, damaged or of another kind.
    """
    found = helper_files.keras_file(_KIND, path)
    from facedancer.models.families.face_parser.network import FaceParserNetwork

    return helper_files.own_network(found, FaceParserNetwork, _COMMAND)()


def _reader(path: pathlib.Path) -> Callable[[], keras.Model]:
    """Returns what gives the network of a file: of this project, or any that fits."""
    from facedancer.models.families.face_parser.network import FaceParserNetwork
    from facedancer.networks import foreign
    from facedancer.storage import model_files

    if model_files.read_model_file(path).class_name == FaceParserNetwork.__name__:
        return helper_files.own_network(path, FaceParserNetwork, _COMMAND)
    model = foreign.load_network(path)
    shapes = model.input_shape, model.output_shape
    fits = [len(shape) == 4 for shape in shapes if isinstance(shape, tuple)]
    count = len(face_classes.NAMES)
    if fits != [True, True] or shapes[1][-1] != count:
        raise InputError(
            f"{path}: must be a model from one image to {count} scores a pixel. "
            f"Received: {shapes[0]} to {shapes[1]}"
        )
    return lambda: model
