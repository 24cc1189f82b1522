"""The report of an alignment run: one JSON line a photo.

While a run goes on, lines are appended as photos are finished; at its end the file is
put in the order of the paths. A killed run leaves at worst a torn last line, which
the next one drops, and both end with the same bytes.
"""

from __future__ import annotations

import collections
import json
import os
import pathlib
from collections.abc import Iterator

import numpy as np

from facedancer.dataset.photos import listing
from facedancer.errors import InputError
from facedancer.face.alignment import Alignment
from facedancer.storage import files

NAME = "report.jsonl"
SUMMARY = "summary.json"


class Report:
    """The report file of one target folder.

    Only eight bytes for each photo are kept in memory.

    Args:
        path: The file; its folder is made.
        paths: The photos, as `listing.list_photos` orders them.
    """

    def __init__(self, path: str | os.PathLike, paths: list[str]) -> None:
        self.path = pathlib.Path(path)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._paths = paths
        self._offset = np.full(len(paths), -1, np.int64)
        self.path.touch()
        self._read_offsets()
        self._file = open(self.path, "r+b")
        self._file.seek(self._end)

    def _read_offsets(self) -> None:
        """Finds the last whole line of each photo, and where whole lines end."""
        self._end = 0
        with open(self.path, "rb") as file:
            for line in file:
                entry = _parse(line)
                if entry is None:
                    break
                self._note(entry["path"])
                self._end += len(line)

    def _note(self, path: str) -> None:
        at = listing.position(self._paths, path)
        if at is not None:
            self._offset[at] = self._end

    def append(self, entries: list[dict]) -> None:
        """Adds the lines of finished photos.

        Args:
            entries: With a `"path"` each.
        """
        for entry in entries:
            line = (json.dumps(entry, sort_keys=True) + "\n").encode()
            self._note(entry["path"])
            with files.writing(self.path):
                self._file.write(line)
            self._end += len(line)
        with files.writing(self.path):
            self._file.flush()

    def entries(self) -> Iterator[dict | None]:
        """Yields the newest entry of each photo, in order, None where there is none."""
        self._file.flush()
        with open(self.path, "rb") as file:
            for offset in self._offset.tolist():
                if offset < 0:
                    yield None
                    continue
                file.seek(offset)
                yield _parse(file.readline())

    def finish(self) -> collections.Counter:
        """Puts the lines in order and returns how many photos have each status."""
        counts: collections.Counter = collections.Counter()
        with files.whole(self.path) as temporary:
            with open(temporary, "w") as file:
                for entry in self.entries():
                    if entry is not None:
                        counts[entry["status"]] += 1
                        file.write(json.dumps(entry, sort_keys=True) + "\n")
            self._file.close()
        return counts


def _parse(line: bytes) -> dict | None:
    """Returns the entry of a line, None if it is torn."""
    if not line.endswith(b"\n"):
        return None
    try:
        entry = json.loads(line)
    except ValueError:
        return None
    return entry if isinstance(entry, dict) and "path" in entry else None


def read_report(folder: str | os.PathLike) -> Iterator[dict]:
    """Yields the entries of the report in a folder of crops; nothing if it has none.

    Args:
        folder: What was the target folder.
    """
    path = pathlib.Path(folder) / NAME
    if path.is_file():
        with open(path, "rb") as file:
            for line in file:
                entry = _parse(line)
                if entry is not None:
                    yield entry


def read_settings(folder: str | os.PathLike) -> dict | None:
    """Returns the settings that decided a folder's crops, None where unknown.

    Args:
        folder: What `crop_align` wrote, else nothing is known.
    """
    try:
        settings = json.loads(pathlib.Path(folder, SUMMARY).read_text())["settings"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return settings if isinstance(settings, dict) else None


def alignment_of(folder: str | os.PathLike) -> Alignment | None:
    """Returns how a folder's crops are aligned, None where unknown.

    Args:
        folder: What `crop_align` wrote, else nothing is known.

    Raises:
        InputError: If they are aligned in a way that is not known here.
    """
    settings = read_settings(folder)
    if settings is None:
        return None
    try:
        shrink = float(settings.get("shrink_factor", 1.0))
    except (TypeError, ValueError) as error:
        raise InputError(f"{folder}/{SUMMARY}: its shrink_factor: {error}") from None
    return Alignment(settings.get("template", "arcface"), shrink)
