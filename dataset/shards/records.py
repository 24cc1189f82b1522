"""TFRecord files and the `tf.train.Example` messages in them, without TensorFlow.

A worker that writes shards needs neither the four seconds nor the 600 MB that the
import of TensorFlow costs, and the bytes it writes must be the same on every machine:
features are written in the order of their names, which protobuf itself does not
promise. The files are ordinary: `tf.data.TFRecordDataset` reads them.
"""

from __future__ import annotations

import dataclasses
import hashlib
import os
import pathlib
import struct
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import google_crc32c
import numpy as np

from facedancer.errors import InputError
from facedancer.inference import protobuf
from facedancer.storage import files

# length, CRC of the length | data | CRC of the data
_HEADER = struct.Struct("<QI")
_FOOTER = struct.Struct("<I")
OVERHEAD = _HEADER.size + _FOOTER.size
_MASK_DELTA = 0xA282EAD8

Feature = bytes | str | int | np.ndarray
# What the features are that records here hold; others may be anything.
TYPES = {
    **dict.fromkeys(("face", "source", "target", "truth", "sha256", "format"), bytes),
    **dict.fromkeys(("path", "identity_name"), bytes),
    **dict.fromkeys(("identity", "height", "width", "source_is_real"), int),
    "landmarks": np.ndarray,
}
_WORDS = {bytes: "bytes", int: "an integer of 32 bits", np.ndarray: "floats"}


class CorruptRecordError(InputError):
    """A record that cannot be trusted; the text names the file and the record.

    Attributes:
        path: The file.
        index: Number of the record in the file, the first is 0.
    """

    def __init__(self, path: str | os.PathLike, index: int, why: str) -> None:
        super().__init__(f"{path}: record {index}: {why}")
        self.path = str(path)
        self.index = index


def encode_example(features: Mapping[str, Feature]) -> bytes:
    """Returns a serialized `tf.train.Example`, the same bytes for the same features.

    Args:
        features: By name: `bytes` or `str` becomes a bytes list of one value, `int`
            an int64 list of one, a NumPy array a float list.

    Raises:
        ValueError: If a value has another type.
    """
    parts: list[bytes] = []
    for name in sorted(features):
        kind, payload = _payload(name, features[name])
        key = name.encode()
        # from the inside out: list of values, feature, entry of the map
        head = _TAG[1] + protobuf.varint(len(payload))
        size = len(head) + len(payload)
        head = _TAG[kind] + protobuf.varint(size) + head
        size = len(head) + len(payload)
        head = (
            _TAG[1]
            + protobuf.varint(len(key))
            + key
            + _TAG[2]
            + protobuf.varint(size)
            + head
        )
        size = len(head) + len(payload)
        parts += _TAG[1] + protobuf.varint(size) + head, payload
    return b"".join([_TAG[1] + protobuf.varint(sum(map(len, parts))), *parts])


def _payload(name: str, value: Feature) -> tuple[int, bytes]:
    """Returns which of the three lists holds a value, and its bytes there."""
    if isinstance(value, str):
        return 1, value.encode(errors="surrogateescape")  # names of files
    if isinstance(value, bytes):
        return 1, value
    if isinstance(value, np.ndarray):
        return 2, value.astype("<f4").tobytes()
    if isinstance(value, int | np.integer):
        return 3, protobuf.varint(int(value) % (1 << 64))
    raise ValueError(
        f"A feature must be bytes, str, int or an array. Received: {name}={value!r}"
    )


_TAG = [protobuf.varint(number << 3 | protobuf.BYTES) for number in range(4)]


def decode_example(data: bytes | memoryview) -> dict[str, Any]:
    """Returns the features of a serialized `tf.train.Example`.

    Of a bytes or int64 list the first value is returned, of a float list all, as
    float32. Features without a value are left out.

    Args:
        data: The message.

    Raises:
        InputError: If it is no such message, or a feature of `TYPES` is of another one.
    """
    view = memoryview(data)
    found: dict[str, Any] = {}  # `bytes`, `int` or `np.ndarray`, see `TYPES`
    try:
        for number, features in protobuf.fields(view):
            for entry_number, entry in protobuf.fields(features) if number == 1 else ():
                if entry_number == 1:
                    _add_entry(found, dict(protobuf.fields(entry)))
    except (IndexError, KeyError, TypeError, ValueError, struct.error) as error:
        raise InputError(f"not a tf.train.Example ({error})") from None
    for name, kind in TYPES.items():
        if name in found and not _is_of_type(found[name], kind):
            raise InputError(f"its feature `{name}` must be {_WORDS[kind]}")
    return found


def _is_of_type(value: object, kind: type) -> bool:
    small = kind is not int or (
        isinstance(value, int) and -(1 << 31) <= value < 1 << 31
    )
    return isinstance(value, kind) and small


def bytes_feature(data: bytes | memoryview, name: str) -> memoryview | None:
    """Returns one feature of a serialized `tf.train.Example`, None if it has none.

    Nothing is copied and the rest of the message is not looked at: a batch needs one
    feature of many.

    Args:
        data: The message.
        name: Of a bytes feature.

    Raises:
        InputError: If it is no such message.
    """
    key = name.encode()
    try:
        for number, features in protobuf.fields(memoryview(data)):
            for entry_number, entry in protobuf.fields(features) if number == 1 else ():
                if entry_number == 1 and (value := _value_of(entry, key)) is not None:
                    return value
    except (IndexError, TypeError, ValueError) as error:
        raise InputError(f"not a tf.train.Example ({error})") from None
    return None


