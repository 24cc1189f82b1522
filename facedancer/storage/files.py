"""Files: written whole or not at all, their temporary names, what is left of them.

While a file is made it is called `.tmp-<owner>_<number>-<name>`, beside its place. The
owner names machine, number and start of the process that makes it, so that a later run
knows which of these nobody will ever finish (`remove_leftovers`).
"""

from __future__ import annotations

import contextlib
import errno
import functools
import hashlib
import itertools
import os
import pathlib
import platform
import re
import shutil
import time
from collections.abc import Iterator

from facedancer.errors import InputError

_TEMPORARY = re.compile(
    r"\.tmp-(?P<machine>[0-9a-f]{6})_(?P<pid>\d{1,7})_(?P<start>[0-9a-f]{6})_\d+-"
    r"(?P<name>.+)",
    re.DOTALL,
)
_OLDER = re.compile(r"\.tmp-(?P<pid>\d{1,7})-(?:\d{6,}-)?(?P<name>.+)", re.DOTALL)
_MAX_NAME = 250  # bytes of a name, with room for a further ending
_FORGOTTEN = 24 * 3600  # seconds after which another machine's file counts as left
_COUNT = itertools.count()
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_FORBIDDEN = (errno.EROFS, errno.EACCES, errno.EPERM)
_VANISHED = (errno.ENOENT, errno.ENOTDIR, errno.ESTALE)


def file_hash(path: str | os.PathLike) -> str:
    """Returns the SHA-256 of a file in hexadecimal.

    Args:
        path: The file.

    Raises:
        InputError: If there is no such file.
    """
    if not pathlib.Path(path).is_file():
        raise InputError(f"{path}: no such file")
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextlib.contextmanager
def whole(
    path: str | os.PathLike, *companions: str, durable: bool = False, more: str = ""
) -> Iterator[pathlib.Path]:
    """Gives a temporary path of the same ending, and renames it at the end.

    When the block fails, nothing is left behind.

    Args:
        path: The file or folder to be written. Its folder is made. A folder of that
            name is replaced.
        *companions: Endings of further files that are written beside it.
        durable: Whether it is on the disk, also after a power cut, before it gets its
            name.
        more: A further ending of the temporary path, where a reader's pattern could
            take hidden files for finished ones.

    Raises:
        InputError: If the disk is full or the place cannot be written.
    """
    path = pathlib.Path(path)
    made = temporary_name(path)
    made = made.with_name(made.name + more)
    pairs = [(made, path)]
    pairs += [(made.with_suffix(c), path.with_suffix(c)) for c in companions]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield made
        for temporary, final in pairs:
            if durable:
                _flush(temporary)
            _give_name(temporary, final)
    except OSError as error:
        if not _concerns(error, path):
            raise
        raise not_written(path, error) from None
    finally:
        for temporary, _ in pairs:
            with contextlib.suppress(OSError):  # its folder vanished
                remove(temporary)


def _flush(path: pathlib.Path) -> None:
    with open(path, "rb") as file:
        os.fsync(file.fileno())


def _give_name(temporary: pathlib.Path, final: pathlib.Path) -> None:
    if not (temporary.is_dir() and final.is_dir()):
        os.replace(temporary, final)
        return
    aside = temporary_name(final)
    os.replace(final, aside)
    try:
        os.replace(temporary, final)
    except OSError:
        os.replace(aside, final)
        raise
    remove(aside)


def _concerns(error: OSError, path: pathlib.Path) -> bool:
    """Returns whether an error is about a path that is written, or names none."""
    if not isinstance(error.filename, str | bytes | os.PathLike):
        return True
    location = final_name(os.fsdecode(error.filename))
    return location.stem.startswith(path.stem) or location in path.parents


def write_atomic(path: str | os.PathLike, data: bytes, durable: bool = False) -> None:
    """Writes bytes to a file that appears whole or not at all.

    Args:
        path: The file. Its folder is made.
        data: What to write.
        durable: See `whole`.

    Raises:
        InputError: If the disk is full or the place cannot be written.
    """
    with whole(path, durable=durable) as temporary:
        temporary.write_bytes(data)


@contextlib.contextmanager
def writing(path: str | os.PathLike) -> Iterator[None]:
    """Names the file that a block cannot write; the errors of the system do not always.

    Args:
        path: The file that grows in the block.

    Raises:
        InputError: If the disk is full or the place cannot be written.
    """
    try:
        yield
    except OSError as error:
        raise not_written(path, error) from None


def not_written(path: str | os.PathLike, error: Exception) -> InputError:
    """Returns the error that a file cannot be written.

    Args:
        path: The file; its name may still be a temporary one.
        error: Why.
    """
    reason = getattr(error, "strerror", None) or error
    return InputError(
        f"{final_name(path)}: cannot be written ({reason}). Make room, or give a place "
        "that can be written"
    )


