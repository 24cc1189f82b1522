"""Runs a swapper by ONNX Runtime: CPUs, and GPUs that TensorFlow does not know."""

from __future__ import annotations

import pathlib
import tempfile
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from facedancer.inference import runtimes
from facedancer.inference.portable import PortableFile
from facedancer.video_swap.engines import devices, runtime_engine

if TYPE_CHECKING:
    from facedancer.models.families.built_network import SwapperNetwork


class OnnxRuntimeEngine(runtime_engine.RuntimeEngine):
    """Runs a swapper by ONNX Runtime.

    Args:
        generator: Its portable file; or what `load_generator` or a builder gave, which
            is converted here.
        precision: `"f32"`.
        outputs: Names of what is wanted; None: what the generator gives by itself.
        embed: Of no use here, see `openvino_engine.OpenVINOEngine`.
        device: Key of `runtimes.PROVIDERS`.

    Raises:
        InputError: If ONNX Runtime or what the device needs is not installed, the
            precision is another or there is no such output.
    """

    name, package = "onnxruntime", "onnxruntime"
    precisions = ("f32",)

    def __init__(
        self,
        generator: SwapperNetwork | PortableFile,
        precision: str = "f32",
        outputs: tuple[str, ...] | None = None,
        embed: Callable[[np.ndarray], np.ndarray] | None = None,
        device: str = "cpu",
    ) -> None:
        devices.check_precision(precision, self.precisions)
        self.precision = precision
        if isinstance(generator, PortableFile):
            self._run = _runtime(generator, outputs, device)
            return
        from facedancer.inference import portable
        from facedancer.models import portable_generator

        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder, "generator.onnx")
            portable_generator.save(generator, path, {})
            self._run = _runtime(portable.read(path), outputs, device)


def _runtime(
    file: PortableFile, outputs: tuple[str, ...] | None, device: str
) -> runtimes.OnnxRuntime:
    return runtimes.OnnxRuntime(file, outputs or file.contract.outputs, device)
