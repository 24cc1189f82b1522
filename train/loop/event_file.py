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
from facedancer.inference import protobuf

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
        self._append([_event(0, protobuf.field(3, b"brain.Event:2"))])

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
    return protobuf.varint(field << 3) + protobuf.varint(value)


def _event(step: int, content: bytes) -> bytes:
    moment = protobuf.varint(1 << 3 | 1) + struct.pack("<d", time.time())
    return moment + _number(2, step) + content


def _summary(tag: str, plugin: str, data_class: int, tensor: bytes) -> bytes:
    metadata = protobuf.field(1, protobuf.field(1, plugin.encode())) + _number(
        4, data_class
    )
    value = (
        protobuf.field(1, tag.encode())
        + protobuf.field(9, metadata)
        + protobuf.field(8, tensor)
    )
    return protobuf.field(5, protobuf.field(1, value))


def _float_tensor(value: float) -> bytes:
    content = struct.pack("<f", np.float32(value))
    return _number(1, _FLOAT) + protobuf.field(2, b"") + protobuf.field(5, content)


def _string_tensor(values: list[bytes]) -> bytes:
    shape = protobuf.field(2, _number(1, len(values)))
    return b"".join(
        [
            _number(1, _STRING),
            protobuf.field(2, shape),
            *(protobuf.field(8, value) for value in values),
        ]
    )
