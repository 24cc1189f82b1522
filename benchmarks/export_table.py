"""Prints a swapper's exports as a table: size, parity with Keras, milliseconds a face.

    python benchmarks/export_table.py --preset mobile_fsgan_256
    python benchmarks/export_table.py --generator generator.keras

Parity is measured on twelve views of a portrait in the package, in steps of 255. Random
weights are as large and as fast as trained ones, but their parity says nothing: give a
trained --generator for that.
"""

from __future__ import annotations

import dataclasses
import os
import pathlib
import tempfile
import time
from collections.abc import Callable

import keras
import numpy as np

from facedancer import cli
from facedancer.errors import InputError
from facedancer.flags.settings import Checked, ranged
from facedancer.imaging import sample_photos
from facedancer.inference import portable, runtimes
from facedancer.models import export, load_generator, portable_generator, saving
from facedancer.models.architectures import ARCHITECTURES
from facedancer.networks.network import Network

_LITERT = ("f32", "f16", "int8")


@dataclasses.dataclass(frozen=True)
class TableSettings(Checked):
    """What is measured.

    Attributes:
        preset: Preset of any family, with random weights; not used with a file.
        generator: A trained generator, .keras or .h5.
        threads: Of LiteRT.
        rounds: How often the twelve faces are run; the fastest round counts.
    """

    preset: str = "mobile_fsgan_256"
    generator: str = ""
    threads: int = ranged(2, low=1)
    rounds: int = ranged(3, low=1)


def main(settings: TableSettings) -> int:
    """Runs the program.

    Args:
        settings: What the flags say.
    """
    network = _network(settings)
    feeds = _feeds(network)
    expected = np.asarray(network.named(feeds)["swapped"])
    print(f"{network.describe()}\n")
    print("| file | MB | largest difference | mean | ms a face |")
    print("|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for name, path, run in _files(network, pathlib.Path(folder), settings):
            found = run(feeds)["swapped"]
            apart = 127.5 * np.abs(found - expected)
            size = saving.bytes_of(path) / 1e6
            took = min(_seconds(run, feeds) for _ in range(settings.rounds))
            face = 1e3 * took / len(expected)
            words = f"| {name} | {size:.2f} | {apart.max():.3f} | {apart.mean():.4f} |"
            print(f"{words} {face:.1f} |", flush=True)
    return cli.DONE


def _network(settings: TableSettings) -> Network:
    if settings.generator:
        return load_generator(settings.generator)
    for family in ARCHITECTURES.values():
        if settings.preset in family.presets["generator"]:
            config = family.presets["generator"][settings.preset]
            keras.utils.set_random_seed(0)
            return family.networks["generator"](config)
    raise InputError(f"--preset is unknown. Received: {settings.preset}")


def _feeds(network: Network) -> dict[str, np.ndarray]:
    contract = network.contract
    faces = sample_photos.example_faces(contract.image.size)
    feeds = network.example_inputs(batch=len(faces))
    feeds["target"] = contract.image.from_uint8(faces)
    return feeds


def _files(network: Network, folder: pathlib.Path, settings: TableSettings):
    """Yields name, file and what runs it."""
    path = folder / "portable.onnx"
    portable_generator.save(network, path, {})
    file = portable.read(path)
    yield "ONNX, OpenVINO", path, runtimes.OpenVINORuntime(file, ("swapped",))
    yield "ONNX, ONNX Runtime", path, runtimes.OnnxRuntime(file, ("swapped",))
    for precision in _LITERT:
        path = folder / f"{precision}.tflite"
        export.export(network, path, precision)
        run = runtimes.LiteRTRuntime(
            portable.read(path), ("swapped",), settings.threads
        )
        yield f"LiteRT {precision}", path, run


def _seconds(run: Callable, feeds: dict[str, np.ndarray]) -> float:
    start = time.perf_counter()
    run(feeds)
    return time.perf_counter() - start


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    cli.run(main, TableSettings)
