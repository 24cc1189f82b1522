"""Times for decoded frames: rising ones, whatever the file says."""

from __future__ import annotations

import bisect
import collections
import heapq
from fractions import Fraction

import av

_SLACK = Fraction(1, 10)  # seconds that times may go back without being another clock
_GAP = 10  # seconds of nothing in a recording after which its clock has jumped


class Clock:
    """Gives each decoded frame a time above that of the one before.

    Frames come in the order in which they are shown. A time that is missing is taken
    from the packets, in their order, or runs on; a clock that jumps back, as in joined
    recordings, runs on where it jumped, and so does one that jumps far ahead in a
    format of broadcasts. `offsets` are what was added after each jump, in seconds:
    sound and subtitles of the same moment need the same.

    Args:
        step: Units from frame to frame, for frames that say nothing.
        time_base: Seconds a unit.
        jumps: Whether the format's clock may jump ahead.
    """

    def __init__(self, step: int, time_base: Fraction, jumps: bool) -> None:
        self.step, self.base, self.jumps = max(1, step), time_base, jumps
        self.first: int | None = None
        self.last: int | None = None  # the time given out last
        self.length = self.step  # how long that frame is shown
        self.added = [0]
        self.made_up = self.late = 0
        self._raw: int | None = None  # what the last frame itself said
        self._undated: list[int] = []
        self._keys: set[int] = set()
        self._waiting: collections.Counter = collections.Counter()

    @property
    def offsets(self) -> tuple[Fraction, ...]:
        """What is added to the file's own seconds: first 0, then one for each jump."""
        return tuple(units * self.base for units in self.added)

    def sent(self, packet: av.Packet) -> None:
        """Notes a packet that goes into the decoder.

        Args:
            packet: Of the picture's stream, not an empty one.
        """
        if packet.is_keyframe:
            self._keys.add(packet.dts if packet.pts is None else packet.pts)
        if packet.pts is not None:
            self._waiting[packet.pts] += 1
        elif packet.dts is not None:
            heapq.heappush(self._undated, packet.dts)

    def refused(self, packet: av.Packet) -> None:
        """Notes that the decoder took nothing of a packet that has no time of display.

        Args:
            packet: The packet. Of one that has a time, `lost` will know.
        """
        if packet.dts in self._undated:
            self._undated.remove(packet.dts)
            heapq.heapify(self._undated)

    def time(self, frame: av.VideoFrame, heard: Fraction | None = None) -> int:
        """Returns the time of the next frame.

        Args:
            frame: As it was decoded.
            heard: The file's own second of the sound beside it, None if there is none.
        """
        raw = self._stamp(frame)
        self.last = self._placed(raw, heard)
        self.first = self.last if self.first is None else self.first
        self._raw = self.last - self.added[-1] if raw is None else raw
        self.length = frame.duration or self.step
        return self.last

    def _stamp(self, frame: av.VideoFrame) -> int | None:
        if frame.pts is not None:
            self._shown(frame)
            return frame.pts
        self.made_up += 1
        return heapq.heappop(self._undated) if self._undated else None

    def _shown(self, frame: av.VideoFrame) -> None:
        """Strikes out the packet of a frame, and that of its second field."""
        self._strike(frame.pts)
        if frame.interlaced_frame:
            end = frame.pts + (frame.duration or self.step) * 3 // 4
            for stamp in [s for s in self._waiting if frame.pts < s < end]:
                del self._waiting[stamp]

    def _strike(self, stamp: int) -> None:
        if self._waiting[stamp] > 1:
            self._waiting[stamp] -= 1
        else:
            del self._waiting[stamp]
            self._keys.discard(stamp)

    def _placed(self, raw: int | None, heard: Fraction | None) -> int:
        if self.last is None:
            return raw or 0
        if raw is None:
            return self.last + self.length
        time = raw + self.added[-1]
        far = max(Fraction(4 * self.step), _SLACK / self.base)
        if self.last - time > far:
            return self._jump(raw)
        if self._leaps(raw, heard):
            return self._jump(raw)
        if time <= self.last:
            self.late += 1
            return self.last + max(1, self.step // 2)
        return time

    def _jump(self, raw: int) -> int:
        self.added.append(self.last + self.length - raw)
        return self.last + self.length

    def _leaps(self, raw: int, heard: Fraction | None) -> bool:
        """Returns whether a step ahead is another clock, not a hole in the picture."""
        if not self.jumps or (raw - self._raw) * self.base <= _GAP:
            return False
        between = heard is not None and (
            self._raw * self.base + 1 < heard < raw * self.base - 1
        )
        return not between

    def lost(self, whole: bool) -> list[tuple[int, bool]]:
        """Returns packets that no frame came of: time, and whether it is a key frame.

        Args:
            whole: Whether the file was read to its end; else what is still in the
                decoder is not lost.
        """
        stamps = sorted([*self._waiting.elements(), *self._undated])
        if not whole and self._raw is not None:
            stamps = stamps[: bisect.bisect_left(stamps, self._raw)]
        return [(self._near(stamp), stamp in self._keys) for stamp in stamps]

    def _near(self, stamp: int) -> int:
        candidates = [stamp + units for units in self.added]
        inside = [time for time in candidates if self.first <= time <= self.last]
        return inside[0] if inside else candidates[0]

    def notes(self) -> list[str]:
        """Returns one line for each kind of thing that was mended."""
        lines = []
        if self.made_up:
            lines.append(
                f"{self.made_up} pictures had no time of display and got one, in the "
                "order in which they are shown"
            )
        if len(self.added) > 1:
            lines.append(
                f"its clock jumps ({len(self.added) - 1}x), as in joined recordings: "
                "it runs on where it jumped, with the sound in step"
            )
        if self.late:
            lines.append(
                f"{self.late} pictures had a time that had passed and were moved on"
            )
        return lines
