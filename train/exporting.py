"""A trained generator as files for the swapping programs."""

from __future__ import annotations

import os
import pathlib
import shutil

import keras
import numpy as np

from facedancer.errors import InputError
from facedancer.models import build_generator

SUFFIX = {"onnx": ".onnx", "litert": ".tflite", "saved_model": ""}
_KERAS_NAME = {"onnx": "onnx", "litert": "litert", "saved_model": "tf_saved_model"}


def plain_generator(config, arrays: dict[str, np.ndarray]) -> keras.Model:
    """Returns the averaged generator of a checkpoint, else the generator.

    Args:
        config: Its `GeneratorConfig`.
        arrays: Of the checkpoint.

    Raises:
        InputError: If the checkpoint holds another structure.
    """
    part = "average/" if "average/0000" in arrays else "generator/"
    generator = build_generator(config, "plain", "float32")
    values = [arrays[name] for name in sorted(arrays) if name.startswith(part)]
    try:
        generator.set_weights(values)
    except ValueError as error:
        raise InputError(
            f"The checkpoint is of another generator than the flags: {error}"
        ) from None
    return generator


def export(
    generator: keras.Model,
    folder: str | os.PathLike,
    name: str,
    formats: tuple[str, ...] = (),
) -> list[tuple[pathlib.Path, float]]:
    """Writes a generator as `.keras` and `.h5`, and in further formats.

    Args:
        generator: What is written.
        folder: Where to.
        name: Of the files, without ending.
        formats: Of `onnx`, `litert` and `saved_model`.

    Returns:
        Each file and the largest difference of its output to the generator's, on a
        fixed random input.

    Raises:
        InputError: If a format needs a package that is missing.
    """
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for suffix in (".keras", ".h5"):
        path = folder / f"{name}{suffix}"
        temporary = folder / f".tmp-{os.getpid()}-{name}{suffix}"
        try:
            generator.save(temporary)
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)
        written.append((path, _difference(generator, _keras_runner(path))))
    for kind in formats:
        path = folder / f"{name}{SUFFIX[kind]}"
        _export_to(generator, kind, path)
        written.append((path, _difference(generator, _RUNNERS[kind](path))))
    return written


def _export_to(generator, kind, path):
    generator(_example(generator))  # the exporters want a model that was called
    temporary = path.with_name(f".tmp-{os.getpid()}-{path.name}")
    try:
        generator.export(temporary, format=_KERAS_NAME[kind], verbose=False)
        if path.is_dir():
            shutil.rmtree(path)
        os.replace(temporary, path)
    except ImportError as error:
        raise InputError(
            f"--export_formats={kind} needs a package that is missing ({error}): "
            'pip install "facedancer[export]"'
        ) from None
    finally:
        if temporary.is_dir():
            shutil.rmtree(temporary)
        temporary.unlink(missing_ok=True)


def _example(generator):
    random = np.random.default_rng(0)
    shapes = [tuple(part.shape[1:]) for part in generator.inputs]
    target = random.uniform(-1, 1, (1, *shapes[0])).astype(np.float32)
    return [target, random.normal(size=(1, *shapes[1])).astype(np.float32)]


def _difference(generator, runner) -> float:
    inputs = _example(generator)
    expected = np.asarray(generator(inputs, training=False))
    return float(np.abs(np.asarray(runner(inputs)) - expected).max())


def _keras_runner(path):
    from facedancer.models import load_generator

    return load_generator(path)


def _onnx_runner(path):
    import onnxruntime

    session = onnxruntime.InferenceSession(path)
    names = [part.name for part in session.get_inputs()]
    return lambda inputs: session.run(None, dict(zip(names, inputs, strict=True)))[0]


def _litert_runner(path):
    import tensorflow as tf

    interpreter = tf.lite.Interpreter(str(path))
    interpreter.allocate_tensors()
    # The order of the inputs is not kept: they are told apart by their rank.
    places = {len(d["shape"]): d["index"] for d in interpreter.get_input_details()}

    def run(inputs):
        for value in inputs:
            interpreter.set_tensor(places[value.ndim], value)
        interpreter.invoke()
        return interpreter.get_tensor(interpreter.get_output_details()[0]["index"])

    return run


def _saved_model_runner(path):
    import tensorflow as tf

    model = tf.saved_model.load(str(path))
    return lambda inputs: model.serve(inputs)


_RUNNERS = {
    "onnx": _onnx_runner,
    "litert": _litert_runner,
    "saved_model": _saved_model_runner,
}
