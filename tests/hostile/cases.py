"""One hostile case: what runs, and what its right result is."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

from tests.hostile.harness import LIMITS, Limits, Outcome, Places, run
from tests.hostile.rules import broken_rules


@dataclasses.dataclass(frozen=True)
class Case:
    """A program on an input.

    Attributes:
        name: Which program and input, in a few words.
        start: Runs the program to its end.
        check: Says what is wrong with the result, "" for nothing; called where no other
            rule is broken.
        statuses: Exit statuses that are right.
        finds: Whether status 1 can be a finding, printed, and no error.
    """

    name: str
    start: Callable[[], object]
    check: Callable[[Outcome], str] = lambda outcome: ""
    statuses: Sequence[int] = (0, 1, 2)
    finds: bool = False


def try_case(
    case: Case, places: Places, limits: Limits = LIMITS
) -> tuple[Outcome, list[str]]:
    """Runs a case; returns what became of it and which rules it broke.

    Args:
        case: What is run.
        places: Its folders, the inputs in them.
        limits: What it may take.
    """
    outcome = run(case.start, places, limits)
    broken = broken_rules(outcome, limits, case.statuses)
    if case.finds and outcome.stdout:
        broken = [rule for rule in broken if not rule.startswith("silent")]
    if not broken and (wrong := case.check(outcome)):
        broken.append(f"wrong: {wrong}")
    return outcome, broken
