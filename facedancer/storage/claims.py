"""A place that is written for long belongs to one process."""

from __future__ import annotations

import contextlib
import datetime
import errno
import fcntl
import json
import logging
import os
import pathlib
import platform
import sys
from collections.abc import Iterator

from facedancer.errors import InputError
from facedancer.storage import files

_NO_LOCKS = (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS, errno.EOPNOTSUPP)


@contextlib.contextmanager
def claimed(path: str | os.PathLike, folder: bool = False) -> Iterator[None]:
    """Keeps a place for this process while the block runs.

    The system lets go of it when the process ends, however it ends. What killed runs
    left half-written there is removed first. Folders that are made for it are removed
    if nothing came into them.

    Args:
        path: The file or folder that is written.
        folder: Whether it is a folder that may exist already: then the lock, `.lock`,
            lies in it, else it is `.lock-<name>` beside the place.

    Raises:
        InputError: If another process has the place (the text says which and since
            when), or it cannot be written.
    """
    path = pathlib.Path(path)
    inside = path if folder else path.parent
    lock = path / ".lock" if folder else files.hidden_name(path, "lock")
    with _folders_for(inside), _held(lock, path):
        files.remove_leftovers(inside, deep=folder)
        done = False
        try:
            yield
            done = True
        finally:
            if not done:  # workers that were ended with it left something too
                files.remove_leftovers(inside, deep=folder)


@contextlib.contextmanager
def _folders_for(folder: pathlib.Path) -> Iterator[None]:
    """Makes a folder and those above it; new ones that stay empty are removed."""
    missing = [p for p in (folder, *folder.parents) if not p.exists()]
    with files.writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    try:
        yield
    finally:
        for made in missing:
            with contextlib.suppress(OSError):  # it is not empty, or gone
                made.rmdir()


@contextlib.contextmanager
def _held(lock: pathlib.Path, path: pathlib.Path) -> Iterator[None]:
    with files.writing(path):
        handle = _open(lock, path)
    try:
        with files.writing(path):
            os.ftruncate(handle, 0)
            os.pwrite(handle, json.dumps(_myself()).encode(), 0)
        yield
        if not _is_there(lock, handle):
            raise InputError(
                f"{path}: its folder was moved or removed while this was running, and "
                "what was written before went with it. Start again"
            )
    finally:
        with contextlib.suppress(OSError):  # its folder vanished
            lock.unlink()
        os.close(handle)


def _open(lock: pathlib.Path, path: pathlib.Path) -> int:
    """Returns the open lock file, locked, and still the one of that name."""
    while True:
        handle = os.open(lock, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_there(lock, handle):
                return handle  # else who had it removed it in this moment
        except BlockingIOError:
            raise _taken(handle, path) from None
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise
            logging.getLogger("absl").warning(
                "%s: its file system knows no locks. Let no other process write there",
                path,
            )
            return handle
        os.close(handle)


def _is_there(lock: pathlib.Path, handle: int) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), os.stat(lock))
    except OSError:
        return False


def _myself() -> dict[str, str | int]:
    now = datetime.datetime.now().astimezone()
    return {
        "program": pathlib.Path(sys.argv[0]).name or "python",
        "pid": os.getpid(),
        "host": platform.node(),
        "since": now.isoformat(" ", "seconds"),
    }


def _taken(handle: int, path: pathlib.Path) -> InputError:
    try:
        words = json.loads(os.pread(handle, 4096, 0))
        who = "{program}, process {pid} on {host}, since {since}".format(**words)
    except (ValueError, KeyError, TypeError):
        who = "it has not said yet which"
    finally:
        os.close(handle)
    return InputError(
        f"{path}: another process is writing there ({who}). Wait until it is done, end "
        "it, or give another place"
    )
