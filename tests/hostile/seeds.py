"""Whole files of every kind that is read, small, as a start for damage."""

from __future__ import annotations

import io
import pathlib

import cv2
import numpy as np
from PIL import Image

from facedancer.imaging import images
from facedancer.networks.contract import IdentityInput, InputContract, SwapContract
from facedancer.video_swap.swapping import networks
from tests.dataset import detectors, fixtures
from tests.video_swap import made

FACE = (made.RED, 14, 8, 30)  # colour, left, top, side: what the detectors find
SIZE_WH = (64, 48)


def face(number: int = 0) -> np.ndarray:
    """Returns a picture in which the tests' detectors find a face.

    Args:
        number: Moves it to the right, pixels.
    """
    colour, left, top, side = FACE
    return made.scene((colour, left + number, top, side), size_wh=SIZE_WH)


def _saved(image, **options):
    data = io.BytesIO()
    image.save(data, **options)
    return data.getvalue()


def pictures() -> dict[str, bytes]:
    """Returns photos of every format and mode that is read, by file name."""
    rgb = Image.fromarray(face())
    grey = Image.fromarray((np.asarray(rgb.convert("L"), np.uint16) * 257))
    alpha = rgb.copy()
    alpha.putalpha(Image.linear_gradient("L").resize(rgb.size))
    turned = Image.Exif()
    turned[0x0112] = 6
    turned[0x010E] = "a description " * 8
    palette = rgb.quantize(32)
    profile = b"\0" * 128
    others = [Image.fromarray(face(n)) for n in (1, 2)]
    many = {"save_all": True, "append_images": others}
    return {
        "plain.jpg": _saved(rgb, format="JPEG", quality=90),
        "exif.jpg": _saved(rgb, format="JPEG", exif=turned, progressive=True),
        "grey.jpg": _saved(rgb.convert("L"), format="JPEG"),
        "cmyk.jpg": _saved(rgb.convert("CMYK"), format="JPEG", icc_profile=profile),
        "plain.png": _saved(rgb, format="PNG"),
        "alpha.png": _saved(alpha, format="PNG"),
        "palette.png": _saved(palette, format="PNG", transparency=0),
        "deep.png": _saved(grey, format="PNG"),
        "moving.png": _saved(rgb, format="PNG", duration=40, **many),
        "moving.gif": _saved(palette, format="GIF", duration=40, **many),
        "lossy.webp": _saved(alpha, format="WEBP", quality=80),
        "exact.webp": _saved(rgb, format="WEBP", lossless=True, exif=turned),
        "moving.webp": _saved(rgb, format="WEBP", duration=40, **many),
        "plain.bmp": _saved(rgb, format="BMP"),
        "lzw.tif": _saved(rgb, format="TIFF", compression="tiff_lzw"),
        "zip.tif": _saved(grey, format="TIFF", compression="tiff_adobe_deflate"),
        "jpeg.tif": _saved(rgb, format="TIFF", compression="jpeg"),
        "pages.tif": _saved(rgb, format="TIFF", **many),
        "avif.png": _saved(rgb, format="AVIF"),
        "ppm.jpg": _saved(rgb, format="PPM"),
        "tga.jpg": _saved(rgb, format="TGA"),
        "ico.png": _saved(rgb, format="ICO", sizes=[(48, 48)]),
        "jp2.jpg": _saved(rgb, format="JPEG2000"),
    }


class AnyDetector(detectors.BoxDetector):
    """Finds one face in the middle of every photo that is large enough."""

    def detect(self, photo):
        height, width = photo.shape[:2]
        side = min(height, width) // 2
        box = (width // 4, height // 4, side, side)
        known = fixtures.photo(size=(height, width), boxes=(box,), background=0)
        return super().detect(known) if side > 12 else super().detect(photo[:1] * 0)


def loaded_networks(settings: networks.NetworkSettings) -> networks.Networks:
    """Returns networks that need no weights: coloured squares are faces.

    Args:
        settings: What the flags say; only what a file decides is left out.
    """
    names = {"generator": "g", "encoder": "e", "detector": "d", "engine": "keras f32"}
    return networks.Networks(
        made.named(made.colour_engine),
        SwapContract(InputContract(64, "signed"), IdentityInput(size=3)),
        made.SquareDetector(),
        made.ColourEmbedder(),
        names,
    )


def shown_size(path: pathlib.Path) -> tuple[int, int] | None:
    """Returns width and height of an image by another decoder, None if it has none.

    Args:
        path: The file.
    """
    image = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_COLOR)
    return None if image is None else (image.shape[1], image.shape[0])


def write(path: pathlib.Path, image: np.ndarray) -> pathlib.Path:
    """Writes an image and returns its path.

    Args:
        path: The file.
        image: `(height, width, 3)` uint8 RGB.
    """
    return images.write_image(path, image)
