"""Format and size of an encoded image, and whether it is whole, without decoding it."""

from __future__ import annotations

import os
import struct

from facedancer.errors import InputError
from facedancer.imaging import image_formats, images

_PNG = b"\x89PNG\r\n\x1a\n"
_PNG_END = b"IEND\xaeB`\x82"
_JPEG_END = b"\xff\xd9"
# Start-of-frame markers: C0 to CF without DHT, JPG and DAC.
_FRAME_MARKERS = set(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_HEAD = 4096


def format_and_size(data: bytes) -> tuple[str, int, int]:
    """Returns the format's name in lower case, height and width in pixels.

    The size is that of the stored pixels; an EXIF orientation is not applied.

    Args:
        data: The file's bytes, or enough of its beginning.

    Raises:
        InputError: If it is no image that is known.
    """
    if data.startswith(_PNG) and len(data) >= 24:
        width, height = struct.unpack(">II", data[16:24])
        return "png", height, width
    if data.startswith(b"\xff\xd8\xff"):
        size = _jpeg_size(data)
        if size:
            return "jpeg", *size
    with image_formats.open_image(data) as image:
        return str(image.format).lower(), image.height, image.width


def _jpeg_size(data: bytes) -> tuple[int, int] | None:
    at = 2
    while at + 9 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker in _FRAME_MARKERS:
            return struct.unpack(">HH", data[at + 5 : at + 9])
        if marker == 0xFF:  # a fill byte
            at += 1
            continue
        at += 2 + struct.unpack(">H", data[at + 2 : at + 4])[0]
    return None


def check_file(path: str | os.PathLike, decode: bool = False) -> int:
    """Returns the size in bytes of an image file that can be used.

    Of JPEG and PNG only beginning and end are read; where the end is not the usual
    one, and for other formats, the image is decoded.

    Args:
        path: The file.
        decode: Decode the image in any case, which also finds damage in the middle.

    Raises:
        InputError: If it is missing, empty, no image or cut off.
    """
    try:
        image_formats.check_is_file(path)
        with open(path, "rb", buffering=0) as file:
            head = file.read(_HEAD)
            size = os.fstat(file.fileno()).st_size
            tail = os.pread(file.fileno(), 64, max(0, size - 64))
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from None
    ends = {"jpeg": _JPEG_END, "png": _PNG_END}
    try:
        kind = format_and_size(head)[0]
    except InputError:
        kind = ""
    if decode or kind not in ends or not tail.endswith(ends[kind]):
        images.read_image(path)
    return size
