"""Measures how fast a swap is on this machine, stage by stage.

python video_swap/benchmark.py --preset_name=facedancer_c

The clip is made here: faces (NASA's portrait of Eileen Collins, public domain, from
scikit-image) that move over a grey ground. Without files the networks have random
weights, which are as fast as trained ones. Times are milliseconds a frame; `cold` is
the first frame with loading and compiling, `warm` the frames a second of the whole
chain, all stages side by side.
"""

from __future__ import annotations

import dataclasses
import functools
import pathlib
import tempfile
import time
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import TypeVar

import cv2
import numpy as np

from facedancer import cli, sample_photos
from facedancer.arcface_model import Embedder, build_mobilefacenet, load_encoder
from facedancer.models import build_generator, get_preset, load_generator
from facedancer.models.families.built_network import SwapperNetwork
from facedancer.retinaface import load_detector
from facedancer.settings import Checked, choice, ranged
from facedancer.video_swap.clips import clip_stages, segments
from facedancer.video_swap.engines import devices, make
from facedancer.video_swap.media import joining, video_reader, video_writer
from facedancer.video_swap.provenance import watermark
from facedancer.video_swap.settings import ENGINES, PRECISIONS
from facedancer.video_swap.swapping import identities
from facedancer.video_swap.swapping.swapper import FaceJob, FaceSwapper

_HEIGHTS = {"480p": (854, 480), "720p": (1280, 720), "1080p": (1920, 1080)}
_RATE = 25
COLUMNS = ("detect", "align", "generate", "paste", "mark", "encode")


@dataclasses.dataclass(frozen=True)
class BenchmarkSettings(Checked):
    """What is measured.

    Attributes:
        preset_name: Preset of a generator with random weights; not used with a file.
        facedancer_path: Generator to measure instead.
        arcface_path: Encoder to measure; empty: MobileFaceNet with random weights.
        retina_path: Detector to measure; empty: the packaged one.
        engine: auto, keras or openvino.
        precision: f32, bf16, f16 or int8.
        device_id: Number of the GPU, -1 for the CPU.
        sizes: Heights of the frames: 480p, 720p, 1080p.
        faces: Faces a frame: 1 to 4.
        frames: Frames for each figure.

    Raises:
        ValueError: If a size or a number is unknown.
    """

    preset_name: str = "facedancer_c"
    facedancer_path: str = ""
    arcface_path: str = ""
    retina_path: str = ""
    engine: str = choice("auto", ENGINES)
    precision: str = choice("f32", PRECISIONS)
    device_id: int = 0
    sizes: tuple[str, ...] = choice(("480p", "720p", "1080p"), _HEIGHTS)
    faces: tuple[int, ...] = ranged((1, 4), low=1, high=4)
    frames: int = ranged(24, low=2)


def main(settings: BenchmarkSettings) -> int:
    """Prints the table and returns the exit status.

    Args:
        settings: What the flags say.
    """
    swapper, start = make_swapper(settings)
    engine = swapper.engine
    print(f"Engine {engine.name} {engine.precision}, ready in {start:.1f} s")
    print(f"| size | faces | {' | '.join(COLUMNS)} | cold s | warm frames/s |")
    print("|" + "---|" * (len(COLUMNS) + 4))
    for size in settings.sizes:
        for count in settings.faces:
            row = measure(swapper, size, count, settings.frames)
            cells = [f"{row[name]:.1f}" for name in COLUMNS]
            print(
                f"| {size} | {count} | {' | '.join(cells)} | {row['cold']:.2f} | "
                f"{row['warm']:.2f} |"
            )
    return cli.DONE


def make_generator(settings: BenchmarkSettings) -> SwapperNetwork:
    """Returns the generator to measure.

    Args:
        settings: What is measured.
    """
    if settings.facedancer_path:
        return load_generator(settings.facedancer_path)
    return build_generator(get_preset(settings.preset_name))


def make_swapper(
    settings: BenchmarkSettings, generator: SwapperNetwork | None = None
) -> tuple[FaceSwapper, float]:
    """Returns the swapper to measure, and the seconds until its engine was ready.

    Args:
        settings: What is measured.
        generator: The generator, None for the one of the settings.

    Raises:
        InputError: If a network cannot be loaded.
    """
    devices.use_device(settings.device_id)
    generator = generator or make_generator(settings)
    encoder = (
        load_encoder(settings.arcface_path)
        if settings.arcface_path
        else build_mobilefacenet(generator.contract.identity.size)
    )
    start = time.perf_counter()
    embed = functools.partial(identities.embed_crops, Embedder(encoder))
    engine = make.make_engine(
        generator, settings.engine, settings.precision, embed=embed
    )
    ready = time.perf_counter() - start
    source = np.random.default_rng(0).normal(size=generator.contract.identity.size)
    rule = identities.Rule("source", None, source.astype(np.float32))
    detector = load_detector(settings.retina_path or None)
    return (
        FaceSwapper(engine, generator.contract, detector, Embedder(encoder), [rule]),
        ready,
    )


