"""What an output will be, known and checked before the first frame is swapped."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from facedancer.errors import InputError
from facedancer.video_swap.media import (
    joining,
    pictures,
    video_reader,
    video_writer,
)

if TYPE_CHECKING:
    from facedancer.video_swap.clips.clip_job import ClipJob
    from facedancer.video_swap.clips.segments import SegmentSink


def written_info(job: ClipJob, reader: pictures.ClipReader) -> video_reader.ClipInfo:
    """Returns the clip as it is written, and notes what changes with that.

    Args:
        job: The `ClipJob`.
        reader: Of its clip; the notes are added to its own.
    """
    width, height = reader.info.size_wh
    if job.stages.compare:
        width *= 2
    alpha = reader.info.alpha and job.encode.keeps_alpha(job.output)
    info = dataclasses.replace(reader.info, size_wh=(width, height), alpha=alpha)
    pixel_format = job.encode.format_of(alpha)
    fields = info.fields if job.encode.keeps_fields else ""
    filled = video_writer.even_size(info.size_wh, pixel_format, fields)
    if filled != info.size_wh:
        reader.notes.append(
            f"{width}x{height} was filled up to {filled[0]}x{filled[1]}: "
            + ("each of two fields" if fields else pixel_format)
            + " needs even sizes"
        )
    if reader.info.alpha:
        reader.notes.append(
            "what is transparent stays so" if alpha else opaque(job.encode.codec)
        )
    if info.fields:
        marked = (
            "and marked so"
            if job.encode.keeps_fields
            else (f"but {job.encode.codec} cannot mark it so, libx264 can")
        )
        reader.notes.append(
            f"its pictures are two fields each ({info.fields} first): kept as they are "
            f"{marked}. --deinterlace makes whole pictures of them"
        )
    return info


def opaque(codec: str) -> str:
    """Returns the line that says that transparency is lost.

    Args:
        codec: What does not keep it.
    """
    return (
        f"what is transparent became white: {codec} in this kind of file cannot say "
        "it. --codec=prores_ks with .mov or --codec=libvpx-vp9 with .webm can"
    )


def check_output(job: ClipJob, reader: pictures.ClipReader) -> None:
    """Refuses an output that would fail at the end, before any frame is swapped.

    Args:
        job: The `ClipJob`; nothing is written to its output.
        reader: Of its clip.

    Raises:
        InputError: If it is the input, or encoder or container cannot hold the picture
            and what comes beside it.
    """
    if job.output.exists() and job.output.samefile(job.path):
        raise InputError(
            f"The output must not be the input itself. Received: {job.output}"
        )
    if pictures.is_picture(job.output):
        return
    video_writer.check_encoder(job.encode)
    video_writer.check_container(job.output, job.encode)
    info = written_info(job, reader)
    colour = reader.output_colour
    joining.rehearse(job.output, info, colour, job.encode, rest_of(job, reader))


def rest_of(
    job: ClipJob,
    reader: pictures.ClipReader,
    sink: SegmentSink | None = None,
    cut: bool = False,
) -> joining.Rest:
    """Returns what comes into an output beside the picture.

    Args:
        job: The job.
        reader: Of its clip.
        sink: Holds the finished picture, None before it is made.
        cut: Whether the picture ends before the clip.
    """
    if not isinstance(reader, video_reader.VideoReader):
        return joining.Rest()
    shown = None
    if sink is not None:
        pts, duration = sink.entries[-1]["end"]
        shown = (pts + duration) * reader.info.time_base
    whole = not (job.clip.length or cut)
    return joining.Rest(
        job.path,
        reader.beginning,
        None if whole else shown,
        reader.offsets,
        shown,
        reader.start,
        job.clip.sample_rate,
    )
