"""Swap the faces of a video file: frames, sound, segments, report."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import pathlib
import sys
from fractions import Fraction

import tqdm

from facedancer import images
from facedancer.errors import InputError
from facedancer.video_swap import (
    clip_swap,
    labels,
    pictures,
    segments,
    video,
    video_writer,
)


@dataclasses.dataclass(frozen=True)
class ClipSettings:
    """Which part of a clip is used, and what happens when it does not go well.

    Attributes:
        sample_rate: Use every n-th frame; the times of the others are kept.
        start: Seconds from the beginning at which to start.
        length: Seconds to use; 0: to the end.
        hdr: What to do with HDR video: refuse, or convert to ordinary BT.709.
        resume: Go on after the last finished segment of a run that was killed or
            failed, and keep the finished segments when this one is or does, in the
            folder .<output>.parts beside the output.
        interrupted: What Ctrl-C leaves: nothing, or part (a playable file with what was
            finished).

    Raises:
        ValueError: If a value is unknown or out of range.
    """

    sample_rate: int = 1
    start: float = 0.0
    length: float = 0.0
    hdr: str = "refuse"
    resume: bool = False
    interrupted: str = "nothing"

    def __post_init__(self):
        if self.sample_rate < 1:
            raise ValueError(
                f"--sample_rate must be at least 1. Received: {self.sample_rate}"
            )
        for name in ("start", "length"):
            if getattr(self, name) < 0:
                raise ValueError(
                    f"--{name} must not be negative. Received: {getattr(self, name)}"
                )
        for name, known in (
            ("hdr", ("refuse", "convert")),
            ("interrupted", ("nothing", "part")),
        ):
            if getattr(self, name) not in known:
                raise ValueError(
                    f"--{name} must be one of {', '.join(known)}. "
                    f"Received: {getattr(self, name)}"
                )


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
        progress: Whether a progress bar is shown.
    """

    path: pathlib.Path
    output: pathlib.Path
    clip: ClipSettings = ClipSettings()
    stages: clip_swap.StageSettings = clip_swap.StageSettings()
    encode: video_writer.EncodeSettings = video_writer.EncodeSettings()
    describe: str = ""
    progress: bool = False


