"""How fast the detectors are, as ratios to the slowest of them.

    python benchmarks/detector.py --paths=detector.keras --height=360 --width=640

Times are medians, so other work on the machine disturbs ratios less than seconds. The
photo is scikit-image's astronaut (NASA, public domain) in a dark frame.
"""

from __future__ import annotations

import dataclasses
import json
import time

import numpy as np
from skimage import data, transform

from facedancer import cli
from facedancer.retinaface import MtcnnDetector, RetinaFaceDetector, build_retinaface
from facedancer.retinaface.detector import DetectorOptions
from facedancer.retinaface.loading import load_network
from facedancer.retinaface.network import fold


@dataclasses.dataclass(frozen=True)
class BenchmarkSettings:
    """What is measured.

    Attributes:
        paths: Detector files beside mtcnn and an untrained MobileNet0.25.
        height: Of the searched frames in pixels.
        width: Of the searched frames in pixels.
        batch_size: Frames given at once.
        repeats: Timed calls, of which the median counts.
    """

    paths: tuple[str, ...] = ()
    height: int = 360
    width: int = 640
    batch_size: int = 1
    repeats: int = 15


def make_frames(settings: BenchmarkSettings) -> list[np.ndarray]:
    """Returns frames with one face.

    Args:
        settings: Number and size.
    """
    side = min(settings.height, settings.width)
    face = transform.resize(data.astronaut(), (side, side), preserve_range=True)
    frame = np.full((settings.height, settings.width, 3), 40, np.uint8)
    frame[:side, :side] = face.astype(np.uint8)
    return [frame] * settings.batch_size


def median_seconds(call, repeats: int) -> float:
    """Returns the median time of a call, after two that do not count.

    Args:
        call: A function without arguments.
        repeats: Timed calls.
    """
    times = []
    for _ in range(repeats + 2):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return float(np.median(times[2:]))


def measure(settings: BenchmarkSettings) -> dict[str, float]:
    """Returns seconds per frame by what was run.

    Args:
        settings: What is measured.
    """
    size = max(settings.height, settings.width)
    options = DetectorOptions(working_size=size, batch_size=settings.batch_size)
    frames = make_frames(settings)
    networks = {"untrained mobilenet025": _without_faces(build_retinaface())}
    networks |= {path: load_network(path) for path in settings.paths}
    calls = {"mtcnn": MtcnnDetector(options).detect_batch}
    for name, network in networks.items():
        calls[name] = RetinaFaceDetector(network, options).detect_batch
    batch = np.stack(frames).astype(np.float32)
    network = networks["untrained mobilenet025"]
    calls["  its network"] = lambda _: network.predict_on_batch(batch)
    folded = fold(network)
    calls["  its network, folded"] = lambda _: folded.predict_on_batch(batch)
    return {
        name: median_seconds(lambda call=call: call(frames), settings.repeats)
        / settings.batch_size
        for name, call in calls.items()
    }


def _without_faces(network):
    """New weights see half a face everywhere, which would time the suppression."""
    for level in (1, 2, 3):
        network.get_layer(f"classes{level}_conv").bias.assign([9.0, -9.0] * 2)
    return network


def main(settings: BenchmarkSettings) -> int:
    """Prints one line a detector, and the figures as JSON."""
    seconds = measure(settings)
    slowest = max(seconds.values())
    for name, value in seconds.items():
        print(f"{name:<28} {1 / value:8.1f} frames/s  {slowest / value:6.2f}x")
    print(json.dumps({name: slowest / value for name, value in seconds.items()}))
    return cli.DONE


if __name__ == "__main__":
    cli.run(main, BenchmarkSettings)
