"""Compares two reports: what changed, and is it more than chance?

python evaluation/compare.py --first report_a/ --second report_b/ --out compared/
"""

from __future__ import annotations

import dataclasses
import json
import math
import pathlib
from collections.abc import Sequence

import numpy as np

from facedancer import cli, places
from facedancer.errors import InputError
from facedancer.evaluation.measuring.figures import Metric
from facedancer.evaluation.metrics import bootstrap
from facedancer.evaluation.metrics.bootstrap import Estimate
from facedancer.evaluation.plots import charts
from facedancer.evaluation.report import document
from facedancer.storage import files

_SIGN = {"higher": 1, "lower": -1, "": 0}


@dataclasses.dataclass(frozen=True)
class CompareSettings:
    """What is compared.

    Attributes:
        first: Folder of a report.
        second: Folder of the other; differences are second less first.
        out: Folder for compare.json, compare.md and compare.png.
        seed: Of the intervals.
    """

    first: str
    second: str
    out: str
    seed: int = 0


@dataclasses.dataclass(frozen=True)
class Difference:
    """One figure of two reports.

    Attributes:
        figure: As the first report has it.
        second: Its value in the second.
        estimate: Second less first.
        same_network: Whether one network measured both.
    """

    figure: Metric
    second: float
    estimate: Estimate
    same_network: bool

    @property
    def verdict(self) -> str:
        """`"better"`, `"worse"`, or empty where it may be chance or neither."""
        significant = self.estimate.low > 0.0 or self.estimate.high < 0.0
        sign = _SIGN[self.figure.better] * np.sign(self.estimate.value)
        if not significant or not sign or not self.same_network:
            return ""
        return "better" if sign > 0 else "worse"


def compare(
    first: document.Stored, second: document.Stored, seed: int = 0
) -> list[Difference]:
    """Returns the differences of all figures that both reports have.

    Where both measured the same pairs, pairs are compared with themselves, which makes
    the intervals narrow; else the two count as independent.

    Args:
        first: A report.
        second: The other.
        seed: Of the intervals.

    Raises:
        InputError: If they have no figure in common.
    """
    shared = [pair for pair in first.pairs if pair in second.pairs]
    keys = [key for key in first.figures if key in second.figures]
    if not keys:
        raise InputError("The two reports have no figure in common")
    return [_difference(first, second, key, shared, seed) for key in keys]


def _difference(
    first: document.Stored,
    second: document.Stored,
    key: str,
    shared: Sequence[tuple[str, str]],
    seed: int,
) -> Difference:
    a, b = first.figures[key], second.figures[key]
    one, other = [
        np.array([stored.pairs[pair].get(key, math.nan) for pair in shared])
        for stored in (first, second)
    ]
    if len(shared) and np.isfinite(one + other).any():
        estimate = bootstrap.difference(one, other, seed)
    else:
        estimate = bootstrap.independent_difference(a.estimate, b.estimate)
    same = a.measured_by == b.measured_by
    return Difference(a, b.estimate.value, estimate, same)


def markdown(differences: list[Difference], names: tuple[str, str]) -> str:
    """Returns the differences as a table.

    Args:
        differences: What `compare` gave.
        names: Of the two reports.
    """
    lines = [
        f"# {names[1]} against {names[0]}",
        "",
        f"| figure | {names[0]} | {names[1]} | difference | 95 % interval | n | |",
        "|---|---|---|---|---|---|---|",
    ]
    for one in differences:
        estimate = one.estimate
        verdict = one.verdict if one.same_network else "measured by different networks"
        cells = (
            f"{one.figure.group}: {one.figure.text} "
            f"{document.ARROWS[one.figure.better]}".strip(),
            document.number(one.figure.estimate.value, one.figure.unit),
            document.number(one.second, one.figure.unit),
            document.number(estimate.value),
            document.interval(estimate),
            str(estimate.count),
            verdict,
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def main(settings: CompareSettings) -> int:
    """Compares and returns the exit status.

    Args:
        settings: What the flags say.
    """
    places.check_folder(settings, "out", settings.out)
    first, second = document.read(settings.first), document.read(settings.second)
    differences = compare(first, second, settings.seed)
    names = _names(first, second, settings)
    write(pathlib.Path(settings.out), differences, names)
    print(markdown(differences, names), end="")
    return cli.DONE


def _names(
    first: document.Stored, second: document.Stored, settings: CompareSettings
) -> tuple[str, str]:
    if first.name != second.name:
        return first.name, second.name
    return pathlib.Path(settings.first).name, pathlib.Path(settings.second).name


def write(
    folder: pathlib.Path, differences: list[Difference], names: tuple[str, str]
) -> None:
    """Writes the comparison as JSON, Markdown and a plot.

    Args:
        folder: Where to; it is made.
        differences: What `compare` gave.
        names: Of the two reports.
    """
    rows = []
    for one in differences:
        entry = {"key": one.figure.key, "first": one.figure.estimate.value}
        entry |= {"second": one.second, "difference": one.estimate.value}
        entry |= {"low": one.estimate.low, "high": one.estimate.high}
        entry |= {"count": one.estimate.count, "method": one.estimate.method}
        rows.append(entry | {"verdict": one.verdict})
    text = json.dumps(
        {"first": names[0], "second": names[1], "figures": document.plain(rows)},
        indent=2,
    )
    files.write_atomic(folder / "compare.json", text.encode(errors="backslashreplace"))
    lines = markdown(differences, names).encode(errors="backslashreplace")
    files.write_atomic(folder / "compare.md", lines)
    bars = [
        (
            one.figure.text
            if len(one.figure.text) < 60
            else one.figure.text[:57] + "...",
            one.estimate.value,
            one.estimate.low,
            one.estimate.high,
            _SIGN[one.figure.better],
        )
        for one in differences
        if math.isfinite(one.estimate.low)
    ]
    if bars:
        image = charts.compared(bars, names)
        if image:
            files.write_atomic(folder / "compare.png", image)


if __name__ == "__main__":
    cli.run(main, CompareSettings)
