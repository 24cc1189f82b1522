"""How fast a clip is swapped: each stage by itself, the whole, and the floor.

Time of a clock says little on a machine that does other work too; the processor time
that a process has used says how much work there was. Both are measured.
"""

from __future__ import annotations

import dataclasses
import functools
import os
import pathlib
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, TypeVar

import cv2
import numpy as np

from facedancer.imaging import sample_photos
from facedancer.process import keras_needed
from facedancer.retinaface import load_detector
from facedancer.video_swap.benchmark_settings import SIZES, BenchmarkSettings
from facedancer.video_swap.clips import clip_stages, memory, pipeline, segments
from facedancer.video_swap.engines import devices, make
from facedancer.video_swap.media import joining, video_reader, video_writer
from facedancer.video_swap.pixels.picture import Rgb
from facedancer.video_swap.provenance import watermark
from facedancer.video_swap.settings import NetworkSettings
from facedancer.video_swap.swapping import identities, networks
from facedancer.video_swap.swapping.swapper import FaceJob, FaceSwapper

if TYPE_CHECKING:
    from facedancer.models.families.built_network import SwapperNetwork

STAGES = ("decode", "detect", "align", "generate", "paste", "mark", "encode")
_RATE = 25
_CALLS = 8  # of a network after which it is compiled for its size (`runtimes`)
_COLOUR = video_reader.Colour(1, 1, 1)


@dataclasses.dataclass(frozen=True)
class Speed:
    """What a size and a number of faces cost.

    Attributes:
        stages: Milliseconds of processor time a frame of each of `STAGES` by itself.
        cold: Seconds of the first frame, with what is compiled for it. All other
            figures are of a swapper that has seen some frames.
        floor: Frames a second of decoding and encoding alone.
        whole: Frames a second of all stages side by side, marked, into a file.
        cpu: Milliseconds of processor time a frame of the whole.
        near: Seconds of the whole over its processor time by core: 1 keeps all cores
            busy to the end, more says that stages waited, or others used the machine.
    """

    stages: dict[str, float]
    cold: float
    floor: float
    whole: float
    cpu: float
    near: float


def make_generator(settings: BenchmarkSettings) -> SwapperNetwork:
    """Returns the generator to measure as a network of Keras.

    Args:
        settings: What is measured; an empty preset is `facedancer_c`.

    Raises:
        InputError: If its file cannot be used, or Keras is missing.
    """
    preset = settings.preset_name or "facedancer_c"
    keras_needed.check(settings.facedancer_path or preset)
    from facedancer.models import build_generator, get_preset, load_generator

    if settings.facedancer_path:
        return load_generator(settings.facedancer_path)
    return build_generator(get_preset(preset))


def make_swapper(
    settings: BenchmarkSettings, generator: SwapperNetwork | None = None
) -> tuple[FaceSwapper, float]:
    """Returns the swapper to measure, and the seconds until its engine was ready.

    Args:
        settings: What is measured.
        generator: A generator of Keras; None for the one of the settings.

    Raises:
        InputError: If a network cannot be loaded.
    """
    if generator is None and not settings.preset_name:
        start = time.perf_counter()
        loaded = networks.load_networks(
            NetworkSettings(
                facedancer_path=settings.facedancer_path,
                arcface_path=settings.arcface_path,
                retina_path=settings.retina_path,
                engine=settings.engine,
                precision=settings.precision,
                device_id=settings.device_id,
            )
        )
        ready = time.perf_counter() - start
        parts = (loaded.engine, loaded.contract, loaded.detector, loaded.embedder)
        parser = loaded.parser
    else:
        generator = generator or make_generator(settings)
        parts, ready = _of_keras(settings, generator)
        parser = None
    size = parts[1].identity.size
    source = np.random.default_rng(0).normal(size=size).astype(np.float32)
    rules = [identities.Rule("source", None, source)]
    return FaceSwapper(*parts, rules, parser=parser), ready


def _of_keras(
    settings: BenchmarkSettings, generator: SwapperNetwork
) -> tuple[tuple, float]:
    from facedancer.arcface_model import Embedder, build_mobilefacenet, load_encoder

    devices.use_device(settings.device_id)
    encoder = (
        load_encoder(settings.arcface_path)
        if settings.arcface_path
        else build_mobilefacenet(generator.contract.identity.size)
    )
    embedder = Embedder(encoder)
    start = time.perf_counter()
    embed = functools.partial(identities.embed_crops, embedder)
    engine = make.make_engine(
        generator, settings.engine, settings.precision, embed=embed
    )
    ready = time.perf_counter() - start
    detector = load_detector(settings.retina_path or None)
    return (engine, generator.contract, detector, embedder), ready


def make_frames(size: str, faces: int, count: int) -> list[np.ndarray]:
    """Returns frames in which portraits move.

    Args:
        size: Key of the table of heights.
        faces: Portraits in each.
        count: Number of frames.

    Returns:
        `(height, width, 3)` uint8 RGB each.
    """
    width, height = SIZES[size]
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


