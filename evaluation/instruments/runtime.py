"""Runs networks that are ONNX or TFLite files, on the CPU by OpenVINO."""

from __future__ import annotations

import importlib.util
import os
import pathlib
from typing import TYPE_CHECKING

import numpy as np

from facedancer.errors import InputError
from facedancer.inference import openvino_core, portable
from facedancer.storage import untrusted

ENDINGS = (".onnx", ".tflite")

if TYPE_CHECKING:
    import openvino


class PortableNetwork:
    """An ONNX or TFLite network, called with one array.

    Args:
        model: The file.
        name: What messages call it.
        batched: Whether several examples may go through in one call; without it they
            go one after the other, for graphs that fix the batch at 1.

    Raises:
        InputError: If OpenVINO is missing or the file is no network it can read.
    """

    def __init__(
        self,
        model: str | os.PathLike,
        name: str = "",
        batched: bool = True,
    ) -> None:
        if importlib.util.find_spec("openvino") is None:
            raise InputError(
                "ONNX, TFLite and .task networks need OpenVINO: pip install openvino"
            )
        self.name = name or str(model)
        self.batched = batched
        self.compiled, self.shape = self._compile(model)

    def _compile(
        self, model: str | os.PathLike
    ) -> tuple[openvino.CompiledModel, tuple[int, ...]]:
        if not pathlib.Path(model).is_file():
            raise InputError(f"{model}: no such file")
        if pathlib.Path(model).suffix.lower() == portable.ENDING:
            portable.check_foreign(model)
        core = openvino_core.core()
        try:
            graph = core.read_model(str(model))
            shape = tuple(_lengths(graph.input().partial_shape))
            if self.batched:
                graph.reshape([-1, *shape[1:]])
            # Never left to the library, which takes bf16 silently where there is it.
            options = {"INFERENCE_PRECISION_HINT": "f32"}
            return core.compile_model(graph, "CPU", options), shape
        except untrusted.READING_ERRORS as error:
            first = (str(error).strip() or type(error).__name__).splitlines()[-1]
            raise InputError(f"{self.name}: cannot be read ({first})") from None

    def __call__(self, x: np.ndarray) -> list[np.ndarray]:
        """Returns every output of the network.

        Args:
            x: `(n, ...)` float32 as the network wants it.
        """
        x = np.ascontiguousarray(x, np.float32)
        if self.batched:
            return self._run(x)
        rows = [self._run(x[i : i + 1]) for i in range(len(x))]
        return [np.stack([r[k] for r in rows]) for k in range(len(rows[0]))]

    def _run(self, x: np.ndarray) -> list[np.ndarray]:
        result = self.compiled([x])
        return [np.array(result[port]) for port in self.compiled.outputs]


def _lengths(partial_shape: openvino.PartialShape) -> list[int]:
    """Returns the length of each axis, 0 for an open one."""
    return [0 if d.is_dynamic else d.get_length() for d in partial_shape]