def _value_of(entry: memoryview, key: bytes) -> memoryview | None:
    """Returns the bytes of a map entry with this key, None of another entry."""
    fields = dict(protobuf.fields(entry))
    if fields.get(1) != key:
        return None
    for kind, values in protobuf.fields(fields.get(2, memoryview(b""))):
        for _, value in protobuf.fields(values) if kind == 1 else ():
            return value
    return None


def _add_entry(found: dict, entry: dict) -> None:
    name = bytes(entry[1]).decode()
    for kind, values in protobuf.fields(entry.get(2, memoryview(b""))):
        parsed = list(protobuf.fields(values))
        if kind == 1 and parsed:
            found[name] = bytes(parsed[0][1])
        elif kind == 2 and parsed:  # packed, or one fixed field for each value
            joined = b"".join(bytes(part) for _, part in parsed)
            found[name] = np.frombuffer(joined, "<f4").astype(np.float32)
        elif kind == 3 and parsed:
            first = parsed[0][1]
            value = (
                first if isinstance(first, int) else protobuf.read_varint(first, 0)[0]
            )
            found[name] = value - (1 << 64) if value >> 63 else value


def masked_crc(data: bytes) -> int:
    """Returns the checksum TFRecord files carry: CRC-32C, rotated and shifted."""
    crc = google_crc32c.value(data)
    return ((crc >> 15 | crc << 17) + _MASK_DELTA) & 0xFFFFFFFF


def frame(record: bytes) -> bytes:
    """Returns a record as it stands in a TFRecord file, `OVERHEAD` bytes longer."""
    length = struct.pack("<Q", len(record))
    return b"".join(
        [
            _HEADER.pack(len(record), masked_crc(length)),
            record,
            _FOOTER.pack(masked_crc(record)),
        ]
    )


def scan(path: str | os.PathLike, to_damage: bool = False) -> np.ndarray:
    """Returns where the records of a TFRecord file begin, reading only the headers.

    Args:
        path: The file.
        to_damage: Whether to pass over what stands behind the last whole record.

    Returns:
        `(n + 1,)` int64, the offset of each record's header and at last the end of
        the last record, which is the size of a whole file.

    Raises:
        CorruptRecordError: If a header's checksum is wrong or the file ends early.
    """
    offsets = [0]
    with open(path, "rb", buffering=0) as file:
        size = os.fstat(file.fileno()).st_size
        while offsets[-1] < size:
            header = os.pread(file.fileno(), _HEADER.size, offsets[-1])
            try:
                offsets.append(_end(header, size, offsets[-1], path, len(offsets) - 1))
            except CorruptRecordError:
                if not to_damage:
                    raise
                break
    return np.array(offsets, np.int64)


def _end(
    header: bytes, size: int, offset: int, path: str | os.PathLike, index: int
) -> int:
    """Returns where a record ends that begins at an offset of a file of some size."""
    end = offset + OVERHEAD + _checked_length(header, path, index)
    if end > size:
        raise CorruptRecordError(path, index, "the file ends early")
    return end


def _checked_length(header: bytes, path: str | os.PathLike, index: int) -> int:
    if len(header) < _HEADER.size:
        raise CorruptRecordError(path, index, "the file ends early")
    length, crc = _HEADER.unpack(header)
    if masked_crc(header[:8]) != crc:
        raise CorruptRecordError(path, index, "checksum of the length is wrong")
    return length


def check_frame(data: bytes, path: str | os.PathLike, index: int) -> memoryview:
    """Returns the record inside one framed record, after checking both checksums.

    Args:
        data: Header, record and footer.
        path: The file it comes from, for the message.
        index: Its number in that file, for the message.

    Raises:
        CorruptRecordError: If a checksum or the length is wrong.
    """
    length = _checked_length(data[: _HEADER.size], path, index)
    if len(data) != length + OVERHEAD:
        raise CorruptRecordError(path, index, "the file ends early")
    record = data[_HEADER.size : -_FOOTER.size]
    if masked_crc(record) != _FOOTER.unpack(data[-_FOOTER.size :])[0]:
        raise CorruptRecordError(path, index, "checksum of the data is wrong")
    return memoryview(record)


def read_records(path: str | os.PathLike) -> Iterator[bytes]:
    """Yields the checked records of a TFRecord file, one after the other.

    Args:
        path: The file.

    Raises:
        CorruptRecordError: At the first damaged record.
    """
    index = offset = 0
    with open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        while header := file.read(_HEADER.size):
            end = _end(header, size, offset, path, index)
            rest = file.read(end - offset - _HEADER.size)
            yield bytes(check_frame(header + rest, path, index))
            offset, index = end, index + 1


@dataclasses.dataclass(frozen=True)
class Written:
    """What stands in a TFRecord file.

    Attributes:
        offsets: `(n + 1,)` int64, where each record begins, at last the file's size.
        sha256: Of the whole file, hexadecimal.
    """

    offsets: np.ndarray
    sha256: str


def write_records(path: str | os.PathLike, records: Iterable[bytes]) -> Written:
    """Writes a TFRecord file that appears whole or not at all.

    The temporary name starts with a dot and has another ending, so that no reader's
    pattern matches it.

    Args:
        path: The file. Its folder is made.
        records: The serialized messages.
    """
    path = pathlib.Path(path)
    offsets, digest = [0], hashlib.sha256()
    with files.whole(path, durable=True, more=".part") as temporary:
        with open(temporary, "wb", buffering=1 << 20) as file:
            for record in records:
                framed = frame(record)
                file.write(framed)
                digest.update(framed)
                offsets.append(offsets[-1] + len(framed))
    return Written(np.array(offsets, np.int64), digest.hexdigest())
