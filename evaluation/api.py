"""Measures a swapper from Python, as `facedancer evaluate` does; see `evaluate`."""

from __future__ import annotations

import os
from typing import Any

from facedancer.evaluation import options, protocol
from facedancer.evaluation.report import document, page
from facedancer.evaluation.report.document import Report
from facedancer.evaluation.settings import EvaluateSettings
from facedancer.flags.settings import from_names
from facedancer.storage import claims


def evaluate(
    data_dir: str | os.PathLike = "", out: str | os.PathLike = "", **settings: Any
) -> Report:
    """Returns how good a swapper is: identity, pose, expression, realism, flicker.

    Args:
        data_dir: One folder of photos a person; empty: `pairs_csv`, `results` or
            `target_video` is given instead.
        out: Folder for the report as JSON, tables, plots and a page; empty: nothing is
            written.
        **settings: Other settings of `facedancer evaluate` by the names of their flags,
            such as `judge_path="judge.onnx"`, `pairs=200` or `studies=("none",)`.

    Returns:
        The figures with their intervals; `report["pose_pnp_l2"].estimate.value` is one.

    Raises:
        InputError: If an input cannot be used, or the named judge is the generator's
            own.
        TypeError: If there is no setting of that name.

    Example:
        report = facedancer.evaluate("photos", judge_path="judge.onnx")
        for figure in report.figures:
            print(figure.text, figure.estimate.value, figure.unit)
    """
    paths = {"data_dir": os.fspath(data_dir), "out": os.fspath(out)}
    (record,) = from_names([EvaluateSettings], settings | paths)
    return run(record) if record.out else protocol.evaluate(record)


def run(settings: EvaluateSettings) -> Report:
    """Returns the report that settings ask for, and writes it into their folder.

    Args:
        settings: The settings.

    Raises:
        InputError: See `evaluate`.
    """
    folder = options.check_out(settings)
    with claims.claimed(folder, folder=True):
        result = protocol.evaluate(settings)
        document.write(folder, result)
        page.write(folder / "index.html", result)
    return result
