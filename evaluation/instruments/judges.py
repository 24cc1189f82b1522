"""Encoders that judge identity: Keras, ONNX or TFLite files."""

from __future__ import annotations

import dataclasses
import os
import pathlib
import typing

import numpy as np

from facedancer.arcface_model import Embedder, load_embedder
from facedancer.errors import InputError
from facedancer.evaluation.inputs.photos import Face
from facedancer.evaluation.instruments import runtime
from facedancer.evaluation.instruments.instruments import Instrument
from facedancer.face import alignment
from facedancer.inference import portable
from facedancer.process import keras_needed
from facedancer.storage import files, weights

if typing.TYPE_CHECKING:
    from facedancer.arcface_model import Encoder


@dataclasses.dataclass(frozen=True)
class JudgeInput:
    """How a foreign encoder wants its crops: the aligned 112-pixel crop, and then?

    Attributes:
        mean: Of each RGB channel in [0, 1], subtracted.
        std: Of each channel, divided by.
        columns: First and last column (exclusive) of the crop that it sees.
        bgr: Whether it wants blue first; mean and std are of red, green and blue all
            the same.
    """

    mean: tuple[float, ...] = (0.5, 0.5, 0.5)
    std: tuple[float, ...] = (0.5, 0.5, 0.5)
    columns: tuple[int, ...] = (0, 112)
    bgr: bool = False

    def __post_init__(self) -> None:
        if len(self.mean) != 3 or len(self.std) != 3 or 0.0 in self.std:
            raise ValueError(
                "Mean and deviation must be three numbers each, the latter not 0. "
                f"Received: {self.mean} and {self.std}"
            )
        if len(self.columns) != 2 or not 0 <= self.columns[0] < self.columns[1] <= 112:
            raise ValueError(
                "Columns must be two numbers between 0 and 112, the smaller first. "
                f"Received: {self.columns}"
            )


class KerasJudge(Instrument):
    """Judges by an encoder of this project or the published ArcFace.

    Args:
        encoder: What `load_encoder` gave, or an `Embedder` of it or its portable form.
        file: Where it came from.
        bgr: Whether it wants blue first.
    """

    role = "identity"

    def __init__(
        self, encoder: Encoder | Embedder, file: str = "", bgr: bool = False
    ) -> None:
        self.embedder = encoder if isinstance(encoder, Embedder) else Embedder(encoder)
        of = self.embedder.encoder
        self.name, self.file, self._bgr = of.name_with_hash, file, bgr
        self.contract = of.contract

    def cut(self, image: np.ndarray, face: Face) -> np.ndarray:
        """Returns the crop of a face that the network takes.

        Args:
            image: See `Instrument.cut`.
            face: See `Instrument.cut`.
        """
        matrix = alignment.crop_matrix(
            face.landmarks,
            self.contract.size,
            self.contract.template,
            self.contract.shrink,
        )
        return alignment.crop(image, matrix, self.contract.size)

    def run(self, crops: np.ndarray) -> np.ndarray:
        """Returns identity vectors, `(n, d)` float32.

        Args:
            crops: `(n, ...)` uint8, what `cut` gave.
        """
        return self.embedder.embed(crops[..., ::-1] if self._bgr else crops)


class PortableJudge(Instrument):
    """Judges by a TFLite encoder, channels last.

    Args:
        path: The file.
        settings: How its input is made.
    """

    role = "identity"

    def __init__(self, path: str | os.PathLike, settings: JudgeInput) -> None:
        self.network = runtime.PortableNetwork(path)
        self.settings, self.file = settings, str(path)
        stem = pathlib.Path(path).stem
        self.name = f"{stem}@{files.file_hash(path)[:8]}"
        first, last = settings.columns
        if self.network.shape[1:] != (112, last - first, 3):
            raise InputError(
                f"{path}: takes images of shape {self.network.shape[1:]}, not "
                f"{(112, last - first, 3)}. Give --judge_columns: the first and last "
                "column of the 112-pixel crop that it wants, as 8,104"
            )

    def cut(self, image: np.ndarray, face: Face) -> np.ndarray:
        """Returns the crop of a face that the network takes.

        Args:
            image: See `Instrument.cut`.
            face: See `Instrument.cut`.
        """
        crop = alignment.crop(image, alignment.crop_matrix(face.landmarks, 112), 112)
        return crop[:, slice(*self.settings.columns)]

    def run(self, crops: np.ndarray) -> np.ndarray:
        """Returns identity vectors, `(n, d)` float32.

        Args:
            crops: `(n, ...)` uint8, what `cut` gave.
        """
        parts = [
            self.network(self._normalise(crops[start : start + 32]))[0]
            for start in range(0, len(crops), 32)
        ]
        return np.concatenate(parts).reshape(len(crops), -1)

    def _normalise(self, crops: np.ndarray) -> np.ndarray:
        unit = crops.astype(np.float32) / 255.0
        mean, std = self.settings.mean, self.settings.std
        made = (unit - np.array(mean, np.float32)) / np.array(std, np.float32)
        return made[..., ::-1] if self.settings.bgr else made


def load_judge(
    path: str | os.PathLike, settings: JudgeInput | None = None
) -> KerasJudge | PortableJudge:
    """Returns the instrument that judges identity.

    Args:
        path: What `load_embedder` reads, or an encoder of others, `.onnx` or `.tflite`.
        settings: How the input of the last two is made; None: (x - 127.5) / 127.5 of
            the whole crop.

    Raises:
        InputError: If the file is missing or of another kind.
    """
    settings = settings or JudgeInput()
    ending = pathlib.Path(path).suffix.lower()
    if ending == ".tflite":
        return PortableJudge(path, settings)
    if ending == ".onnx" and not portable.says_what_it_is(path):
        missing = keras_needed.missing_packages()
        if missing:
            raise InputError(
                f"{path}: an ONNX encoder that others made needs {missing}. "
                'Install it with: pip install "facedancer[train]"'
            )
        from facedancer.arcface_model.onnx_network import load_onnx_encoder

        bgr = settings.bgr
        mean, std = (
            part[::-1] if bgr else part for part in (settings.mean, settings.std)
        )
        return KerasJudge(load_onnx_encoder(path, mean, std), str(path), bgr)
    return KerasJudge(load_embedder(path), str(path))


def refuse_own(judge_name: str, encoder_name: str, allow: bool) -> str:
    """Refuses a judge that the generator was conditioned on.

    Such a judge rewards a swapper for fooling it; the figure says little about what
    people or other encoders see.

    Args:
        judge_name: `name` of the judge.
        encoder_name: Name of the encoder the generator takes its vectors from, empty
            for none or unknown.
        allow: Whether it is let through with a warning.

    Returns:
        The warning, empty if there is nothing to warn of.

    Raises:
        InputError: If both are one, or mean the same, and that is not allowed.
    """
    if not encoder_name or not weights.same_vectors(judge_name, encoder_name):
        return ""
    text = (
        f"The judging encoder {judge_name} is the one the generator was conditioned "
        "on, or learned the same vectors; identity figures by it are too good"
    )
    if not allow:
        raise InputError(
            f"{text}. Give another one with --judge_path, or --allow_same_judge"
        )
    return text
