"""Images between the parts: uint8 RGB `(height, width, 3)`; files; value ranges.

`image_unit` is float32 in [0, 1], `image_signed` float32 in [-1, 1]. Both exist only
at the borders of networks.
"""

from __future__ import annotations

import os
import pathlib
import warnings
from collections.abc import Iterator

import cv2
import numpy as np
import PIL
from PIL import Image, ImageOps

from facedancer import files
from facedancer.errors import InputError

EXTENSIONS = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif")
LUMA = (0.299, 0.587, 0.114)  # of red, green and blue, ITU-R BT.601
MAX_PIXELS = 200_000_000


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
    """Reads a photo as it is meant to be seen.

    The EXIF orientation is applied. Grey, palette, RGBA, CMYK and 16-bit images
    become RGB of 8 bits (an alpha channel is dropped); of an animation the first frame
    is taken. The format is found from the content, not from the name.

    Args:
        path: The file.
        max_pixels: Largest `width * height` that is decoded.

    Returns:
        `(height, width, 3)` uint8 RGB.

    Raises:
        InputError: If the file is missing, no image, truncated or too large.
    """
    path = pathlib.Path(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(path) as image:
                if image.width * image.height > max_pixels:
                    raise InputError(
                        f"{path}: {image.width}x{image.height} pixels are more than "
                        f"the limit of {max_pixels}"
                    )
                return _rgb(ImageOps.exif_transpose(image))
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except PIL.UnidentifiedImageError:
        raise InputError(f"{path}: not an image that can be read") from None
    except Image.DecompressionBombError as error:
        raise InputError(f"{path}: {error}") from None
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path}: damaged image ({error})") from None


def _rgb(image: Image.Image) -> np.ndarray:
    if image.mode.startswith("I") or image.mode == "F":  # 16 bits a pixel and more
        grey = np.asarray(image, np.float64)
        top = 65535.0 if grey.max(initial=0.0) > 255.0 else 255.0
        grey = np.rint(grey * (255.0 / top)).clip(0, 255).astype(np.uint8)
        return np.repeat(grey[..., None], 3, axis=2)
    return np.array(image.convert("RGB"))


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


def encode_image(image: np.ndarray, extension: str, quality: int = 95) -> bytes:
    """Returns an image as the bytes of a file.

    Args:
        image: `(height, width, 3)` uint8 RGB.
        extension: `.jpg`, `.png`, `.webp`, ...: what OpenCV can write.
        quality: Of JPEG (chroma 4:4:4) and WebP, 1 to 100.

    Raises:
        InputError: If there is no encoder for the extension.
    """
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
    extension = extension.lower()
    try:
        done, data = cv2.imencode(
            extension, cv2.cvtColor(image, cv2.COLOR_RGB2BGR), options.get(extension)
        )
    except cv2.error:
        done = False
    if not done:
        raise InputError(
            f"Cannot write images of type {extension!r}. Use one of .jpg .png .webp"
        )
    return data.tobytes()


def write_image(
    path: str | os.PathLike, image: np.ndarray, quality: int = 95
) -> pathlib.Path:
    """Writes an image; the file appears whole or not at all.

    Args:
        path: The file; its ending decides the format. Its folder is made.
        image: `(height, width, 3)` uint8 RGB.
        quality: See `encode_image`.

    Raises:
        InputError: If there is no encoder for the ending, or it cannot be written.
    """
    path = pathlib.Path(path)
    files.write_atomic(path, encode_image(image, path.suffix, quality))
    return path


def list_images(folder: str | os.PathLike) -> list[pathlib.Path]:
    """Returns the image files below a folder, at any depth, sorted by path.

    Args:
        folder: The folder. Hidden files and folders are left out, links followed.

    Raises:
        InputError: If it is missing, no folder, or holds no image.
    """
    paths = (pathlib.Path(folder, name) for name in walk_images(folder))
    found = sorted(path for path in paths if path.is_file())
    if not found:
        raise no_images(folder)
    return found


def walk_images(folder: str | os.PathLike) -> Iterator[str]:
    """Yields the images below a folder as paths relative to it, with `/`, unsorted.

    Args:
        folder: The folder. Hidden files and folders are left out, links followed; a
            folder that is linked twice, or above itself, is walked once.

    Raises:
        InputError: If it is missing or no folder.
    """
    if not os.path.isdir(folder):
        raise InputError(f"{folder}: no such folder")
    seen = set()
    for place, folders, names in os.walk(folder, followlinks=True):
        where = os.path.realpath(place)
        if where in seen:
            folders.clear()
            continue
        seen.add(where)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        prefix = pathlib.Path(os.path.relpath(place, folder)).as_posix()
        prefix = "" if prefix == "." else f"{prefix}/"
        for name in names:
            if not name.startswith(".") and _ending(name) in EXTENSIONS:
                yield prefix + name


def _ending(name):
    return os.path.splitext(name)[1].lower()


def no_images(folder: str | os.PathLike) -> InputError:
    """Returns the error that a folder holds no image.

    Args:
        folder: The folder.
    """
    return InputError(
        f"{folder}: no images in it. Known endings: {' '.join(EXTENSIONS)}"
    )
