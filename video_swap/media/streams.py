"""Copy what is not the picture: sound, subtitles, chapters."""

from __future__ import annotations

import dataclasses
import heapq
import io
import pathlib
from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction

import av

from facedancer.video_swap.media import containers, sound

_KINDS = ("audio", "subtitle")
# Containers that say with an edit list that sound before time 0 is not to be heard.
# Others move all streams behind what begins before 0.
_EDIT_LISTS = ("mp4", "mov", "ipod")
_SLACK = Fraction(1, 10)  # seconds that times may go back without being another clock
_LEAP = 10  # seconds ahead that may be another clock
_WRAPPED = 1 << 31  # units; FFmpeg says so of an Ogg's last packet for a bit below 0
_BESIDE = 2  # seconds by which sound stands before or behind its picture in a file


@dataclasses.dataclass(frozen=True)
class Rest:
    """What comes into an output beside the picture, and when.

    Attributes:
        path: The input that sound, subtitles, chapters and metadata come from; None for
            none.
        first: Seconds in the input's own time that become the start of the output.
        end: Seconds in the input's own time at which the sound ends, None for all.
        offsets: Seconds added to the input's clock after each of its jumps, the first
            0; `first` and `end` are times after that.
        shown: Seconds at which the picture ends, None if that is not known yet; sound
            long after it is a clock's mistake.
        cut: Seconds at the beginning of the input that are left out.
        every: Every n-th picture is used.
    """

    path: pathlib.Path | None = None
    first: Fraction = Fraction(0)
    end: Fraction | None = None
    offsets: tuple[Fraction, ...] = (Fraction(0),)
    shown: Fraction | None = None
    cut: Fraction = Fraction(0)
    every: int = 1


class Follower:
    """Moves the times of one stream as those of the picture were moved.

    Each stream of joined recordings jumps where the picture does, a little earlier or
    later in the file, or not at all if it has a hole there.

    Args:
        offsets: Seconds, see `Rest`.
        picture: The follower of the picture itself, None for that one.
    """

    def __init__(
        self, offsets: tuple[Fraction, ...], picture: Follower | None = None
    ) -> None:
        self.offsets, self.picture, self.at = offsets, picture, 0
        self.stamp: Fraction | None = None
        self.end = Fraction(0)

    def offset(self, stamp: Fraction, duration: Fraction) -> Fraction:
        """Returns what is to be added to a time, in seconds.

        Args:
            stamp: The time by the file.
            duration: How long what begins then lasts.
        """
        if self.stamp is not None and len(self.offsets) > 1:
            step = stamp - self.stamp
            if step < -_SLACK or step > _LEAP:
                self._jump(stamp)
            elif self.picture is not None:
                self._catch_up(stamp)
        self.stamp = stamp
        self.end = stamp + self.offsets[self.at] + duration
        return self.offsets[self.at]

    def _jump(self, stamp: Fraction) -> None:
        """Takes a later offset: that by which it goes on, or is beside the picture."""
        if self.picture is None:
            indices, goal = range(self.at, self.at + 2), self.end
        else:
            indices, goal = range(self.at + 1, self.picture.at + 2), self.picture.end
        known = [i for i in indices if i < len(self.offsets)]
        self.at = min(
            known, key=lambda i: abs(stamp + self.offsets[i] - goal), default=self.at
        )

    def _catch_up(self, stamp: Fraction) -> None:
        """Takes the picture's offset where only that brings it beside the picture."""
        off = [abs(stamp + self.offsets[i] - self.picture.end) for i in self._both()]
        if off[0] > _BESIDE and off[1] < _BESIDE / 2:
            self.at = self.picture.at

    def _both(self) -> tuple[int, int]:
        return self.at, self.picture.at


