"""Opens files that others made: HDF5, zip archives, arrays, JSON; trusts none of them.

Two things hold of whatever is opened here. Nothing outside the file is read: HDF5 can
name other files in four ways. And what a file claims to hold is compared with its size
on disk before anything of it is read: 400 KB can unpack to gigabytes.

What the reading libraries raise at a damaged file becomes an `InputError` of one line.
"""

from __future__ import annotations

import contextlib
import json
import math
import mmap
import os
import struct
import tokenize
import typing
import zipfile
import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np

from facedancer.errors import InputError
from facedancer.process import stopping

if typing.TYPE_CHECKING:
    import h5py  # with Keras only: swapping does without both

# A file may unpack to this many times its size, a small one to so many bytes. Weights
# shrink to a half, an index of shards to a fifth; zeros to a thousandth.
MAX_RATIO = 16
MIN_LIMIT = 256 << 20
MAX_TEXT = 16 << 20  # bytes of a description; that of the largest network has 0.4 MB
MAX_OBJECTS = 100_000  # groups and arrays of an HDF5 file
MAX_TEXTS = 10_000  # of a list in one attribute, as of the names of layers
# What h5py, zipfile, zlib, NumPy, json and Keras raise where bytes or a description are
# not what they should be; NumPy reads headers as Python code. A description is nested
# data of any types, so that a wrong key, index, type or attribute is met wherever it is
# read.
READING_ERRORS = (
    ArithmeticError,
    AttributeError,
    EOFError,
    LookupError,
    OSError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
    struct.error,
    tokenize.TokenError,
    zipfile.BadZipFile,
    zlib.error,
)
_COLLECTION = b"GCOL\1\0\0\0"  # where texts of any length lie in HDF5
_DEFLATE, _SHUFFLE, _CHECKSUM = 1, 2, 3  # all else loads a plugin or is never written


@contextlib.contextmanager
def faults(path: str | os.PathLike, what: str = "the file is damaged") -> Iterator:
    """Turns what a reading library raises inside the block into an `InputError`.

    Args:
        path: The file, for the message.
        what: What is wrong with it.

    Raises:
        InputError: If the block raises one of `READING_ERRORS`. An `InputError` of the
            block keeps its text, with the path in front.
    """
    try:
        yield
    except InputError as error:
        if str(error).startswith(f"{path}:"):
            raise
        raise InputError(f"{path}: {error}") from error
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file") from error
    except READING_ERRORS as error:
        if stopping.is_interrupt(error):  # a library took it for a fault of the file
            raise
        raise InputError(f"{path}: {what} ({first_line(error)})") from error


def first_line(error: BaseException) -> str:
    """Returns what an error says first, or its kind where it says nothing.

    OpenVINO says first where in its sources it stands; that is left out.

    Args:
        error: The error.
    """
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    said = [line for line in lines if not line.startswith("Exception from src/")]
    return (said or lines)[0][:200] if lines else type(error).__name__


def check_not_empty(path: str | os.PathLike, what: str) -> None:
    """Refuses a file of no bytes before it is opened.

    What the system shows as files, below `/proc`, has no size either, and reading some
    of it waits without end.

    Args:
        path: The file; it exists.
        what: What it is not, for the message.

    Raises:
        InputError: If it is empty.
    """
    if not os.path.getsize(path):
        raise InputError(f"{path}: {what}: it is empty")


def check_size(path: str | os.PathLike, claimed: int) -> None:
    """Refuses a file that would unpack to far more than it has on disk.

    Args:
        path: The file.
        claimed: Bytes that it says it holds.

    Raises:
        InputError: If that is more than `MAX_RATIO` times its size, and `MIN_LIMIT`.
    """
    size = os.path.getsize(path)
    if claimed > max(MIN_LIMIT, MAX_RATIO * size):
        raise InputError(
            f"{path}: a file of {size:,} bytes that claims to hold {claimed:,}. Get "
            "it from whoever made it, uncompressed"
        )


