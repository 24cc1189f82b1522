"""The image formats that are read, and the one way in which an image file is opened.

Pillow knows more: EPS starts another program, others read further files. A file is
known by its content, so a photo's ending opens no door to them.
"""

from __future__ import annotations

import contextlib
import importlib.util
import io
import os
import pathlib
import stat
import struct
import warnings
import zlib
from collections.abc import Iterator

import PIL
from PIL import Image

from facedancer.errors import InputError

# Endings by Pillow's name of the format.
FORMATS = {
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif", ".mpo"),
    "PNG": (".png", ".apng"),
    "WEBP": (".webp",),
    "GIF": (".gif",),
    "AVIF": (".avif", ".avifs"),
    "TIFF": (".tif", ".tiff"),
    "BMP": (".bmp",),
    "DIB": (".dib",),
    "PPM": (".ppm", ".pgm", ".pbm", ".pnm", ".pfm"),
    "JPEG2000": (".jp2", ".j2k", ".jpx"),
    "HEIF": (".heic", ".heif", ".hif"),  # with the extra `heif` only
}
EXTENSIONS = tuple(ending for endings in FORMATS.values() for ending in endings)
NO_IMAGE = "not an image that can be read"
MAX_PIXELS = 200_000_000
# An animation's decoder keeps several pictures of its size, with alpha, at the same
# time: each of its pixels counts so often. 8K (33 million) is read by default.
ANIMATED = 5
_ANIMATIONS = ("GIF", "WEBP", "PNG", "AVIF")
# What the decoders raise, each of them another part of it, where a file is damaged.
DAMAGE = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    LookupError,
    TypeError,
    AttributeError,
    ArithmeticError,
    AssertionError,
    RuntimeError,
    MemoryError,
    BufferError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
)
_BEGINNINGS = (b"\xff\xd8\xff", b"\x89PNG", b"GIF8", b"RIFF", b"II*\0", b"MM\0*", b"BM")
_HEIF_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")

# The size is compared with `max_pixels` as soon as it is known (`check_size`); Pillow's
# own limit, 179 million pixels, would forbid what the user allows.
Image.MAX_IMAGE_PIXELS = None
# Pillow's remarks on what it repaired name neither file nor remedy.
warnings.filterwarnings("ignore", module=r"PIL\.")


_MOVING = ("GIF", "WEBP", "PNG", "AVIF")  # formats whose further pictures are frames


@contextlib.contextmanager
def open_image(
    source: str | os.PathLike | bytes,
    max_pixels: int = MAX_PIXELS,
    formats: tuple[str, ...] | None = None,
) -> Iterator[Image.Image]:
    """Gives an image file of a known format; it is not decoded yet.

    Whatever the decoder raises inside the block becomes one `InputError`.

    Args:
        source: The file, or its bytes.
        max_pixels: Largest `width * height`, see `check_size`.
        formats: Keys of `FORMATS` that are allowed, None for all.

    Raises:
        InputError: If the file is missing, no image of these formats, damaged or too
            large.
    """
    prefix = "" if isinstance(source, bytes) else f"{source}: "
    try:
        head = _head(source)
        wanted = formats or tuple(FORMATS)
        if _is_heif(head) and "HEIF" in wanted:
            _register_heif(prefix)
        Image.init()
        allowed = [name for name in wanted if name in Image.OPEN]
        file = io.BytesIO(source) if isinstance(source, bytes) else source
        with Image.open(file, formats=allowed) as image:
            check_size(image, max_pixels, prefix)
            yield image
    except InputError:
        raise
    except FileNotFoundError:
        raise InputError(f"{prefix}no such file") from None
    except PIL.UnidentifiedImageError:
        raise InputError(f"{prefix}{_not_known(head)}") from None
    except DAMAGE as error:
        raise InputError(f"{prefix}damaged image ({_reason(error)})") from None


def check_size(image: Image.Image, max_pixels: int, prefix: str = "") -> None:
    """Refuses an image before it is decoded; in an animation any frame may grow.

    Args:
        image: An opened image.
        max_pixels: Largest `width * height`; in animations `ANIMATED` times that.
        prefix: Beginning of the message.

    Raises:
        InputError: If it is larger.
    """
    pixels, of_what = image.width * image.height, ""
    if pixels <= max_pixels < pixels * ANIMATED and _is_animated(image):
        pixels, of_what = pixels * ANIMATED, f" of an animation, {ANIMATED} times,"
    if pixels > max_pixels:
        raise InputError(
            f"{prefix}{image.width}x{image.height} pixels{of_what} are more than the "
            f"limit of {max_pixels}. Make it smaller, or raise --max_pixels where a "
            "program has that flag"
        )


def _is_animated(image: Image.Image) -> bool:
    return image.format in _ANIMATIONS and bool(getattr(image, "is_animated", False))


def _head(source: str | os.PathLike | bytes) -> bytes:
    if isinstance(source, bytes):
        return source[:64]
    check_is_file(source)
    with open(source, "rb") as file:
        return file.read(64)


def check_is_file(path: str | os.PathLike) -> None:
    """Refuses folders, empty files, and pipes and devices: they are waited for.

    Args:
        path: What is to be read.

    Raises:
        InputError: If it is no ordinary file, or has no bytes.
        OSError: If there is nothing.
    """
    mode = os.stat(path).st_mode
    if not stat.S_ISREG(mode):
        kind = "a folder" if stat.S_ISDIR(mode) else "a pipe or device"
        raise InputError(f"{path}: {kind}, where an image file is needed")
    from facedancer.storage import untrusted  # imports NumPy, which flags do without

    untrusted.check_not_empty(path, NO_IMAGE)


def _is_heif(head: bytes) -> bool:
    return head[4:8] == b"ftyp" and head[8:12] in _HEIF_BRANDS


def _register_heif(prefix: str) -> None:
    if importlib.util.find_spec("pillow_heif") is None:
        raise InputError(
            f"{prefix}HEIC, as phones save photos, is read with an extra: pip install "
            '"facedancer[heif]"; or save the photo as JPEG or PNG'
        )
    import pillow_heif

    pillow_heif.register_heif_opener(thumbnails=False)


def _not_known(head: bytes) -> str:
    if not head:
        return f"{NO_IMAGE}: it is empty"
    if head.startswith((b"%!PS", b"\xc5\xd0\xd3\xc6")):
        return f"{NO_IMAGE}: PostScript, which is a program"
    if head.startswith(_BEGINNINGS) or _is_heif(head):
        return "damaged image (its header is cut off or broken)"
    return f"{NO_IMAGE}. Known formats: {' '.join(FORMATS)}"


def _reason(error: BaseException) -> str:
    if isinstance(error, MemoryError):
        return "it asks for more memory than there is"
    reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return " ".join(reason.split())


def known_ending(name: str | os.PathLike) -> bool:
    """Returns whether a name's ending is one of an image format that is read.

    Args:
        name: Of a file.
    """
    return pathlib.PurePath(name).suffix.lower() in EXTENSIONS


def is_photo(path: str | os.PathLike) -> bool:
    """Returns whether a file is a picture that does not move, by its content.

    What is no picture may be a clip; if it is neither, who reads it says why.

    Args:
        path: The file, or what might be one.
    """
    if not os.path.isfile(path):
        return False
    try:
        with open_image(path) as image:
            moves = getattr(image, "is_animated", False)
            return not (moves and image.format in _MOVING)
    except InputError:
        return False
