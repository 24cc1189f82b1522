"""Swap the faces of a video file: frames, sound, segments, report."""

from __future__ import annotations

import contextlib
import dataclasses
import pathlib
import sys
from collections.abc import Callable, Generator, Iterable, Iterator
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from facedancer.errors import InputError
from facedancer.imaging import images
from facedancer.imaging.image_formats import MAX_PIXELS
from facedancer.process import progress
from facedancer.storage import claims, files
from facedancer.video_swap.clips import (
    clip_report,
    clip_stages,
    memory,
    pipeline,
    plan,
    segments,
)
from facedancer.video_swap.media import (
    joining,
    pictures,
    video_reader,
    video_writer,
)
from facedancer.video_swap.provenance import labels, signing
from facedancer.video_swap.settings import ClipSettings

if TYPE_CHECKING:
    from facedancer.video_swap.swapping.swapper import FaceSwapper


@dataclasses.dataclass(frozen=True)
class ClipJob:
    """All that decides a result beside the networks.

    Attributes:
        path: The clip: a video, a GIF or animated WebP, or a folder of images.
        output: The file or folder to write.
        clip: Which part of it.
        stages: How frames are worked on.
        encode: How the picture is encoded.
        describe: What else decides the result (networks, sources, swap settings), as
            text that a later run with `resume` is compared by.
        progress: Whether is shown how far it is.
        on_progress: Called with the number of finished frames, and of all where that is
            known; None for nothing.
        max_pixels: Largest picture of an animation or folder, see
            `image_formats.check_size`.
    """

    path: pathlib.Path
    output: pathlib.Path
    clip: ClipSettings = ClipSettings()
    stages: clip_stages.StageSettings = clip_stages.StageSettings()
    encode: video_writer.EncodeSettings = video_writer.EncodeSettings()
    describe: str = ""
    progress: bool = False
    on_progress: Callable[[int, int | None], object] | None = None
    max_pixels: int = MAX_PIXELS


def swap_clip(job: ClipJob, swapper: FaceSwapper, labeller: labels.Labeller) -> dict:
    """Writes a clip with swapped faces; the file appears whole or not at all.

    Args:
        job: Input, output and settings.
        swapper: What swaps.
        labeller: Marks frames and signs the file.

    Returns:
        The report, ready for JSON. Its `"damage"` lists stretches `[start, end]` in
        seconds that could not be decoded in full.

    Raises:
        InputError: If the input cannot be used, no face was swapped, or the output
            cannot be written, or another process is writing it.
    """
    reader = open_reader(job)
    swapper = swapper.with_aspect(float(reader.info.aspect))
    with claims.claimed(job.output), memory.kept():
        if pictures.is_picture(job.output):
            return _swap_to_pictures(job, reader, swapper, labeller)
        return _swap_to_video(job, reader, swapper, labeller)


def _swap_to_video(
    job: ClipJob,
    reader: pictures.ClipReader,
    swapper: FaceSwapper,
    labeller: labels.Labeller,
) -> dict:
    sink, done = _make_sink(job, reader, labeller), False
    kept = job.clip.resume
    try:
        with pipeline.interruptible(job.clip.interrupted == "part") as stop:
            _write_segments(job, reader, swapper, labeller, sink, stop)
            report = _report(job, reader, sink, swapper, stop.cut)
            try:
                report = _assemble(job, reader, sink, labeller, report, stop.cut)
            except InputError:
                kept = kept or not stop.cut  # a full disk shall not undo all the work
                raise
        done = not stop.cut
        return report
    finally:
        sink.abandon()
        if done or not (kept and sink.finished_frames):
            sink.remove()


def open_reader(job: ClipJob) -> pictures.ClipReader:
    """Returns what reads the clip of a job.

    Args:
        job: Its path and part of the clip.

    Raises:
        InputError: If it cannot be read, or the output cannot be made as asked.
    """
    clip = job.clip
    reader: pictures.ClipReader
    if pictures.reads(job.path):
        reader = pictures.PictureReader(
            job.path,
            clip.start,
            clip.length or None,
            clip.sample_rate,
            job.max_pixels,
        )
    else:
        reader = video_reader.VideoReader(
            job.path,
            clip.start,
            clip.length or None,
            clip.sample_rate,
            clip.hdr,
            clip.deinterlace,
        )
    _check_output(job, reader)
    return reader


def _check_output(job: ClipJob, reader: pictures.ClipReader) -> None:
    if not pictures.is_picture(job.output):
        return
    if job.clip.resume:
        raise InputError(
            f"--resume works for videos only, {job.output} is made in one go. Run it "
            "without --resume"
        )
    if isinstance(reader, pictures.PictureReader) and reader.names:
        if not pictures.is_animation(job.output):
            pictures.check_names(job.path, reader.names)


def _make_sink(
    job: ClipJob, reader: pictures.ClipReader, labeller: labels.Labeller
) -> segments.SegmentSink:
    info = plan.written_info(job, reader)
    stat = job.path.stat()
    parts = [
        job.path.resolve(),
        stat.st_size,
        stat.st_mtime_ns,
        dataclasses.replace(job.clip, resume=False, interrupted="nothing"),
        job.stages,
        job.encode,
        labeller.describe,
        job.describe,
    ]
    return segments.SegmentSink(
        segments.parts_folder(job.output),
        "\n".join(map(str, parts)),
        info,
        reader.output_colour,
        job.encode,
        job.clip.resume,
    )


