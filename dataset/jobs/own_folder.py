"""A folder that a program writes into: noted is how, and others' files are safe."""

from __future__ import annotations

import json
import os
import pathlib
from collections.abc import Mapping
from typing import Any

from facedancer.errors import InputError
from facedancer.storage import files


def claim(
    folder: str,
    note: str,
    settings: Mapping[str, Any],
    what: str,
    others: tuple[str, ...] = (),
) -> None:
    """Notes how the files of a folder are made; refuses what was made otherwise.

    Args:
        folder: The folder.
        note: Name of the file in it that says how.
        settings: What decides the files, ready for JSON.
        what: What the files are, for the message.
        others: Further folders that are written into.

    Raises:
        InputError: If the files of the folder were made with other flags or by others.
    """
    path = pathlib.Path(folder, note)
    text = json.dumps(settings, indent=2) + "\n"
    if path.exists() and path.read_text(errors="replace") != text:
        raise InputError(
            f"{folder} holds {what} made with other flags: see {path}. "
            "Give another --target_dir"
        )
    if not path.exists():
        for one in (folder, *others):
            _check_empty(one)
    files.write_atomic(path, text.encode())


def _check_empty(folder: str) -> None:
    """Refuses folders with files of others: pictures of theirs could be overwritten."""
    names = os.listdir(folder) if os.path.isdir(folder) else []
    found = sorted(name for name in names if not name.startswith("."))
    if found:
        raise InputError(
            f"{folder} holds {found[0]}, which this program did not write and "
            "might overwrite. Give a new or empty folder as --target_dir"
        )
