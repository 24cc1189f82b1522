"""Read a video frame by frame: upright, in the right colours, with its own times."""

from __future__ import annotations

import dataclasses
import os
import pathlib
from collections.abc import Iterator
from fractions import Fraction

import av
import numpy as np
from av.video.reformatter import (
    ColorRange,
    Colorspace,
    Interpolation,
    VideoReformatter,
)

from facedancer.errors import InputError
from facedancer.video_swap.media import hdr

# Codes of ITU-T H.273: matrix coefficients -> what the converter calls them.
_MATRICES = {
    1: Colorspace.ITU709,
    4: Colorspace.FCC,
    5: Colorspace.ITU601,
    6: Colorspace.ITU601,
    7: Colorspace.SMPTE240M,
    9: Colorspace.BT2020,
}
_UNSPECIFIED = 2
# Without these the converter's rounding darkens a picture by 1.3/255 on average.
EXACT = int(Interpolation.BICUBIC | Interpolation.ACCURATE_RND)
_EXACT_RGB = EXACT | int(Interpolation.FULL_CHR_H_INT)
_ENDS_EARLY = Fraction(1, 2)  # seconds missing at the end that are worth a word


@dataclasses.dataclass(frozen=True)
class Colour:
    """How the numbers of a video's picture stand for colours (codes of H.273).

    Attributes:
        matrix: Matrix coefficients: 1 BT.709, 5 and 6 BT.601, 9 BT.2020.
        primaries: Colour primaries, the same codes.
        transfer: Transfer characteristics: 1 BT.709, 6 BT.601, 16 PQ, 18 HLG.
    """

    matrix: int
    primaries: int
    transfer: int

    @property
    def space(self) -> Colorspace:
        """The matrix as the converter names it."""
        return _MATRICES.get(self.matrix, Colorspace.ITU709)


def colour_of(matrix: int, primaries: int, transfer: int, height: int) -> Colour:
    """Returns a video's colours, with what it does not say filled in by custom.

    Args:
        matrix: Code of the file, 2 where it says nothing.
        primaries: Code of the file, 2 where it says nothing.
        transfer: Code of the file, 2 where it says nothing.
        height: Of the stored picture in pixels: players take BT.709 from 720 on.
    """
    if matrix not in _MATRICES:
        matrix = 1 if height >= 720 else 6
    custom = 1 if matrix == 1 else matrix
    unknown = (0, _UNSPECIFIED)
    return Colour(
        matrix,
        custom if primaries in unknown else primaries,
        (1 if matrix == 9 else custom) if transfer in unknown else transfer,
    )


@dataclasses.dataclass(frozen=True)
class ClipInfo:
    """What is known of a video before its first frame is read.

    Attributes:
        path: The file.
        size_wh: Width and height in pixels as the picture is shown, so after the
            rotation that the file asks for.
        rate: Mean frames a second; a rate for the encoder, never for times.
        time_base: Seconds per unit of `Frame.pts`.
        duration: Seconds by the header, 0 if it does not say.
        num_frames: Frames by the header, 0 if it does not say. Never proof.
        aspect: Width over height of one pixel, as the picture is shown.
        kind: `"video"`, `"picture"` (GIF, WebP, ...) or `"folder"` (a sequence).
        deep: Bits a colour channel.
    """

    path: pathlib.Path
    size_wh: tuple[int, int]
    rate: Fraction
    time_base: Fraction
    duration: Fraction = Fraction(0)
    num_frames: int = 0
    aspect: Fraction = Fraction(1)
    kind: str = "video"
    deep: int = 8


@dataclasses.dataclass(frozen=True)
class Frame:
    """One frame of a clip.

    Attributes:
        index: Its number among the frames that are used, from 0.
        image: `(height, width, 3)` uint8 RGB, upright.
        pts: Its time in units of the clip's `time_base`, as in the file.
        duration: How long it is shown, same units, 0 if unknown.
        damaged: Whether the decoder had to guess parts of it.
        source: Of a folder of images, the file that it is.
    """

    index: int
    image: np.ndarray
    pts: int
    duration: int = 0
    damaged: bool = False
    source: pathlib.Path | None = None


def exact_seconds(seconds: float) -> Fraction:
    """Returns what a person who typed 0.2 meant: a fifth, not the nearest float.

    Args:
        seconds: A time.
    """
    return Fraction(seconds).limit_denominator(1_000_000)


