"""Plots of a report, as PNG bytes. Every text is in the plot; no state is shared.

They are drawn by Matplotlib; where that is not installed they are empty (`NONE`), and
the report says so.
"""

from __future__ import annotations

import functools
import importlib.util
import io
import typing
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from facedancer.imaging import images

if typing.TYPE_CHECKING:
    from matplotlib.figure import Figure

SOURCE, TARGET, SWAPPED = "#c2571a", "#3c6e9e", "#3d8b4a"
COLOURS = {"source": SOURCE, "target": TARGET, "swapped": SWAPPED}
_GREY = "#8a8a8a"


NONE = b""


def can_draw() -> bool:
    """Returns whether plots can be drawn here."""
    return importlib.util.find_spec("matplotlib") is not None


def _plot(draw: Callable[..., bytes]) -> Callable[..., bytes]:
    """Makes a function return `NONE` where nothing can be drawn."""

    @functools.wraps(draw)
    def drawn(*args: Any, **options: Any) -> bytes:
        return draw(*args, **options) if can_draw() else NONE

    return drawn


def _axes(
    width: float = 6.4, height: float = 3.8, rows: int = 1, columns: int = 1
) -> tuple[Figure, np.ndarray]:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(rows, columns, squeeze=False)
    for one in axes.ravel():
        one.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _png(figure: Figure) -> bytes:
    data = io.BytesIO()
    figure.savefig(data, format="png", dpi=120)
    return data.getvalue()


def picture(image: np.ndarray) -> bytes:
    """Returns an image as PNG.

    Args:
        image: `(height, width, 3)` uint8 RGB.
    """
    return images.encode_image(image, ".png")


@_plot
def similarity(
    to_source: np.ndarray, to_target: np.ndarray, before: np.ndarray
) -> bytes:
    """Returns histograms of the cosines of identity.

    Args:
        to_source: `(n,)` results with their sources.
        to_target: `(n,)` results with their targets.
        before: `(n,)` targets with sources.
    """
    figure, axes = _axes()
    bins = np.linspace(-0.4, 1.0, 57)
    rows = (
        (to_source, SOURCE, "result and source"),
        (to_target, TARGET, "result and target"),
        (before, _GREY, "target and source"),
    )
    for values, colour, text in rows:
        axes[0, 0].hist(
            np.clip(values, -0.4, 1.0), bins, alpha=0.55, color=colour, label=text
        )
    axes[0, 0].set(xlabel="cosine of identity vectors", ylabel="pairs")
    axes[0, 0].legend(frameon=False)
    return _png(figure)


@_plot
def differences(values_by_name: Mapping[str, np.ndarray], xlabel: str) -> bytes:
    """Returns how values are spread, one panel each.

    Args:
        values_by_name: Dictionary from a title to `(n,)` values.
        xlabel: What they are.
    """
    figure, axes = _axes(6.4, 2.6, 1, len(values_by_name))
    for panel, (name, values) in zip(axes[0], values_by_name.items(), strict=True):
        values = np.asarray(values)[np.isfinite(values)]
        top = max(float(np.quantile(values, 0.98)), 1e-6) if len(values) else 1.0
        panel.hist(values.clip(0, top), np.linspace(0, top, 31), color=SWAPPED)
        panel.set(title=name, xlabel=xlabel)
    axes[0, 0].set_ylabel("pairs")
    return _png(figure)


@_plot
def match_curve(curves: Mapping[str, np.ndarray]) -> bytes:
    """Returns cumulative match curves.

    Args:
        curves: Dictionary from a text to `(ranks,)` fractions: of the sources, then of
            the results.
    """
    figure, axes = _axes()
    for (text, curve), colour in zip(curves.items(), (SOURCE, SWAPPED), strict=True):
        ranks = np.arange(1, len(curve) + 1)
        axes[0, 0].plot(ranks, 100 * np.asarray(curve), color=colour, label=text)
    axes[0, 0].set(
        xlabel="rank", ylabel="right person found, %", ylim=(0, 102), xscale="log"
    )
    axes[0, 0].xaxis.set_major_formatter("{x:g}")
    axes[0, 0].legend(frameon=False, loc="lower right")
    return _png(figure)


@_plot
def plane_map(
    points: np.ndarray, kinds: Sequence[str] | np.ndarray, title: str
) -> bytes:
    """Returns points of the plane, coloured by role, each result tied to its source.

    Args:
        points: `(n, 2)`.
        kinds: `(n,)` names of roles; as many of each, in the same order of pairs.
        title: Of the plot.
    """
    figure, axes = _axes(6.4, 5.2)
    points, kinds = np.asarray(points), np.asarray(kinds)
    ends = [points[kinds == role] for role in ("source", "swapped")]
    for a, b in zip(ends[0][:40], ends[1][:40], strict=True):
        axes[0, 0].plot(*np.stack([a, b]).T, color=_GREY, lw=0.5, alpha=0.6)
    for role, colour in COLOURS.items():
        part = points[kinds == role]
        axes[0, 0].scatter(*part.T, s=9, color=colour, alpha=0.7, label=role)
    axes[0, 0].set(title=title, xticks=[], yticks=[])
    axes[0, 0].legend(frameon=False)
    return _png(figure)


