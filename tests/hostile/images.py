"""Image files that are bad, odd or harmful, made here byte by byte where need be.

Each builder returns the bytes of one file; `bad` gives those that no program can read.
"""

import io
import struct
import zlib

import numpy as np
from PIL import Image

# PostScript that Ghostscript would run; its comment makes Pillow take it for an image.
EPS = (
    b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 40 30\n%%EndComments\n"
    b"0 0 1 setrgbcolor 0 0 40 30 rectfill\nshowpage\n%%EOF\n"
)
# File names that programs stumble over; bytes, as some are not UTF-8.
NAMES = (
    b"caf\xe9.png",
    b"\xff\xfe.png",
    b"a:b.png",
    b"http:x.png",
    b"~me.png",
    b"-dash.png",
    b"two words.png",
    b"per%cent%03d.png",
    b"[brackets]*?.png",
    b"quote'\".png",
    "漢字 é.png".encode(),
)


def picture(height=30, width=44):
    """A smooth picture, `(height, width, 3)` uint8."""
    y, x = np.mgrid[:height, :width]
    return np.stack([x * 5, y * 8, np.full_like(x, 60)], -1).astype(np.uint8)


def encoded(image, kind, **options):
    """The bytes of an image, by Pillow; the image is one of Pillow's or an array."""
    file = io.BytesIO()
    if isinstance(image, np.ndarray):
        image = Image.fromarray(image)
    image.save(file, format=kind, **options)
    return file.getvalue()


def png_chunk(name, data):
    """One chunk of a PNG with its right checksum."""
    checksum = zlib.crc32(name + data)
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", checksum)


