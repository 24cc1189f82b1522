"""Runs portable networks (`portable`) by OpenVINO, ONNX Runtime or LiteRT.

All are called alike: float32 arrays `(n, ...)` by the names of the inputs give float32
arrays by the names of the outputs.
"""

from __future__ import annotations

import collections
import importlib.util
import os
import threading
import types
import typing
from collections.abc import Mapping, Sequence

import numpy as np

from facedancer.errors import InputError
from facedancer.inference import openvino_core
from facedancer.inference.portable import PortableFile
from facedancer.storage import untrusted

if typing.TYPE_CHECKING:
    import openvino

# From which call on with pictures of one size the network is compiled for that size,
# and how many such are kept: it takes as long as some calls, and then saves a third.
_OFTEN, _KEPT = 8, 4
# Devices of ONNX Runtime: its provider, and the package that brings it along.
PROVIDERS = {
    "cpu": ("CPUExecutionProvider", "onnxruntime"),
    "cuda": ("CUDAExecutionProvider", "onnxruntime-gpu"),
    "coreml": ("CoreMLExecutionProvider", "onnxruntime"),
    "directml": ("DmlExecutionProvider", "onnxruntime-directml"),
}


_SIGNATURE = "serving_default"  # by which a LiteRT network is called
_REFUSALS = (
    "EPFail",
    "Fail",
    "InvalidArgument",
    "InvalidGraph",
    "InvalidProtobuf",
    "NoModel",
    "NoSuchFile",
    "NotImplemented",
    "RuntimeException",
)


