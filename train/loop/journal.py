"""What a run leaves behind: metrics.jsonl, TensorBoard, pictures, curves."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import pathlib
from collections.abc import Iterator

import numpy as np
from absl import logging

from facedancer.imaging import images
from facedancer.storage import files
from facedancer.train.loop.event_file import EventFile


class Journal:
    """Writes the records of one run.

    Args:
        folder: The run's folder.
        active: Whether this process writes at all; of several workers one does.
    """

    def __init__(self, folder: str | os.PathLike, active: bool = True) -> None:
        self.folder = pathlib.Path(folder)
        self.active = active

    @functools.cached_property
    def _board(self) -> EventFile:
        """The file for TensorBoard, made when it is first written to."""
        board = self.folder / "tensorboard"
        with _writing(board):
            return EventFile(board)

    @property
    def path(self) -> pathlib.Path:
        """The file of one JSON object per interval."""
        return self.folder / "metrics.jsonl"

    def start(self, step: int) -> None:
        """Prepares for going on at a step: later entries of a lost run are dropped.

        Args:
            step: Steps taken.

        Raises:
            InputError: If the folder cannot be written.
        """
        if not self.active:
            return
        kept = [entry for entry in self.entries() if entry["step"] <= step]
        text = "".join(json.dumps(entry) + "\n" for entry in kept)
        files.write_atomic(self.path, text.encode())
        self.__dict__.pop("_board", None)  # of an earlier run

    def entries(self) -> list[dict]:
        """Returns all entries; a last line that was cut short is left out."""
        if not self.path.is_file():
            return []
        found = []
        for line in self.path.read_text().splitlines():
            try:
                found.append(json.loads(line))
            except json.JSONDecodeError:
                break
        return found

    def write(self, kind: str, step: int, values: dict[str, float]) -> None:
        """Writes values of one step.

        Args:
            kind: `train` or `eval`.
            step: Steps taken.
            values: By name.

        Raises:
            InputError: If the disk is full.
        """
        if not self.active:
            return
        with _writing(self.path):
            with open(self.path, "a") as file:
                file.write(json.dumps({"kind": kind, "step": step, **values}) + "\n")
            named = {f"{kind}/{name}": value for name, value in values.items()}
            self._board.scalars(step, named)

    def picture(self, name: str, step: int, image: np.ndarray | None) -> None:
        """Writes a picture to `samples/` and to TensorBoard.

        Args:
            name: What it shows.
            step: Steps taken.
            image: `(height, width, 3)` uint8; None is skipped.

        Raises:
            InputError: If the disk is full.
        """
        if not self.active or image is None:
            return
        images.write_image(self.folder / "samples" / f"{name}_{step:08d}.png", image)
        encoded = images.encode_image(image, ".png")
        with _writing(self.folder / "tensorboard"):
            self._board.picture(step, name, image.shape[:2], encoded)

    def curves(self) -> pathlib.Path | None:
        """Draws all values over the steps to `curves.png` and returns the file.

        Where Matplotlib is not installed nothing is drawn.

        Raises:
            InputError: If the disk is full.
        """
        series: dict[str, list] = {}
        for entry in self.entries() if self.active else []:
            for name, value in entry.items():
                if name not in ("kind", "step") and isinstance(value, float):
                    key = f"{entry['kind']}/{name}"
                    series.setdefault(key, []).append((entry["step"], value))
        if not series:
            return None
        try:
            from matplotlib.figure import Figure
        except ImportError:
            logging.warning("curves.png is not drawn: Matplotlib is not installed")
            return None
        columns = 4
        rows = -(-len(series) // columns)
        figure = Figure(figsize=(4 * columns, 2.4 * rows), layout="constrained")
        for number, (name, points) in enumerate(sorted(series.items())):
            axes = figure.add_subplot(rows, columns, number + 1)
            dot = "." if len(points) == 1 else None  # a line of one point is invisible
            axes.plot(*zip(*points, strict=True), linewidth=1, marker=dot)
            axes.set_title(name, fontsize=9)
            axes.grid(alpha=0.3)
        path = self.folder / "curves.png"
        with files.whole(path) as temporary:
            figure.savefig(temporary, dpi=80)
        return path


@contextlib.contextmanager
def _writing(path: str | os.PathLike) -> Iterator[None]:
    """Names the file that cannot be written."""
    try:
        yield
    except OSError as error:
        raise files.not_written(path, error) from None