def parse_json(text: str | bytes, path: str | os.PathLike) -> dict[str, Any]:
    """Returns the JSON object of a model's description.

    Args:
        text: The description.
        path: The file it comes from, for messages.

    Raises:
        InputError: If it is damaged, no object or larger than any description.
    """
    with faults(path, "its description is damaged"):
        if len(text) > MAX_TEXT:
            raise ValueError(f"{len(text):,} bytes")
        found = json.loads(text)
    if not isinstance(found, dict):
        raise InputError(f"{path}: describes no model, found {type(found).__name__}")
    return found


@contextlib.contextmanager
def open_zip(
    path: str | os.PathLike, what: str = "damaged archive"
) -> Iterator[zipfile.ZipFile]:
    """Opens a zip archive of a size that fits its entries.

    Args:
        path: The file.
        what: What to call it in messages if it is damaged.

    Raises:
        InputError: If it is damaged, in the block too, or claims too much.
    """
    with faults(path, what), zipfile.ZipFile(path) as archive:
        check_size(path, sum(entry.file_size for entry in archive.infolist()))
        yield archive


def read_entry(archive: zipfile.ZipFile, name: str, limit: int = MAX_TEXT) -> bytes:
    """Returns an entry of an archive that `open_zip` gave.

    Args:
        archive: The archive.
        name: Of the entry.
        limit: Most bytes it may have.

    Raises:
        ValueError: If it has more.
    """
    entry = archive.getinfo(name)
    if entry.file_size > limit:
        raise ValueError(f"{name} has {entry.file_size:,} bytes")
    return archive.read(entry)


def load_arrays(
    path: str | os.PathLike, what: str = "no .npz file of arrays"
) -> dict[str, np.ndarray]:
    """Returns all arrays of an `.npz` file.

    Args:
        path: The file.
        what: What to call it in messages if it is damaged.

    Raises:
        InputError: If it is missing or damaged, or an array has another length than
            its entry.
    """
    with open_zip(path, what) as archive:
        return {
            entry.filename.removesuffix(".npy"): _read_array(archive, entry)
            for entry in archive.infolist()
        }


def _read_array(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> np.ndarray:
    with archive.open(entry) as file:
        version = np.lib.format.read_magic(file)
        if version not in _HEADERS:
            raise ValueError(f"{entry.filename} is of version {version}")
        shape, _, dtype = _HEADERS[version](file)
        held = entry.file_size - file.tell()
    if dtype.hasobject or min(shape, default=0) < 0:
        raise ValueError(f"{entry.filename} is no array of numbers or text")
    if math.prod(shape) * dtype.itemsize != held:
        raise ValueError(f"{entry.filename} claims {shape} {dtype}, holds {held} bytes")
    with archive.open(entry) as file:
        return np.lib.format.read_array(file, allow_pickle=False)


_HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}


@contextlib.contextmanager
def open_h5(
    path: str | os.PathLike, what: str = "damaged or truncated .h5 file"
) -> Iterator[h5py.File]:
    """Opens an HDF5 file that holds its data itself, and no more than fits into it.

    Args:
        path: The file.
        what: What to call it in messages if it is damaged.

    Raises:
        InputError: If it is damaged, in the block too; if it names other files (links,
            external storage, virtual arrays) or filters; or if it claims too much.
    """
    import h5py

    # HDF5 prints a trace of its own where an exception lets go of its objects.
    with stopping.postponed(), faults(path, what), h5py.File(path, "r") as file:
        _check_claims(path, file)
        yield file


def count_numbers(file: h5py.File) -> int:
    """Returns how many numbers the arrays of an open HDF5 file hold.

    Args:
        file: What `open_h5` gave.
    """
    import h5py

    return sum(item.size for item in _objects(file) if isinstance(item, h5py.Dataset))


def _objects(file: h5py.File) -> Iterator[h5py.Group | h5py.Dataset]:
    """Yields every group and array once; groups may hold each other."""
    import h5py

    seen, left = set(), [file]
    while left:
        item = left.pop()
        address = h5py.h5o.get_info(item.id).addr
        if address in seen:
            continue
        seen.add(address)
        if len(seen) > MAX_OBJECTS:
            raise ValueError(f"more than {MAX_OBJECTS} groups and arrays")
        yield item
        if isinstance(item, h5py.Group):
            left += [_member(item, name) for name in item]


