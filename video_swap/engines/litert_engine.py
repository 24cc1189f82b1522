"""Runs a swapper by LiteRT, as phones do: a file of a few megabytes, no TensorFlow."""

from __future__ import annotations

import pathlib
import tempfile
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from facedancer.errors import InputError
from facedancer.inference import portable, runtimes
from facedancer.inference.portable import PortableFile
from facedancer.video_swap.engines import devices, runtime_engine

if TYPE_CHECKING:
    from facedancer.models.families.built_network import SwapperNetwork


class LiteRTEngine(runtime_engine.RuntimeEngine):
    """Runs a swapper by LiteRT.

    Args:
        generator: Its LiteRT file; or what `load_generator` or a builder gave, which is
            converted here.
        precision: `"f32"`, `"f16"` or `"int8"`; of a file its own, asked for or not.
        outputs: Names of what is wanted; None: what the generator gives by itself.
        embed: Of no use here, see `openvino_engine.OpenVINOEngine`.

    Raises:
        InputError: If LiteRT is not installed, the file is no LiteRT file or of another
            precision, or there is no such output.
    """

    name, package = "litert", "ai_edge_litert"
    precisions = ("f32", "f16", "int8")

    def __init__(
        self,
        generator: SwapperNetwork | PortableFile,
        precision: str = "f32",
        outputs: tuple[str, ...] | None = None,
        embed: Callable[[np.ndarray], np.ndarray] | None = None,
    ) -> None:
        devices.check_precision(precision, self.precisions)
        wanted = outputs or generator.contract.outputs
        if isinstance(generator, PortableFile):
            self.precision = _precision_of(generator, precision)
            self._run = runtimes.LiteRTRuntime(generator, wanted)
            return
        from facedancer.models import fuse, litert

        self.precision = precision
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder, f"generator{portable.LITERT}")
            litert.save(fuse(generator), path, precision)
            self._run = runtimes.LiteRTRuntime(portable.read(path), wanted)


def _precision_of(file: PortableFile, asked: str) -> str:
    if not portable.is_litert(file.path):
        raise InputError(
            f"{file.path}: LiteRT does not read ONNX files. Take another --engine, or "
            "make a LiteRT file by `facedancer export NETWORK.keras NETWORK.tflite`"
        )
    held = str(file.facts.get("precision", "f32"))
    if asked not in ("f32", held):
        raise InputError(
            f"{file.path}: computes in {held}. Leave out --precision={asked}, or make "
            f"another file by `facedancer export --precision={asked}`"
        )
    return held