def nothing_used(reader, last: Fraction | None) -> InputError:
    """Returns the error for a part of a clip in which no frame begins.

    Args:
        reader: Of the clip; it has `path`, `start` and `length`.
        last: Seconds at which the last frame that was seen begins, None if none was.
    """
    start = f"--start={float(reader.start):g}"
    if last is None:
        return InputError(f"{reader.path}: none of its frames can be decoded")
    if last < reader.start:
        return InputError(
            f"{reader.path}: {start} lies behind the last frame ({float(last):.2f} s)"
        )
    return InputError(
        f"{reader.path}: no frame begins in the {float(reader.length):g} s after "
        f"{start}. Raise --length"
    )


def open_input(path: str | os.PathLike) -> av.container.InputContainer:
    """Opens a media file, or says in one line why not.

    Args:
        path: The file.

    Raises:
        InputError: If it is missing, empty or nothing that can be read.
    """
    if not pathlib.Path(path).is_file():
        raise InputError(f"{path}: no such file")
    try:
        return av.open(os.fspath(path), metadata_errors="replace")
    except (av.error.FFmpegError, OSError) as error:
        raise InputError(
            f"{path}: not a video that can be read ({error.strerror})"
        ) from None


def picture_stream(container, path) -> av.VideoStream:
    """Returns the stream that is the picture; a cover image is none.

    Args:
        container: An open file.
        path: Its name, for the message.

    Raises:
        InputError: If there is none.
    """
    attached = av.stream.Disposition.attached_pic
    for stream in container.streams.video:
        if not stream.disposition & attached:
            return stream
    others = sorted({stream.type for stream in container.streams}) or ["nothing"]
    raise InputError(f"{path}: no video stream in it, only {', '.join(others)}")


