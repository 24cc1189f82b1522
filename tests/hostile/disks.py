"""Runs each long program where its disk is full, or can only be read.

    python -m tests.hostile.disks --programs=train,make_faces --bytes=30000

The rule: one line, exit status 1, nothing half-written left.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import pathlib
import re
import sys
import tempfile

from tests.hostile import kills, processes
from tests.hostile.harness import Places, answer_of, program, run

LIMITS = dataclasses.replace(kills.LIMITS, seconds=900)
SIZES = {"make_faces": 12_000, "evaluate": 4096}  # bytes of the disk; else `--bytes`


def fill(name: str, size: int, options: str, root: pathlib.Path) -> str:
    """Returns what was wrong with a program on a bad disk, "" for nothing.

    Args:
        name: One of `kills.PROGRAMS`.
        size: Bytes of the disk.
        options: Of its mount, see `processes.small_disk`.
        root: An empty folder.
    """
    tried, places = kills.PROGRAMS[name], Places(root / "case")
    (root / "inputs").mkdir(parents=True)
    answer_of(lambda: [tried.prepare(root / "inputs")] and True, 300)
    with processes.small_disk(places.output, size, options) as disk:
        places.make()

        def start():
            with tried.patch():
                program(tried.command, tried.words(root / "inputs", disk))()

        found = run(start, places, LIMITS)
        left = processes.left_over(disk)
    lines = [x for x in found.stderr.splitlines() if x.startswith("Error: ")]
    if found.status != 1 or len(lines) != 1 or "Traceback" in found.stderr:
        return f"status {found.status}: {found.stderr[-1500:]}"
    if not re.search("No space left|Read-only|can be written", lines[0]):
        return lines[0]
    return f"left over: {left}" if left or found.survivors or found.strays else ""


def main() -> int:
    """Returns 0 when nothing was wrong, else 1."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--programs", required=True)
    parser.add_argument("--bytes", type=int, default=30_000)
    given = parser.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    faults = 0
    for name in given.programs.split(","):
        for options in ("rw", "ro"):
            size = SIZES.get(name, given.bytes)
            with tempfile.TemporaryDirectory() as root:
                wrong = fill(name, size, options, pathlib.Path(root))
            faults += bool(wrong)
            print(f"{name} {options}: {wrong or 'one line'}", flush=True)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
