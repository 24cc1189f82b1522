"""Shards against their manifest: lost ones, and such as are empty, cut or too long."""

from __future__ import annotations

import fnmatch
import hashlib
import os
import pathlib
from collections.abc import Iterable, Iterator

from facedancer.dataset.shards import manifest, records
from facedancer.errors import InputError
from facedancer.storage import files


def differences(
    data_dir: str, shards: Iterable[str], sets: Iterable[pathlib.Path]
) -> dict[str, str]:
    """Returns what is wrong with shards, by their file, found from their sizes alone.

    Args:
        data_dir: What named the shards, see `shard_index.find_shards`: a lost shard is
            missed if this would have named it.
        shards: The files.
        sets: Folder and `{name}_{type}` of each set among them.

    Raises:
        InputError: If what should be a manifest is none.
    """
    sizes = {file: os.path.getsize(file) for file in shards}
    wrong = {file: "it is empty" for file, size in sizes.items() if not size}
    for one in sets:
        written = manifest.read(one.parent, one.name) or {"shards": ()}
        for entry in written["shards"]:
            file = os.path.join(one.parent, entry["file"])
            size = sizes.get(file)
            if size is None and _is_named(file, data_dir):
                wrong[file] = "its manifest names it, and it is missing"
            elif size is not None and size != entry["bytes"]:
                wrong[file] = _in_words(size, entry["bytes"])
    return wrong


def _is_named(file: str, data_dir: str) -> bool:
    for word in data_dir.split(","):
        folder = os.path.isdir(word.strip())
        if folder and os.path.samefile(os.path.dirname(file) or ".", word.strip()):
            return True
        if not folder and fnmatch.fnmatch(file, word.strip()):
            return True
    return False


def _in_words(size: int, expected: int) -> str:
    if not size:
        return f"it is empty, its manifest says {expected} bytes"
    kind = "cut off" if size < expected else "too long, with something behind its end"
    return f"{size} bytes instead of {expected}, as its manifest says: it is {kind}"


def refuse(wrong: dict[str, str]) -> None:
    """Refuses shards with which something is wrong.

    Args:
        wrong: What `differences` gave.

    Raises:
        InputError: If that is anything; the text names the first and says what to do.
    """
    if wrong:
        file = min(wrong)
        more = f" (and {len(wrong) - 1} others)" if len(wrong) > 1 else ""
        raise InputError(
            f"{file}: {wrong[file]}{more}. Start the sharding program again with the "
            "same flags, which writes such shards anew; or give --on_corrupt=skip"
        )


def photo_paths(file: str | os.PathLike) -> Iterator[str]:
    """Yields the path that each record of a shard names, "" for none.

    Args:
        file: The shard.

    Raises:
        InputError: At the first record that is damaged, or whose photo is not the one
            it was written with; the text names file and record.
    """
    for number, record in enumerate(records.read_records(file)):
        try:
            features = records.decode_example(record)
        except InputError as error:
            raise records.CorruptRecordError(file, number, str(error)) from None
        sha256 = hashlib.sha256(features.get("face", b"")).digest()
        if features.get("sha256", sha256) != sha256:
            raise records.CorruptRecordError(file, number, "the photo is another one")
        yield os.fsdecode(features.get("path", b""))


def written_before(file: pathlib.Path, paths: list[str]) -> records.Written | None:
    """Returns what stands in a shard, None if that is not all that belongs there.

    Args:
        file: The shard; it need not exist.
        paths: What its records name, in their order.
    """
    if not file.exists():
        return None
    try:
        if list(photo_paths(file)) != list(paths):
            return None
        return records.Written(records.scan(file), files.file_hash(file))
    except InputError:
        return None  # damaged, or with something behind its end: written anew
