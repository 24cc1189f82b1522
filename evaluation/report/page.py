"""One HTML file with all figures and plots in it; it loads nothing from anywhere."""

from __future__ import annotations

import base64
import html
import itertools
import os
from collections.abc import Iterable, Iterator, Mapping

from facedancer.evaluation.measuring.figures import Metric
from facedancer.evaluation.measuring.studies import Study
from facedancer.evaluation.report.document import ARROWS, Report, interval, number
from facedancer.storage import files

_STYLE = """
body{font:16px/1.5 system-ui,sans-serif;max-width:1040px;margin:2rem auto;
padding:0 1rem;color:#222;background:#fff}
h1{font-size:1.6rem}h2{margin-top:2.2rem;font-size:1.2rem;
border-bottom:1px solid #ddd}
table{border-collapse:collapse;width:100%;font-size:.9rem}
th,td{text-align:left;padding:.3rem .6rem;border-bottom:1px solid #eee;
vertical-align:top}
td.n{text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums}
td.by{color:#777;font-size:.8rem;overflow-wrap:anywhere}
.note{background:#fff4d6;padding:.5rem .8rem;margin:.4rem 0;
overflow-wrap:anywhere}
img{max-width:100%;height:auto}.text{color:#555}
code{font-size:.85rem;overflow-wrap:anywhere}
"""


def write(path: str | os.PathLike, report: Report) -> None:
    """Writes the page; it appears whole or not at all.

    Args:
        path: The HTML file.
        report: The report.
    """
    files.write_atomic(path, render(report).encode(errors="backslashreplace"))


def render(report: Report) -> str:
    """Returns the page as text.

    Args:
        report: The report.
    """
    title = html.escape(f"Evaluation: {report.swapper}")
    counts = ", ".join(f"{count} {name}" for name, count in report.counts.items())
    parts = [
        "<!doctype html><html lang=en><meta charset=utf-8>",
        "<meta name=viewport content='width=device-width'>",
        f"<title>{title}</title><style>{_STYLE}</style><h1>{title}</h1>",
        f"<p>Pairs: {html.escape(counts)}. Intervals are 95 %.</p>" if counts else "",
        *(f"<p class=note>{html.escape(note)}</p>" for note in report.notes),
        *_tables(report.figures),
        *(_study(study) for study in report.studies),
        _networks(report.networks),
        _settings(report.settings),
        "</html>",
    ]
    return "\n".join(part for part in parts if part)


def _tables(figures: Iterable[Metric]) -> Iterator[str]:
    for group, rows in itertools.groupby(figures, key=lambda figure: figure.group):
        yield f"<h2>{html.escape(group)}</h2>"
        yield "<table><tr><th>figure<th>value<th>95 % interval<th>n<th>measured by</tr>"
        yield from map(_row, rows)
        yield "</table>"


def _row(figure: Metric) -> str:
    estimate = figure.estimate
    value = f"{number(estimate.value, figure.unit)} {ARROWS[figure.better]}"
    return (
        f"<tr><td>{html.escape(figure.text)}<td class=n><b>{html.escape(value)}</b>"
        f"<td class=n>{interval(estimate)}<td class=n>{estimate.count}"
        f"<td class=by>{html.escape(figure.measured_by)}</tr>"
    )


def _study(study: Study) -> str:
    title = html.escape(study.title)
    text = f"<h2>{title}</h2><p class=text>{html.escape(study.text)}</p>"
    if not study.image:
        return text
    data = base64.b64encode(study.image).decode()
    return f"{text}<img alt='{title}' src='data:image/png;base64,{data}'>"


def _networks(networks: Mapping[str, dict[str, str]]) -> str:
    rows = "".join(
        f"<tr><td>{html.escape(role)}<td>{html.escape(entry['name'])}"
        f"<td class=by>{html.escape(str(entry.get('file', '')))}</tr>"
        for role, entry in networks.items()
    )
    head = "<tr><th>role<th>name and hash<th>file</tr>"
    return f"<h2>Networks</h2><table>{head}{rows}</table>"


def _settings(settings: Mapping[str, object]) -> str:
    rows = "".join(
        f"<tr><td>{html.escape(key)}<td><code>{html.escape(str(value))}</code></tr>"
        for key, value in settings.items()
    )
    return f"<h2>Settings</h2><table>{rows}</table>" if rows else ""
