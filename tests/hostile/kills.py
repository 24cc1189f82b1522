"""Kills each long program at random moments, and looks at what is left.

    python -m tests.hostile.kills --programs=all --moments=15

By turns SIGKILL, SIGTERM and Ctrl-C. After the last two nothing may be left but
finished work, and the exit status says which it was. After SIGKILL the same command,
given again, must end as if nothing had happened: the same files, the same content, no
leftovers.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import os
import pathlib
import shutil
import signal
import sys
import tempfile

import numpy as np

from tests.hostile.harness import (
    Limits,
    Outcome,
    Places,
    answer_of,
    program,
    run,
)
from tests.hostile.kill_programs import PROGRAMS
from tests.hostile.rules import broken_rules

LIMITS = Limits(seconds=240, megabytes=2000)
SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
STATUS = {signal.SIGKILL: -9, signal.SIGTERM: 143, signal.SIGINT: 130}


@dataclasses.dataclass
class Kills:
    """What the kills of one program gave.

    Attributes:
        name: One of `PROGRAMS`.
        tried: Number of kills.
        hit: How many came before the program was at its end.
        faults: What was wrong, by the number of the kill.
        left_in_tmp: Of SIGKILL: how often something stayed in the folder for temporary
            files, which nobody can remove then.
    """

    name: str
    tried: int = 0
    hit: int = 0
    faults: dict[int, str] = dataclasses.field(default_factory=dict)
    left_in_tmp: int = 0

    def row(self) -> str:
        """Returns a row of the table."""
        return f"| {self.name} | {self.tried} | {self.hit} | {len(self.faults)} |"


class Killer:
    """Kills one program again and again.

    Args:
        name: One of `PROGRAMS`.
        root: An empty folder for all of it.
        limits: What a run may take.
    """

    def __init__(self, name: str, root: pathlib.Path, limits: Limits = LIMITS):
        self.program, self.root, self.limits = PROGRAMS[name], root, limits
        self.result = Kills(name)
        self.inputs = root / "inputs"
        self.inputs.mkdir()
        if answer_of(lambda: [self.program.prepare(self.inputs)] and True, 300) is None:
            raise RuntimeError(f"the inputs of {name} could not be made")
        self.places = Places(root / "whole").make()
        whole = self._run(self.places)
        if whole.status:
            raise RuntimeError(f"{name}: {whole.status} {whole.stderr[-2000:]}")
        self.seconds = whole.seconds
        self.expected = self._look(self.places)

    def _run(self, places, told=None) -> Outcome:
        words = self.program.words(self.inputs, places.output)

        def start():
            with contextlib.ExitStack() as stack:
                try:
                    stack.enter_context(self.program.patch())
                except KeyboardInterrupt:  # the program is not there yet
                    raise SystemExit(STATUS[signal.SIGINT]) from None
                program(self.program.command, words)()

        return run(start, places, self.limits, told)

    def _look(self, places):
        return answer_of(lambda: self.program.look(places.output))

    def kill(self, number: int) -> None:
        """Kills it once and notes what was wrong.

        Args:
            number: Decides signal and moment.
        """
        random = np.random.default_rng([number, 5])
        which = SIGNALS[number % len(SIGNALS)]
        moment = float(random.uniform(0.02, 1.0)) * self.seconds
        places = Places(self.root / f"kill{number}").make()
        outcome = self._run(places, (moment, which))
        wrong = self._judge(outcome, which, places)
        self.result.tried += 1
        self.result.hit += outcome.status == STATUS[which]
        if wrong:
            at = f"{which.name} at {moment:.2f} of {self.seconds:.2f} s"
            self.result.faults[number] = f"{at}: {wrong}"
        shutil.rmtree(places.root)

    def _judge(self, outcome, which, places):
        """Returns what is wrong after a kill, and after a run that goes on."""
        if outcome.late:
            return "it did not end"
        early = which == signal.SIGTERM and outcome.status == -which
        if early and not any(places.output.iterdir()):
            outcome = dataclasses.replace(outcome, status=143)  # before it listened
        if outcome.status not in (0, STATUS[which]):
            return f"status {outcome.status}: {outcome.stderr[-300:]}"
        if "Traceback" in outcome.stderr:
            return f"trace: {outcome.stderr[-600:]}"
        temporary = places.empty[1]
        if which == signal.SIGKILL:
            self.result.left_in_tmp += bool(list(temporary.iterdir()))
            shutil.rmtree(temporary)
            temporary.mkdir()
        elif wrong := self._left(outcome, places):
            return wrong
        if not self.program.goes_on and self._look(places) == self.expected:
            return ""  # it was at its end
        again = self._run(places)
        if broken := broken_rules(again, self.limits, (0,)):
            return f"started again: {broken[0]} {again.error}"
        found = self._look(places)
        if found != self.expected:
            return f"started again: {_difference(found, self.expected)}"
        return ""

    def _left(self, outcome, places):
        """Returns what an orderly end left that it must not leave."""
        if outcome.strays or outcome.survivors:
            return f"strays {outcome.strays[:3]}, {outcome.survivors} processes"
        left = sorted(
            str(p.relative_to(places.output)) for p in places.output.rglob("*")
        )
        unfinished = [name for name in left if ".tmp" in name or ".part" in name]
        kept = {".o.mp4.parts"} if self.program.goes_on else set()
        unfinished = [n for n in unfinished if n.split("/")[0] not in kept]
        if unfinished:
            return f"left over: {unfinished[:3]}"
        done = self._look(places) == self.expected
        if outcome.status and left and not (self.program.goes_on or done):
            return f"nothing was finished, and there is {left[:3]}"
        return ""


def _difference(found, expected):
    if isinstance(found, dict) and isinstance(expected, dict):
        keys = found.keys() | expected.keys()
        odd = [key for key in sorted(keys) if found.get(key) != expected.get(key)]
        return f"{len(odd)} files differ: {odd[:3]}"
    return f"{found} instead of {expected}"[:300]


def kill(
    name: str, moments: int, first: int = 0, seconds: float = LIMITS.seconds
) -> Kills:
    """Kills one program at some moments.

    Args:
        name: One of `PROGRAMS`.
        moments: How often.
        first: Number of the first kill, which decides its moment.
        seconds: What a run may take.
    """
    limits = dataclasses.replace(LIMITS, seconds=seconds)
    with tempfile.TemporaryDirectory() as root:
        killer = Killer(name, pathlib.Path(root), limits)
        for number in range(first, first + moments):
            killer.kill(number)
            wrong = killer.result.faults.get(number, "right")
            print(f"{name} {number}: {wrong}", flush=True)
        return killer.result


def main() -> int:
    """Returns 0 when nothing was wrong, else 1."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--programs", default="all")
    parser.add_argument("--moments", type=int, default=15)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=LIMITS.seconds)
    given = parser.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    chosen = list(PROGRAMS) if given.programs == "all" else given.programs.split(",")
    results = []
    for name in chosen:
        results.append(kill(name, given.moments, given.first, given.seconds))
        print(results[-1].row(), f"tmp {results[-1].left_in_tmp}", flush=True)
    return 1 if any(result.faults for result in results) else 0


if __name__ == "__main__":
    sys.exit(main())
