"""Exports a generator for other runtimes, and compares each with Keras.

    python models/export.py generator.keras generator.onnx --fused

The ending of the second argument decides: `.keras`, `.h5`, `.onnx`, `.tflite` (LiteRT),
`.xml` (OpenVINO, with a `.bin` beside it); a name without an ending becomes a
TensorFlow SavedModel. A LiteRT file may hold 16 or 8 bits (`--precision=int8`) and
swaps without TensorFlow (`--engine=litert`). The exported file is run on a seeded
random input and the largest difference to Keras is printed.
"""

from __future__ import annotations

import dataclasses
import importlib
import importlib.util
import os
import pathlib

import keras
import numpy as np

from facedancer import claims, cli, files, openvino_core, portable, runtimes
from facedancer.errors import InputError
from facedancer.models import litert, saving
from facedancer.models.architectures import fuse
from facedancer.models.published import reading
from facedancer.network import Network
from facedancer.settings import Checked, choice, positional
from facedancer.tensors import Tensor

# Ending: Keras's name of the format, and the packages that write and run it.
FORMATS = {
    "": ("tf_saved_model", ()),
    ".onnx": ("onnx", ("onnx", "tf2onnx", "onnxruntime")),
    ".tflite": ("litert", ("ai_edge_litert",)),
    ".xml": ("openvino", ("openvino",)),
}
_NATIVE = (".keras", ".h5")


@dataclasses.dataclass(frozen=True)
class ExportSettings(Checked):
    """What is exported, and where to.

    Attributes:
        source: A generator, as `facedancer-convert` reads it.
        destination: The file or folder; its ending decides the format.
        fused: Export the fused form: the same function with fewer operations.
        precision: Of a LiteRT file: f32, f16 (weights of 16 bits) or int8 (integers,
            their ranges from a few faces).
    """

    source: str = positional("IN.keras")
    destination: str = positional("OUT")
    fused: bool = True
    precision: str = choice("f32", litert.PRECISIONS)


def export(model: Network, path: str | os.PathLike, precision: str = "f32") -> float:
    """Writes a model for a runtime, runs it there and compares.

    Args:
        model: A generator or discriminator, of any form.
        path: The file or folder; its ending decides the format, see `FORMATS`.
        precision: See `ExportSettings`.

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
        precision: See `ExportSettings`.

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
    return {port.get_any_name(): found[port] for port in model.outputs}


_RUN = {
    "": _run_saved_model,
    ".onnx": _run_onnx,
    ".tflite": _run_litert,
    ".xml": _run_openvino,
}


def main(settings: ExportSettings) -> int:
    """Exports and prints; returns the exit status.

    Args:
        settings: What the flags say.
    """
    check(pathlib.Path(settings.destination), settings.precision)
    model = reading.load_generator(settings.source)
    if settings.fused:
        model = fuse(model)
    with claims.claimed(settings.destination):
        difference = export(model, settings.destination, settings.precision)
    size = saving.bytes_of(settings.destination) / 1e6
    print(
        f"{settings.destination}: {size:.1f} MB, largest output difference "
        f"{difference:.2e}"
    )
    return cli.DONE


if __name__ == "__main__":
    cli.run(main, ExportSettings)
