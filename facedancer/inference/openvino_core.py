"""The one OpenVINO core of this process.

Each core gives signals a stack of its own while it lives. Of two, the one that ends
last puts back the other's, which is gone: the next Ctrl-C then ends the process with a
segmentation fault (OpenVINO 2026.4, `SigAltStackSetup` of its CPU plugin). So there is
one core, and it lives as long as the process.
"""

from __future__ import annotations

import functools
import importlib
import os
import sys
import threading
import types
import typing
from collections.abc import Mapping

import numpy as np

if typing.TYPE_CHECKING:
    import openvino

CACHE = "FACEDANCER_CACHE"  # environment variable: folder of converted networks
_CONVERTER = "openvino.tools.ovc"


@functools.cache
def core() -> openvino.Core:
    """Returns the `openvino.Core` that everything here compiles its networks with.

    Compiled networks are kept where the environment variable `CACHE` names a folder,
    and nowhere else: without being asked nothing is left on the disk.

    Raises:
        OSError: If that folder cannot be made.
    """
    openvino = _library()
    core = openvino.Core()
    if os.environ.get(CACHE):
        folder = os.path.join(os.environ[CACHE], "compiled")
        os.makedirs(folder, exist_ok=True)
        if os.access(folder, os.W_OK):
            core.set_property({"CACHE_DIR": folder})
    return core


def _library() -> types.ModuleType:
    """Imports OpenVINO, its converter of other formats only when it is called.

    The converter takes some 40 % of the time of the import, and few programs need it.
    """
    if "openvino" not in sys.modules:
        nothing: types.ModuleType = None  # type: ignore[assignment]  # as imports read it
        sys.modules[_CONVERTER] = nothing  # OpenVINO goes without where this fails
        try:
            library = importlib.import_module("openvino")
        finally:
            del sys.modules[_CONVERTER]
        vars(library).setdefault("convert_model", _convert_model)
    return importlib.import_module("openvino")


def _convert_model(*args: object, **options: object) -> openvino.Model:
    return importlib.import_module(_CONVERTER).convert_model(*args, **options)


def compiled(
    model: openvino.Model, precision: str = "f32", side_by_side: bool = False
) -> openvino.CompiledModel:
    """Returns a network ready to run on the CPU.

    Args:
        model: The network.
        precision: What it computes in; never left to the library, which takes bf16
            silently where there is it.
        side_by_side: Whether several calls are to run at once, a thread each, instead
            of one by all threads.
    """
    options: dict[str, typing.Any] = {"INFERENCE_PRECISION_HINT": precision}
    if side_by_side:
        # Not bound to a core each: other work takes its turns on them.
        options |= {"PERFORMANCE_HINT": "THROUGHPUT", "ENABLE_CPU_PINNING": False}
    return core().compile_model(model, "CPU", options)


class SideBySide:
    """Runs a network example by example, several at a time, a thread each.

    Threads that share one example wait for each other in a loop: a detector took 37 ms
    of two cores for a picture and takes 25 of one, with other stages on the other.

    Args:
        model: A network for one example, all shapes known.
        precision: See `compiled`.

    Attributes:
        compiled: The network, ready to run.
    """

    def __init__(self, model: openvino.Model, precision: str = "f32") -> None:
        self.compiled = compiled(model, precision, side_by_side=True)
        self._shapes = [list(port.shape)[1:] for port in self.compiled.outputs]
        count = self.compiled.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS")
        self._requests = [self.compiled.create_infer_request() for _ in range(count)]
        self._lock = threading.Lock()

    def __call__(self, feeds: Mapping[typing.Any, np.ndarray]) -> list[np.ndarray]:
        """Returns the outputs in their order, `(n, ...)` float32 each.

        Args:
            feeds: `(n, ...)` arrays by the names or numbers of the inputs.
        """
        with self._lock:  # stages of a clip may share a network
            return self._run(feeds)

    def _run(self, feeds: Mapping[typing.Any, np.ndarray]) -> list[np.ndarray]:
        count = len(next(iter(feeds.values())))
        results = [np.empty((count, *shape), np.float32) for shape in self._shapes]
        ahead = len(self._requests)
        for i in range(count + ahead):
            request = self._requests[i % ahead]
            if 0 <= i - ahead < count:
                request.wait()
                for result, tensor in zip(results, request.output_tensors, strict=True):
                    result[i - ahead] = tensor.data[0]
            if i < count:
                request.start_async({k: v[i : i + 1] for k, v in feeds.items()})
        return results
