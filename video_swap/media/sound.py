"""Encode sound that an output's container cannot hold as it is."""

from __future__ import annotations

import typing
from collections.abc import Iterator
from fractions import Fraction
from typing import TYPE_CHECKING

import av
import numpy as np

if TYPE_CHECKING:
    from facedancer.video_swap.media.streams import Rest

_SLACK = Fraction(1, 60)  # seconds that sound may be off before that is mended
_AFTER = 60  # seconds after the picture in which sound can be meant
_BITS = 64_000  # a second and channel
# What a layout is called whose speakers stand elsewhere, for encoders that know one.
_USUAL = {"5.1(side)": "5.1", "5.0(side)": "5.0", "quad(side)": "quad"}
_BY_NUMBER = {1: "mono", 2: "stereo", 3: "3.0", 4: "quad", 5: "5.0", 6: "5.1", 7: "6.1"}


class Encoder:
    """Decodes a track of sound and encodes it in a codec that the output holds.

    Rate and channels stay, or become the nearest that the codec has; `note` says so.

    Args:
        made: The open output; the stream is added to it.
        given: The track of the input.
    """

    def __init__(
        self, made: av.container.OutputContainer, given: av.AudioStream
    ) -> None:
        codec = "aac" if "aac" in made.supported_codecs else "libopus"
        rate = nearest_rate(codec, given.rate or 48000)
        layout = nearest_layout(codec, rate, given.layout.name, given.channels)
        self.given = given
        self.stream = typing.cast(av.AudioStream, made.add_stream(codec, rate=rate))
        self.stream.layout = layout
        self.stream.codec_context.bit_rate = _BITS * max(2, self.stream.channels)
        self.stream.metadata.update(given.metadata)
        self.stream.disposition = given.disposition
        self.samples = 0  # given to the encoder; they have no pauses
        self.note = f"encoded to {codec}, {made.format.name} cannot hold it"
        if rate != given.rate and given.rate:
            self.note += f"; {given.rate} samples a second became {rate}"
        if self.stream.channels != given.channels:
            self.note += f"; {given.channels} channels became {self.stream.channels}"

    def packets(self, packet: av.Packet, rest: Rest) -> Iterator[av.Packet]:
        """Yields the encoded packets that one of the input completes.

        Args:
            packet: Of the input, with its time on the picture's clock; an empty one at
                the end.
            rest: Which part is used, see `streams.Rest`.
        """
        try:
            frames = typing.cast(list[av.AudioFrame], packet.decode())
        except av.error.FFmpegError:
            return
        first, end = rest.first, rest.end
        if end is None and rest.shown is not None:
            end = rest.shown + _AFTER
        for frame in frames:
            rate = frame.sample_rate
            seconds = first + Fraction(self.samples, rate)
            if frame.pts is not None:
                seconds = frame.pts * frame.time_base
            late = round((seconds - first) * rate) - self.samples
            if end is not None and seconds >= end:
                continue
            new: av.AudioFrame | None = frame
            if late < -_SLACK * rate:  # before the start, or encoded already
                new = _without(frame, -late)
            elif late > _SLACK * rate:
                for pause in _silence(frame, late):
                    yield from self._encode(pause)
            if new is not None:
                yield from self._encode(new)

    def _encode(self, frame: av.AudioFrame) -> Iterator[av.Packet]:
        """Encodes samples as those that come next."""
        frame.pts, frame.time_base = self.samples, Fraction(1, frame.sample_rate)
        self.samples += frame.samples
        yield from self.stream.encode(frame)

    def flush(self) -> Iterator[av.Packet]:
        """Yields what the encoder still holds."""
        yield from self.stream.encode(None)


def _without(frame: av.AudioFrame, samples: int) -> av.AudioFrame | None:
    """Returns a frame without its first samples, None if nothing is left."""
    if samples >= frame.samples:
        return None
    wave: np.ndarray = frame.to_ndarray()
    kind = frame.format.name
    wave = wave[:, samples * (wave.shape[1] // frame.samples) :]
    rest = av.AudioFrame.from_ndarray(np.ascontiguousarray(wave), kind, frame.layout)
    rest.sample_rate = frame.sample_rate
    return rest


def _silence(like: av.AudioFrame, samples: int) -> Iterator[av.AudioFrame]:
    """Yields frames of silence in the form of another frame."""
    kind = like.format.name
    quiet = b"\x80" if kind.startswith("u8") else b"\0"
    while samples > 0:
        count = min(samples, like.sample_rate)
        frame = av.AudioFrame(format=kind, layout=like.layout.name, samples=count)
        frame.sample_rate = like.sample_rate
        for plane in frame.planes:
            plane.update(quiet * plane.buffer_size)
        yield frame
        samples -= count


def nearest_rate(codec: str, rate: int) -> int:
    """Returns the rate that a codec has: this one, the next below it, or its lowest.

    Args:
        codec: Name of the encoder.
        rate: Samples a second.
    """
    known = sorted(av.Codec(codec, "w").audio_rates or [rate])
    below = [one for one in known if one <= rate]
    return below[-1] if below else known[0]


def nearest_layout(codec: str, rate: int, layout: str, channels: int) -> str:
    """Returns the layout that a codec takes: this one, one of as many channels, or two.

    Args:
        codec: Name of the encoder.
        rate: Samples a second, one that it has.
        layout: Name of the layout.
        channels: How many channels that is.
    """
    usual = _USUAL.get(layout, layout)
    for name in (usual, layout, _BY_NUMBER.get(channels), "7.1"):
        if name and av.AudioLayout(name).nb_channels == channels:
            if _takes(codec, rate, name):
                return name
    return "mono" if channels == 1 else "stereo"


def _takes(codec: str, rate: int, layout: str) -> bool:
    try:
        context = typing.cast(av.AudioCodecContext, av.CodecContext.create(codec, "w"))
        context.sample_rate, context.layout = rate, layout
        context.format = av.Codec(codec, "w").audio_formats[0].name
        context.open()
    except (av.error.FFmpegError, ValueError):
        return False
    return True
