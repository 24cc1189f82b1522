"""A parser's network that runs without Keras, and the making of its file."""

from __future__ import annotations

import dataclasses
import os
import typing

import numpy as np

from facedancer.errors import InputError
from facedancer.face import face_classes
from facedancer.inference import runtimes
from facedancer.inference.portable import PortableFile
from facedancer.models.families import helper_files
from facedancer.storage import untrusted

if typing.TYPE_CHECKING:
    from facedancer.models.families.face_parser.network import FaceParserNetwork

SCORES = "scores"


class PortableParser:
    """A parser's file, run by OpenVINO or ONNX Runtime; made ready at its first run.

    Args:
        file: The file.
        runtime: What runs it, see `runtimes.run_by`.
        device: See `runtimes.run_by`.

    Attributes:
        size: Side of the crops in pixels.

    Raises:
        InputError: If the file is damaged, or of other classes.
    """

    def __init__(
        self, file: PortableFile, runtime: str = "openvino", device: str = "cpu"
    ) -> None:
        self.size = file.image.size
        with untrusted.faults(file.path, "its description is damaged"):
            classes = int(file.facts["classes"])
        if classes != len(face_classes.NAMES):
            raise InputError(
                f"{file.path}: a parser must tell {len(face_classes.NAMES)} classes "
                f"apart. Received: {classes}"
            )
        self._run = helper_files.AtFirstUse(
            lambda: runtimes.run_by(runtime, file, (SCORES,), device)
        )

    def predict_on_batch(self, image: np.ndarray) -> np.ndarray:
        """Returns the scores, `(n, size, size, 19)` float32.

        Args:
            image: `(n, size, size, 3)` float32 in [-1, 1].
        """
        return self._run()({"image": image})[SCORES]


def save(network: FaceParserNetwork, path: str | os.PathLike, facts: dict) -> None:
    """Writes the portable file of a parser.

    Args:
        network: The parser.
        path: The file.
        facts: Where it comes from: `licence`, `source` and the like.
    """
    import keras

    from facedancer.inference import portable_writing
    from facedancer.models.families.face_parser.network import fold

    folded = fold(network)
    described = {
        "kind": "parser",
        "name": network.name,
        "image": dataclasses.asdict(network.config.image),
        "classes": len(face_classes.NAMES),
    }
    portable_writing.save(
        keras.Model(folded.inputs[0], {SCORES: folded.outputs[0]}),
        path,
        folded.example_inputs(batch=1),
        facts | described,
    )