@_plot
def heat_map(matrix: np.ndarray, groups: Sequence[tuple[str, int]]) -> bytes:
    """Returns cosines of all photos with all, with the groups marked.

    Args:
        matrix: `(n, n)` cosines.
        groups: List of name and number of photos, in the order of the rows.
    """
    figure, axes = _axes(6.8, 5.6)
    panel = axes[0, 0]
    shown = panel.imshow(matrix, vmin=-0.2, vmax=1.0, cmap="viridis")
    figure.colorbar(shown, ax=panel, label="cosine", shrink=0.85)
    ends = np.cumsum([count for _, count in groups])
    for end in ends[:-1]:
        panel.axhline(end - 0.5, color="white", lw=1.5)
        panel.axvline(end - 0.5, color="white", lw=1.5)
    middles = ends - np.array([count for _, count in groups]) / 2 - 0.5
    names = [name for name, _ in groups]
    panel.set_xticks(middles, names, rotation=20, ha="right")
    panel.set_yticks(middles, names)
    return _png(figure)


@_plot
def curves(
    x: np.ndarray, lines: Mapping[str, np.ndarray], xlabel: str, ylabel: str
) -> bytes:
    """Returns lines with bands.

    Args:
        x: `(n,)` shared places.
        lines: Dictionary from a text to `(m, n)` values; mean and quartiles are drawn.
        xlabel: What x is.
        ylabel: What the values are.
    """
    figure, axes = _axes()
    colours = [*COLOURS.values(), _GREY]
    for (text, values), colour in zip(lines.items(), colours, strict=False):
        values = np.asarray(values)
        low, high = np.quantile(values, [0.25, 0.75], axis=0)
        axes[0, 0].plot(x, values.mean(axis=0), color=colour, marker="o", ms=3)
        axes[0, 0].fill_between(x, low, high, color=colour, alpha=0.18, label=text)
    axes[0, 0].set(xlabel=xlabel, ylabel=ylabel)
    axes[0, 0].legend(frameon=False)
    return _png(figure)


@_plot
def over_time(
    rows: Mapping[str, Mapping[str, np.ndarray]], xlabel: str = "frame"
) -> bytes:
    """Returns series one below the other.

    Args:
        rows: Dictionary from a title to a dictionary from a text to `(n,)` values.
        xlabel: What the places are.
    """
    figure, axes = _axes(7.2, 1.9 * len(rows), len(rows), 1)
    for panel, (title, lines) in zip(axes[:, 0], rows.items(), strict=True):
        colours = (SWAPPED, TARGET, _GREY)
        for (text, values), colour in zip(lines.items(), colours, strict=False):
            panel.plot(values, color=colour, lw=1.2, label=text)
        panel.set_title(title, fontsize=10)
        panel.legend(frameon=False, fontsize=8)
    axes[-1, 0].set_xlabel(xlabel)
    return _png(figure)


@_plot
def compared(
    rows: Sequence[tuple[str, float, float, float, int]], names: tuple[str, str]
) -> bytes:
    """Returns differences of figures with their intervals, in widths of the interval.

    Args:
        rows: List of text, value, low, high, and whether higher is better (1), lower
            (-1) or neither (0).
        names: What is compared, two words.
    """
    figure, axes = _axes(7.2, 1.2 + 0.28 * len(rows))
    panel = axes[0, 0]
    for line, (text, value, low, high, better) in enumerate(rows):
        half = max((high - low) / 2.0, 1e-12)
        good = value * better
        significant = low > 0 or high < 0
        colour = (
            _GREY if not significant or not better else SWAPPED if good > 0 else SOURCE
        )
        at = np.clip(value / half, -12, 12)
        panel.plot([at - 1, at + 1], [line, line], color=colour, lw=2)
        panel.plot(at, line, "o", color=colour, ms=4)
        panel.text(-13.5, line, text, ha="right", va="center", fontsize=8)
    panel.axvline(0, color="black", lw=0.8)
    panel.set(yticks=[], ylim=(len(rows) - 0.5, -0.5), xlim=(-13.2, 13.2))
    panel.set_xlabel(
        f"{names[1]} less {names[0]},\n"
        "in half widths of the 95 % interval, at most 12;\n"
        "green better, brown worse, grey neither",
        fontsize=8,
    )
    return _png(figure)