class VideoReader:
    """Frames of a video file, straight through from its first to its last.

    Nothing is skipped by an index, since indices of cut and broken files lie. After
    the iteration `damage` holds the stretches that could not be decoded in full.

    Args:
        path: The file.
        start: Seconds from the first frame at which to begin.
        length: Seconds to read, None for all.
        every: Use every n-th frame.
        hdr_mode: `"refuse"` or `"convert"` what is in PQ or HLG.

    Raises:
        InputError: If it cannot be opened, has no video stream or is HDR while
            `hdr_mode` is `"refuse"`; while reading, if no frame begins in the part.
    """

    def __init__(self, path, start=0.0, length=None, every=1, hdr_mode="refuse"):
        self.path = pathlib.Path(path)
        self.start, self.every = exact_seconds(start), every
        self.length = None if length is None else exact_seconds(length)
        self.damage: list[tuple[Fraction, Fraction]] = []
        self.notes: list[str] = []
        self.origin: int | None = None  # pts of the file's first frame
        self.colour = self.info = None
        with open_input(self.path) as container:
            stream = picture_stream(container, self.path)
            frame = self._first_frame(container, stream)
            self._describe(container, stream, frame)
        self.tone_map = None
        if self.colour.transfer in hdr.CURVES:
            self._prepare_hdr(hdr_mode)

    def _first_frame(self, container, stream):
        try:
            for frame in container.decode(stream):
                return frame
        except av.error.FFmpegError as error:
            raise InputError(
                f"{self.path}: its picture cannot be decoded ({error.strerror})"
            ) from None
        raise InputError(f"{self.path}: there is no frame in its video stream")

    def _describe(self, container, stream, frame):
        turned = frame.rotation % 180 != 0
        size = (frame.height, frame.width) if turned else (frame.width, frame.height)
        aspect = stream.codec_context.sample_aspect_ratio or Fraction(1)
        duration = stream.duration or 0
        self.colour = colour_of(
            int(frame.colorspace), frame.color_primaries, frame.color_trc, frame.height
        )
        self.info = ClipInfo(
            self.path,
            size,
            stream.average_rate or stream.guessed_rate or Fraction(30),
            stream.time_base,
            duration * stream.time_base
            if duration
            else Fraction(container.duration or 0, av.time_base),
            stream.frames,
            1 / aspect if turned else aspect,
            deep=max(part.bits for part in frame.format.components),
        )
        if self.info.deep > 8:
            self.notes.append(f"{self.info.deep}-bit picture: the output has 8 bits")

    def _prepare_hdr(self, mode):
        name = hdr.CURVES[self.colour.transfer]
        if mode != "convert":
            raise InputError(
                f"{self.path}: HDR ({name}) video would get wrong colours. Give "
                "--hdr=convert to turn it into ordinary BT.709"
            )
        self.notes.append(f"HDR ({name}) was converted to ordinary BT.709")
        self.tone_map = hdr.ToneMap(self.colour.transfer)

    @property
    def output_colour(self) -> Colour:
        """The colours that frames given to a writer are to be encoded in."""
        return Colour(1, 1, 1) if self.tone_map else self.colour

    def __iter__(self) -> Iterator[Frame]:
        self.damage, to_rgb, count, used = [], _ToRgb(self), 0, 0
        seconds = None
        for raw, bad in self._decode():
            if self.origin is None:
                self.origin = raw.pts
            seconds = (raw.pts - self.origin) * self.info.time_base
            if self.length is not None and seconds >= self.start + self.length:
                break
            if seconds < self.start:
                continue
            if count % self.every == 0:
                duration = (raw.duration or 0) * self.every
                yield Frame(used, to_rgb(raw), raw.pts, duration, bad)
                used += 1
            count += 1
        if not used:
            raise nothing_used(self, seconds)

    def _decode(self):
        """Yields `(frame, damaged)` with rising times; made up where there are none."""
        last = None
        with open_input(self.path) as container:
            stream = picture_stream(container, self.path)
            stream.thread_type = "AUTO"
            for packet, failed in _packets(container, stream):
                if failed:
                    self._note_damage(packet, last)
                    break
                try:
                    frames = packet.decode()
                except av.error.FFmpegError:
                    self._note_damage(packet, last)
                    continue
                for frame in frames:
                    if frame.pts is None:
                        frame.pts = 0 if last is None else last + self._step(frame)
                    if last is not None and frame.pts <= last:
                        continue
                    last = frame.pts
                    bad = bool(frame.is_corrupt)
                    if bad:
                        self._add_damage(frame.pts, frame.pts + (frame.duration or 0))
                    yield frame, bad
        self._check_end(last)

    def _step(self, frame):
        return frame.duration or self._ticks(1 / self.info.rate)

    def _note_damage(self, packet, last):
        """Notes a packet that gave nothing; what it would have shown is missing."""
        pts = packet.pts if packet is not None and packet.pts is not None else last
        if pts is not None:
            length = (packet.duration or 0) if packet is not None else 0
            self._add_damage(pts, pts + length)

    def _add_damage(self, first, end):
        """Joins a stretch to those that touch it, give or take a few frames."""
        origin = first if self.origin is None else self.origin
        base = self.info.time_base
        new = ((first - origin) * base, (end - origin) * base)
        near = 4 / self.info.rate
        if self.damage and new[0] - self.damage[-1][1] <= near:
            old = self.damage.pop()
            new = (min(old[0], new[0]), max(old[1], new[1]))
        self.damage.append(new)

    def _check_end(self, last):
        """Notes a file that ends before the time its header promises."""
        if last is None or self.info.path.suffix.lower() not in (".mp4", ".mov"):
            return
        end = (last - self.origin) * self.info.time_base
        if self.info.duration - end > _ENDS_EARLY + 4 / self.info.rate:
            self._add_damage(last + 1, self.origin + self._ticks(self.info.duration))

    def _ticks(self, seconds):
        return int(seconds / self.info.time_base)


def _packets(container, stream):
    """Yields `(packet, False)`, and `(None, True)` where the file breaks off."""
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets)
        except StopIteration:
            return
        except av.error.FFmpegError:
            yield None, True
            return
        yield packet, False


class _ToRgb:
    """Turns decoded frames into upright RGB by the clip's own matrix and range."""

    def __init__(self, reader):
        self.colour, self.tone_map = reader.colour, reader.tone_map
        self.size = reader.info.size_wh
        self.reformatter = VideoReformatter()

    def __call__(self, frame) -> np.ndarray:
        image = self.reformatter.reformat(
            frame,
            format="rgb48le" if self.tone_map else "rgb24",
            src_colorspace=self.colour.space,
            dst_colorspace=self.colour.space,
            dst_color_range=ColorRange.JPEG,
            interpolation=_EXACT_RGB,
        ).to_ndarray()
        if self.tone_map:
            image = self.tone_map(image)
        image = np.rot90(image, k=(frame.rotation // 90) % 4)
        return np.ascontiguousarray(self._fit(image))

    def _fit(self, image):
        """Cuts or fills a frame whose size differs from that of the first one."""
        width, height = self.size
        if image.shape[:2] == (height, width):
            return image
        fitted = np.zeros((height, width, 3), np.uint8)
        part = image[:height, :width]
        fitted[: part.shape[0], : part.shape[1]] = part
        return fitted