def make_frames(size: str, faces: int, count: int) -> list[np.ndarray]:
    """Returns frames in which portraits move.

    Args:
        size: Key of the table of heights.
        faces: Portraits in each.
        count: Number of frames.

    Returns:
        `(height, width, 3)` uint8 RGB each.
    """
    width, height = _HEIGHTS[size]
    portrait = sample_photos.read("collins")[:300, 80:380]
    side = height // (1 if faces == 1 else 2) * 9 // 10
    portrait = cv2.resize(portrait, (side, side), interpolation=cv2.INTER_AREA)
    frames = []
    for i in range(count):
        frame = np.full((height, width, 3), 110, np.uint8)
        for face in range(faces):
            left = (face % 2) * width // 2 + 2 * (i % 20)
            top = (face // 2) * height // 2
            frame[top : top + side, left : left + side] = portrait
        frames.append(frame)
    return frames


def measure(swapper: FaceSwapper, size: str, faces: int, count: int) -> dict:
    """Returns milliseconds a frame by stage, and the speed of the whole chain.

    Args:
        swapper: What is measured.
        size: Key of the table of heights.
        faces: Faces a frame.
        count: Number of frames.
    """
    frames = make_frames(size, faces, count)
    start = time.perf_counter()
    swapper.swap_frame(frames[0])
    cold = time.perf_counter() - start
    with tempfile.TemporaryDirectory() as folder:
        row = _stages(swapper, frames, pathlib.Path(folder))
        row["warm"] = count / _whole(swapper, frames, pathlib.Path(folder))
    return {**row, "cold": cold}


def _stages(
    swapper: FaceSwapper, frames: Sequence[np.ndarray], folder: pathlib.Path
) -> dict[str, float]:
    """Times each stage by itself, over all frames."""
    row: dict[str, float] = {}
    clock = _Clock(len(frames))
    found = clock.time(row, "detect", lambda: swapper.detect(frames))
    jobs = [[FaceJob(points, 0) for points in one.landmarks] for one in found]
    crops = clock.time(row, "align", lambda: swapper.cut(frames, jobs))
    swapped = clock.time(row, "generate", lambda: list(swapper.generate(crops)))
    done = clock.time(
        row, "paste", lambda: swapper.put_back(frames, jobs, crops, iter(swapped))
    )
    mark = watermark.Marker(0)
    marked = clock.time(
        row, "mark", lambda: [mark(image, i) for i, image in enumerate(done)]
    )
    clock.time(row, "encode", lambda: _encode(marked, folder / "stage.nut"))
    return row


Result = TypeVar("Result")


class _Clock:
    def __init__(self, count: int) -> None:
        self.count = count

    def time(
        self, row: dict[str, float], name: str, call: Callable[[], Result]
    ) -> Result:
        start = time.perf_counter()
        result = call()
        row[name] = 1000 * (time.perf_counter() - start) / self.count
        return result


def _info(frames: Sequence[np.ndarray]) -> video_reader.ClipInfo:
    height, width = frames[0].shape[:2]
    return video_reader.ClipInfo(
        pathlib.Path("benchmark"), (width, height), Fraction(_RATE), Fraction(1, _RATE)
    )


def _encode(images: Sequence[np.ndarray], path: pathlib.Path) -> None:
    settings = video_writer.EncodeSettings()
    encoder = video_writer.SegmentEncoder(
        path, _info(images), video_reader.Colour(1, 1, 1), settings
    )
    for i, image in enumerate(images):
        encoder.write(video_reader.Frame(i, image, i, 1))
    encoder.close()


def _whole(
    swapper: FaceSwapper, frames: Sequence[np.ndarray], folder: pathlib.Path
) -> float:
    """Returns the seconds of the whole chain, side by side, and into a file."""
    settings = video_writer.EncodeSettings()
    sink = segments.SegmentSink(
        folder / "parts", "", _info(frames), video_reader.Colour(1, 1, 1), settings
    )
    start = time.perf_counter()
    made = (video_reader.Frame(i, image, i, 1) for i, image in enumerate(frames))
    for step in clip_stages.steps(
        made, swapper, clip_stages.StageSettings(), watermark.Marker(0)
    ):
        sink.write(step)
    sink.close()
    joining.join(sink.segments, sink.info, joining.Rest(), folder / "whole.mp4")
    return time.perf_counter() - start


if __name__ == "__main__":
    cli.run(main, BenchmarkSettings)
