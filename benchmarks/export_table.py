"""Prints a swapper's exports as a table: size, parity with Keras, milliseconds a face.

    python benchmarks/export_table.py --preset mobile_fsgan_256
    python benchmarks/export_table.py --generator generator.keras

and one of the identity encoder's. Parity is measured on twelve views of a portrait in
the package, the picture's in steps of 255. Random weights are as large and as fast as
trained ones, but their parity says nothing: give a trained --generator for that. Core
ML stands in it where coremltools is installed; off a Mac its operations are computed
one by one, so its milliseconds are left out.
"""

from __future__ import annotations

import dataclasses
import functools
import importlib.util
import os
import pathlib
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from typing import TypeAlias

import keras
import numpy as np

from facedancer import cli
from facedancer.arcface_model import (
    Encoder,
    cosine_matrix,
    fold,
    load_encoder,
    portable_encoder,
)
from facedancer.errors import InputError
from facedancer.flags.settings import Checked, ranged
from facedancer.imaging import sample_photos
from facedancer.inference import portable, runtimes
from facedancer.models import (
    coreml,
    litert,
    load_generator,
    portable_generator,
    saving,
)
from facedancer.models.architectures import ARCHITECTURES
from facedancer.networks.network import Network
from facedancer.storage import weights

_ONNX = {"OpenVINO": runtimes.OpenVINORuntime, "ONNX Runtime": runtimes.OnnxRuntime}
Feeds: TypeAlias = Mapping[str, np.ndarray]
Run: TypeAlias = Callable[[Feeds], dict[str, np.ndarray] | None]


@dataclasses.dataclass(frozen=True)
class TableSettings(Checked):
    """What is measured.

    Attributes:
        preset: Preset of any family, with random weights; not used with a file.
        generator: A trained generator, .keras or .h5.
        encoder: The identity encoder; empty: the packaged one.
        faces: How many views of the portrait are compared.
        threads: Of LiteRT.
        rounds: How often the faces are run; the fastest round counts.
    """

    preset: str = "mobile_fsgan_256"
    generator: str = ""
    encoder: str = ""
    faces: int = ranged(12, low=1, high=12)
    threads: int = ranged(2, low=1)
    rounds: int = ranged(3, low=1)


def main(settings: TableSettings) -> int:
    """Runs the program.

    Args:
        settings: What the flags say.
    """
    network = _network(settings)
    print(f"{network.describe()}\n")
    print("| file | MB | largest difference | mean | ms a face |")
    print("|---|---|---|---|---|")
    _measure(network, _feeds(network, settings), "swapped", _steps, settings)
    encoder = fold(load_encoder(settings.encoder or weights.find("encoder")))
    print(f"\n{encoder.describe()}\n")
    print("| file | MB | smallest cosine | mean | ms a face |")
    print("|---|---|---|---|---|")
    faces = sample_photos.example_faces(encoder.contract.size)[: settings.faces]
    (name,), (end,) = encoder.feed_names, encoder.result_names
    feeds = {name: encoder.contract.from_uint8(faces)}
    _measure(encoder, feeds, end, _cosines, settings)
    return cli.DONE


def _measure(
    network: Network,
    feeds: Feeds,
    end: str,
    compare: Callable[[np.ndarray, np.ndarray], str],
    settings: TableSettings,
) -> None:
    """Prints the rows of a network."""
    expected = np.asarray(network.named(feeds)[end])
    with tempfile.TemporaryDirectory() as folder:
        for name, path, run in _files(network, pathlib.Path(folder), end, settings):
            size, apart = saving.bytes_of(path) / 1e6, "- | -"
            first = run({key: values[:1] for key, values in feeds.items()})
            if first is not None:
                apart = compare(_rows(run, feeds, end), expected)
            speed = "-"
            if not name.startswith("Core ML"):
                took = min(_seconds(run, feeds) for _ in range(settings.rounds))
                speed = f"{1e3 * took / len(expected):.1f}"
            print(f"| {name} | {size:.2f} | {apart} | {speed} |", flush=True)


def _rows(run: Run, feeds: Feeds, end: str) -> np.ndarray:
    """Returns what a runtime makes of each example by itself."""
    count = len(next(iter(feeds.values())))
    rows = [
        run({name: values[i : i + 1] for name, values in feeds.items()})
        for i in range(count)
    ]
    return np.concatenate([found[end] for found in rows if found is not None])


def _steps(found: np.ndarray, expected: np.ndarray) -> str:
    apart = 127.5 * np.abs(found - expected)
    return f"{apart.max():.3f} | {apart.mean():.4f}"


def _cosines(found: np.ndarray, expected: np.ndarray) -> str:
    alike = np.diag(cosine_matrix(found, expected))
    return f"{alike.min():.5f} | {alike.mean():.5f}"


def _network(settings: TableSettings) -> Network:
    if settings.generator:
        return load_generator(settings.generator)
    for family in ARCHITECTURES.values():
        if settings.preset in family.presets["generator"]:
            config = family.presets["generator"][settings.preset]
            keras.utils.set_random_seed(0)
            return family.networks["generator"](config)
    raise InputError(f"--preset is unknown. Received: {settings.preset}")


def _feeds(network: Network, settings: TableSettings) -> Feeds:
    contract = network.contract
    faces = sample_photos.example_faces(contract.image.size)[: settings.faces]
    feeds = network.example_inputs(batch=len(faces))
    feeds["target"] = contract.image.from_uint8(faces)
    return feeds


def _files(
    network: Network, folder: pathlib.Path, end: str, settings: TableSettings
) -> Iterator[tuple[str, pathlib.Path, Run]]:
    """Yields name, file and what runs it."""
    path = folder / "portable.onnx"
    if isinstance(network, Encoder):
        portable_encoder.save(network, path, {})
    else:
        portable_generator.save(network, path, {})
    for name, kind in _ONNX.items():
        yield f"ONNX, {name}", path, _renamed(network, kind(portable.read(path)), end)
    for precision in litert.PRECISIONS:
        path = folder / f"{precision}.tflite"
        litert.save(network, path, precision)
        bare = portable.PortableFile(path, "", {})
        run = runtimes.LiteRTRuntime(bare, (end,), settings.threads)
        yield f"LiteRT {precision}", path, run
    if importlib.util.find_spec("coremltools") is None:
        return
    for precision in coreml.PRECISIONS:
        path = folder / f"{precision}{coreml.ENDING}"
        coreml.save(network, path, precision)
        yield f"Core ML {precision}", path, functools.partial(coreml.run, path)


def _renamed(network: Network, runtime: Run, end: str) -> Run:
    """Returns a runtime that is fed by the names of Keras: encoders get others."""
    if not isinstance(network, Encoder):
        return runtime

    def run(feeds: Feeds) -> dict[str, np.ndarray]:
        found = runtime({"image": next(iter(feeds.values()))})
        return {end: (found or {})[portable_encoder.EMBEDDING]}

    return run


def _seconds(run: Run, feeds: Feeds) -> float:
    start = time.perf_counter()
    run(feeds)
    return time.perf_counter() - start


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    cli.run(main, TableSettings)
