"""Images between the parts: uint8 RGB `(height, width, 3)`; files; value ranges.

`image_unit` is float32 in [0, 1], `image_signed` float32 in [-1, 1]. Both exist only
at the borders of networks.
"""

from __future__ import annotations

import collections
import functools
import io
import logging
import os
import pathlib
from collections.abc import Callable, Iterator

import cv2
import numpy as np
from PIL import Image

from facedancer.errors import InputError
from facedancer.imaging import image_colours, image_formats
from facedancer.imaging.image_formats import EXTENSIONS, MAX_PIXELS
from facedancer.storage import files

LUMA = (0.299, 0.587, 0.114)  # of red, green and blue, ITU-R BT.601
_WITH_ALPHA = (".png", ".webp")
# Formats, by Pillow's names, that are written with a profile.
_TAGGED = {".jpg": "JPEG", ".jpeg": "JPEG", ".png": "PNG", ".webp": "WEBP"}
_LONGEST = {".jpg": 65_500, ".jpeg": 65_500, ".webp": 16_383}  # pixels a side


def unit_from_uint8(image: np.ndarray) -> np.ndarray:
    """[0, 255] uint8 -> [0, 1] float32."""
    return np.asarray(image, np.float32) / np.float32(255.0)


def signed_from_uint8(image: np.ndarray) -> np.ndarray:
    """[0, 255] uint8 -> [-1, 1] float32, `(x - 127.5) / 127.5`."""
    return (np.asarray(image, np.float32) - np.float32(127.5)) / np.float32(127.5)


def uint8_from_signed(image: np.ndarray) -> np.ndarray:
    """[-1, 1] -> [0, 255] uint8; rounded, and clipped where the range is left."""
    scaled = np.asarray(image, np.float32) * 127.5 + 127.5
    return np.rint(scaled).clip(0, 255).astype(np.uint8)


def read_image(path: str | os.PathLike, max_pixels: int = MAX_PIXELS) -> np.ndarray:
    """Reads a photo as it is meant to be seen, see `image_colours.photo_of`.

    Of an animation the first frame is taken. The format is found from the content, not
    from the name.

    Args:
        path: The file.
        max_pixels: Largest `width * height` that is decoded.

    Returns:
        `(height, width, 3)` uint8 RGB.

    Raises:
        InputError: If the file is missing, no image, truncated or too large.
    """
    return read_photo(path, max_pixels).pixels


def read_photo(
    source: str | os.PathLike | bytes, max_pixels: int = MAX_PIXELS
) -> image_colours.Photo:
    """Reads a photo with its alpha channel.

    Args:
        source: The file, or its bytes.
        max_pixels: Largest `width * height` that is decoded.

    Raises:
        InputError: If the file is missing, no image, truncated or too large.
    """
    with image_formats.open_image(source, max_pixels) as image:
        return image_colours.photo_of(image)


def resize(image: np.ndarray, size: int) -> np.ndarray:
    """Returns a square image of another size; averaged down, bilinear up.

    Args:
        image: `(height, width, channels)` uint8.
        size: New side in pixels.
    """
    if image.shape[:2] == (size, size):
        return image
    smaller = image.shape[0] > size
    method = cv2.INTER_AREA if smaller else cv2.INTER_LINEAR
    return cv2.resize(image, (size, size), interpolation=method)


def encode_image(
    image: np.ndarray, extension: str, quality: int = 95, tagged: bool = False
) -> bytes:
    """Returns an image as the bytes of a file.

    Args:
        image: `(height, width, 3)` uint8 sRGB, or `(height, width, 4)` with alpha,
            which formats other than PNG and WebP show on white.
        extension: `.jpg`, `.png`, `.webp`, ...: what OpenCV can write.
        quality: Of JPEG (chroma 4:4:4) and WebP, 1 to 100.
        tagged: Name the colours by an ICC profile, where JPEG, PNG or WebP is written.

    Raises:
        InputError: If there is no encoder for the extension, or the image is too large
            for it.
    """
    extension = extension.lower()
    check_writable(extension, image.shape[:2])
    if image.shape[2] == 4 and extension not in _WITH_ALPHA:
        image = image_colours.on_white(image[..., :3], image[..., 3])
    if tagged and extension in _TAGGED:
        return _encode_tagged(image, extension, quality)
    order = cv2.COLOR_RGBA2BGRA if image.shape[2] == 4 else cv2.COLOR_RGB2BGR
    data = _encode(cv2.cvtColor(image, order), extension, quality)
    if data is None:
        raise _no_encoder(extension)
    return data


def _encode(image: np.ndarray, extension: str, quality: int) -> bytes | None:
    options = {
        ".jpg": [
            cv2.IMWRITE_JPEG_QUALITY,
            quality,
            cv2.IMWRITE_JPEG_SAMPLING_FACTOR,
            cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444,
        ],
        ".webp": [cv2.IMWRITE_WEBP_QUALITY, quality],
    }
    options[".jpeg"] = options[".jpg"]
    try:
        done, data = cv2.imencode(extension, image, options.get(extension, []))
    except cv2.error:
        done = False
    return data.tobytes() if done else None


def _encode_tagged(image: np.ndarray, extension: str, quality: int) -> bytes:
    file, kind = io.BytesIO(), _TAGGED[extension]
    options = {"JPEG": {"quality": quality, "subsampling": 0}}
    options["WEBP"] = {"quality": quality, "exact": True}
    Image.fromarray(image).save(
        file,
        format=kind,
        icc_profile=image_colours.srgb_profile(),
        **options.get(kind, {}),
    )
    return file.getvalue()


