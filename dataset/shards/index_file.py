"""The index file beside a set of shards, which saves looking through all records."""

from __future__ import annotations

import pathlib
from typing import Any

import numpy as np

from facedancer.dataset.shards import manifest
from facedancer.errors import InputError
from facedancer.storage import untrusted

ARRAYS = ("offset", "size", "identity", "folder")


def read(name: pathlib.Path) -> dict[str, Any] | None:
    """Returns the arrays of `{set}.index.npz` and where each shard's part begins.

    Args:
        name: Folder and `{name}_{type}` of the set.

    Returns:
        The arrays of `ARRAYS`, `"folder_names"`, and `"shards"`: of each shard its
        entry in the manifest and `"first"`, its position in the arrays. None where
        there is no index file or it does not fit the manifest: the records tell the
        same.

    Raises:
        InputError: If what should be a manifest is none.
    """
    written = manifest.read(name.parent, name.name)
    if written is None:
        return None
    try:
        stored = untrusted.load_arrays(name.with_name(f"{name.name}.index.npz"))
    except InputError:
        return None
    entries, first = {}, 0
    for shard in written["shards"]:
        entries[shard["file"]] = {**shard, "first": first}
        first += shard["count"]
    if not _fits(stored, first, entries, len(written["folders"])):
        return None
    names = np.array(written["folders"], object)
    return {**stored, "folder_names": names, "shards": entries}


def _fits(
    stored: dict[str, np.ndarray], total: int, entries: dict[str, dict], folders: int
) -> bool:
    """Returns whether the arrays are such as a set of these shards has."""
    for name in ARRAYS:
        array = stored.get(name)
        if array is None or array.shape != (total,) or array.dtype.kind != "i":
            return False
    if not total:
        return True
    offset, size = (stored[name].astype(np.int64) for name in ("offset", "size"))
    identity, folder = stored["identity"], stored["folder"]
    if identity.min() < -1 or identity.max() >= 1 << 31:
        return False
    if folder.min() < 0 or folder.max() >= folders:
        return False
    return all(
        _is_filled(offset[part], size[part], entry["bytes"])
        for entry in entries.values()
        for part in [slice(entry["first"], entry["first"] + entry["count"])]
    )


def _is_filled(offset: np.ndarray, size: np.ndarray, length: int) -> bool:
    """Returns whether records of these sizes fill a file, one behind the other."""
    ends = np.cumsum(size)
    return (
        np.array_equal(offset + size, ends) and (ends[-1] if len(ends) else 0) == length
    )