class OpenVINORuntime:
    """Runs a network by OpenVINO on the CPU, pictures of any size.

    Args:
        file: The network.
        outputs: Names of the outputs that are wanted; None: all.

    Raises:
        InputError: If OpenVINO is not installed or cannot read the file.
    """

    name = "openvino"

    def __init__(self, file: PortableFile, outputs: Sequence[str] | None = None):
        self._file, self._outputs = file, outputs
        self._any_size = openvino_core.compiled(openvino_model(file, outputs))
        self._names = [tuple(port.names) for port in self._any_size.outputs]
        self._of_size: dict[tuple, openvino_core.SideBySide | None] = {}
        self._calls: collections.Counter[tuple] = collections.Counter()
        self._lock = threading.Lock()

    def __call__(self, feeds: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Returns the outputs by name, float32.

        Stages of a clip may share a network: a thread that asks meanwhile waits.

        Args:
            feeds: `(n, ...)` float32 arrays by the names of the inputs.
        """
        with (
            self._lock,
            untrusted.faults(self._file.path, "OpenVINO cannot run it"),
        ):
            often = self._for(feeds)
            if often is None:
                found = self._any_size(dict(feeds))
                values = [np.array(found[port]) for port in found]
            else:
                values = often(feeds)
        # A port has several names where an end's layer is called otherwise.
        return {
            name: value
            for names, value in zip(self._names, values, strict=True)
            for name in names
        }

    def _for(self, feeds: Mapping[str, np.ndarray]) -> openvino_core.SideBySide | None:
        """Returns what runs pictures of this size, None where it is not worth while."""
        shapes = tuple(
            (name, (1, *array.shape[1:])) for name, array in sorted(feeds.items())
        )
        if shapes in self._of_size:
            return self._of_size[shapes]
        self._calls[shapes] += 1
        if self._calls[shapes] < _OFTEN:
            return None
        if len(self._of_size) == _KEPT:
            oldest = next(iter(self._of_size))
            del self._of_size[oldest], self._calls[oldest]
        model = openvino_model(self._file, self._outputs, dict(shapes))
        rows = all(
            port.partial_shape.is_static and list(port.shape)[:1] == [1]
            for port in model.outputs
        )
        self._of_size[shapes] = openvino_core.SideBySide(model) if rows else None
        return self._of_size[shapes]


def openvino_model(
    file: PortableFile,
    outputs: Sequence[str] | None = None,
    shapes: Mapping[str, Sequence[int]] | None = None,
) -> openvino.Model:
    """Returns a network as an `openvino.Model`.

    Args:
        file: The network.
        outputs: Names of the outputs that are wanted; None: all.
        shapes: Shape of each input; None: as open as the file leaves them.

    Raises:
        InputError: If OpenVINO is not installed or cannot read the file, or the network
            has no such output.
    """
    core = openvino_core.core()
    with untrusted.faults(file.path, "OpenVINO cannot read it"):
        model = core.read_model(str(file.path))
        if outputs is not None:
            model = _with_outputs(model, file, outputs)
        if shapes:
            model.reshape({name: list(shape) for name, shape in shapes.items()})
    return model


def _with_outputs(
    model: openvino.Model, file: PortableFile, names: Sequence[str]
) -> openvino.Model:
    import openvino

    known = {name: port for port in model.outputs for name in port.names}
    check_outputs(file, names, tuple(known))
    wanted = [known[name].node for name in names]  # the results of these names
    return openvino.Model(wanted, model.get_parameters(), file.kind)


def check_outputs(
    file: PortableFile, wanted: Sequence[str], known: Sequence[str]
) -> None:
    """Refuses outputs that a network does not have.

    Args:
        file: The network.
        wanted: Names of outputs.
        known: Names of those it has.

    Raises:
        InputError: If one is not among them.
    """
    unknown = [name for name in wanted if name not in known]
    if unknown:
        raise InputError(
            f"{file.path}: the network has no output {', '.join(unknown)}; it gives "
            f"{', '.join(known)}"
        )


class OnnxRuntime:
    """Runs a network by ONNX Runtime.

    Args:
        file: The network.
        outputs: Names of the outputs that are wanted; None: all.
        device: Key of `PROVIDERS`.

    Raises:
        InputError: If ONNX Runtime or what the device needs is not installed, or it
            cannot read the file.
    """

    name = "onnxruntime"

    def __init__(
        self,
        file: PortableFile,
        outputs: Sequence[str] | None = None,
        device: str = "cpu",
    ):
        runtime = _onnxruntime(device)
        self._path, self._refusals = file.path, _refusals(runtime)
        providers = [PROVIDERS[device][0]]
        if device != "cpu":  # for operations that the device does not have
            providers.append(PROVIDERS["cpu"][0])
        options = runtime.SessionOptions()
        options.log_severity_level = 4  # errors are raised, and need not be printed
        try:
            self.session = runtime.InferenceSession(
                str(file.path), options, providers=providers
            )
        except self._refusals as error:
            raise InputError(
                f"{file.path}: ONNX Runtime cannot read it "
                f"({untrusted.first_line(error)})"
            ) from error
        known = [one.name for one in self.session.get_outputs()]
        check_outputs(file, outputs or (), known)
        if self.session.get_providers()[0] != providers[0]:
            raise InputError(
                f"--device={device}: ONNX Runtime could not start {providers[0]} on "
                "this machine (driver or libraries are missing). Take --device=cpu"
            )
        self.outputs = list(outputs or known)

    def __call__(self, feeds: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Returns the outputs by name, float32.

        Args:
            feeds: `(n, ...)` float32 arrays by the names of the inputs.
        """
        try:
            found = self.session.run(self.outputs, dict(feeds))
        except self._refusals as error:
            reason = untrusted.first_line(error)
            raise InputError(
                f"{self._path}: ONNX Runtime cannot run it ({reason})"
            ) from error
        return dict(zip(self.outputs, found, strict=True))


class LiteRTRuntime:
    """Runs a LiteRT network on the CPU, one example after the other.

    Args:
        file: The network, `.tflite`.
        outputs: Names of the outputs that are wanted; None: all.
        threads: Of one example.

    Raises:
        InputError: If LiteRT is not installed or cannot read the file.
    """

    name = "litert"

    def __init__(
        self,
        file: PortableFile,
        outputs: Sequence[str] | None = None,
        threads: int | None = None,
    ):
        if importlib.util.find_spec("ai_edge_litert") is None:
            raise InputError(
                "LiteRT is not installed. Install it with: pip install "
                '"facedancer[litert]"'
            )
        from ai_edge_litert import interpreter

        threads = threads or os.cpu_count()
        with untrusted.faults(file.path, "LiteRT cannot read it"):
            network = interpreter.Interpreter(str(file.path), num_threads=threads)
            self._run = network.get_signature_runner(_SIGNATURE)
            known = tuple(self._run.get_output_details())
        check_outputs(file, outputs or (), known)
        self.outputs = list(outputs or known)

    def __call__(self, feeds: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Returns the outputs by name, float32.

        Args:
            feeds: `(n, ...)` float32 arrays by the names of the inputs.
        """
        count = len(next(iter(feeds.values())))
        rows = [
            self._run(**{name: array[k : k + 1] for name, array in feeds.items()})
            for k in range(count)
        ]
        return {
            name: np.concatenate([row[name] for row in rows]) for name in self.outputs
        }


def _onnxruntime(device: str) -> types.ModuleType:
    """Returns the library, silenced, if it knows the device."""
    if importlib.util.find_spec("onnxruntime") is None:
        raise InputError(
            "ONNX Runtime is not installed. Install it with: pip install "
            '"facedancer[onnxruntime]"'
        )
    import onnxruntime

    onnxruntime.disable_telemetry_events()  # builds for Windows report their use
    provider, package = PROVIDERS[device]
    known = onnxruntime.get_available_providers()
    if provider not in known:
        raise InputError(
            f"--device={device} needs ONNX Runtime with {provider}, which is not in "
            f"the one installed (it has {', '.join(known)}). Install it with: pip "
            f"install {package}"
        )
    return onnxruntime


def _refusals(runtime: types.ModuleType) -> tuple[type[Exception], ...]:
    """Returns what ONNX Runtime raises; its errors have no class in common."""
    state = runtime.capi.onnxruntime_pybind11_state
    return tuple(getattr(state, name) for name in _REFUSALS)


def run_by(
    name: str,
    file: PortableFile,
    outputs: Sequence[str] | None = None,
    device: str = "cpu",
) -> OpenVINORuntime | OnnxRuntime:
    """Returns what runs a network.

    Args:
        name: `"openvino"` or `"onnxruntime"`.
        file: The network.
        outputs: Names of the outputs that are wanted; None: all.
        device: Key of `PROVIDERS`, for ONNX Runtime.

    Raises:
        InputError: See the classes.
    """
    if name == OnnxRuntime.name:
        return OnnxRuntime(file, outputs, device)
    return OpenVINORuntime(file, outputs)
