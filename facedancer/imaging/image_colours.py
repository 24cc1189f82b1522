"""An opened image as it is meant to be seen: upright, 8 bits, sRGB, on white."""

from __future__ import annotations

import dataclasses
import io

import numpy as np
from PIL import Image, ImageCms

from facedancer.imaging.image_formats import DAMAGE

_ORIENTATION = 0x0112  # of EXIF
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
# Mode that the pixels of a profile's colour space have.
_MODES = {"RGB": "RGB", "GRAY": "L", "CMYK": "CMYK", "Lab": "LAB"}
_STRIP = 256  # rows that are copied at once
_SAME = 2  # levels by which two ways to write sRGB differ


@dataclasses.dataclass(frozen=True)
class Photo:
    """A photo as it is meant to be seen.

    Attributes:
        pixels: `(height, width, 3)` uint8 sRGB; what is transparent lies on white.
        alpha: `(height, width)` uint8, 255 opaque; None if all of it is.
        tagged: Whether the file named its colours by an ICC profile.
    """

    pixels: np.ndarray
    alpha: np.ndarray | None = None
    tagged: bool = False


def photo_of(image: Image.Image) -> Photo:
    """Returns an opened image as it is meant to be seen.

    The EXIF orientation is applied. Grey, palette and CMYK images and those of 16 bits
    or of floating point become RGB of 8 bits. Colours of an ICC profile become sRGB,
    where the profile can be used. The colour that a file hides under full transparency
    does not appear.

    Args:
        image: As `image_formats.open_image` gives it; it is decoded here.
    """
    image.load()  # of TIFF this applies the orientation, of PNG it reads it
    turn, profile = _turn(image), image.info.get("icc_profile")
    colours, alpha = _split(image)
    colours = _srgb(colours, profile)
    if turn is not None:
        colours = colours.transpose(turn)
        alpha = None if alpha is None else alpha.transpose(turn)
    if alpha is None or alpha.getextrema()[0] == 255:
        return Photo(_array(colours), None, bool(profile))
    white = Image.new("RGB", colours.size, "white")
    shown = Image.composite(colours, white, alpha)
    return Photo(_array(shown), _array(alpha), bool(profile))


def _array(image: Image.Image) -> np.ndarray:
    """Returns an image as an array; its bytes are never there a third time."""
    shape = (image.height, image.width, *([3] if image.mode == "RGB" else []))
    array = np.empty(shape, np.uint8)
    for top in range(0, image.height, _STRIP):
        end = min(top + _STRIP, image.height)
        array[top:end] = np.asarray(image.crop((0, top, image.width, end)))
    return array


def _turn(image: Image.Image) -> Image.Transpose | None:
    try:
        return _TURNS.get(image.getexif().get(_ORIENTATION, 1))
    except DAMAGE:
        return None  # damaged notes on a photo are no damage of the photo


def _split(image: Image.Image) -> tuple[Image.Image, Image.Image | None]:
    """Returns an image without alpha, and its alpha or None."""
    if image.mode.startswith("I") or image.mode == "F":
        return _eight_bits(image)
    if image.mode in ("LA", "La"):
        grey = image.convert("LA") if image.mode == "La" else image
        return grey.getchannel("L"), grey.getchannel("A")
    if image.has_transparency_data:
        layers = image.convert("RGBA")
        return layers.convert("RGB"), layers.getchannel("A")
    if image.mode in ("L", "RGB", "CMYK", "LAB"):
        return image, None
    return image.convert("L" if image.mode == "1" else "RGB"), None


def _eight_bits(image: Image.Image) -> tuple[Image.Image, Image.Image | None]:
    """Returns 16 bits a pixel, and more, as 8; which numbers are white is guessed."""
    values = np.nan_to_num(np.asarray(image, np.float32), posinf=0.0, neginf=0.0)
    top, largest = 255.0, values.max(initial=0.0)
    if image.mode == "F" and largest <= 1.0:
        top = 1.0
    elif largest > 255.0:
        top = max(65535.0, largest)
    grey = np.rint(values * (255.0 / top)).clip(0, 255).astype(np.uint8)
    clear = image.info.get("transparency")
    if not isinstance(clear, int):
        return Image.fromarray(grey), None
    alpha = np.where(values == clear, 0, 255).astype(np.uint8)
    return Image.fromarray(grey), Image.fromarray(alpha)


def _srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """Returns an image in sRGB; a profile that does not fit it counts as none."""
    try:
        if profile:
            given = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        elif image.mode == "LAB":
            given = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB"))
        else:
            return image if image.mode == "RGB" else image.convert("RGB")
        mode = _MODES[given.profile.xcolor_space.strip()]
        fitting = image if image.mode == mode else _converted(image, mode)
        transform = ImageCms.buildTransform(
            given,
            ImageCms.createProfile("sRGB"),
            mode,
            "RGB",
            ImageCms.Intent.RELATIVE_COLORIMETRIC,
            ImageCms.Flags.BLACKPOINTCOMPENSATION,
        )
        if mode == "RGB" and _changes_nothing(transform):
            return fitting
        turned = ImageCms.applyTransform(fitting, transform)
        return fitting if turned is None else turned  # None where it was in place
    except (ImageCms.PyCMSError, *DAMAGE):
        return image.convert("RGB")


def _converted(image: Image.Image, mode: str) -> Image.Image:
    """Between grey and RGB only: other modes have no meaning without their profile."""
    if {image.mode, mode} <= {"L", "RGB"}:
        return image.convert(mode)
    raise ValueError(f"a profile for {mode} does not fit an image of {image.mode}")


def _changes_nothing(transform: ImageCms.ImageCmsTransform) -> bool:
    levels = np.linspace(0, 255, 9).astype(np.uint8)
    cube = np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(27, 27, 3)
    changed = np.asarray(ImageCms.applyTransform(Image.fromarray(cube), transform))
    return np.abs(changed.astype(int) - cube).max() <= _SAME


def srgb_profile() -> bytes:
    """Returns an ICC profile of sRGB, the same bytes whenever it is asked for."""
    profile = bytearray(
        ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    )
    profile[24:36] = bytes([7, 208, 0, 1, 0, 1]) + bytes(6)  # made on 1 January 2000
    profile[84:100] = bytes(16)  # its digest, which is not asked for
    return bytes(profile)


def on_white(colours: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Returns how colours with an alpha channel look on white.

    Args:
        colours: `(height, width, 3)` uint8.
        alpha: `(height, width)` uint8.

    Returns:
        `(height, width, 3)` uint8.
    """
    opacity = alpha[..., None].astype(np.float32) / 255.0
    return np.rint(colours * opacity + 255.0 * (1.0 - opacity)).astype(np.uint8)


def off_white(shown: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Returns the colours which look so on white with this alpha channel.

    Where nothing of them shows, they are white. Where an alpha of little lets no colour
    look so, the nearest one is taken.

    Args:
        shown: `(height, width, 3)` uint8, on white.
        alpha: `(height, width)` uint8.

    Returns:
        `(height, width, 3)` uint8.
    """
    opacity = np.maximum(alpha[..., None].astype(np.float32), 1.0) / 255.0
    colours = 255.0 - (255.0 - shown.astype(np.float32)) / opacity
    colours[alpha == 0] = 255.0
    return np.rint(colours.clip(0, 255)).astype(np.uint8)
