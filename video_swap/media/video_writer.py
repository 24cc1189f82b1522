"""Encode frames to segments, which `joining` makes one file of.

A segment is a NUT file with the picture of some hundred frames; QuickTime for codecs
that NUT does not hold, Matroska where alpha lies beside the picture. It appears under
its name only when it is whole, and each is encoded by itself, so a run that was killed
can go on after the last one and gives the same bytes as one that was not.
"""

from __future__ import annotations

import contextlib
import os
import pathlib
import tempfile
import typing
from collections.abc import Iterable
from fractions import Fraction
from typing import TYPE_CHECKING

import av
import numpy as np
from av.video.reformatter import ColorRange, VideoReformatter

from facedancer.errors import InputError
from facedancer.process import scheduling
from facedancer.video_swap.encode_settings import QUALITY, EncodeSettings
from facedancer.video_swap.media import containers, decoding, upright, video_reader
from facedancer.video_swap.pixels import planes
from facedancer.video_swap.pixels.picture import Rgb

if TYPE_CHECKING:
    from facedancer.video_swap.media.video_reader import ClipInfo, Colour

_SEGMENTS = {".nut": "nut", ".mov": "mov", ".mkv": "matroska"}
# Frames a second that every encoder takes; files without a constant rate claim more.
_FASTEST = Fraction(240)


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
    with containers.reasons() as logs:
        try:
            encoder = SegmentEncoder(
                os.devnull, info, video_reader.Colour(1, 1, 1), settings
            )
            with contextlib.closing(encoder):
                encoder.write(video_reader.Frame(0, Rgb(image), 0, 1))
        except (av.error.FFmpegError, ValueError) as error:
            names = [name for name in sorted(av.codecs_available) if _works(name)]
            raise InputError(
                f"--codec={settings.codec} with --preset={settings.preset} and "
                f"--pixel_format={settings.pixel_format} does not work here "
                f"({containers.why(error, logs)}). Known encoders: {' '.join(names)}"
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


def _works(name: str) -> bool:
    return any(family in name for family in QUALITY) and "rgb" not in name


class SegmentEncoder:
    """Encodes frames, with their own times, into one segment.

    Args:
        path: The file, overwritten.
        info: The clip the frames belong to: size, rate, time base, shape of a pixel,
            fields; with `alpha` the codec must keep it.
        colour: Colours to encode in; the file says so too.
        settings: Codec and quality.
    """

    def __init__(
        self,
        path: str | os.PathLike,
        info: ClipInfo,
        colour: Colour,
        settings: EncodeSettings,
    ) -> None:
        self.colour, self.alpha = colour, info.alpha
        self.format = settings.format_of(info.alpha)
        self.reformatter = VideoReformatter()
        self.container = _open_segment(path, info, settings)
        rate = min(Fraction(info.rate), _FASTEST).limit_denominator(65535)
        made = self.container.add_stream(settings.codec, rate=rate)
        self.stream = typing.cast(av.VideoStream, made)
        self.stream.pix_fmt = self.format
        self.stream.options = dict(_all_options(info, settings))
        fields = info.fields if settings.keeps_fields else decoding.PROGRESSIVE
        width, height = even_size(info.size_wh, self.format, fields)
        self.stream.width, self.stream.height = width, height
        self.time_base, self.ahead = info.time_base, ahead(info.time_base)
        self._last = -1  # decoding time of the last packet
        context = self.stream.codec_context
        context.time_base = self.stream.time_base = info.time_base
        context.sample_aspect_ratio = info.aspect
        if not self.is_rgb:
            context.colorspace = colour.matrix
            context.color_range = ColorRange.MPEG
        context.color_primaries, context.color_trc = colour.primaries, colour.transfer
        if info.alpha:
            self.stream.metadata["alpha_mode"] = "1"

    @property
    def is_rgb(self) -> bool:
        """Whether the codec stores RGB itself."""
        return "rgb" in self.format

    def write(self, frame: video_reader.Frame) -> None:
        """Encodes one frame.

        Args:
            frame: The frame; its `pts` must be above that of the one before.
        """
        picture = self._as_planes(frame) or self._converted(frame)
        picture.pts, picture.duration = frame.pts + self.ahead, frame.duration
        picture.time_base = self.time_base
        self._mux(self._encode(picture))

    def _as_planes(self, frame: video_reader.Frame) -> av.VideoFrame | None:
        """Returns a picture that is stored as it is encoded, else None."""
        picture = frame.picture
        if not isinstance(picture, planes.Planes) or self.format != planes.FORMAT:
            return None
        size = (self.stream.height, self.stream.width)
        if picture.shape != size or picture.matrix != self.colour.matrix:
            return None
        return picture.frame()

    def _converted(self, frame: video_reader.Frame) -> av.VideoFrame:
        image, form = frame.image, "rgb24"
        if self.alpha:
            alpha = frame.alpha
            if alpha is None:
                alpha = np.full(image.shape[:2], 255, np.uint8)
            image, form = upright.off_white(image, alpha), "rgba"
        image = pad_to(image, (self.stream.width, self.stream.height))
        return self.reformatter.reformat(
            av.VideoFrame.from_numpy_buffer(image, format=form),
            format=self.format,
            src_colorspace=self.colour.space,
            dst_colorspace=self.colour.space,
            src_color_range=ColorRange.JPEG,
            dst_color_range=ColorRange.JPEG if self.is_rgb else ColorRange.MPEG,
            interpolation=planes.EXACT,
        )

    def _encode(self, picture: av.VideoFrame | None) -> list[av.Packet]:
        """Returns packets; the first picture opens the encoder."""
        if self.stream.codec_context.is_open:
            return self.stream.encode(picture)
        with scheduling.kept_priority():
            return self.stream.encode(picture)

    def _mux(self, packets: Iterable[av.Packet]) -> None:
        """Writes packets; of a few frames libx265 gives any decoding times at all.

        What counts are their order and when they are shown, which `joining` reads.
        """
        for packet in packets:
            if packet.dts is None or not self._last < packet.dts <= packet.pts:
                early = packet.pts - min(packet.pts, self.ahead // 2)
                packet.dts = max(self._last + 1, early)
            self._last = packet.dts
            self.container.mux(packet)

    def close(self) -> None:
        """Writes what the encoder holds back and ends the file."""
        try:
            self._mux(self.stream.encode(None))
        finally:
            self.container.close()


def _open_segment(
    path: str | os.PathLike, info: ClipInfo, settings: EncodeSettings
) -> av.container.OutputContainer:
    """Opens a segment in a container that moves no times and loses nothing."""
    options = {"avoid_negative_ts": "disabled"}  # else it would move all times
    kind = _SEGMENTS[settings.segment_ending(info.alpha)]
    if kind == "mov":
        # NUT does not hold these. Whole units of time, also in the list of edits.
        scale = str(info.time_base.denominator)
        options |= {"movie_timescale": scale, "video_track_timescale": scale}
    return av.open(containers.url(path), "w", format=kind, options=options)


def _all_options(info: ClipInfo, settings: EncodeSettings) -> dict[str, str]:
    options = dict(settings.options)
    if info.alpha and "libvpx" in settings.codec:
        options["auto-alt-ref"] = "0"
    if info.fields != decoding.PROGRESSIVE and settings.keeps_fields:
        options["flags"] = "+ildct+ilme"
        if settings.codec == "libx264":
            options["x264-params"] = "tff=1" if info.fields == "top" else "bff=1"
    return options


def ahead(time_base: Fraction) -> int:
    """Returns an hour: NUT refuses the times below 0 that reordering can need.

    Args:
        time_base: Seconds a unit.
    """
    return round(3600 / time_base)


def even_size(
    size_wh: tuple[int, int], pixel_format: str, fields: str = decoding.PROGRESSIVE
) -> tuple[int, int]:
    """Returns the size a picture must be padded to for a pixel format.

    Args:
        size_wh: Width and height in pixels.
        pixel_format: Name of the format.
        fields: Not empty: the picture is encoded as two fields, each of an even height.

    Raises:
        ValueError: If the format is unknown or has no colour.
    """
    part = av.VideoFormat(pixel_format, 16, 16).components
    if len(part) < 3:
        raise ValueError(f"{pixel_format} has no colour")
    step_x, step_y = 16 // part[1].width, 16 // part[1].height
    step_y *= 2 if fields else 1
    width, height = size_wh
    return -(-width // step_x) * step_x, -(-height // step_y) * step_y


def pad_to(image: np.ndarray, size_wh: tuple[int, int]) -> np.ndarray:
    """Returns an image with its last row and column repeated up to a size.

    Args:
        image: `(height, width, channels)`.
        size_wh: Width and height, not below those of the image.
    """
    height, width = image.shape[:2]
    pad = ((0, size_wh[1] - height), (0, size_wh[0] - width), (0, 0))
    if any(after for _, after in pad):
        image = np.pad(image, pad, mode="edge")
    return np.ascontiguousarray(image)
