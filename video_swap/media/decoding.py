"""The pictures of a file as they are decoded: all of them, each with a time."""

from __future__ import annotations

import collections
import dataclasses
import os
import typing
from collections.abc import Iterable, Iterator
from fractions import Fraction

import av
from av.filter import Graph

from facedancer.video_swap.media import containers
from facedancer.video_swap.media.clock import Clock

_ENDS_EARLY = Fraction(1, 2)  # seconds missing at the end that are worth a word
# Codecs of which each packet that is shown gives one frame. Those of VP8, VP9 and AV1
# may be hidden by design, and some of MPEG-4 stand for nothing.
_ONE_EACH = frozenset(
    "h264 hevc vvc mpeg1video mpeg2video prores dnxhd mjpeg ffv1 qtrle png cfhd hap "
    "utvideo huffyuv ffvhuff dvvideo".split()
)
# What FFmpeg's own decoders do not read: their alpha lies beside the picture.
_ALPHA_DECODERS = {"vp8": "libvpx", "vp9": "libvpx-vp9"}
_GRAPH_BASE = Fraction(1, 1000)
PROGRESSIVE = ""
_FIELDS = {2: "top", 5: "top", 3: "bottom", 4: "bottom"}  # of AVFieldOrder


@dataclasses.dataclass(frozen=True)
class Decoded:
    """A frame as it comes from the decoder.

    Attributes:
        frame: The picture.
        pts: Its time in units of the stream's time base, rising.
        duration: How long it is shown, 0 if unknown.
        damaged: Whether the decoder had to guess parts of it.
        aspect: Width over height of a stored pixel as the codec says, None if it does
            not.
    """

    frame: av.VideoFrame
    pts: int
    duration: int
    damaged: bool
    aspect: Fraction | None = None


def field_order(stream: av.VideoStream, frame: av.VideoFrame) -> str:
    """Returns which field of a frame is shown first, `PROGRESSIVE` if it has none.

    Args:
        stream: The picture's stream.
        frame: Its first frame.

    Returns:
        `"top"`, `"bottom"` or `PROGRESSIVE`.
    """
    known = _FIELDS.get(stream.codec_context.field_order)
    return (known or "top") if frame.interlaced_frame or known else PROGRESSIVE


class Damage:
    """Stretches of a clip that could not be decoded in full.

    Args:
        base: Seconds a unit of time.
        step: Units from frame to frame: the shortest stretch, and stretches that are no
            more than four of these apart are one.
    """

    def __init__(self, base: Fraction, step: int) -> None:
        self.base, self.step, self.near = base, max(1, step), 4 * max(1, step) * base
        self.origin: int | None = None  # time of the clip's first frame
        self.stretches: list[tuple[Fraction, Fraction]] = []

    def add(self, first: int, end: int) -> None:
        """Adds a stretch; it is joined to those that touch it.

        Args:
            first: Where it begins, in units of time.
            end: Where it ends.
        """
        origin = first if self.origin is None else self.origin
        end = max(end, first + self.step)
        new = ((first - origin) * self.base, (end - origin) * self.base)
        kept = []
        for old in self.stretches:
            if old[0] - new[1] <= self.near and new[0] - old[1] <= self.near:
                new = (min(old[0], new[0]), max(old[1], new[1]))
            else:
                kept.append(old)
        self.stretches = sorted([*kept, new])


