"""Swap the faces of a whole clip: the stages, joined."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from typing import TypeAlias

import cv2
import numpy as np

from facedancer.face.faces import Faces
from facedancer.video_swap.clips import pipeline, tracking
from facedancer.video_swap.media import video_reader
from facedancer.video_swap.pixels.picture import Picture, Rgb
from facedancer.video_swap.settings import StageSettings
from facedancer.video_swap.swapping.jobs import Crop, FaceJob
from facedancer.video_swap.swapping.swapper import FaceSwapper

_AHEAD = 4  # frames that wait between two stages
_FRAMES = 8  # frames whose faces go through the generator together, at most


@dataclasses.dataclass(frozen=True)
class Step:
    """A frame on its way through the stages.

    Attributes:
        frame: As it was read.
        faces: The faces found in it, none before the search.
        embeddings: `(n, d)` of the faces, None where nobody is compared.
        jobs: What to swap.
        filled: How many of the jobs are in gaps of the detection.
        jitter: Sums over the jobs of how much the landmarks tremble, before and after
            the smoothing, in eye distances, and how many were summed.
        cut: Whether a new shot begins here.
        search: Whether faces are searched for in this frame.
        done: The finished picture.
        known: Whether an earlier run has written this frame already.
    """

    frame: video_reader.Frame
    faces: Faces = dataclasses.field(default_factory=Faces.empty)
    embeddings: np.ndarray | None = None
    jobs: tuple[FaceJob, ...] = ()
    filled: int = 0
    jitter: tuple[float, float, int] = (0.0, 0.0, 0)
    cut: bool = False
    search: bool = True
    done: Picture | None = None
    known: bool = False

    @property
    def finished(self) -> Picture:
        """The finished picture, which a step of an earlier run has not."""
        if self.done is None:
            raise ValueError(f"Frame {self.frame.index} has no finished picture")
        return self.done


def steps(
    frames: Iterator[video_reader.Frame],
    swapper: FaceSwapper,
    settings: StageSettings,
    finish: Callable[[Picture, int], Picture],
    known: Callable[[int], tuple[Faces, np.ndarray | None] | None] = lambda index: None,
    chunk: int = 240,
) -> Generator[Step]:
    """Yields the finished frames of a clip; all stages run side by side.

    Args:
        frames: The frames, in order.
        swapper: What swaps.
        settings: How.
        finish: Called with each finished picture and the frame's number in its segment;
            marks it.
        known: Faces of frames that an earlier run has finished, by number.
        chunk: Frames a segment. No batch crosses its border, so that a run that goes on
            at a segment computes what an uninterrupted one would.
    """
    stages: Generator[Step] = _read(frames, settings.detect_every)
    stages = _find(pipeline.prefetch(stages, _AHEAD), swapper, known, chunk)
    stages = tracking.follow(
        pipeline.prefetch(stages, _AHEAD),
        swapper,
        settings.smoothing,
        max_gap=max(settings.max_gap, settings.detect_every - 1),
        min_finds=settings.min_finds,
        delay=settings.detect_every * (settings.min_finds - 1),
    )
    made = _generate(stages, swapper, settings.batch_size or 4, chunk)
    made = pipeline.prefetch(made, 1)
    stages = _put_back(made, swapper, settings.parse_every, chunk)
    stages = _finish(pipeline.prefetch(stages, _AHEAD), settings.compare, finish, chunk)
    return pipeline.prefetch(stages, _AHEAD)


# Steps, the crops of their faces, and what the networks made of these.
Generated: TypeAlias = tuple[list[Step], list[Crop], list[dict[str, np.ndarray]]]


def _read(frames: Iterable[video_reader.Frame], every: int) -> Generator[Step]:
    """Yields steps one frame late: a cut is seen in the frame after it."""
    cuts, held = tracking.Cuts(), None
    for frame in frames:
        cut = cuts.between(frame.picture)
        if held is not None:
            yield dataclasses.replace(held, search=held.search or cut)
        held = Step(frame, cut=cut, search=cut or frame.index % every == 0)
    if held is not None:
        yield dataclasses.replace(held, search=True)


def _find(
    items: Generator[Step],
    swapper: FaceSwapper,
    known: Callable[[int], tuple[Faces, np.ndarray | None] | None],
    chunk: int,
) -> Generator[Step]:
    with contextlib.closing(items):
        for group in _chunked(items, 4, chunk):
            stored = [known(step.frame.index) for step in group]
            new = [
                step.frame.picture
                for step, have in zip(group, stored, strict=True)
                if have is None and step.search
            ]
            found = iter(swapper.detect(new) if new else [])
            for step, have in zip(group, stored, strict=True):
                yield _found(step, have, found, swapper)


def _found(
    step: Step,
    have: tuple[Faces, np.ndarray | None] | None,
    found: Iterator[Faces],
    swapper: FaceSwapper,
) -> Step:
    if have is not None:
        faces, embeddings = have
        return dataclasses.replace(step, faces=faces, embeddings=embeddings, known=True)
    faces, embeddings = next(found) if step.search else Faces.empty(), None
    if swapper.compares:
        embeddings = swapper.embed(step.frame.picture, faces.landmarks)
    return dataclasses.replace(step, faces=faces, embeddings=embeddings)


def _chunked(items: Iterable[Step], size: int, chunk: int) -> Iterator[list[Step]]:
    """Yields groups of up to `size` steps that lie in one segment."""
    for _, part in itertools.groupby(items, lambda step: step.frame.index // chunk):
        yield from pipeline.batches(part, size)


def _generate(
    items: Generator[Step], swapper: FaceSwapper, batch_size: int, chunk: int
) -> Iterator[Generated]:
    """Yields groups of steps with the crops of their faces and what became of them."""
    with contextlib.closing(items):
        for _, part in itertools.groupby(items, lambda s: s.frame.index // chunk):
            for group in _full(part, batch_size):
                crops = swapper.cut(*_work(group))
                yield group, crops, list(swapper.generate(crops))


def _work(group: Sequence[Step]) -> tuple[list[Picture], list[tuple[FaceJob, ...]]]:
    """Returns frames and jobs of the steps that no earlier run has finished."""
    todo = [step for step in group if not step.known]
    return [step.frame.picture for step in todo], [step.jobs for step in todo]


def _put_back(
    items: Generator[Generated], swapper: FaceSwapper, parse_every: int, chunk: int
) -> Generator[Step]:
    segment, covers = -1, swapper.covers()
    with contextlib.closing(items):
        for group, crops, swapped in items:
            if group[0].frame.index // chunk != segment:
                segment = group[0].frame.index // chunk
                covers = swapper.covers(parse_every)  # knows nothing of the last one
            work = _work(group)
            done = iter(swapper.put_back(*work, crops, iter(swapped), covers))
            for step in group:
                if not step.known:
                    step = dataclasses.replace(step, done=next(done))
                yield step


def _full(items: Iterable[Step], batch_size: int) -> Iterator[list[Step]]:
    """Yields groups of steps that together have enough faces for a batch."""
    group, count = [], 0
    for step in items:
        group.append(step)
        count += len(step.jobs)
        if count >= batch_size or len(group) >= _FRAMES:
            yield group
            group, count = [], 0
    if group:
        yield group


def _finish(
    items: Generator[Step],
    compare: bool,
    finish: Callable[[Picture, int], Picture],
    chunk: int,
) -> Generator[Step]:
    with contextlib.closing(items):
        for step in items:
            if step.known:
                yield step
                continue
            frame, picture = step.frame, step.finished
            if compare:
                picture = Rgb(side_by_side(frame.image, picture.image))
                if frame.alpha is not None:
                    alpha = side_by_side(frame.alpha, frame.alpha)
                    frame = dataclasses.replace(frame, alpha=alpha)
            picture = finish(picture, frame.index % chunk)
            yield dataclasses.replace(step, frame=frame, done=picture)


def side_by_side(target: np.ndarray, swapped: np.ndarray) -> np.ndarray:
    """Returns target and result in one picture, the target on the left.

    Args:
        target: `(height, width, 3)` uint8, or `(height, width)`.
        swapped: Same form.
    """
    return cv2.hconcat([target, swapped])
