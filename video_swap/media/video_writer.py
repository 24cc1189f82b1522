"""Encode frames to segments, and join segments with the sound of the input.

A segment is a NUT file with the picture of some hundred frames. It appears under its
name only when it is whole, and each is encoded by itself, so a run that was killed can
go on after the last one and gives the same bytes as one that was not.
"""

from __future__ import annotations

import bisect
import contextlib
import dataclasses
import itertools
import os
import pathlib
import tempfile
from collections.abc import Iterable, Iterator
from fractions import Fraction

import av
import numpy as np
from av.video.reformatter import ColorRange, VideoReformatter

from facedancer.errors import InputError
from facedancer.settings import Checked, ranged
from facedancer.video_swap.media import streams, video_reader

# How each family of encoders is told its constant quality.
_QUALITY = {
    "libx264": lambda q, preset: {"crf": str(q), "preset": preset},
    "libx265": lambda q, preset: {
        "crf": str(q),
        "preset": preset,
        "x265-params": "log-level=error",
    },
    "libvpx-vp9": lambda q, preset: {"crf": str(q), "b": "0", "row-mt": "1"},
    "libsvtav1": lambda q, preset: {"crf": str(q)},
    "nvenc": lambda q, preset: {"cq": str(q), "rc": "vbr", "b": "0"},
    "qsv": lambda q, preset: {"global_quality": str(q)},
    "vaapi": lambda q, preset: {"qp": str(q)},
    "videotoolbox": lambda q, preset: {"q": str(max(1, 100 - 2 * q))},
}
# Frames a second that every encoder takes; files without a constant rate claim more.
_FASTEST = Fraction(240)


@dataclasses.dataclass(frozen=True)
class EncodeSettings(Checked):
    """How the picture is encoded.

    Attributes:
        codec: Name of the encoder: libx264, libx265, libvpx-vp9, libsvtav1, or one of
            the hardware, such as h264_nvenc, hevc_nvenc, h264_qsv, h264_videotoolbox.
        quality: Constant quality, lower is better: 18 looks lossless with libx264.
        preset: Speed of libx264 and libx265: ultrafast to veryslow.
        pixel_format: yuv420p plays everywhere, yuv444p keeps full colour resolution.
        segment_frames: Frames a segment; what is lost at most when a run is killed.

    Raises:
        ValueError: If a number is out of range.
    """

    codec: str = "libx264"
    quality: int = ranged(18, low=0, high=63)
    preset: str = "medium"
    pixel_format: str = "yuv420p"
    segment_frames: int = ranged(240, low=1)

    @property
    def options(self) -> dict[str, str]:
        """The encoder's own options for this quality and preset."""
        for name, make in _QUALITY.items():
            if name in self.codec:
                return make(self.quality, self.preset)
        return {}


def check_encoder(settings: EncodeSettings) -> None:
    """Refuses an encoder that is missing or does not work on this machine.

    Args:
        settings: The settings to try on a small black picture.

    Raises:
        InputError: If it cannot encode.
    """
    image = np.zeros((128, 256, 3), np.uint8)
    info = video_reader.ClipInfo(
        pathlib.Path("test"), (256, 128), Fraction(25), Fraction(1, 25)
    )
    try:
        encoder = SegmentEncoder(
            os.devnull, info, video_reader.Colour(1, 1, 1), settings
        )
        with contextlib.closing(encoder):
            encoder.write(video_reader.Frame(0, image, 0, 1))
    except (av.error.FFmpegError, ValueError) as error:
        names = [name for name in sorted(av.codecs_available) if _works(name)]
        raise InputError(
            f"--codec={settings.codec} with --preset={settings.preset} and "
            f"--pixel_format={settings.pixel_format} does not work here ({error}). "
            f"Known encoders: {' '.join(names)}"
        ) from None


