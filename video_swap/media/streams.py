"""Copy what is not the picture: sound, subtitles, chapters."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator
from fractions import Fraction

import av

_KINDS = ("audio", "subtitle")
# Containers that say with an edit list that sound before time 0 is not to be heard.
# Others move all streams behind what begins before 0.
_EDIT_LISTS = ("mp4", "mov", "ipod")


class Copier:
    """Takes the other streams of an input over into an output.

    Packets are copied as they are. Sound that the container cannot hold is encoded to
    AAC, other streams it cannot hold are left out; `notes` says what became of each.

    Args:
        given: The open input.
        made: The open output; its streams are added here.
        main: The picture's stream, which is not copied.
        span: First and last second, in the input's own time; the last may be None.
    """

    def __init__(self, given, made, main, span):
        self.given, self.made, self.span = given, made, span
        self.notes: list[str] = []
        self.copied: dict[int, av.stream.Stream] = {}
        self.encoded: dict[int, av.AudioStream] = {}
        for stream in given.streams:
            if stream.index != main.index:
                self._add(stream)

    def _add(self, stream):
        name = f"{stream.type} stream {stream.index} ({_codec(stream)})"
        made, holds = self.made, self.made.supported_codecs
        if stream.type not in _KINDS or _codec(stream) == "unknown":
            self.notes.append(f"{name}: left out, such a stream cannot be copied")
        elif _codec(stream) in holds and _fits(stream, made):
            new = made.add_stream_from_template(stream)
            new.metadata.update(stream.metadata)
            new.disposition = stream.disposition
            self.copied[stream.index] = new
            self.notes.append(f"{name}: copied")
        elif stream.type == "audio":
            self._encode(stream, name)
        else:
            self.notes.append(f"{name}: left out, {made.format.name} cannot hold it")

    def _encode(self, stream, name):
        codec = "aac" if "aac" in self.made.supported_codecs else "libopus"
        new = self.made.add_stream(codec, rate=stream.rate if codec == "aac" else 48000)
        new.layout = "mono" if stream.channels == 1 else "stereo"
        new.metadata.update(stream.metadata)
        self.encoded[stream.index] = new
        self.notes.append(
            f"{name}: encoded to {codec}, {self.made.format.name} cannot hold it"
        )

    def copy_chapters(self) -> None:
        """Copies the chapters that lie in the span."""
        first, end = self.span
        kept = []
        for chapter in self.given.chapters():
            base = Fraction(chapter["time_base"])
            start = chapter["start"] * base - first
            stop = chapter["end"] * base - first
            if stop > 0 and (end is None or start < end - first):
                moved = {**chapter, "start": max(0, round(start / base))}
                kept.append({**moved, "end": round(stop / base)})
        if kept:
            self.made.set_chapters(kept)
            self.notes.append(f"{len(kept)} chapters: copied")

    def packets(self) -> Iterator[av.Packet]:
        """Yields the packets of the other streams, times moved to the output's."""
        chosen = [self.given.streams[i] for i in (*self.copied, *self.encoded)]
        if not chosen:
            return
        for packet in self._demux(chosen):
            if packet.stream_index in self.encoded:
                yield from self._encoded(packet)
            elif packet.dts is not None and self._inside(packet):
                yield self._moved(packet)
        for stream in self.encoded.values():
            yield from stream.encode(None)

    def _demux(self, chosen):
        packets = self.given.demux(chosen)
        while True:
            try:
                yield next(packets)
            except StopIteration:
                return
            except av.error.FFmpegError as error:
                self.notes.append(
                    f"sound and subtitles end early: damaged file ({error.strerror})"
                )
                return

    def _inside(self, packet):
        first, end = self.span
        if packet.pts is None:
            return True
        seconds = packet.pts * packet.time_base
        if seconds >= first:
            return end is None or seconds < end
        unheard = seconds + (packet.duration or 0) * packet.time_base <= first
        is_cut = first > Fraction(self.given.start_time or 0, av.time_base)
        if self.made.format.name in _EDIT_LISTS:
            return not (unheard and is_cut)
        return not (unheard or (is_cut and packet.stream.type == "audio"))

    def _moved(self, packet):
        shift = round(self.span[0] / packet.time_base)
        given, packet.stream = packet.stream, self.copied[packet.stream_index]
        packet.pts = packet.dts if packet.pts is None else packet.pts
        packet.pts, packet.dts = packet.pts - shift, packet.dts - shift
        if given.type == "subtitle" and packet.pts < 0:
            packet.duration = max(0, (packet.duration or 0) + packet.pts)
            packet.pts = packet.dts = 0
        return packet

    def _encoded(self, packet):
        stream = self.encoded[packet.stream_index]
        try:
            frames = packet.decode()
        except av.error.FFmpegError:
            return
        for frame in frames:
            seconds = frame.pts * frame.time_base
            if seconds >= self.span[0] and (
                self.span[1] is None or seconds < self.span[1]
            ):
                frame.pts -= round(self.span[0] / frame.time_base)
                yield from stream.encode(frame)


def _codec(stream):
    context = stream.codec_context
    return context.codec.canonical_name if context is not None else "unknown"


def _fits(stream, made):
    """QuickTime holds raw sound, MP4 players do not expect it."""
    return not (_codec(stream).startswith("pcm_") and made.format.name == "mp4")


def interleave(tracks: Iterable[Iterator[av.Packet]]) -> Iterator[av.Packet]:
    """Yields the packets of several tracks in the order of their decoding times.

    Args:
        tracks: Iterators over packets, each with rising times.
    """

    def seconds(packet):
        return packet.dts * packet.time_base

    return heapq.merge(*tracks, key=seconds)
