"""The manifest of a set of shards: what is in it, and how its crops are aligned."""

from __future__ import annotations

import dataclasses
import json
import os
import pathlib
from typing import Any

from facedancer.errors import InputError
from facedancer.face.alignment import Alignment, check_equal
from facedancer.storage import files


def _path(folder: str | os.PathLike, name: str) -> pathlib.Path:
    return pathlib.Path(folder, f"{name}.manifest.json")


def read(folder: str | os.PathLike, name: str) -> dict | None:
    """Returns the manifest of a set, None if there is none.

    Args:
        folder: The shards' folder.
        name: `{data_name}_{data_type}`.

    Raises:
        InputError: If it is no manifest.
    """
    path = _path(folder, name)
    try:
        found = json.loads(path.read_text())
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise InputError(f"{path}: not a manifest ({error})") from None
    if not _is_manifest(found):
        raise InputError(f"{path}: not a manifest of shards")
    return found


def _is_manifest(found: Any) -> bool:
    if not isinstance(found, dict) or not isinstance(found.get("plan"), str):
        return False
    shards, folders = found.get("shards"), found.get("folders")
    if not isinstance(found.get("count"), int) or not isinstance(folders, list):
        return False
    if not all(isinstance(folder, str) for folder in folders):
        return False
    return isinstance(shards, list) and all(
        isinstance(shard, dict)
        and isinstance(shard.get("file"), str)
        and os.path.basename(shard["file"]) == shard["file"]
        and all(isinstance(shard.get(name), int) for name in ("count", "bytes"))
        for shard in shards
    )


def write(folder: str | os.PathLike, name: str, content: dict) -> None:
    """Writes the manifest of a set.

    Args:
        folder: See `read`.
        name: See `read`.
        content: What `read` gives again.
    """
    data = (json.dumps(content, indent=1) + "\n").encode()
    files.write_atomic(_path(folder, name), data)


def alignment_in(content: dict | None) -> Alignment | None:
    """Returns how the crops of a set are aligned, None where unknown.

    Args:
        content: What `read` gave.

    Raises:
        InputError: If the manifest names another template than those known here.
    """
    noted = (content or {}).get("alignment")
    if not noted:
        return None
    try:
        return Alignment(**noted)
    except TypeError:
        raise InputError(
            f"A manifest must say `alignment` as template and shrink. Received: {noted}"
        ) from None


def people(name: str | os.PathLike) -> list[str] | None:
    """Returns the names of a set's people by their label, None where unknown.

    Args:
        name: Folder and `{data_name}_{data_type}` of the set.
    """
    path = pathlib.Path(name)
    noted = (read(path.parent, path.name) or {}).get("identities")
    return list(map(str, noted)) if isinstance(noted, dict) and noted else None


def note_alignment(
    folder: str | os.PathLike, name: str, content: dict, aligned: Alignment | None
) -> dict:
    """Returns a manifest that says how its crops are aligned, written if it did not.

    Sets were written without it before.

    Args:
        folder: See `read`.
        name: See `read`.
        content: What `read` gave.
        aligned: How the photos of the set are aligned, None where unknown.

    Raises:
        InputError: If the manifest says something else.
    """
    if aligned is None:
        return content
    if content.get("alignment") is None:
        content = content | {"alignment": dataclasses.asdict(aligned)}
        write(folder, name, content)
    where = os.path.join(folder, name)
    check_equal(alignment_in(content), aligned, where, "the photos are")
    return content
