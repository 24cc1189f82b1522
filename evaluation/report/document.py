"""Writes and reads reports: JSON, CSV of the pairs, Markdown, plots."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import math
import os
import pathlib
from typing import Any

import numpy as np

from facedancer.errors import InputError
from facedancer.evaluation.inputs.pairs import COLUMNS
from facedancer.evaluation.measuring.figures import Metric
from facedancer.evaluation.measuring.studies import Study
from facedancer.evaluation.metrics.bootstrap import Estimate
from facedancer.storage import files

FORMAT = "facedancer-evaluation/1"
FILES = ("pairs.csv", "report.md", "report.json", "index.html")  # of a report's folder
ARROWS = {"higher": "\u2191", "lower": "\u2193", "": ""}


@dataclasses.dataclass
class Report:
    """Everything that a report says.

    Attributes:
        swapper: What was judged.
        figures: The figures.
        networks: By role, name with hash and file of each network.
        settings: What the program was told, ready for JSON.
        rows: By pair, the names of its photos.
        values: By key, values by pair.
        studies: The studies.
        notes: Warnings and what was left out, one line each.
        counts: Pairs asked for, measured and skipped.
    """

    swapper: str
    figures: list[Metric] = dataclasses.field(default_factory=list)
    networks: dict[str, dict] = dataclasses.field(default_factory=dict)
    settings: dict = dataclasses.field(default_factory=dict)
    rows: list[dict] = dataclasses.field(default_factory=list)
    values: dict[str, np.ndarray] = dataclasses.field(default_factory=dict)
    studies: list[Study] = dataclasses.field(default_factory=list)
    notes: list[str] = dataclasses.field(default_factory=list)
    counts: dict[str, int] = dataclasses.field(default_factory=dict)

    def __getitem__(self, key: str) -> Metric:
        """Returns a figure by its key.

        Args:
            key: Such as `id_source`, see `Metric`.

        Raises:
            KeyError: If it was not measured; the message names those that were.
        """
        found = {figure.key: figure for figure in self.figures}
        if key not in found:
            known = ", ".join(found) or "none"
            raise KeyError(f"{key} was not measured. Measured: {known}")
        return found[key]


def write(folder: str | os.PathLike, report: Report) -> None:
    """Writes `report.json`, `report.md`, `pairs.csv` and `plots/*.png`.

    Args:
        folder: Where to; it is made.
        report: The report.
    """
    folder = pathlib.Path(folder)
    for study in report.studies:
        if not study.image:
            continue
        files.write_atomic(folder / "plots" / f"{study.key}.png", study.image)
    files.write_atomic(folder / "pairs.csv", os.fsencode(_csv(report)))
    lines = markdown(report).encode(errors="backslashreplace")
    files.write_atomic(folder / "report.md", lines)
    text = json.dumps(to_json(report), indent=2, ensure_ascii=False, allow_nan=False)
    files.write_atomic(folder / "report.json", text.encode(errors="backslashreplace"))


def to_json(report: Report) -> dict:
    """Returns a report as plain data; what is not a number becomes null.

    Args:
        report: The report.
    """
    return {
        "format": FORMAT,
        "swapper": report.swapper,
        "counts": report.counts,
        "notes": report.notes,
        "networks": report.networks,
        "figures": [plain(dataclasses.asdict(figure)) for figure in report.figures],
        "studies": [
            {
                "key": study.key,
                "title": study.title,
                "text": study.text,
                "plot": f"plots/{study.key}.png" if study.image else "",
                "data": plain(study.data),
            }
            for study in report.studies
        ],
        "settings": plain(report.settings),
    }


def plain(value: Any) -> Any:
    """Returns data ready for JSON: what is not a finite number becomes null.

    Args:
        value: Numbers, texts, lists and dictionaries of them.
    """
    if isinstance(value, dict):
        return {key: plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    if isinstance(value, float | np.floating):
        return float(value) if math.isfinite(value) else None
    return value


def _csv(report: Report) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    names = list(report.rows[0]) if report.rows else []
    writer.writerow([*names, *report.values])
    for index, row in enumerate(report.rows):
        numbers = [values[index] for values in report.values.values()]
        cells = ["" if not np.isfinite(n) else f"{n:.6g}" for n in numbers]
        writer.writerow([*row.values(), *cells])
    return text.getvalue()


def number(value: float, unit: str = "") -> str:
    """Returns a value as a reader wants it, with three or four digits.

    Args:
        value: The value.
        unit: Put behind it.
    """
    if not math.isfinite(value):
        return "n/a"
    size = abs(value)
    digits = 1 if size >= 100 else 2 if size >= 10 else 3
    return f"{value:.{digits}f}{' ' + unit if unit else ''}"


def interval(estimate: Estimate) -> str:
    """Returns the ends of an interval.

    Args:
        estimate: The estimate.
    """
    return f"{number(estimate.low)} to {number(estimate.high)}"


def markdown(report: Report) -> str:
    """Returns the figures as Markdown tables, with what measured them.

    Args:
        report: The report.
    """
    lines = [f"# Evaluation: {report.swapper}", ""]
    counts = ", ".join(f"{count} {name}" for name, count in report.counts.items())
    lines += [f"Pairs: {counts}. Intervals: 95 %.", ""] if counts else []
    lines += [f"> {note}" for note in report.notes] + [""]
    group = None
    for figure in report.figures:
        if figure.group != group:
            group = figure.group
            lines += ["", f"## {group}", ""]
            lines += ["| figure | value | 95 % interval | n | measured by |"]
            lines += ["|---|---|---|---|---|"]
        value = number(figure.estimate.value, figure.unit)
        cells = (
            f"{figure.text} {ARROWS[figure.better]}".strip(),
            value,
            interval(figure.estimate),
            str(figure.estimate.count),
            figure.measured_by,
        )
        lines.append(f"| {' | '.join(cells)} |")
    lines += ["", "## Networks", "", "| role | name | file |", "|---|---|---|"]
    for role, entry in report.networks.items():
        lines.append(f"| {role} | {entry['name']} | {entry.get('file', '')} |")
    return "\n".join(lines) + "\n"


@dataclasses.dataclass(frozen=True)
class Stored:
    """A report that was read back.

    Attributes:
        name: Of what was judged.
        figures: By key.
        pairs: By key of the CSV's rows, `(source, target)`, the values by figure key.
        networks: By role the names.
    """

    name: str
    figures: dict[str, Metric]
    pairs: dict[tuple[str, str], dict[str, float]]
    networks: dict[str, str]


def read(folder: str | os.PathLike) -> Stored:
    """Reads a report that `write` has written.

    Args:
        folder: Where it is.

    Raises:
        InputError: If it is missing or damaged.
    """
    folder = pathlib.Path(folder)
    path = folder / "report.json"
    if not path.is_file():
        raise InputError(f"{path}: no such file; give the folder of a report")
    try:
        data = json.loads(path.read_bytes())
        if data["format"] != FORMAT:
            raise InputError(
                f"{path}: written by another version. Expected {FORMAT}. "
                f"Received: {data['format']}"
            )
        figures = {entry["key"]: _figure(entry) for entry in data["figures"]}
        networks = {role: entry["name"] for role, entry in data["networks"].items()}
        return Stored(data["swapper"], figures, _read_rows(folder), networks)
    except (KeyError, TypeError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path}: damaged report ({error!r})") from None


def _figure(entry: dict[str, Any]) -> Metric:
    estimate: dict[str, Any] = {
        key: float("nan") if value is None else value
        for key, value in entry["estimate"].items()
    }
    return Metric(**{**entry, "estimate": Estimate(**estimate)})


def _read_rows(folder: pathlib.Path) -> dict[tuple[str, str], dict[str, float]]:
    path = folder / "pairs.csv"
    if not path.is_file():
        return {}
    rows = list(csv.DictReader(io.StringIO(os.fsdecode(path.read_bytes()))))
    return {
        (row["source"], row["target"]): {
            key: float(text) if text else float("nan")
            for key, text in row.items()
            if key not in COLUMNS
        }
        for row in rows
    }
