"""Join segments into one file with the sound and the rest of the input."""

from __future__ import annotations

import bisect
import contextlib
import dataclasses
import itertools
import os
import pathlib
import tempfile
from collections.abc import Iterator, Sequence
from fractions import Fraction

import av
import numpy as np

from facedancer.errors import InputError
from facedancer.video_swap.media import (
    containers,
    streams,
    timecodes,
    video_reader,
    video_writer,
)
from facedancer.video_swap.media.streams import Rest
from facedancer.video_swap.pixels.picture import Rgb

_SOME = 200  # packets of sound that a rehearsal takes
# Codecs that say themselves which shape a pixel has; others leave it to the container.
_TELL_ASPECT = ("h264", "hevc", "mpeg2video", "mpeg4", "prores")


def join(
    segments: list[pathlib.Path],
    info: video_reader.ClipInfo,
    rest: Rest,
    output: str | os.PathLike,
    last_duration: Fraction = Fraction(0),
    name: str | os.PathLike = "",
    limit: int | None = None,
) -> list[str]:
    """Joins segments into one file with the sound and the rest of the input.

    Args:
        segments: The segments in order.
        info: What was encoded in them; shape of a pixel and alpha are the container's
            to say.
        rest: Where the rest comes from, and which part of it.
        output: The file to write; its ending decides the container.
        last_duration: Seconds the last picture is shown, 0 if unknown.
        name: What the output is called in messages, if not as it is written.
        limit: Packets of the rest that are read, None for all.

    Returns:
        One line for each other stream: what became of it.

    Raises:
        InputError: If the container cannot hold the picture, or the disk is full.
    """
    options = {"movflags": "+faststart"} if is_mp4(output) else {}
    with contextlib.ExitStack() as stack:
        given = None
        if rest.path is not None:
            given = stack.enter_context(containers.open_input(rest.path))
        logs = stack.enter_context(containers.reasons())
        try:
            url = containers.url(output)
            made = stack.enter_context(av.open(url, "w", options=options))
            joining = _Joining(list(segments), info, rest, last_duration)
            notes = joining.write(given, made, limit)
            made.close()  # here, so that a full disk is seen
            return notes
        except (av.error.FFmpegError, OSError, ValueError) as error:
            if isinstance(error, InputError):
                raise
            name = str(name or output)
            reason = containers.why(error, logs).replace(str(output), name)
            raise InputError(f"{name}: cannot be written ({reason})") from None


def is_mp4(path: str | os.PathLike) -> bool:
    """Returns whether a file's ending means MP4 or QuickTime."""
    return pathlib.Path(path).suffix.lower() in (".mp4", ".mov", ".m4v")


def rehearse(
    output: str | os.PathLike,
    info: video_reader.ClipInfo,
    colour: video_reader.Colour,
    settings: video_writer.EncodeSettings,
    rest: Rest,
) -> None:
    """Refuses what would fail at the end: writes one black frame and some sound.

    Args:
        output: The file that is to be written; nothing is written there.
        info: What is to be encoded.
        colour: Its colours.
        settings: How.
        rest: What comes beside it.

    Raises:
        InputError: If encoder or container refuse.
    """
    width, height = info.size_wh
    image = np.zeros((height, width, 3), np.uint8)
    first = round(rest.first / info.time_base)
    with tempfile.TemporaryDirectory() as folder, containers.reasons() as logs:
        segment = pathlib.Path(folder, f"segment{settings.segment_ending(info.alpha)}")
        try:
            encoder = video_writer.SegmentEncoder(segment, info, colour, settings)
            with contextlib.closing(encoder):
                encoder.write(video_reader.Frame(0, Rgb(image), first, 1))
        except (av.error.FFmpegError, ValueError) as error:
            raise InputError(
                f"--codec={settings.codec} cannot encode {width}x{height} here "
                f"({containers.why(error, logs)})"
            ) from None
        trial = pathlib.Path(folder, f"trial{pathlib.Path(output).suffix}")
        some = dataclasses.replace(rest, end=rest.first + 1)
        join([segment], info, some, trial, name=output, limit=_SOME)