def _member(group: h5py.Group, name: str) -> h5py.Group | h5py.Dataset:
    import h5py

    link = group.get(name, getlink=True)
    if isinstance(link, h5py.ExternalLink):
        _refuse(group, f"{name} in {group.name} is a link to another file")
    if not isinstance(link, h5py.HardLink):
        _refuse(group, f"{name} in {group.name} is a link by name")
    item = group[name]
    if not isinstance(item, h5py.Group | h5py.Dataset):
        _refuse(group, f"{name} in {group.name} is neither a group nor an array")
    return item


def _refuse(item: h5py.Group | h5py.Dataset, why: str) -> None:
    raise InputError(
        f"{os.fsdecode(item.file.filename)}: {why}. A model file must hold its data "
        "itself, as numbers; save the model again"
    )


def _check_claims(path: str | os.PathLike, file: h5py.File) -> None:
    objects = list(_objects(file))
    check_size(path, sum(map(_claimed_bytes, objects)))
    longest = max(map(_longest_list, objects))
    check_size(path, longest * (_longest_text(path) if longest > 1 else 1))


def _longest_list(item: h5py.Group | h5py.Dataset) -> int:
    """Returns the most texts of any length that an attribute lists."""
    import h5py

    kinds = (h5py.h5a.open(item.id, os.fsencode(name)) for name in item.attrs)
    lists = (math.prod(kind.shape or ()) for kind in kinds if kind.dtype.hasobject)
    return max(lists, default=0)


def _longest_text(path: str | os.PathLike) -> int:
    """Returns how many bytes the longest text can have that lists may name.

    All entries of a list can name the same text, and each is read anew. Texts lie in
    collections that begin with their size (HDF5 File Format Specification 3.0, III.E).
    """
    size = os.path.getsize(path)
    longest, at = 0, -1
    with (
        open(path, "rb") as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as held,
    ):
        while (at := held.find(_COLLECTION, at + 1)) >= 0:
            (said,) = struct.unpack("<Q", held[at + 8 : at + 16].ljust(8, b"\0"))
            longest = max(longest, min(said, size - at))
    return longest


def _claimed_bytes(item: h5py.Group | h5py.Dataset) -> int:
    """Returns what reading an array and the attributes needs; refuses odd ones."""
    import h5py

    total = 0
    for name in item.attrs:
        attribute = h5py.h5a.open(item.id, os.fsencode(name))
        count = math.prod(attribute.shape or ())
        # Entries of a list can all name one text, see `_longest_text`.
        if attribute.dtype.hasobject and count > MAX_TEXTS:
            _refuse(item, f"the attribute {name} is a list of {count:,} texts")
        total += count * attribute.dtype.itemsize
    return total + (_claimed_by_array(item) if isinstance(item, h5py.Dataset) else 0)


def _claimed_by_array(array: h5py.Dataset) -> int:
    import h5py

    layout = array.id.get_create_plist()
    if layout.get_layout() == h5py.h5d.VIRTUAL:
        _refuse(array, f"{array.name} is a virtual array")
    if layout.get_external_count():
        _refuse(array, f"{array.name} is stored in another file")
    filters = {layout.get_filter(i)[0] for i in range(layout.get_nfilters())}
    if odd := filters - {_DEFLATE, _SHUFFLE, _CHECKSUM}:
        _refuse(array, f"{array.name} is packed with the filters {sorted(odd)}")
    if array.dtype.hasobject or array.shape is None:
        _refuse(array, f"{array.name} holds no numbers")
    claimed = array.size * array.dtype.itemsize
    stored = array.id.get_storage_size()
    if not filters and not array.chunks and stored != claimed:
        raise ValueError(f"{array.name} claims {claimed:,} bytes and has {stored:,}")
    chunk = math.prod(array.chunks or (0,)) * array.dtype.itemsize
    return max(claimed, chunk)