def check_container(output: str | os.PathLike, settings: EncodeSettings) -> None:
    """Refuses an output whose container is unknown or cannot hold the picture.

    Args:
        output: The file that is to be written; nothing is written here.
        settings: The codec.

    Raises:
        InputError: If it would fail at the end.
    """
    name = pathlib.Path(output).name
    with tempfile.TemporaryDirectory() as folder:
        try:
            with av.open(os.path.join(folder, name), "w") as container:
                kinds = container.supported_codecs
        except (av.error.FFmpegError, ValueError):
            raise InputError(
                f"--output: {output}: unknown kind of file. Use .mp4, .mov, .mkv, "
                ".webm, .gif, .webp, or a name without ending for a folder"
            ) from None
    if settings.codec not in kinds:
        fits = [codec for codec in ("libx264", "libvpx-vp9") if codec in kinds]
        advice = f"Give --codec={fits[0]}" if fits else "Use .mp4 or .mkv"
        raise InputError(f"--output: {name} cannot hold {settings.codec}. {advice}")


def _works(name):
    return any(family in name for family in _QUALITY) and "rgb" not in name


class SegmentEncoder:
    """Encodes frames, with their own times, into one NUT file.

    Args:
        path: The file, overwritten.
        info: The clip the frames belong to: size, rate, time base, shape of a pixel.
        colour: Colours to encode in; the file says so too.
        settings: Codec and quality.
    """

    def __init__(self, path, info, colour, settings):
        self.colour, self.format = colour, settings.pixel_format
        self.reformatter = VideoReformatter()
        keep = {"avoid_negative_ts": "disabled"}  # else it would move all times
        self.container = av.open(os.fspath(path), "w", format="nut", options=keep)
        rate = min(Fraction(info.rate), _FASTEST).limit_denominator(65535)
        self.stream = self.container.add_stream(settings.codec, rate=rate)
        self.stream.pix_fmt = settings.pixel_format
        self.stream.options = settings.options
        width, height = even_size(info.size_wh, settings.pixel_format)
        self.stream.width, self.stream.height = width, height
        self.time_base, self.ahead = info.time_base, _ahead(info.time_base)
        context = self.stream.codec_context
        context.time_base = self.stream.time_base = info.time_base
        context.sample_aspect_ratio = info.aspect
        context.colorspace = colour.matrix
        context.color_primaries, context.color_trc = colour.primaries, colour.transfer
        context.color_range = ColorRange.MPEG

    def write(self, frame: video_reader.Frame) -> None:
        """Encodes one frame.

        Args:
            frame: The frame; its `pts` must be above that of the one before.
        """
        image = pad_to(frame.image, (self.stream.width, self.stream.height))
        picture = self.reformatter.reformat(
            av.VideoFrame.from_numpy_buffer(image, format="rgb24"),
            format=self.format,
            src_colorspace=self.colour.space,
            dst_colorspace=self.colour.space,
            src_color_range=ColorRange.JPEG,
            dst_color_range=ColorRange.MPEG,
            interpolation=video_reader.EXACT,
        )
        picture.pts, picture.duration = frame.pts + self.ahead, frame.duration
        picture.time_base = self.time_base
        self.container.mux(self.stream.encode(picture))

    def close(self) -> None:
        """Writes what the encoder holds back and ends the file."""
        try:
            self.container.mux(self.stream.encode(None))
        finally:
            self.container.close()


def _ahead(time_base):
    """Returns an hour: NUT refuses the times below 0 that reordering can need."""
    return round(3600 / time_base)