class Copier:
    """Takes the other streams of an input over into an output.

    Packets are copied as they are. Sound that the container cannot hold is encoded,
    other streams it cannot hold are left out; `notes` says what became of each.

    Args:
        given: The open input.
        made: The open output; its streams are added here.
        main: The picture's stream, which is not copied.
        rest: Which part.
        limit: Read no more packets than so many, None for all.
    """

    def __init__(
        self,
        given: av.container.InputContainer,
        made: av.container.OutputContainer,
        main: av.VideoStream,
        rest: Rest,
        limit: int | None = None,
    ) -> None:
        self.given, self.made, self.main = given, made, main
        self.rest, self.span, self.limit = rest, (rest.first, rest.end), limit
        self.notes: list[str] = []
        self.copied: dict[int, av.stream.Stream] = {}
        self.encoded: dict[int, sound.Encoder] = {}
        self.followers: dict[int, Follower] = {}
        self.last: dict[int, int] = {}  # decoding time of each stream's last packet
        self.overlapping = 0
        picture = Follower(rest.offsets)
        for stream in given.streams:
            own = picture if stream.index == main.index else None
            self.followers[stream.index] = own or Follower(rest.offsets, picture)
            if stream.index != main.index:
                self._add(stream)

    def _add(self, stream: av.stream.Stream) -> None:
        name = f"{stream.type} stream {stream.index} ({_codec(stream)})"
        if stream.type == "data" and "timecode" in stream.metadata:
            return  # `joining` says what becomes of it
        if stream.type not in _KINDS or _codec(stream) == "unknown":
            self.notes.append(f"{name}: left out, such a stream cannot be copied")
        elif _fits(stream, self.made):
            new = self.made.add_stream_from_template(stream)
            new.metadata.update(stream.metadata)
            new.disposition = stream.disposition
            self.copied[stream.index] = new
            self.notes.append(f"{name}: copied")
        elif isinstance(stream, av.AudioStream):
            encoder = sound.Encoder(self.made, stream)
            self.encoded[stream.index] = encoder
            self.notes.append(f"{name}: {encoder.note}")
        else:
            holder = self.made.format.name
            self.notes.append(f"{name}: left out, {holder} cannot hold it")

    def copy_chapters(self) -> None:
        """Copies the chapters that lie in the span."""
        first, end = self.span
        kept = []
        for chapter in self.given.chapters():
            base = Fraction(chapter["time_base"])
            start = chapter["start"] * base - first
            stop = chapter["end"] * base - first
            if stop > 0 and (end is None or start < end - first):
                chapter["start"] = max(0, round(start / base))
                chapter["end"] = round(stop / base)
                kept.append(chapter)
        if kept:
            self.made.set_chapters(kept)
            self.notes.append(f"{len(kept)} chapters: copied")

    def packets(self) -> Iterator[av.Packet]:
        """Yields the packets of the other streams, times moved to the output's."""
        chosen = [self.given.streams[i] for i in (*self.copied, *self.encoded)]
        if not chosen:
            return
        if len(self.rest.offsets) > 1:
            chosen.append(self.main)  # its clock says where subtitles belong
        for count, packet in enumerate(self._demux(chosen)):
            if self.limit is not None and count >= self.limit:
                break
            index = packet.stream.index
            if not packet.size and index not in self.encoded:
                continue
            self._follow(packet)
            if index in self.encoded:
                yield from self.encoded[index].packets(packet, self.rest)
            elif index in self.copied and self._inside(packet):
                yield from self._risen(self._moved(packet))
        for encoder in self.encoded.values():
            yield from encoder.flush()
        if self.overlapping:
            self.notes.append(
                f"{self.overlapping} packets of sound that overlap where recordings "
                "were joined: left out"
            )

    def _demux(self, chosen: Sequence[av.stream.Stream]) -> Iterator[av.Packet]:
        for packet, reason in containers.packets_of(self.given, chosen):
            if reason:
                self.notes.append(
                    f"sound and subtitles end early: damaged file ({reason})"
                )
                return
            yield packet

    def _follow(self, packet: av.Packet) -> None:
        """Gives a packet the times it would have if the clock had never jumped."""
        if not packet.size:
            return
        follower, base = self.followers[packet.stream.index], packet.time_base
        stamp = packet.pts if packet.dts is None else packet.dts
        if stamp is None:
            before = follower.stamp is not None
            stamp = round((follower.end - follower.offsets[follower.at]) / base)
            stamp = stamp if before else round(self.span[0] / base)
        if not 0 <= (packet.duration or 0) < _WRAPPED:
            packet.duration = 0
        length = packet.duration * base
        if packet.stream.type == "subtitle":
            offset = self.rest.offsets[self.followers[self.main.index].at]
        else:
            offset = follower.offset(stamp * base, length)
        units = round(offset / base)
        packet.pts = (stamp if packet.pts is None else packet.pts) + units
        packet.dts = stamp + units

    def _inside(self, packet: av.Packet) -> bool:
        first, end = self.span
        seconds = packet.pts * packet.time_base
        if seconds >= first:
            return end is None or seconds < end
        unheard = seconds + (packet.duration or 0) * packet.time_base <= first
        is_cut = first > Fraction(self.given.start_time or 0, av.time_base)
        if self.made.format.name in _EDIT_LISTS:
            return not (unheard and is_cut)
        return not (unheard or (is_cut and packet.stream.type == "audio"))

    def _moved(self, packet: av.Packet) -> av.Packet:
        shift = round(self.span[0] / packet.time_base)
        given, packet.stream = packet.stream, self.copied[packet.stream.index]
        packet.pts, packet.dts = packet.pts - shift, packet.dts - shift
        if given.type == "subtitle" and packet.pts < 0:
            packet.duration = max(0, (packet.duration or 0) + packet.pts)
            packet.pts = packet.dts = 0
        return packet

    def _risen(self, packet: av.Packet) -> Iterator[av.Packet]:
        """Yields a packet if its time is, or can be made, above that of the last."""
        last = self.last.get(packet.stream.index)
        if last is not None and packet.dts <= last:
            late = last - packet.dts
            if packet.stream.type == "audio" and late > (packet.duration or 0) // 2:
                self.overlapping += 1
                return
            packet.dts = last + 1
            packet.pts = max(packet.pts, packet.dts)
        self.last[packet.stream.index] = packet.dts
        yield packet


def _codec(stream: av.stream.Stream) -> str:
    context = stream.codec_context
    return context.codec.canonical_name if context is not None else "unknown"


def _fits(stream: av.stream.Stream, made: av.container.OutputContainer) -> bool:
    """Returns whether a container takes a stream as it is: its header is tried."""
    kind = made.format.name
    if _codec(stream) not in made.supported_codecs:
        return False
    if _codec(stream).startswith("pcm_") and kind == "mp4":
        return False  # QuickTime holds raw sound, MP4 players do not expect it
    try:
        with av.open(io.BytesIO(), "w", format=kind) as trial:
            trial.add_stream_from_template(stream)
            trial.start_encoding()
    except (av.error.FFmpegError, ValueError):
        return False
    return True


def interleave(tracks: Iterable[Iterator[av.Packet]]) -> Iterator[av.Packet]:
    """Yields the packets of several tracks in the order of their decoding times.

    Args:
        tracks: Iterators over packets, each with rising times.
    """

    def seconds(packet: av.Packet) -> Fraction:
        return packet.dts * packet.time_base

    return heapq.merge(*tracks, key=seconds)