class Decoding:
    """The frames of a file, straight through from its first to its last.

    Args:
        path: The file.
        rate: Its mean frames a second.
        deinterlace: Whether frames of two fields become whole pictures.

    Attributes:
        damage: What could not be decoded.
        clock: What gave the frames their times.
        deinterlaced: How many frames were made whole.
    """

    def __init__(
        self, path: str | os.PathLike, rate: Fraction, deinterlace: bool = False
    ) -> None:
        self.path, self.rate, self.deinterlace = path, rate, deinterlace
        self.damage: Damage | None = None
        self.clock: Clock | None = None
        self.deinterlaced = 0
        self._before = 0  # packets lost before the first frame
        self._failed: list[int] = []  # about when the decoder complained
        self._counted = False
        self._promised = Fraction(0)
        self._cut = False

    def __iter__(self) -> Iterator[Decoded]:
        with containers.open_input(self.path) as container:
            stream = containers.picture_stream(container, self.path)
            stream.thread_type = "AUTO"
            self._prepare(container, stream)
            frames = self._timed(container, stream)
            for one in _Deinterlacer(self, frames) if self.deinterlace else frames:
                if self.damage.origin is None:
                    self.damage.origin = one.pts
                if one.damaged:
                    self.damage.add(one.pts, one.pts + one.duration)
                yield one
        self.check(whole=True)
        self._check_end()

    def _prepare(
        self, container: av.container.InputContainer, stream: av.VideoStream
    ) -> None:
        base = stream.time_base
        jumps = container.format.name.startswith("mpeg")
        self.clock = Clock(round(1 / self.rate / base), base, jumps)
        self.damage = Damage(base, self.clock.step)
        self._counted = stream.codec_context.codec.canonical_name in _ONE_EACH
        if container.format.name.startswith(("mov", "avi")):
            self._promised = (stream.duration or 0) * base
        self._cut = containers.is_cut(self.path)

    def _timed(
        self, container: av.container.InputContainer, stream: av.VideoStream
    ) -> Iterator[Decoded]:
        context = decoder_of(stream)
        heard: Fraction | None = None
        packets: list[av.Packet | None]
        sounds = [one for one in container.streams.audio if self.clock.jumps]
        for packet, reason in containers.packets_of(container, [stream, *sounds]):
            if reason:
                if self.clock.last is not None:
                    self.damage.add(self.clock.last, self.clock.last)
                packets = [None]  # what the decoder still holds
            elif packet.stream.index != stream.index:  # its own says 0 at the end
                stamp = packet.dts if packet.pts is None else packet.pts
                heard = heard if stamp is None else stamp * packet.time_base
                continue
            else:
                packets = [packet]
            for one in packets:
                yield from self._decoded(context, one, heard)

    def _decoded(
        self,
        context: av.VideoCodecContext,
        packet: av.Packet | None,
        heard: Fraction | None,
    ) -> Iterator[Decoded]:
        filled = packet is not None and packet.size
        if filled and not packet.is_discard:
            self.clock.sent(packet)
        try:
            frames = context.decode(packet if filled else None)
        except av.error.FFmpegError:
            if filled and not packet.is_discard:
                self._refused(packet)
            return
        for frame in frames:
            pts = self.clock.time(frame, heard)
            bad = bool(frame.is_corrupt)
            aspect = context.sample_aspect_ratio
            yield Decoded(frame, pts, frame.duration or 0, bad, aspect)

    def _refused(self, packet: av.Packet) -> None:
        """Notes an error; threads tell of it some packets late."""
        stamp = packet.pts
        if stamp is None:
            self.clock.refused(packet)
            stamp = packet.dts
        if stamp is None:
            stamp = self.clock.last or 0
        self._failed.append(stamp + self.clock.added[-1])

    def check(self, whole: bool) -> None:
        """Counts packets against frames and notes what is missing.

        Args:
            whole: Whether the file was read to its end.
        """
        clock = self.clock
        if clock.last is None:
            return
        # Early ones are seen exactly below, where they can be.
        for time in self._failed:
            if time >= clock.first or not self._counted:
                self.damage.add(time, time)
        for time, is_key in clock.lost(whole) if self._counted else ():
            # Recordings begin anywhere; a whole picture that is refused is damage.
            if time < clock.first and not is_key:
                self._before += 1
            else:
                self.damage.add(time, time)

    def _check_end(self) -> None:
        """Notes a file that ends before the time its header promises."""
        clock, base = self.clock, self.clock.base
        if clock.last is None:
            return
        end = (clock.last - clock.first) * base
        if self._promised - end > _ENDS_EARLY + 4 / self.rate:
            self.damage.add(clock.last + 1, clock.first + int(self._promised / base))
        elif self._cut:
            self.damage.add(clock.last + 1, clock.last + 1)

    def notes(self) -> list[str]:
        """Returns one line for each kind of thing that was mended or left out."""
        lines = self.clock.notes()
        if self._before:
            lines.append(
                f"{self._before} pictures before the first whole one cannot be "
                "decoded: left out"
            )
        if self.deinterlace:
            lines.append(
                f"{self.deinterlaced} pictures of two fields were made whole"
                if self.deinterlaced
                else "--deinterlace changed nothing: no picture is marked as two fields"
            )
        return lines


def decoder_of(stream: av.VideoStream) -> av.VideoCodecContext:
    """Returns what decodes the packets of a stream.

    Args:
        stream: The picture's stream.
    """
    name = _ALPHA_DECODERS.get(stream.codec_context.codec.canonical_name)
    tags = {key.lower(): value for key, value in stream.metadata.items()}
    if tags.get("alpha_mode") == "1" and name in av.codecs_available:
        return typing.cast(av.VideoCodecContext, av.CodecContext.create(name, "r"))
    return stream.codec_context


class _Deinterlacer:
    """Makes whole pictures of frames that are marked as two fields; others pass.

    Args:
        decoding: Whose frames these are; counts what was changed.
        frames: The `Decoded` frames.
    """

    def __init__(self, decoding: Decoding, frames: Iterable[Decoded]) -> None:
        self.decoding, self.frames = decoding, frames
        self.held: collections.deque = collections.deque()
        self.graph: Graph | None = None
        self.form: tuple[int, int, str] | None = None
        self.number = 0

    def __iter__(self) -> Iterator[Decoded]:
        for one in self.frames:
            form = (one.frame.width, one.frame.height, one.frame.format.name)
            if form != self.form:
                yield from self._pull(last=True)
                self.graph, self.form = self._graph(one.frame), form
            self.decoding.deinterlaced += one.frame.interlaced_frame
            self.held.append(one)
            # The graph's own times: it gives one picture for one.
            one.frame.pts, one.frame.time_base = self.number, _GRAPH_BASE
            self.number += 1
            self.graph.vpush(one.frame)
            yield from self._pull()
        yield from self._pull(last=True)

    def _graph(self, frame: av.VideoFrame) -> Graph:
        graph = Graph()
        source = graph.add_buffer(
            width=frame.width,
            height=frame.height,
            format=frame.format,
            time_base=_GRAPH_BASE,
        )
        whole = graph.add("bwdif", "mode=send_frame:parity=auto:deint=interlaced")
        graph.link_nodes(source, whole, graph.add("buffersink")).configure()
        return graph

    def _pull(self, last: bool = False) -> Iterator[Decoded]:
        if self.graph is None:
            return
        if last:
            self.graph.vpush(None)
        while True:
            try:
                frame = self.graph.vpull()
            except (av.error.BlockingIOError, av.error.EOFError):
                return
            yield dataclasses.replace(self.held.popleft(), frame=frame)