def measure(swapper: FaceSwapper, size: str, faces: int, count: int) -> Speed:
    """Returns how fast a clip of some size is swapped.

    Args:
        swapper: What is measured.
        size: Key of `SIZES`.
        faces: Faces a frame.
        count: Number of frames.
    """
    frames = make_frames(size, faces, count)
    start = time.perf_counter()
    swapper.swap_frame(frames[0])
    cold = time.perf_counter() - start
    _warm(swapper, [Rgb(frame) for frame in frames[:2]])
    with tempfile.TemporaryDirectory() as name, memory.kept():
        folder = pathlib.Path(name)
        clip = _write_clip(frames, folder)
        stages = _stages(swapper, clip, folder)
        floor = _timed(lambda: _encode(pipeline.prefetch(_read(clip), 4), folder))[0]
        whole, cpu = _timed(lambda: _whole(swapper, clip, folder))
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 0
    near = whole / (cpu / (cores or os.cpu_count() or 1))
    return Speed(stages, cold, count / floor, count / whole, 1000 * cpu / count, near)


def _warm(swapper: FaceSwapper, frames: Sequence[Rgb]) -> None:
    """Lets networks be compiled for these sizes, as in a clip's first second."""
    for _ in range(_CALLS):
        found = swapper.detect(frames)
        jobs = [[FaceJob(points, 0) for points in one.landmarks] for one in found]
        crops = swapper.cut(frames, jobs)
        swapper.put_back(frames, jobs, crops, swapper.generate(crops))


def _timed(call: Callable[[], object]) -> tuple[float, float]:
    """Returns seconds of the clock and of the processor, of all threads."""
    clock, cpu = time.perf_counter(), time.process_time()
    call()
    return time.perf_counter() - clock, time.process_time() - cpu


def _write_clip(frames: Sequence[np.ndarray], folder: pathlib.Path) -> pathlib.Path:
    height, width = frames[0].shape[:2]
    base = Fraction(1, _RATE)
    info = video_reader.ClipInfo(folder, (width, height), Fraction(_RATE), base)
    made = (video_reader.Frame(i, Rgb(image), i, 1) for i, image in enumerate(frames))
    steps = (clip_stages.Step(frame, done=frame.picture) for frame in made)
    return _written(steps, _sink(info, folder / "made"), folder / "clip.mp4")


def _read(clip: pathlib.Path) -> Iterator[video_reader.Frame]:
    yield from video_reader.VideoReader(clip)


def _stages(
    swapper: FaceSwapper, clip: pathlib.Path, folder: pathlib.Path
) -> dict[str, float]:
    """Returns the processor time of each stage by itself, over all frames."""
    clock = _Clock()
    read = clock.time("decode", lambda: list(_read(clip)))
    frames = [frame.picture for frame in read]
    found = clock.time("detect", lambda: swapper.detect(frames))
    # In a clip it is known whom a face shows, in eleven of twelve frames.
    known = np.ones(swapper.contract.identity.size, np.float32)
    jobs = [
        [
            FaceJob(points, 0, vector=known, track=i)
            for i, points in enumerate(one.landmarks)
        ]
        for one in found
    ]
    covers = swapper.covers(clip_stages.StageSettings().parse_every)
    crops = clock.time("align", lambda: swapper.cut(frames, jobs))
    swapped = clock.time("generate", lambda: list(swapper.generate(crops)))
    done = clock.time(
        "paste", lambda: swapper.put_back(frames, jobs, crops, iter(swapped), covers)
    )
    mark = watermark.Marker(0)
    marked = clock.time(
        "mark", lambda: [mark.mark(one, i) for i, one in enumerate(done)]
    )
    frame = dataclasses.replace
    made = [frame(one, picture=new) for one, new in zip(read, marked, strict=True)]
    clock.time("encode", lambda: _encode(made, folder))
    return {name: 1000 * spent / len(read) for name, spent in clock.spent.items()}


Result = TypeVar("Result")


class _Clock:
    def __init__(self) -> None:
        self.spent: dict[str, float] = {}

    def time(self, name: str, call: Callable[[], Result]) -> Result:
        start = time.process_time()
        result = call()
        self.spent[name] = time.process_time() - start
        return result


def _sink(info: video_reader.ClipInfo, folder: pathlib.Path) -> segments.SegmentSink:
    return segments.SegmentSink(
        folder, "", info, _COLOUR, video_writer.EncodeSettings()
    )


def _encode(frames: Iterable[video_reader.Frame], folder: pathlib.Path) -> None:
    info = video_reader.VideoReader(folder / "clip.mp4").info
    settings = video_writer.EncodeSettings()
    encoder = video_writer.SegmentEncoder(folder / "stage.nut", info, _COLOUR, settings)
    for frame in frames:
        encoder.write(frame)
    encoder.close()


def _whole(swapper: FaceSwapper, clip: pathlib.Path, folder: pathlib.Path) -> None:
    """Swaps the clip as the program does, all stages side by side, into a file."""
    steps = clip_stages.steps(
        _read(clip), swapper, clip_stages.StageSettings(), watermark.Marker(0).mark
    )
    info = video_reader.VideoReader(clip).info
    _written(steps, _sink(info, folder / "parts"), folder / "whole.mp4")


def _written(
    steps: Iterable[clip_stages.Step], sink: segments.SegmentSink, path: pathlib.Path
) -> pathlib.Path:
    for step in steps:
        sink.write(step)
    sink.close()
    joining.join(sink.segments, sink.info, joining.Rest(), path)
    return path
