"""Read a video frame by frame: upright, in the right colours, with its own times."""

from __future__ import annotations

import dataclasses
import os
import pathlib
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import av
import numpy as np
from av.video.reformatter import Colorspace

from facedancer.errors import InputError
from facedancer.video_swap.media import containers, decoding, hdr, upright
from facedancer.video_swap.pixels.picture import Picture
from facedancer.video_swap.pixels.planes import SPACES

_UNSPECIFIED = 2
_THINNEST = 10  # pixels that are said to be longer than that are not meant


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
        return SPACES.get(self.matrix, Colorspace.ITU709)


def colour_of(matrix: int, primaries: int, transfer: int, height: int) -> Colour:
    """Returns a video's colours, with what it does not say filled in by custom.

    Args:
        matrix: Code of the file, 2 where it says nothing.
        primaries: Code of the file, 2 where it says nothing.
        transfer: Code of the file, 2 where it says nothing.
        height: Of the stored picture in pixels: players take BT.709 from 720 on.
    """
    if matrix not in SPACES:
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
        alpha: Whether it says how transparent each pixel is.
        fields: `"top"` or `"bottom"`: its frames are two fields, and which is shown
            first; `""`: they are whole pictures.
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
    alpha: bool = False
    fields: str = decoding.PROGRESSIVE


@dataclasses.dataclass(frozen=True)
class Frame:
    """One frame of a clip.

    Attributes:
        index: Its number among the frames that are used, from 0.
        picture: What it shows, upright.
        pts: Its time in units of the clip's `time_base`, as in the file; rising, also
            where those of the file are not.
        duration: How long it is shown, same units, 0 if unknown.
        damaged: Whether the decoder had to guess parts of it.
        source: Of a folder of images, the file that it is.
        alpha: `(height, width)` uint8 of a clip with alpha; the picture is on white
            then.
    """

    index: int
    picture: Picture
    pts: int
    duration: int = 0
    damaged: bool = False
    source: pathlib.Path | None = None
    alpha: np.ndarray | None = None

    @property
    def image(self) -> np.ndarray:
        """The picture as `(height, width, 3)` uint8 RGB; not to be changed."""
        return self.picture.image


def exact_seconds(seconds: float) -> Fraction:
    """Returns what a person who typed 0.2 meant: a fifth, not the nearest float.

    Args:
        seconds: A time.
    """
    return Fraction(seconds).limit_denominator(1_000_000)


def nothing_used(reader: Any, last: Fraction | None) -> InputError:
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
            f"{reader.path}: {start} lies after the last frame ({float(last):.2f} s)"
        )
    return InputError(
        f"{reader.path}: no frame begins in the {float(reader.length):g} s after "
        f"{start}. Raise --length"
    )


