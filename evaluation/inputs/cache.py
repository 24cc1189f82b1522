"""Results of networks kept by the hash of what they were made from."""

from __future__ import annotations

import hashlib
import os
import pathlib
from collections.abc import Callable, Sequence

import numpy as np

from facedancer.errors import InputError
from facedancer.storage import files, untrusted


class Cache:
    """Arrays by network and key, in memory and, where a folder is given, on disk.

    Args:
        folder: Where files are kept; empty for memory only. One file a network; a
            network of other weights has another name and so another file.
    """

    def __init__(self, folder: str | os.PathLike = "") -> None:
        self.folder = pathlib.Path(folder) if folder else None
        self.tables: dict[str, dict[str, np.ndarray]] = {}
        self.changed: set[str] = set()

    def compute(
        self,
        network: str,
        keys: Sequence[str],
        make: Callable[[list[int]], np.ndarray],
        keep: bool = True,
    ) -> np.ndarray:
        """Returns one row for each key; only those that are missing are made.

        Args:
            network: Name and hash of what makes them.
            keys: What each is made from.
            make: From the places of missing keys to their rows.
            keep: Whether new rows go to disk.
        """
        table = self.tables.get(network)
        if table is None:
            table = self.tables[network] = self._read(network)
        first = {key: index for index, key in reversed(list(enumerate(keys)))}
        missing = sorted(index for key, index in first.items() if key not in table)
        made = {}
        if missing:
            rows = np.asarray(make(missing))
            made = {keys[i]: row for i, row in zip(missing, rows, strict=True)}
        if made and keep:
            table |= made
            self.changed.add(network)
        return np.stack([made[k] if k in made else table[k] for k in keys])

    def save(self) -> None:
        """Writes what is new; each file appears whole or not at all."""
        if self.folder is None:
            return
        for network in sorted(self.changed):
            path, table = self._path(self.folder, network), self.tables[network]
            with files.whole(path) as temporary, open(temporary, "wb") as file:
                np.savez(
                    file,
                    keys=np.array(list(table), "S64"),
                    rows=np.stack(list(table.values())),
                )
        self.changed.clear()

    @staticmethod
    def _path(folder: pathlib.Path, network: str) -> pathlib.Path:
        plain = "".join(c if c.isalnum() or c in "-_" else "-" for c in network)[:60]
        digest = hashlib.sha256(network.encode()).hexdigest()[:12]
        return folder / f"{plain}-{digest}.npz"

    def _read(self, network: str) -> dict[str, np.ndarray]:
        path = self.folder and self._path(self.folder, network)
        if path is None or not path.is_file():
            return {}
        try:
            with untrusted.faults(path):
                arrays = untrusted.load_arrays(path)
                pairs = zip(arrays["keys"], arrays["rows"], strict=True)
                return {key.decode(): row for key, row in pairs}
        except InputError:
            return {}  # damaged: made again and replaced