def check_writable(extension: str, size: tuple[int, int]) -> None:
    """Refuses what cannot be written, before any work is done.

    Args:
        extension: `.jpg`, `.png`, `.webp`, ...
        size: Height and width.

    Raises:
        InputError: If there is no encoder, or it cannot hold so many pixels.
    """
    extension = extension.lower()
    if _encode(np.zeros((1, 1, 3), np.uint8), extension, 95) is None:
        raise _no_encoder(extension)
    longest = _LONGEST.get(extension, 2**31)
    if max(size) > longest:
        raise InputError(
            f"{extension} holds at most {longest} pixels a side. Received: "
            f"{size[1]}x{size[0]}. Write .png"
        )


def _no_encoder(extension: str) -> InputError:
    return InputError(
        f"Cannot write images of type {extension!r}. Use one of .jpg .png .webp"
    )


def write_image(
    path: str | os.PathLike,
    image: np.ndarray,
    quality: int = 95,
    tagged: bool = False,
) -> pathlib.Path:
    """Writes an image; the file appears whole or not at all.

    Args:
        path: The file; its ending decides the format. Its folder is made.
        image: See `encode_image`.
        quality: See `encode_image`.
        tagged: See `encode_image`.

    Raises:
        InputError: If there is no encoder for the ending, or it cannot be written.
    """
    path = pathlib.Path(path)
    files.write_atomic(path, encode_image(image, path.suffix, quality, tagged))
    return path


def list_images(folder: str | os.PathLike) -> list[pathlib.Path]:
    """Returns the image files below a folder, at any depth, sorted by path.

    What was passed over is said in one line.

    Args:
        folder: The folder. Hidden files and folders are left out, links followed.

    Raises:
        InputError: If it is missing, no folder, or holds no image.
    """
    found = sorted(pathlib.Path(folder, name) for name in walk_images(folder))
    if not found:
        raise no_images(folder)
    return found


def walk_images(
    folder: str | os.PathLike, others: Callable[[str], bool] | None = None
) -> Iterator[str]:
    """Yields the images below a folder as paths relative to it, with `/`, unsorted.

    What was passed over is said in one line at the end.

    Args:
        folder: The folder. Hidden files and folders are left out, links followed; a
            folder that is linked twice, or above itself, is walked once.
        others: Whether a file that is no image by its ending is yielded too, by its
            path; None: none is.

    Raises:
        InputError: If it is missing or no folder.
    """
    if not os.path.isdir(folder):
        raise InputError(f"{folder}: no such folder")
    seen, passed = set(), _PassedOver(folder)
    top = os.fsdecode(folder)
    walk = os.walk(top, onerror=passed.cannot_be_read, followlinks=True)
    for directory, folders, names in walk:
        where = os.path.realpath(directory)
        if where in seen:
            passed.again += 1
            folders.clear()
            continue
        seen.add(where)
        passed.hidden += sum(name.startswith(".") for name in folders)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        prefix = pathlib.Path(os.path.relpath(directory, folder)).as_posix()
        prefix = "" if prefix == "." else f"{prefix}/"
        for name in names:
            path = os.path.join(directory, name)
            if passed.takes(name, path, others) and passed.is_file(path):
                yield prefix + name
    passed.tell()


class _PassedOver:
    """Counts what a walk through a folder leaves out, and says it."""

    def __init__(self, folder: str | os.PathLike) -> None:
        self.folder = folder
        self.hidden = self.again = self.no_files = 0
        self.other: collections.Counter = collections.Counter()
        self.unread: list[OSError] = []

    def takes(self, name: str, path: str, others: Callable[[str], bool] | None) -> bool:
        if name.startswith("."):
            self.hidden += 1
        elif image_formats.known_ending(name) or (others and others(path)):
            return True
        else:
            self.other[os.path.splitext(name)[1].lower() or "without ending"] += 1
        return False

    def is_file(self, path: str) -> bool:
        """A link that leads nowhere, a pipe and the like are none."""
        there = os.path.isfile(path)
        self.no_files += not there
        return there

    def cannot_be_read(self, error: OSError) -> None:
        self.unread.append(error)

    def tell(self) -> None:
        parts = []
        if self.other:
            commonest = sorted(self.other.items(), key=lambda item: (-item[1], item[0]))
            kinds = ", ".join(f"{count} {ending}" for ending, count in commonest[:5])
            more = ", ..." if len(self.other) > 5 else ""
            parts.append(
                f"{self.other.total()} files that are no images by their ending "
                f"({kinds}{more})"
            )
        for count, what in (
            (self.hidden, "hidden files and folders"),
            (self.again, "folders that were there already under another name"),
            (self.no_files, "links that lead nowhere, pipes and the like"),
        ):
            parts += [f"{count} {what}"] if count else []
        if self.unread:
            first = self.unread[0]
            parts.append(
                f"{len(self.unread)} folders that cannot be read ({first.filename}: "
                f"{first.strerror})"
            )
        if parts:
            _say_once(f"{self.folder}: passed over {'; '.join(parts)}")


@functools.cache
def _say_once(line: str) -> None:
    logging.getLogger("absl").warning("%s", line)


def no_images(folder: str | os.PathLike) -> InputError:
    """Returns the error that a folder holds no image.

    Args:
        folder: The folder.
    """
    return InputError(
        f"{folder}: no images in it. Known endings: {' '.join(EXTENSIONS)}"
    )