def _write_segments(
    job: ClipJob,
    reader: pictures.ClipReader,
    swapper: FaceSwapper,
    labeller: labels.Labeller,
    sink: segments.SegmentSink,
    stop: pipeline.Stop,
) -> None:
    stages = clip_stages.steps(
        iter(reader),
        swapper,
        job.stages,
        labeller.mark_picture,
        sink.known,
        job.encode.segment_frames,
    )
    with contextlib.closing(_until(stop, stages, job, reader)) as steps:
        for step in steps:
            sink.write(step)
    sink.close()


def _until(
    stop: pipeline.Stop,
    stages: Generator[clip_stages.Step],
    job: ClipJob,
    reader: pictures.ClipReader,
) -> Generator[clip_stages.Step]:
    """Yields the finished steps, and shows progress, until Ctrl-C asks to stop."""
    with contextlib.closing(stages), _bar(job, reader) as bar:
        for number, step in enumerate(stages):
            if stop.asked and number:
                stop.cut = True
                return
            yield step
            bar.update()
            if job.on_progress is not None:
                job.on_progress(number + 1, bar.total)


def _bar(job: ClipJob, reader: pictures.ClipReader) -> Any:
    info = reader.info
    total = info.num_frames
    if job.clip.length:
        total = min(total or sys.maxsize, round(job.clip.length * info.rate))
    return progress.bar(
        total=(total // job.clip.sample_rate) or None,
        unit="frame",
        shown=job.progress,
        leave=False,
    )


def _report(
    job: ClipJob,
    reader: pictures.ClipReader,
    sink: segments.SegmentSink,
    swapper: FaceSwapper,
    cut: bool,
) -> dict:
    report = clip_report.make_report(job, reader, sink.entries, swapper)
    if not (report["faces_swapped"] or cut):
        sink.remove()  # going on with these would find nothing either
    clip_report.check_swapped(report)
    return report


def _assemble(
    job: ClipJob,
    reader: pictures.ClipReader,
    sink: segments.SegmentSink,
    labeller: labels.Labeller,
    report: dict,
    cut: bool,
) -> dict:
    with files.whole(job.output) as temporary:
        try:
            copied = joining.join(
                sink.segments,
                sink.info,
                plan.rest_of(job, reader, sink, cut),
                temporary,
                segments.last_duration(sink),
                job.output,
            )
        except InputError as error:
            if cut:
                raise
            raise InputError(
                f"{error}. All pictures are finished and kept in {sink.folder}: "
                "--resume goes on from there"
            ) from None
        signed = labeller.sign(temporary, job.path, job.output)
    return _finished(report, copied, signed, cut)


def _finished(report: dict, streams: list[str], signed: str, cut: bool) -> dict:
    interrupted = {"interrupted": True} if cut else {}
    return {**report, "streams": streams, "provenance": signed, **interrupted}


def _swap_to_pictures(
    job: ClipJob,
    reader: pictures.ClipReader,
    swapper: FaceSwapper,
    labeller: labels.Labeller,
) -> dict:
    """Writes a GIF, a WebP or a folder of images; these are short, and not resumed."""
    entries: list[dict] = []
    if reader.info.alpha:
        reader.notes.append(plan.opaque(job.output.suffix or "PNG"))
    animated = pictures.is_animation(job.output)
    write = _write_animation if animated else _write_folder
    stages = clip_stages.steps(iter(reader), swapper, job.stages, labeller.mark_picture)
    with (
        pipeline.interruptible(job.clip.interrupted == "part") as stop,
        contextlib.closing(_until(stop, stages, job, reader)) as steps,
    ):
        signed = write(job, reader, _noted(steps, entries), entries, labeller)
    report = clip_report.make_report(job, reader, [segments.summary(entries)], swapper)
    return _finished(report, [], signed, stop.cut)


def _noted(
    steps: Iterable[clip_stages.Step], entries: list[dict]
) -> Iterator[clip_stages.Step]:
    for step in steps:
        entries.append(segments.entry_of(step))
        yield step


def _write_animation(
    job: ClipJob,
    reader: pictures.ClipReader,
    steps: Iterator[clip_stages.Step],
    entries: list[dict],
    labeller: labels.Labeller,
) -> str:
    base = reader.info.time_base * 1000
    with files.whole(job.output) as temporary:
        longer = pictures.write_animation(temporary, _timed(steps, base))
        _check_swapped(job, entries)
        if longer < 0:
            reader.notes.append(
                f"{job.output.name}: runs {-longer} ms shorter than the input, it can "
                "show no picture for longer. Write .mp4"
            )
        elif longer:
            reader.notes.append(
                f"{job.output.name}: runs {longer} ms longer than the input, a GIF "
                "shows no picture for less than 20 ms. Raise --sample_rate"
            )
        return labeller.sign(temporary, job.path, job.output)


def _timed(
    steps: Iterable[clip_stages.Step], base: Fraction
) -> Iterator[tuple[np.ndarray, Fraction]]:
    """Yields `(image, milliseconds)` from the times at which pictures begin."""
    last = None
    for step in steps:
        if last is not None:
            yield last.finished.image, (step.frame.pts - last.frame.pts) * base
        last = step
    if last is not None:
        yield last.finished.image, last.frame.duration * base or Fraction(100)


def _write_folder(
    job: ClipJob,
    reader: pictures.ClipReader,
    steps: Iterator[clip_stages.Step],
    entries: list[dict],
    labeller: labels.Labeller,
) -> str:
    parent = signing.Parent(job.path)
    with pictures.new_folder(job.output) as folder:
        for step in steps:
            name = pictures.name_of(step.frame, job.path)
            path = images.write_image(folder / name, step.finished.image)
            signed = labeller.sign(path, parent, path)
        _check_swapped(job, entries)
    return signed


def _check_swapped(job: ClipJob, entries: list[dict]) -> None:
    clip_report.check_swapped({**segments.summary(entries), "input": str(job.path)})
