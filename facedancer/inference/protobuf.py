"""Reads and writes protocol buffers without their library, field by field."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5  # how a field is written
_FIXED = {FIXED64: 8, FIXED32: 4}
_BYTE = [bytes([value]) for value in range(128)]


def varint(value: int) -> bytes:
    """Returns a number as a message holds it, of 1 to 10 bytes.

    Args:
        value: Not negative, below 2**64.
    """
    if value < 128:
        return _BYTE[value]
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def field(number: int, value: bytes) -> bytes:
    """Returns a field of bytes, or of a message inside a message.

    Args:
        number: Of the field.
        value: Its content.
    """
    return varint(number << 3 | BYTES) + varint(len(value)) + value


def fields(message: memoryview) -> Iterator[tuple[int, Any]]:
    """Yields number and value of each field of a message.

    Args:
        message: Its bytes.

    Yields:
        Whole numbers as such, all else as a view of the bytes.

    Raises:
        ValueError: If the bytes are no message.
    """
    index = 0
    while index < len(message):
        tag, index = read_varint(message, index)
        number, kind = tag >> 3, tag & 7
        if kind == VARINT:
            value, index = read_varint(message, index)
            yield number, value
            continue
        if kind == BYTES:
            length, index = read_varint(message, index)
        elif kind in _FIXED:
            length = _FIXED[kind]
        else:
            raise ValueError(f"a field of the unknown kind {kind}")
        if index + length > len(message):
            raise ValueError("it ends in the middle of a field")
        yield number, message[index : index + length]
        index += length


def read_varint(message: memoryview, index: int) -> tuple[int, int]:
    """Returns a number of variable length, and the index behind it.

    Args:
        message: The bytes.
        index: Where it begins.

    Raises:
        ValueError: If it does not end, or has more than ten bytes.
    """
    value = 0
    for shift in range(0, 70, 7):
        if index >= len(message):
            raise ValueError("it ends in the middle of a number")
        byte = message[index]
        index += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, index
    raise ValueError("a number is too long")
