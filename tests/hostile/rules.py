"""What a program may do with hostile input: the rules, and which of them it broke."""

from __future__ import annotations

import pathlib
import re
import signal
from collections.abc import Sequence

from tests.hostile.harness import LIMITS, Limits, Outcome

STATUSES = (0, 1, 2)


def broken_rules(
    outcome: Outcome, limits: Limits = LIMITS, statuses: Sequence[int] = STATUSES
) -> list[str]:
    """Returns which rules a program broke, none if all is well.

    Args:
        outcome: What became of it.
        limits: What it might take.
        statuses: Exit statuses that are right.
    """
    found = []
    if outcome.late:
        found.append(f"hang: still running after {limits.seconds:g} s")
    elif "Traceback (most recent call last)" in outcome.stderr:
        found.append(f"trace: {_last_line(outcome.stderr)}")
    elif outcome.status < 0:
        found.append(f"crash: {signal.Signals(-outcome.status).name}")
    elif outcome.status not in statuses:
        found.append(f"status: {outcome.status}")
    elif outcome.status == 1 and not outcome.error:
        found.append("silent: status 1 without a line that says why")
    if outcome.megabytes > limits.megabytes:
        found.append(f"memory: {outcome.megabytes:.0f} MB")
    if outcome.events:
        found.append(f"started: {outcome.events[0]}")
    if outcome.strays:
        found.append(f"strays: {', '.join(outcome.strays[:3])}")
    if outcome.survivors:
        found.append(f"survivors: {outcome.survivors} processes")
    return found


def _last_line(text):
    """Returns the last line of a trace, with the place it came from."""
    lines = [line for line in text.splitlines() if line.strip()]
    places = re.findall(r'File "([^"]+)", line (\d+), in (\w+)', text)
    own = [
        place for place in places if not re.search("site-packages|/python", place[0])
    ]
    name, line, function = (own or places or [("", "", "")])[-1]
    errors = [
        line for line in lines if re.match(r"[\w.]*(Error|Exception|File)\b", line)
    ]
    where = f"{pathlib.Path(name).name}:{line} {function}"
    return f"{(errors or lines)[-1][:160]} at {where}"