class VideoReader:
    """Frames of a video file, straight through from its first to its last.

    Nothing is skipped by an index, since indices of cut and broken files lie. Each
    frame that the decoder gives comes out, in the order in which they are shown, with
    rising times. After the iteration `damage` holds the stretches that could not be
    decoded in full, and `notes` say what was mended.

    Args:
        path: The file.
        start: Seconds from the first frame at which to begin.
        length: Seconds to read, None for all.
        every: Use every n-th frame.
        hdr_mode: `"refuse"` or `"convert"` what is in PQ or HLG.
        deinterlace: Whether frames of two fields become whole pictures.

    Attributes:
        origin: Time of the file's first frame, in units of the time base.
        offsets: Seconds that were added to the file's own after each jump of its clock,
            the first 0; its sound needs the same.

    Raises:
        InputError: If it cannot be opened, has no video stream or is HDR while
            `hdr_mode` is `"refuse"`; while reading, if no frame begins in the part.
    """

    def __init__(
        self,
        path: str | os.PathLike,
        start: float = 0.0,
        length: float | None = None,
        every: int = 1,
        hdr_mode: str = "refuse",
        deinterlace: bool = False,
    ) -> None:
        self.path = pathlib.Path(path)
        self.start, self.every = exact_seconds(start), every
        self.length = None if length is None else exact_seconds(length)
        self.deinterlace = deinterlace
        self.damage: list[tuple[Fraction, Fraction]] = []
        self.notes: list[str] = []
        self.origin = 0
        self.offsets: tuple[Fraction, ...] = (Fraction(0),)
        self._sound_begins: Fraction | None = None
        with containers.open_input(self.path) as container:
            stream = containers.picture_stream(container, self.path)
            self._describe(container, stream, self._first_frame(container, stream))
        self.tone_map: hdr.ToneMap | None = None
        if self.colour.transfer in hdr.CURVES:
            self._prepare_hdr(hdr_mode)
        self._found: list[str] = []  # notes of the last reading

    def _first_frame(
        self, container: av.container.InputContainer, stream: av.VideoStream
    ) -> av.VideoFrame:
        decoder, reason = decoding.decoder_of(stream), "there is no frame in it"
        for packet, broken in containers.packets_of(container, [stream]):
            try:
                filled = packet is not None and packet.size
                frames = decoder.decode(packet if filled else None)
            except av.error.FFmpegError as error:
                reason = error.strerror
                continue
            for frame in frames:
                return frame
            reason = broken or reason
        raise InputError(f"{self.path}: its picture cannot be decoded ({reason})")

    def _describe(
        self,
        container: av.container.InputContainer,
        stream: av.VideoStream,
        frame: av.VideoFrame,
    ) -> None:
        turned = upright.orientation_of(frame).swapped
        size = (frame.height, frame.width) if turned else (frame.width, frame.height)
        aspect = stream.sample_aspect_ratio or Fraction(1)
        if not Fraction(1, _THINNEST) <= aspect <= _THINNEST:
            aspect = Fraction(1)
        duration = stream.duration or 0
        self.colour = colour_of(
            int(frame.colorspace), frame.color_primaries, frame.color_trc, frame.height
        )
        fields = decoding.field_order(stream, frame)
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
            alpha=upright.has_alpha(frame),
            fields=decoding.PROGRESSIVE if self.deinterlace else fields,
        )
        self.origin = frame.pts or 0
        begins = [
            one.start_time * one.time_base
            for one in container.streams.audio
            if one.start_time is not None
        ]
        self._sound_begins = min(begins, default=None)
        self._note_what_changes(container)

    def _note_what_changes(self, container: av.container.InputContainer) -> None:
        if self.info.deep > 8:
            self.notes.append(f"{self.info.deep}-bit picture: the output has 8 bits")
        films = len(container.streams.video)
        chosen = containers.picture_stream(container, self.path).index
        if films > 1:
            self.notes.append(f"stream {chosen} is its picture, of {films} that it has")

    def _prepare_hdr(self, mode: str) -> None:
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

    @property
    def beginning(self) -> Fraction:
        """Seconds in the file's own time that are the start of what is read.

        That of the first sound or picture, whichever is earlier; clocks of broadcasts
        begin anywhere. Sound before time 0 is left to the player's edit list.
        """
        origin = self.origin * self.info.time_base
        if self.start:
            return origin + self.start
        first = min(
            origin, origin if self._sound_begins is None else self._sound_begins
        )
        return first if first > 0 else min(origin, Fraction(0))

    def __iter__(self) -> Iterator[Frame]:
        decoded = decoding.Decoding(self.path, self.info.rate, self.deinterlace)
        pictured = upright.ToPictures(self.info, self.colour, self.tone_map)
        count, used, seconds, whole = 0, 0, None, True
        self.damage = []
        for one in decoded:
            if not count and seconds is None:
                self.origin = one.pts
            seconds = (one.pts - self.origin) * self.info.time_base
            self.offsets = decoded.clock.offsets
            if self.length is not None and seconds >= self.start + self.length:
                whole = False
                break
            if seconds < self.start:
                continue
            if count % self.every == 0:
                picture, alpha = pictured(one.frame, one.aspect)
                yield Frame(
                    used,
                    picture,
                    one.pts,
                    one.duration * self.every,
                    one.damaged,
                    alpha=alpha,
                )
                used += 1
            count += 1
        if not whole:
            decoded.check(whole=False)
        if not used:
            raise nothing_used(self, seconds)
        self._finish(decoded, pictured)

    def _finish(self, decoded: decoding.Decoding, pictured: upright.ToPictures) -> None:
        """Takes over what only the whole reading shows."""
        self.damage = list(decoded.damage.stretches)
        earlier, self._found = self._found, decoded.notes()
        self._found += [
            f"damaged at {float(start):.2f} s, what cannot be decoded there is missing"
            for start, end in self.damage
            if start == end
        ]
        if pictured.scaled:
            width, height = self.info.size_wh
            self._found.append(
                f"{pictured.scaled} pictures of another size were scaled to "
                f"{width}x{height}"
            )
        self.notes = [line for line in self.notes if line not in earlier] + self._found
