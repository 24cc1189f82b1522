"""What is shown of an evaluation's report and of a training's folder."""

from __future__ import annotations

import dataclasses
import html
import json
import math
import pathlib
from collections.abc import Sequence

from facedancer.errors import InputError

_MAX_SAMPLES, _MAX_CURVES, _MAX_POINTS = 12, 24, 400
_WIDTH, _HEIGHT = 300, 90  # of a curve, in pixels
_MAX_BYTES = 64 * 2**20  # of a text that is shown


@dataclasses.dataclass(frozen=True)
class Look:
    """What is shown of a folder.

    Attributes:
        text: Markdown or HTML.
        pictures: Files of pictures and what they are called.
    """

    text: str
    pictures: tuple[tuple[pathlib.Path, str], ...]


def report(folder: str) -> Look:
    """Returns tables and plots of an evaluation's report.

    Args:
        folder: What `facedancer evaluate --out` named.

    Raises:
        InputError: If it holds no report.
    """
    path = _folder(folder, "report.md", "`facedancer evaluate --out FOLDER` makes one")
    plots = sorted(path.glob("plots/*.png"))
    return Look(_text(path / "report.md"), tuple((p, p.stem) for p in plots))


def run(folder: str) -> Look:
    """Returns curves and the newest samples of a training.

    Args:
        folder: The run's folder, `--log_dir/--log_name`.

    Raises:
        InputError: If it is none.
    """
    path = _folder(folder, "metrics.jsonl", "a training writes it to LOG_DIR/LOG_NAME")
    series, last = _series(path / "metrics.jsonl"), 0
    for points in series.values():
        last = max(last, points[-1][0])
    curves = [curve(name, points) for name, points in sorted(series.items())]
    samples = sorted(path.glob("samples/*.png"), key=lambda path: path.name[-12:])
    shown = tuple((path, path.stem) for path in samples[: -_MAX_SAMPLES - 1 : -1])
    head = f"<p>{html.escape(path.name)}: step {last}</p>"
    return Look(head + "".join(curves[:_MAX_CURVES]), shown)


def _folder(folder: str, file: str, hint: str) -> pathlib.Path:
    path = pathlib.Path(folder.strip())
    if not folder.strip() or not (path / file).is_file():
        raise InputError(
            f"The folder must hold {file}: {hint}. Received: {folder or 'nothing'}"
        )
    return path


def _text(path: pathlib.Path) -> str:
    if path.stat().st_size > _MAX_BYTES:
        raise InputError(f"{path}: larger than {_MAX_BYTES >> 20} MB, not shown")
    return path.read_text(errors="replace")


def _series(path: pathlib.Path) -> dict[str, list[tuple[int, float]]]:
    """Returns steps and values by name; a line that is cut ends it."""
    found: dict[str, list[tuple[int, float]]] = {}
    for line in _text(path).splitlines():
        try:
            entry = json.loads(line)
        except json.JSONDecodeError:
            break
        if not isinstance(entry, dict):
            break
        for name, value in entry.items():
            known = isinstance(value, int | float) and math.isfinite(value)
            if known and name not in ("kind", "step"):
                key = f"{entry.get('kind', '')}/{name}"
                found.setdefault(key, []).append((int(entry.get("step", 0)), value))
    return found


def curve(name: str, points: Sequence[tuple[int, float]]) -> str:
    """Returns a small drawing of values over steps, as HTML.

    Args:
        name: What they are.
        points: Step and value, in order.
    """
    points = points[:: max(1, len(points) // _MAX_POINTS)]
    steps = [step for step, _ in points]
    values = [value for _, value in points]
    low, high = min(values), max(values)
    across = _WIDTH / max(1, steps[-1] - steps[0])
    up = (_HEIGHT - 4) / ((high - low) or 1.0)
    line = " ".join(
        f"{(step - steps[0]) * across:.1f},{_HEIGHT - 2 - (value - low) * up:.1f}"
        for step, value in points
    )
    label = html.escape(name)
    words = f"{values[-1]:.4g} (from {low:.4g} to {high:.4g})"
    return (
        f'<figure class="curve"><figcaption>{label}: {words}</figcaption>'
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{label}">'
        f'<polyline points="{line}" fill="none" stroke="currentColor"/></svg></figure>'
    )
