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
from facedancer.models import choices, coreml, litert, saving
from facedancer.networks.network import Network
from facedancer.networks.tensors import Tensor
from facedancer.storage import files

# Ending: Keras's name of the format, empty where it is written in another way, and the
# packages that write and run it.
FORMATS = {
    "": ("tf_saved_model", ()),
    ".onnx": ("onnx", ("onnx", "tf2onnx", "onnxruntime")),
    ".tflite": ("litert", ("ai_edge_litert",)),
    ".xml": ("openvino", ("openvino",)),
    coreml.ENDING: ("", ("coremltools",)),
}
# Extras that bring packages along, by the package; others come with `export`.
_EXTRAS = {"coremltools": "coreml"}
# Endings of what is written in other precisions than f32, which are these.
_PRECISIONS = {
    portable.LITERT: choices.PRECISIONS,
    coreml.ENDING: tuple(coreml.PRECISIONS),
}
_SAVE = {portable.LITERT: litert.save, coreml.ENDING: coreml.save}
_NATIVE = (".keras", ".h5")


def export(
    model: Network, path: str | os.PathLike, precision: str = "f32"
) -> float | None:
    """Writes a model for a runtime, runs it there and compares.

    Args:
        model: A generator or discriminator, of any form.
        path: The file or folder; its ending decides the format, see `FORMATS`.
        precision: Of LiteRT one of `choices.PRECISIONS`, of Core ML f32 or f16.

    Returns:
        The largest difference between the outputs of the runtime and of Keras; None
        where the file cannot be run here: Core ML off a Mac, see `coreml_program`.

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
    elif path.suffix in _SAVE:
        _SAVE[path.suffix](model, path, precision)
        found = _RUN[path.suffix](path, inputs)
    else:
        companions = (".bin",) if path.suffix == ".xml" else ()
        kind = FORMATS[path.suffix][0]
        named = saving.with_named_ends(model)
        named(list(inputs.values()))  # some formats want a network that was called
        with files.whole(path, *companions) as temporary, saving.quiet():
            _export(named, temporary, kind, path)
        found = _RUN[path.suffix](path, inputs)
    return None if found is None else saving.difference(expected, found)


def _export(
    named: keras.Model, temporary: pathlib.Path, kind: str, path: pathlib.Path
) -> None:
    try:
        named.export(str(temporary), format=kind, verbose=False)
    except RuntimeError as error:
        if "iostream error" not in str(error):  # so OpenVINO says that a disk is full
            raise
        raise files.not_written(path, error) from None


def words(difference: float | None) -> str:
    """Returns what a program says of a difference.

    Args:
        difference: From `export`.
    """
    if difference is None:
        return "not compared with Keras, which takes a Mac"
    return f"largest output difference {difference:.2e}"


def check(path: pathlib.Path, precision: str = "f32") -> None:
    """Refuses a format that cannot be written here.

    Args:
        path: The file or folder to be written.
        precision: See `export`.

    Raises:
        InputError: If the ending is unknown, a package is missing or the format has
            no such precision.
    """
    known = [*_NATIVE, *FORMATS]
    if path.suffix not in known:
        raise InputError(
            f"{path}: unknown format. Expected a name that ends in "
            f"{', '.join(ending for ending in known if ending)}, or in nothing for a "
            "SavedModel"
        )
    if precision not in _PRECISIONS.get(path.suffix, ("f32",)):
        able = [end for end, several in _PRECISIONS.items() if precision in several]
        raise InputError(
            f"--precision={precision} is for names that end in {' or '.join(able)}. "
            f"Received: {path}"
        )
    packages = FORMATS.get(path.suffix, ("", ()))[1]
    missing = [name for name in packages if importlib.util.find_spec(name) is None]
    if missing:
        extra = _EXTRAS.get(missing[0], "export")
        raise InputError(
            f"{path}: {', '.join(missing)} not installed. Install it with: pip install "
            f'"facedancer[{extra}]"'
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
    coreml.ENDING: coreml.run,
}