def even_size(size_wh: tuple[int, int], pixel_format: str) -> tuple[int, int]:
    """Returns the size a picture must be padded to for a pixel format.

    Args:
        size_wh: Width and height in pixels.
        pixel_format: Name of the format.

    Raises:
        ValueError: If the format is unknown or has no colour.
    """
    part = av.VideoFormat(pixel_format, 16, 16).components
    if len(part) < 3:
        raise ValueError(f"{pixel_format} has no colour")
    step_x, step_y = 16 // part[1].width, 16 // part[1].height
    width, height = size_wh
    return -(-width // step_x) * step_x, -(-height // step_y) * step_y


def pad_to(image: np.ndarray, size_wh: tuple[int, int]) -> np.ndarray:
    """Returns an image with its last row and column repeated up to a size.

    Args:
        image: `(height, width, 3)`.
        size_wh: Width and height, not below those of the image.
    """
    height, width = image.shape[:2]
    pad = ((0, size_wh[1] - height), (0, size_wh[0] - width), (0, 0))
    if any(after for _, after in pad):
        image = np.pad(image, pad, mode="edge")
    return np.ascontiguousarray(image)


def join(
    segments: Iterable[pathlib.Path],
    source: str | os.PathLike | None,
    output: str | os.PathLike,
    first: Fraction,
    end: Fraction | None,
    last_duration: Fraction = Fraction(0),
) -> list[str]:
    """Joins segments into one file with the sound and the rest of the input.

    Args:
        segments: The segments in order.
        source: The input that sound, subtitles, chapters and metadata come from; None
            for none.
        output: The file to write; its ending decides the container.
        first: Seconds in the input's own time that become the start of the output.
        end: Seconds in the input's own time at which the sound ends, None for all.
        last_duration: Seconds the last picture is shown, 0 if unknown.

    Returns:
        One line for each other stream: what became of it.

    Raises:
        InputError: If the container cannot hold the picture, or the disk is full.
    """
    options = {"movflags": "+faststart"} if is_mp4(output) else {}
    times = _Times(segments, last_duration)
    with contextlib.ExitStack() as stack:
        try:
            given = (
                stack.enter_context(video_reader.open_input(source)) if source else None
            )
            made = stack.enter_context(av.open(os.fspath(output), "w", options=options))
            notes = _join(list(segments), given, made, (first, end), times)
            made.close()  # here, so that a full disk is seen
            return notes
        except (av.error.FFmpegError, OSError, ValueError) as error:
            if isinstance(error, InputError):
                raise
            raise InputError(
                f"{output}: cannot be written ({getattr(error, 'strerror', error)})"
            ) from None


def is_mp4(path: str | os.PathLike) -> bool:
    """Returns whether a file's ending means MP4 or QuickTime."""
    return pathlib.Path(path).suffix.lower() in (".mp4", ".mov", ".m4v")


def _join(segments, given, made, span, times):
    with av.open(os.fspath(segments[0])) as one:
        # opaque: else an encoder with the decoder's name (libdav1d) would be looked for
        picture = made.add_stream_from_template(one.streams.video[0], opaque=True)
        picture.time_base = times.base
    tracks = []
    if given is not None:
        made.metadata.update(given.metadata)
        main = video_reader.picture_stream(given, given.name)
        tags = {k: v for k, v in main.metadata.items() if k != "rotate"}
        picture.metadata.update(tags)
        copier = streams.Copier(given, made, main, span)
        copier.copy_chapters()
        tracks.append(copier.packets())
    shift = -round(span[0] / times.base) - _ahead(times.base)
    made.start_encoding()
    tracks.append(_picture_packets(segments, picture, times, shift))
    for packet in streams.interleave(tracks):
        made.mux(packet)
    return copier.notes if given is not None else []


def _picture_packets(segments, stream, times, shift) -> Iterator[av.Packet]:
    """Yields the packets of all segments with decoding times that only rise.

    Each segment starts its own decoding clock. Here packet i of the whole gets the time
    at which picture i - delay is shown, the delay being the longest of any segment.
    """
    index = 0
    for path in segments:
        for packet in _read_packets(path):
            place = bisect.bisect_left(times.shown, packet.pts)
            packet.duration = times.durations[place]
            packet.pts, packet.dts = packet.pts + shift, times.decoded[index] + shift
            packet.stream = stream
            index += 1
            yield packet


def _read_packets(path):
    with av.open(os.fspath(path)) as container:
        yield from (packet for packet in container.demux(video=0) if packet.size)


class _Times:
    """When each picture is shown and decoded, over all segments."""

    def __init__(self, segments, last_duration):
        with av.open(os.fspath(segments[0])) as one:
            self.base = one.streams.video[0].time_base
        last_duration = round(last_duration / self.base)
        orders = [[p.pts for p in _read_packets(path)] for path in segments]
        self.shown = sorted(pts for order in orders for pts in order)
        steps = [b - a for a, b in itertools.pairwise(self.shown)]
        self.durations = [*steps, last_duration or (steps[-1] if steps else 1)]
        delay, step = max(map(_delay, orders)), min(self.durations)
        lead = [self.shown[0] - step * i for i in range(delay, 0, -1)]
        self.decoded = lead + self.shown


def _delay(order):
    """Returns by how many pictures decoding must run ahead of showing."""
    places = {pts: place for place, pts in enumerate(sorted(order))}
    return max(i - places[pts] for i, pts in enumerate(order))