def swap_clip(job: ClipJob, swapper, labeller: labels.Labeller) -> dict:
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
            cannot be written.
    """
    reader = open_reader(job)
    swapper = swapper.with_aspect(float(reader.info.aspect))
    with _new_parents(job.output):
        if pictures.is_picture(job.output):
            return _swap_to_pictures(job, reader, swapper, labeller)
        return _swap_to_video(job, reader, swapper, labeller)


@contextlib.contextmanager
def _new_parents(output):
    """Makes the folders above an output, and removes them if nothing comes into them.

    Raises:
        InputError: If they cannot be made.
    """
    missing = [folder for folder in output.parents if not folder.exists()]
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"{output.parent}: cannot be made ({error.strerror}). Give another --output"
        ) from None
    try:
        yield
    finally:
        for folder in missing:
            if folder.is_dir() and not any(folder.iterdir()):
                folder.rmdir()


def _swap_to_video(job, reader, swapper, labeller):
    sink = _make_sink(job, reader, labeller)
    try:
        _run(job, reader, swapper, labeller, sink)
        return _assemble(job, reader, sink, swapper, labeller)
    except KeyboardInterrupt:
        sink.abandon()
        if job.clip.interrupted == "part" and sink.finished_frames:
            report = _assemble(job, reader, sink, swapper, labeller)
            return {**report, "interrupted": True}
        raise
    finally:
        sink.abandon()
        failed = sys.exc_info()[0] is not None
        if not (failed and job.clip.resume and sink.finished_frames):
            sink.remove()


def open_reader(job: ClipJob):
    """Returns what reads the clip of a job.

    Args:
        job: Its path and part of the clip.

    Raises:
        InputError: If it cannot be read.
    """
    clip = job.clip
    if pictures.is_picture(job.path):
        return pictures.PictureReader(
            job.path, clip.start, clip.length or None, clip.sample_rate
        )
    return video.VideoReader(
        job.path, clip.start, clip.length or None, clip.sample_rate, clip.hdr
    )


def _make_sink(job, reader, labeller):
    width, height = reader.info.size_wh
    if job.stages.compare:
        width *= 2
    info = dataclasses.replace(reader.info, size_wh=(width, height))
    filled = video_writer.even_size(info.size_wh, job.encode.pixel_format)
    if filled != info.size_wh:
        reader.notes.append(
            f"{width}x{height} was filled up to {filled[0]}x{filled[1]}: "
            f"{job.encode.pixel_format} needs even sizes"
        )
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


def _run(job, reader, swapper, labeller, sink):
    chunk = job.encode.segment_frames
    stages = clip_swap.steps(
        iter(reader), swapper, job.stages, labeller.mark, sink.known, chunk
    )
    with contextlib.closing(stages), _bar(job, reader) as bar:
        for step in stages:
            sink.write(step)
            bar.update()
    sink.close()


def _bar(job, reader):
    info = reader.info
    total = info.num_frames
    if job.clip.length:
        total = min(total or sys.maxsize, round(job.clip.length * info.rate))
    return tqdm.tqdm(
        total=(total // job.clip.sample_rate) or None,
        unit="frame",
        disable=not job.progress,
        leave=False,
    )


def _assemble(job, reader, sink, swapper, labeller):
    report = _report(job, reader, sink.entries, swapper)
    if not report["faces_swapped"]:
        sink.remove()  # going on with these would find nothing either
        raise InputError(_nothing_swapped(job, report))
    with _temporary(job.output) as temporary:
        source = job.path if reader.info.kind == "video" else None
        first, end = _span(job, reader, sink)
        copied = video_writer.join(
            sink.segments, source, temporary, first, end, segments.last_duration(sink)
        )
        signed = labeller.sign(temporary, job.path, job.output)
    return {**report, "streams": copied, "provenance": signed}


@contextlib.contextmanager
def _temporary(output):
    """Yields a name beside the output; what lies there then gets its name."""
    temporary = output.with_name(f".tmp-{os.getpid()}-{output.name}")
    try:
        yield temporary
        os.replace(temporary, output)
    finally:
        temporary.unlink(missing_ok=True)


def _swap_to_pictures(job, reader, swapper, labeller):
    """Writes a GIF, a WebP or a folder of images; these are short, and not resumed."""
    entries = []
    stages = clip_swap.steps(iter(reader), swapper, job.stages, labeller.mark)

    def finished():
        with contextlib.closing(stages), _bar(job, reader) as bar:
            for step in stages:
                entries.append(segments.entry_of(step))
                bar.update()
                yield step

    if job.output.suffix:
        signed = _write_animation(job, reader, finished(), entries, labeller)
    else:
        signed = _write_folder(job, reader, finished(), entries, labeller)
    report = _report(job, reader, [segments.summary(entries)], swapper)
    return {**report, "streams": [], "provenance": signed}


def _write_animation(job, reader, steps, entries, labeller):
    base = reader.info.time_base * 1000
    with _temporary(job.output) as temporary:
        pictures.write_animation(temporary, _timed(steps, base))
        _need_faces(job, entries)
        return labeller.sign(temporary, job.path, job.output)


def _timed(steps, base):
    """Yields `(image, milliseconds)` from the times at which pictures begin."""
    last = None
    for step in steps:
        if last is not None:
            start, end = round(last.frame.pts * base), round(step.frame.pts * base)
            yield last.image, end - start
        last = step
    if last is not None:
        yield last.image, round(last.frame.duration * base) or 100


def _write_folder(job, reader, steps, entries, labeller):
    signed = []
    with pictures.new_folder(job.output) as folder:
        for step in steps:
            name = f"{step.frame.index:06d}.png"
            if reader.info.kind == "folder":
                name = reader.names[step.frame.index * reader.every].stem + ".png"
            path = images.write_image(folder / name, step.image)
            signed.append(labeller.sign(path, job.path, path))
        _need_faces(job, entries)
    return signed[0]


def _need_faces(job, entries):
    report = segments.summary(entries)
    if not report["faces_swapped"]:
        raise InputError(_nothing_swapped(job, report))


def _nothing_swapped(job, report):
    if report["faces_found"]:
        return (
            f"{job.path}: {report['faces_found']} faces were found, but none that was "
            "to be swapped. Nothing was written. Lower --min_track for faces seen for "
            "a moment only, lower --threshold, or check --map, --only and --except"
        )
    return (
        f"{job.path}: no face was found in {report['frames']} frames. Nothing was "
        "written. Lower --score_threshold or raise --working_size for small faces"
    )


def _span(job, reader, sink):
    """Returns which seconds of the input's own time the output covers."""
    base = reader.info.time_base
    origin = (reader.origin or 0) * base
    first = (
        origin + video.exact_seconds(job.clip.start) if job.clip.start else Fraction(0)
    )
    pts, duration = sink.entries[-1]["end"]
    whole = not job.clip.length and not job.clip.interrupted == "part"
    return first, None if whole else (pts + duration) * base


def _report(job, reader, entries, swapper):
    def total(key):
        return sum(entry[key] for entry in entries)

    by_rule: dict[str, int] = {}
    for entry in entries:
        for rule, count in entry["by_rule"].items():
            name = swapper.rules[int(rule)].name
            by_rule[name] = by_rule.get(name, 0) + count
    keys = ("frames", "frames_with_swap", "faces_found", "faces_swapped", "gaps_filled")
    return {
        "input": str(job.path),
        "output": str(job.output),
        **{key: total(key) for key in keys},
        "swapped_by_rule": by_rule,
        "landmark_jitter": _jitter(entries),
        "damage": [[float(a), float(b)] for a, b in reader.damage],
        "notes": list(reader.notes),
    }


def _jitter(entries):
    """Returns the mean second difference of landmarks, in eye distances."""
    before, after, count = (
        sum(entry["jitter"][i] for entry in entries) for i in range(3)
    )
    count = max(count, 1)
    return {"before": round(before / count, 5), "after": round(after / count, 5)}
