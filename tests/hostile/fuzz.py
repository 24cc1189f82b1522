"""Tries seeded hostile inputs and counts which rules were broken.

    python -m tests.hostile.fuzz --kinds=images,models --count=500 --first_seed=0

Prints one line a fault, with the seed that makes it again, and a row of the table in
docs/hostile_inputs.md for each kind.
"""

from __future__ import annotations

import argparse
import collections
import dataclasses
import importlib
import json
import os
import pathlib
import shutil
import sys
import tempfile
import time

KINDS = {
    "images": ("fuzz_images", "Images"),
    "models": ("fuzz_models", "Models"),
    "clips": ("fuzz_clips", "Clips"),
    "shards": ("fuzz_shards", "Shards"),
    "signed": ("fuzz_signed", "Signed"),
}


@dataclasses.dataclass
class Result:
    """What the cases of one kind gave.

    Attributes:
        kind: One of `KINDS`.
        tried: Number of cases.
        statuses: How often each exit status came.
        faults: Text by seed of the cases that broke a rule.
        seconds: Wall time of all.
        slowest: Seconds of the slowest case.
        largest: Most memory of a case, megabytes beyond the start.
    """

    kind: str
    tried: int = 0
    statuses: collections.Counter = dataclasses.field(
        default_factory=collections.Counter
    )
    faults: dict[int, str] = dataclasses.field(default_factory=dict)
    seconds: float = 0.0
    slowest: float = 0.0
    largest: float = 0.0

    def row(self) -> str:
        """Returns a row of the table."""
        sorts = collections.Counter(x.split(": ")[0] for x in self.faults.values())
        words = ", ".join(f"{count} {sort}" for sort, count in sorted(sorts.items()))
        statuses = ", ".join(f"{n} x {s}" for s, n in sorted(self.statuses.items()))
        return (
            f"| {self.kind} | {self.tried} | {len(self.faults)} ({words or 'none'}) | "
            f"{statuses} | {self.slowest:.1f} s | {self.largest:.0f} MB |"
        )


def fuzz(kind: str, seeds, verbose: bool = False, keep: str = "") -> Result:
    """Tries the cases of some seeds.

    Args:
        kind: One of `KINDS`.
        seeds: Iterable of whole numbers.
        verbose: Print every case, not the faults alone.
        keep: Folder in which the files of faulty cases stay; empty: none.
    """
    from tests.hostile import cases, harness

    module, name = KINDS[kind]
    result = Result(kind)
    with tempfile.TemporaryDirectory() as root:
        folder = pathlib.Path(root)
        maker = getattr(importlib.import_module(f"tests.hostile.{module}"), name)(
            folder
        )
        start = time.monotonic()
        for seed in seeds:
            places = harness.Places(folder / "case").make()
            case = maker.case(seed, places)
            outcome, broken = cases.try_case(case, places)
            result.tried += 1
            result.statuses[outcome.status] += 1
            result.slowest = max(result.slowest, outcome.seconds)
            result.largest = max(result.largest, outcome.megabytes)
            if broken:
                result.faults[seed] = f"{broken[0]} [{case.name}]"
            if broken or verbose:
                said = broken or [outcome.error or outcome.stdout.strip()[-80:]]
                print(
                    f"{kind} {seed} {case.name}: {outcome.status} {'; '.join(said)}"
                    f" ({outcome.seconds:.1f} s, {outcome.megabytes:.0f} MB)",
                    flush=True,
                )
            if broken and keep:
                shutil.copytree(
                    places.root,
                    pathlib.Path(keep, f"{kind}_{seed}"),
                    dirs_exist_ok=True,
                )
            shutil.rmtree(places.root)
        result.seconds = time.monotonic() - start
    return result


def main() -> int:
    """Returns 0 when no rule was broken, else 1."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--kinds", default=",".join(KINDS))
    parser.add_argument("--count", default="20", help="of each kind, or one a kind")
    parser.add_argument("--first_seed", type=int, default=0)
    parser.add_argument("--verbose", action="store_true")
    parser.add_argument("--keep", default="", help="folder for files of faulty cases")
    parser.add_argument("--json", default="", help="file for the results")
    options = parser.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    kinds = options.kinds.split(",")
    counts = [int(count) for count in options.count.split(",")]
    counts = counts if len(counts) == len(kinds) else counts * len(kinds)
    results = []
    for kind, count in zip(kinds, counts, strict=True):
        seeds = range(options.first_seed, options.first_seed + count)
        results.append(fuzz(kind, seeds, options.verbose, options.keep))
    print("\n".join(result.row() for result in results))
    if options.json:
        found = [vars(result) for result in results]
        pathlib.Path(options.json).write_text(json.dumps(found, indent=1))
    return 1 if any(result.faults for result in results) else 0


if __name__ == "__main__":
    sys.exit(main())
