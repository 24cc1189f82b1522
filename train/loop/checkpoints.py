"""The full state in files: atomic, the last N and the best one kept.

A checkpoint is one `.npz` file, `step_00012000.npz`: every variable of all networks,
their averages and optimisers, and a JSON record. The random draws of the training
and the position in the data are functions of the step, so nothing else is needed to
go on as if never stopped.
"""

from __future__ import annotations

import json
import os
import pathlib
import re
from collections.abc import Callable
from typing import IO, Any

import numpy as np

from facedancer.errors import InputError
from facedancer.storage import files, untrusted
from facedancer.train.step.state import State

_NAME = re.compile(r"step_(\d{8,})\.npz")
_BEST = "best.json"


class Checkpoints:
    """The checkpoints of one run.

    Args:
        folder: Where they lie; made with the first one.
        keep: How many of the latest are kept besides the best.
    """

    def __init__(self, folder: str | os.PathLike, keep: int = 3) -> None:
        self.folder = pathlib.Path(folder)
        self.keep = keep

    def steps(self) -> list[int]:
        """Returns the steps there are checkpoints of, in order."""
        if not self.folder.is_dir():
            return []
        matches = (_NAME.fullmatch(path.name) for path in self.folder.iterdir())
        return sorted(int(match[1]) for match in matches if match)

    def path(self, step: int) -> pathlib.Path:
        """Returns the file of a step."""
        return self.folder / f"step_{step:08d}.npz"

    def save(self, state: State, record: dict, score: float | None = None) -> None:
        """Writes the state; older checkpoints that are not to be kept are removed.

        Args:
            state: What is saved.
            record: JSON values that are kept with it.
            score: How good it is, the higher the better; None: not measured.

        Raises:
            InputError: If the disk is full or the folder cannot be written.
        """
        arrays: dict[str, Any] = state.to_arrays()
        record = {**record, "step": state.step, "score": score}
        arrays["record"] = np.frombuffer(json.dumps(record).encode(), np.uint8)
        try:
            _write(self.path(state.step), lambda file: np.savez(file, **arrays))
            if score is not None and score > self._best_score():
                best = json.dumps({"step": state.step, "score": score}).encode()
                _write(self.folder / _BEST, lambda file: file.write(best))
        except InputError as error:
            raise InputError(
                f"{error}. The earlier checkpoints are whole: started again, the "
                "training goes on from the last one"
            ) from None
        self._remove_old()

    def best_step(self) -> int | None:
        """Returns the step of the best checkpoint, or None if none was measured."""
        step = self._best().get("step")
        return step if step in self.steps() else None

    def _best(self) -> dict:
        path = self.folder / _BEST
        return json.loads(path.read_text()) if path.is_file() else {}

    def _best_score(self) -> float:
        known = self.best_step() is not None
        return self._best()["score"] if known else float("-inf")

    def set_aside(self, step: int) -> None:
        """Renames the checkpoints after a step, from which the training goes on.

        Args:
            step: The last that stays.
        """
        for later in self.steps():
            if later > step:
                path = self.path(later)
                os.replace(path, path.with_name(f"{path.name}.superseded"))

    def _remove_old(self) -> None:
        kept = {*self.steps()[-self.keep :], self.best_step()}
        for step in self.steps():
            if step not in kept:
                self.path(step).unlink()
        files.remove_leftovers(self.folder)

    def find(self, name: str) -> int:
        """Returns the step that a user means.

        Args:
            name: A step, `latest` or `best`.

        Raises:
            InputError: If there is no such checkpoint.
        """
        steps = self.steps()
        found = {"latest": steps[-1] if steps else None, "best": self.best_step()}
        step = int(name) if name.isdigit() else found.get(name)
        if step not in steps:
            raise InputError(
                f"{self.folder}: no checkpoint {name!r}. There are "
                f"{', '.join(map(str, steps)) or 'none'}"
                + (f"; best is {found['best']}" if found["best"] else "")
            )
        return step

    def restore(self, state: State, step: int, system: str = "") -> dict:
        """Takes a saved state over and returns its record.

        Args:
            state: A state of the same structure.
            step: Which checkpoint.
            system: What is trained; empty: not compared.

        Raises:
            InputError: If the file is damaged, of another system or structure.
        """
        arrays, record = read(self.path(step))
        made = record.get("system", system)  # early records do not say it
        if system and made != system:
            raise InputError(
                f"{self.path(step)}: of a training of --system={made}. Received: "
                f"--system={system}. Give that one, or another --log_name"
            )
        try:
            state.set_arrays(arrays, record["step"])
        except ValueError as error:
            raise InputError(
                f"{self.path(step)}: made with other settings of the networks, the "
                f"optimiser or the average: {error}. Give the same flags or another "
                "--log_name"
            ) from None
        return record


def read(path: str | os.PathLike) -> tuple[dict[str, np.ndarray], dict]:
    """Returns the arrays and the record of a checkpoint file.

    Args:
        path: The file.

    Raises:
        InputError: If it is missing or damaged.
    """
    with untrusted.faults(path, "damaged checkpoint"):
        arrays = untrusted.load_arrays(path, "damaged checkpoint")
        record = json.loads(arrays.pop("record").tobytes())
    return {_present_name(name): array for name, array in arrays.items()}, record


def _present_name(name: str) -> str:
    """Returns an array's name; the only average was once called `average`."""
    part, _, number = name.partition("/")
    return f"average_generator/{number}" if part == "average" else name


def _write(path: pathlib.Path, write: Callable[[IO[bytes]], object]) -> None:
    """Writes a file that appears whole or not at all, also after a power cut."""
    with files.whole(path, durable=True) as temporary, open(temporary, "wb") as file:
        write(file)
