"""Writes generators for other runtimes, runs them there and compares with Keras."""

from __future__ import annotations

import importlib
import importlib.util
import os
import pathlib

import keras
import numpy as np

from facedancer.errors import InputError
from facedancer.inference import openvino_core, portable, runtimes
from facedancer.models import litert, saving
from facedancer.networks.network import Network
from facedancer.networks.tensors import Tensor
from facedancer.storage import files

# Ending: Keras's name of the format, and the packages that write and run it.
FORMATS = {
    "": ("tf_saved_model", ()),
    ".onnx": ("onnx", ("onnx", "tf2onnx", "onnxruntime")),
    ".tflite": ("litert", ("ai_edge_litert",)),
    ".xml": ("openvino", ("openvino",)),
}
_NATIVE = (".keras", ".h5")


def export(model: Network, path: str | os.PathLike, precision: str = "f32") -> float:
    """Writes a model for a runtime, runs it there and compares.

    Args:
        model: A generator or discriminator, of any form.
        path: The file or folder; its ending decides the format, see `FORMATS`.
        precision: Of a LiteRT file: one of `choices.PRECISIONS`.

    Returns:
        The largest difference between the outputs of the runtime and of Keras.

    Raises:
        InputError: If the ending is unknown, a package is missing or the format has
            no such precision.
    """
    path = pathlib.Path(path)
    check(path, precision)
    inputs = model.example_inputs(batch=1)
    expected = model.named(inputs)
    if path.suffix in _NATIVE:
        saving.save(model, path)
        with saving.quiet():
            found = keras.saving.load_model(path).named(inputs)
    elif path.suffix == portable.LITERT:
        litert.save(model, path, precision)
        found = _RUN[path.suffix](path, inputs)
    else:
        companions = (".bin",) if path.suffix == ".xml" else ()
        kind = FORMATS[path.suffix][0]
        named = saving.with_named_ends(model)
        named(list(inputs.values()))  # some formats want a network that was called
        with files.whole(path, *companions) as temporary, saving.quiet():
            _export(named, temporary, kind, path)
        found = _RUN[path.suffix](path, inputs)
    return saving.difference(expected, found)


def _export(
    named: keras.Model, temporary: pathlib.Path, kind: str, path: pathlib.Path
) -> None:
    try:
        named.export(str(temporary), format=kind, verbose=False)
    except RuntimeError as error:
        if "iostream error" not in str(error):  # so OpenVINO says that a disk is full
            raise
        raise files.not_written(path, error) from None


def check(path: pathlib.Path, precision: str = "f32") -> None:
    """Refuses a format that cannot be written here.

    Args:
        path: The file or folder to be written.
        precision: Of a LiteRT file: one of `choices.PRECISIONS`.

    Raises:
        InputError: If the ending is unknown or a package is missing.
    """
    known = [*_NATIVE, *FORMATS]
    if path.suffix not in known:
        raise InputError(
            f"{path}: unknown format. Expected a name that ends in "
            f"{', '.join(ending for ending in known if ending)}, or in nothing for a "
            "SavedModel"
        )
    if precision != "f32" and path.suffix != portable.LITERT:
        raise InputError(
            f"--precision={precision} is for LiteRT, a name that ends in "
            f"{portable.LITERT}. Received: {path}"
        )
    packages = FORMATS.get(path.suffix, ("", ()))[1]
    missing = [name for name in packages if importlib.util.find_spec(name) is None]
    if missing:
        raise InputError(
            f"{path}: {', '.join(missing)} not installed. Install it with: pip install "
            '"facedancer[export]"'
        )


def _run_saved_model(
    path: pathlib.Path, inputs: dict[str, np.ndarray]
) -> dict[str, Tensor]:
    layer = keras.layers.TFSMLayer(str(path), call_endpoint="serving_default")
    tensors = {k: keras.ops.convert_to_tensor(v) for k, v in inputs.items()}
    return layer.call_endpoint_fn(**tensors)  # a layer's call has no names


def _run_onnx(
    path: pathlib.Path, inputs: dict[str, np.ndarray]
) -> dict[str, np.ndarray]:
    runtime = importlib.import_module("onnxruntime")
    session = runtime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, inputs), strict=True))


def _run_litert(
    path: pathlib.Path, inputs: dict[str, np.ndarray]
) -> dict[str, np.ndarray]:
    file = portable.PortableFile(path, "", {})  # a discriminator has no description
    return runtimes.LiteRTRuntime(file)(inputs)


def _run_openvino(
    path: pathlib.Path, inputs: dict[str, np.ndarray]
) -> dict[str, np.ndarray]:
    # Without the hint some CPUs compute in bfloat16.
    model = openvino_core.core().compile_model(
        str(path), "CPU", {"INFERENCE_PRECISION_HINT": "f32"}
    )
    found = model(inputs)
    # A port has several names where the network's layers have others than its ends.
    return {name: found[port] for port in model.outputs for name in port.names}


_RUN = {
    "": _run_saved_model,
    ".onnx": _run_onnx,
    ".tflite": _run_litert,
    ".xml": _run_openvino,
}