def in_words(error: OSError) -> str:
    """Returns what went wrong with a file, and what to do, as one line.

    Args:
        error: What the system said; of a network or a device it may name no file.
    """
    location = error.filename
    reason = error.strerror or str(error) or type(error).__name__
    if isinstance(location, str | bytes | os.PathLike):
        reason = f"{final_name(os.fsdecode(location))}: {reason}"
    advice = ""
    if error.errno in _FULL:
        advice = ". Make room, or give another place"
    elif error.errno in _FORBIDDEN:
        advice = ". Give a place that can be read and written"
    elif error.errno in _VANISHED:
        advice = ". It is not there, or it was moved or removed while this was running"
    return re.sub(r"\s+", " ", reason + advice)


def in_letters(path: str | os.PathLike) -> str:
    """Returns a path as text that any file or program can hold, also of odd bytes.

    Args:
        path: The path; of a name that is no UTF-8 the odd bytes become `\\xNN`.
    """
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def in_print(text: str) -> str:
    """Returns text as one line that tells a terminal nothing.

    Args:
        text: The text; line ends, escapes and the like become `\\xNN`, `\\uNNNN`.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def temporary_name(path: str | os.PathLike) -> pathlib.Path:
    """Returns a new hidden name beside a path, of the same ending.

    Args:
        path: The file or folder that will be made.
    """
    path = pathlib.Path(path)
    return _prefixed(path, f".tmp-{_owner(os.getpid())}_{next(_COUNT)}-")


def hidden_name(path: str | os.PathLike, kind: str) -> pathlib.Path:
    """Returns `.<kind>-<name>` beside a path, cut so that it is no longer than allowed.

    Args:
        path: The file or folder that it belongs to.
        kind: What it is.
    """
    return _prefixed(pathlib.Path(path), f".{kind}-")


def _prefixed(path: pathlib.Path, prefix: str) -> pathlib.Path:
    name = os.fsencode(path.name)
    if len(prefix) + len(name) > _MAX_NAME:
        name = name[len(prefix) + len(name) - _MAX_NAME :]
        name = name.lstrip(bytes(range(0x80, 0xC0)))  # never half a letter
    return path.with_name(prefix + os.fsdecode(name))


def final_name(path: str | os.PathLike) -> pathlib.Path:
    """Returns the name a file will have: without `.tmp-<owner>-`, also of folders.

    Args:
        path: The file, of a temporary name or not.
    """
    return pathlib.Path(*map(_without_prefix, pathlib.Path(path).parts))


def _without_prefix(part: str) -> str:
    match = _TEMPORARY.fullmatch(part) or _OLDER.fullmatch(part)
    return _without_prefix(match["name"]) if match else part


def remove_leftovers(folder: str | os.PathLike, deep: bool = False) -> None:
    """Removes what processes that are gone left half-written.

    What a process of another machine or container makes stays for a day after it was
    written to last: whether that lives cannot be seen from here.

    Args:
        folder: Where; it may be missing.
        deep: Whether to look into all folders below too.
    """
    for location, folders, names in os.walk(os.fsdecode(folder)):
        for name in [*folders, *names]:
            path = pathlib.Path(location, name)
            if name.startswith(".tmp-") and _is_left(path):
                with contextlib.suppress(OSError):  # it is gone, or not ours to remove
                    remove(path)
        if not deep:
            return
        folders[:] = [name for name in folders if not name.startswith(".tmp-")]


def _is_left(path: pathlib.Path) -> bool:
    match = _TEMPORARY.fullmatch(path.name)
    if match is None:
        match = _OLDER.fullmatch(path.name)
        return match is not None and not _lives(int(match["pid"]))
    if match["machine"] == _machine():
        return not _lives(int(match["pid"]), match["start"])
    try:
        return time.time() - path.lstat().st_mtime > _FORGOTTEN
    except OSError:
        return False


def remove(path: pathlib.Path) -> None:
    """Removes a file or a folder with all in it; nothing if there is none.

    Args:
        path: The file, link or folder.
    """
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _lives(pid: int, start: str = "") -> bool:
    """Returns whether a process is there, and was started when it is said to be."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        pass  # it belongs to somebody else
    found = _start_of(pid)
    return found is None or (found != "" and start in ("", found))


@functools.lru_cache(maxsize=8)
def _owner(pid: int) -> str:
    return f"{_machine()}_{pid}_{_start_of(pid) or _digest('unknown')}"


@functools.cache
def _machine() -> str:
    """Returns what numbers of processes can be compared within: host and container."""
    try:
        space = os.readlink("/proc/self/ns/pid")
    except OSError:
        space = ""
    return _digest(platform.node(), space)


def _start_of(pid: int) -> str | None:
    """Returns what tells a process from others of its number.

    That is "" if it has ended, None if it cannot be known (another system, or others'
    processes are hidden).
    """
    try:
        stat = pathlib.Path(f"/proc/{pid}/stat").read_text()
        boot = pathlib.Path("/proc/sys/kernel/random/boot_id").read_text()
    except OSError:
        return None
    # Behind the program's name in brackets: state, ..., at 19 the time of the start.
    words = stat.rpartition(")")[2].split()
    return "" if words[0] in "ZX" else _digest(boot, words[19])


def _digest(*words: str) -> str:
    return hashlib.sha256(" ".join(words).encode()).hexdigest()[:6]
