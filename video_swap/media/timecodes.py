"""Timecodes, the hour:minute:second:frame of cameras and editors."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import TYPE_CHECKING

import av

if TYPE_CHECKING:
    from facedancer.video_swap.media.streams import Rest

_FORM = re.compile(r"(\d+):(\d\d):(\d\d)([:;.,])(\d\d)")
_BASES = (24, 25, 30, 48, 50, 60, 100, 120, 150)  # rates that FFmpeg counts frames in
_DAY = 24 * 3600
_TRACKS = ("mp4", "mov", "ipod")  # hold it as a track, with the rate


def rate_of(stream: av.VideoStream) -> Fraction:
    """Returns the frames a second that a stream's timecode counts.

    Args:
        stream: The picture's stream.
    """
    return stream.average_rate or stream.guessed_rate or Fraction(0)


def carried(
    given: av.container.InputContainer, main: av.VideoStream, kind: str, rest: Rest
) -> tuple[str, str]:
    """Returns the timecode of an output, empty if it has none, and a line about it.

    Args:
        given: The open input.
        main: Its picture's stream.
        kind: The output's format.
        rest: Which part of the input is used, see `streams.Rest`.
    """
    code = _find(given, main)
    if not code:
        return "", ""
    rate = rate_of(main)
    if rest.every != 1:
        return "", f"timecode {code}: left out, since not every picture is used"
    moved = moved_on(code, rate, rest.cut)
    holds = kind not in _TRACKS or any(round(rate) % base == 0 for base in _BASES)
    if not moved or not holds or not round(rate):
        return "", f"timecode {code}: left out, {kind} cannot count at {float(rate):g}"
    return moved, f"timecode {moved}: kept"


def _find(given: av.container.InputContainer, main: av.VideoStream) -> str:
    for holder in (main, given, *given.streams):
        for key, value in holder.metadata.items():
            if key.lower() == "timecode":
                return value
    return ""


def moved_on(code: str, rate: Fraction, seconds: Fraction) -> str:
    """Returns a timecode some time later, empty if it is none.

    Args:
        code: Such as `01:00:00:00`; with `;` before the frames it leaves out the
            numbers 0 and 1 of each minute but every tenth (SMPTE ST 12-1).
        rate: Frames a second.
        seconds: How much later.
    """
    parts = _FORM.fullmatch(code.strip())
    base = round(rate)
    if parts is None or base <= 0:
        return ""
    hours, minutes, whole, frames = (int(parts[i]) for i in (1, 2, 3, 5))
    dropped = base // 15 if parts[4] != ":" else 0
    if dropped and base % 30:
        return ""
    number = ((hours * 60 + minutes) * 60 + whole) * base + frames
    all_minutes = hours * 60 + minutes
    number -= dropped * (all_minutes - all_minutes // 10)
    number += round(seconds * rate)
    return _written(number, base, dropped, parts[4])


def _written(number: int, base: int, dropped: int, sign: str) -> str:
    if dropped:
        ten = 600 * base - 9 * dropped
        tens, left = divmod(number, ten)
        minutes = max(0, (left - dropped) // (60 * base - dropped))
        number += dropped * (9 * tens + minutes)
    seconds, frame = divmod(number, base)
    seconds %= _DAY
    clock = f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"
    return f"{clock}{sign}{frame:02d}"
