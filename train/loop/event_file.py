"""TensorBoard's event files, written without TensorFlow or TensorBoard.

An event is a protocol buffer in a TFRecord file. Only what a training writes is here:
numbers and pictures, in the form that `tf.summary.scalar` and `tf.summary.image` have.
"""

from __future__ import annotations

import os
import pathlib
import socket
import struct
import time

import numpy as np

from facedancer.dataset.shards import records

_FLOAT, _STRING = 1, 7  # data types of a TensorProto
_SCALAR, _BLOB = 1, 3  # data classes of TensorBoard


class EventFile:
    """One event file that is appended to.

    Args:
        folder: Where it lies; it is made.
    """

    def __init__(self, folder: str | os.PathLike) -> None:
        folder = pathlib.Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        name = f"{time.time():.6f}.{socket.gethostname()}.{os.getpid()}.v2"
        self.path = folder / f"events.out.tfevents.{name}"
        self._append([_event(0, _text(3, b"brain.Event:2"))])

    def scalars(self, step: int, values: dict[str, float]) -> None:
        """Writes numbers of one step.

        Args:
            step: Steps taken.
            values: By tag.
        """
        self._append(
            [
                _event(step, _summary(tag, "scalars", _SCALAR, _float_tensor(value)))
                for tag, value in values.items()
            ]
        )

    def picture(self, step: int, tag: str, shape: tuple[int, int], png: bytes) -> None:
        """Writes a picture of one step.

        Args:
            step: Steps taken.
            tag: What it shows.
            shape: Its height and width in pixels.
            png: The encoded picture.
        """
        height, width = (str(side).encode() for side in shape)
        tensor = _string_tensor([width, height, png])
        self._append([_event(step, _summary(tag, "images", _BLOB, tensor))])

    def _append(self, events: list[bytes]) -> None:
        with open(self.path, "ab") as file:
            file.write(b"".join(records.frame(event) for event in events))


def _number(field: int, value: int) -> bytes:
    """Returns an integer field of a message."""
    return records.varint(field << 3) + records.varint(value)


def _text(field: int, value: bytes) -> bytes:
    """Returns a field of bytes, or of a message inside a message."""
    return records.varint(field << 3 | 2) + records.varint(len(value)) + value


def _event(step: int, content: bytes) -> bytes:
    moment = records.varint(1 << 3 | 1) + struct.pack("<d", time.time())
    return moment + _number(2, step) + content


def _summary(tag: str, plugin: str, data_class: int, tensor: bytes) -> bytes:
    metadata = _text(1, _text(1, plugin.encode())) + _number(4, data_class)
    value = _text(1, tag.encode()) + _text(9, metadata) + _text(8, tensor)
    return _text(5, _text(1, value))


def _float_tensor(value: float) -> bytes:
    content = struct.pack("<f", np.float32(value))
    return _number(1, _FLOAT) + _text(2, b"") + _text(5, content)


def _string_tensor(values: list[bytes]) -> bytes:
    shape = _text(2, _number(1, len(values)))
    return b"".join(
        [_number(1, _STRING), _text(2, shape), *(_text(8, value) for value in values)]
    )