def huge_png(width=60_000, height=60_000):
    """A PNG of some hundred bytes that claims billions of pixels."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = zlib.compress(bytes(1000))
    return (
        b"\x89PNG\r\n\x1a\n"
        + png_chunk(b"IHDR", header)
        + png_chunk(b"IDAT", data)
        + png_chunk(b"IEND", b"")
    )


def growing_gif(width=60_000, height=60_000):
    """A GIF of 8 x 8 pixels whose first image is far larger than its canvas."""
    data = bytearray(encoded(Image.new("P", (8, 8)), "GIF"))
    at = data.index(b",", 13 + 3 * 2 ** ((data[10] & 7) + 1))
    data[at + 5 : at + 9] = struct.pack("<HH", width, height)
    return bytes(data)


def animation(kind, width, height):
    """Returns three small pictures in a WEBP, GIF or PNG whose header claims a size."""
    more = [Image.fromarray(picture() // n) for n in (2, 3)]
    data = bytearray(
        encoded(picture(), kind, save_all=True, append_images=more, duration=40)
    )
    if kind == "WEBP":
        at = data.index(b"VP8X") + 12
        data[at : at + 3] = (width - 1).to_bytes(3, "little")
        data[at + 3 : at + 6] = (height - 1).to_bytes(3, "little")
    elif kind == "GIF":
        data[6:10] = struct.pack("<HH", width, height)
    else:
        data[16:24] = struct.pack(">II", width, height)
        data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
    return bytes(data)


def heic():
    """The beginning of a HEIC file, as phones write it."""
    return struct.pack(">I", 24) + b"ftypheic" + bytes(4) + b"mif1heic" + bytes(200)


def cut(data, share=0.5):
    """The first part of a file."""
    return data[: int(len(data) * share)]


def with_broken_exif(data):
    """A JPEG whose EXIF is nonsense; the picture itself is whole."""
    notes = b"Exif\0\0II*\0\xff\xff\xff\xff" + b"\x12\x01" * 40
    return data[:2] + b"\xff\xe1" + struct.pack(">H", len(notes) + 2) + notes + data[2:]


def hidden_colours(mode):
    """A picture that is opaque red on the left and hides blue on the right.

    Args:
        mode: RGBA, LA, RGB (one colour is clear), P (by index), PA (by table) or L.

    Returns:
        The image, and options to save it with.
    """
    colours = np.zeros((30, 44, 3), np.uint8)
    colours[:, :22], colours[:, 22:] = (200, 30, 30), (20, 40, 250)
    alpha = np.zeros((30, 44), np.uint8)
    alpha[:, :22] = 255
    if mode == "RGBA":
        return Image.fromarray(np.dstack([colours, alpha])), {}
    if mode in ("LA", "L"):
        grey = np.where(alpha > 0, 90, 10).astype(np.uint8)
        if mode == "L":
            return Image.fromarray(grey), {"transparency": 10}
        return Image.merge("LA", [Image.fromarray(grey), Image.fromarray(alpha)]), {}
    if mode == "RGB":
        return Image.fromarray(colours), {"transparency": (20, 40, 250)}
    palette = Image.fromarray((alpha == 0).astype(np.uint8)).convert("P")
    palette.putpalette([200, 30, 30, 20, 40, 250])
    return palette, {"transparency": 1 if mode == "P" else bytes([255, 0])}


def icc_profile(space="RGB ", swapped=False, gamma=2.2):
    """An ICC profile (version 2, matrix and curve, or grey curve).

    Args:
        space: `"RGB "` with the primaries of sRGB, or `"GRAY"`.
        swapped: Whether red and blue have changed places.
        gamma: Of the curve.
    """

    def xyz(*values):
        fixed = [round(value * 65536) for value in values]
        return b"XYZ \0\0\0\0" + struct.pack(">3i", *fixed)

    curve = b"curv\0\0\0\0" + struct.pack(">IH", 1, round(gamma * 256)) + b"\0\0"
    text = b"desc\0\0\0\0" + struct.pack(">I", 5) + b"test\0" + bytes(78 + 1)
    tags = {b"desc": text, b"cprt": b"text\0\0\0\0none\0\0\0\0"}
    tags[b"wtpt"] = xyz(0.9642, 1.0, 0.8249)
    if space == "GRAY":
        tags[b"kTRC"] = curve
    else:
        primaries = [(0.4361, 0.2225, 0.0139), (0.3851, 0.7169, 0.0971)]
        primaries += [(0.1431, 0.0606, 0.7139)]
        names = b"bgr" if swapped else b"rgb"
        for letter, values in zip(names, primaries, strict=True):
            tags[bytes([letter]) + b"XYZ"] = xyz(*values)
            tags[bytes([letter]) + b"TRC"] = curve
    at, table, body = 132 + 12 * len(tags), b"", b""
    for name, data in tags.items():
        table += name + struct.pack(">II", at + len(body), len(data))
        body += data + bytes(-len(data) % 4)
    header = bytearray(128)
    header[8:12], header[12:24] = b"\x02\x10\0\0", b"mntr" + space.encode() + b"XYZ "
    header[36:40] = b"acsp"
    header[68:80] = xyz(0.9642, 1.0, 0.8249)[8:]
    data = bytes(header) + struct.pack(">I", len(tags)) + table + body
    return struct.pack(">I", len(data)) + data[4:]


def bad():
    """Names of files no program can read, with their bytes and words of the message."""
    jpeg, png = encoded(picture(), "JPEG"), encoded(picture(), "PNG")
    return {
        "eps.jpg": (EPS, "PostScript"),
        "binary_eps.png": (b"\xc5\xd0\xd3\xc6" + bytes(26) + EPS, "PostScript"),
        "tga.jpg": (encoded(picture(), "TGA"), "not an image"),
        "pcx.jpg": (encoded(picture(), "PCX"), "not an image"),
        "sgi.png": (encoded(picture(), "SGI"), "not an image"),
        "ico.png": (encoded(picture(32, 32), "ICO"), "not an image"),
        "text.jpg": (b"no image", "not an image"),
        "empty.png": (b"", "it is empty"),
        "cut.jpg": (cut(jpeg), "damaged image"),
        "cut.png": (cut(png), "damaged image"),
        "cut_header.png": (png[:20], "damaged image"),
        "cut.webp": (cut(encoded(picture(), "WEBP")), "damaged image"),
        "cut.gif": (encoded(picture(), "GIF")[:60], "damaged image"),
        "cut.tif": (cut(encoded(picture(), "TIFF")), "damaged image"),
        "huge.png": (huge_png(), "60000x60000 pixels are more than the limit"),
        "huge.gif": (growing_gif(), "pixels are more than the limit"),
    }