class _Joining:
    """One output on its way.

    Args:
        segments: Not empty.
        info: See `join`.
        rest: See `join`.
        last_duration: Seconds.
    """

    def __init__(
        self,
        segments: Sequence[pathlib.Path],
        info: video_reader.ClipInfo,
        rest: Rest,
        last_duration: Fraction,
    ) -> None:
        self.segments, self.info, self.rest = segments, info, rest
        self.times = _Times(segments, last_duration)
        self.notes: list[str] = []

    def write(
        self,
        given: av.container.InputContainer | None,
        made: av.container.OutputContainer,
        limit: int | None,
    ) -> list[str]:
        picture = self._picture(made)
        tracks, copier = [], None
        if given is not None:
            main = containers.picture_stream(given, self.rest.path)
            self._tags(given, main, made, picture)
            copier = streams.Copier(given, made, main, self.rest, limit)
            copier.copy_chapters()
            tracks.append(copier.packets())
        if self.info.alpha and picture.codec_context.name.startswith(("vp", "libvp")):
            picture.metadata["alpha_mode"] = "1"
        made.start_encoding()
        tracks.append(self._packets(picture))
        for packet in streams.interleave(tracks):
            made.mux(packet)
        return self.notes + (copier.notes if copier else [])

    def _picture(self, made: av.container.OutputContainer) -> av.VideoStream:
        with _opened(self.segments[0]) as one:
            # opaque: else an encoder with the decoder's name would be looked for
            picture = made.add_stream_from_template(one.streams.video[0], opaque=True)
        picture.time_base = self.times.base
        context = picture.codec_context
        if self.info.aspect != 1:
            context.sample_aspect_ratio = self.info.aspect
            if (
                not is_mp4(made.name)
                and context.codec.canonical_name not in _TELL_ASPECT
            ):
                self.notes.append(
                    f"pixels of {self.info.aspect}: neither {made.format.name} nor its "
                    "codec says so. Use .mp4, or libx264 or libx265"
                )
        return picture

    def _tags(
        self,
        given: av.container.InputContainer,
        main: av.VideoStream,
        made: av.container.OutputContainer,
        picture: av.VideoStream,
    ) -> None:
        """Takes the tags over, without those that say what is no longer so."""
        left = ("rotate", "alpha_mode", "timecode")
        for source, target in ((given, made), (main, picture)):
            tags = source.metadata.items()
            target.metadata.update({k: v for k, v in tags if k.lower() not in left})
        code, note = timecodes.carried(given, main, made.format.name, self.rest)
        if note:
            self.notes.append(note)
        if code:
            picture.metadata["timecode"] = code
            if is_mp4(made.name):
                picture.codec_context.framerate = timecodes.rate_of(main)

    def _packets(self, stream: av.VideoStream) -> Iterator[av.Packet]:
        """Yields the packets of all segments with decoding times that only rise.

        Each segment starts its own decoding clock. Here packet i of the whole gets the
        time at which picture i - delay is shown, the delay being the longest of any
        segment.
        """
        times = self.times
        # In the clip's own units: an hour is no whole number of all of them.
        unit = self.info.time_base
        earlier = self.rest.first + video_writer.ahead(unit) * unit
        shift = -round(earlier / times.base)
        index = 0
        for path in self.segments:
            for packet in _read_packets(path):
                at = bisect.bisect_left(times.shown, packet.pts)
                packet.duration = times.durations[at]
                packet.pts += shift
                packet.dts = times.decoded[index] + shift
                packet.stream = stream
                index += 1
                yield packet


def _opened(segment: pathlib.Path) -> av.container.InputContainer:
    return av.open(containers.url(segment))


def _read_packets(path: pathlib.Path) -> Iterator[av.Packet]:
    with _opened(path) as container:
        yield from (packet for packet in container.demux(video=0) if packet.size)


class _Times:
    """When each picture is shown and decoded, over all segments."""

    def __init__(
        self, segments: Sequence[pathlib.Path], last_duration: Fraction
    ) -> None:
        with _opened(segments[0]) as one:
            self.base = one.streams.video[0].time_base
        last = round(last_duration / self.base)
        orders = [[p.pts for p in _read_packets(path)] for path in segments]
        self.shown = sorted(pts for order in orders for pts in order)
        steps = [b - a for a, b in itertools.pairwise(self.shown)]
        self.durations = [*steps, last or (steps[-1] if steps else 1)]
        delay, step = max(map(_delay, orders)), min(self.durations)
        lead = [self.shown[0] - step * i for i in range(delay, 0, -1)]
        self.decoded = lead + self.shown


def _delay(order: Sequence[int]) -> int:
    """Returns by how many pictures decoding must run ahead of showing."""
    ranks = {pts: rank for rank, pts in enumerate(sorted(order))}
    return max(i - ranks[pts] for i, pts in enumerate(order))
