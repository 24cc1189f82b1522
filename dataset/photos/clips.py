"""Clips among photos: which files are some, and every n-th frame of one."""

from __future__ import annotations

import os
import pathlib
from collections.abc import Iterator

import numpy as np

from facedancer.dataset.photos import listing
from facedancer.errors import InputError
from facedancer.imaging import image_formats, images
from facedancer.video_swap.compositing import pixel_aspect
from facedancer.video_swap.media import containers
from facedancer.video_swap.media.video_reader import VideoReader

# What is called so is a clip also if it cannot be read, which is then said.
ENDINGS = tuple(
    ".mp4 .m4v .mov .mkv .webm .avi .mpg .mpeg .mts .m2ts .ts .wmv .flv".split()
)


def list_sources(folder: str | os.PathLike) -> list[str]:
    """Returns the images and clips below a folder as relative paths, in `order`.

    Args:
        folder: See `listing.list_photos`.

    Raises:
        InputError: If it is missing, no folder, or holds neither.
    """
    found = sorted(images.walk_images(folder, is_clip), key=listing.order)
    if not found:
        raise images.no_images(folder)
    return found


def is_clip(path: str | os.PathLike) -> bool:
    """Returns whether a file that is no image by its ending is a clip, by its content.

    Args:
        path: The file.
    """
    if image_formats.known_ending(path):
        return False
    if pathlib.Path(path).suffix.lower() in ENDINGS:
        return True
    try:
        with containers.open_input(path) as container:
            return containers.picture_stream(container, path) is not None
    except InputError:
        return False


def frames(
    path: str | os.PathLike, every: int, max_pixels: int
) -> Iterator[tuple[int, np.ndarray]]:
    """Yields every n-th frame of a clip and its number in the clip, from 0.

    Frames are upright, whole pictures of square pixels, HDR is converted. Those that
    the decoder had to guess parts of are left out.

    Args:
        path: The clip.
        every: Use every n-th frame.
        max_pixels: Largest `width * height` that is decoded.

    Raises:
        InputError: If it cannot be read or its frames are too large.
    """
    reader = VideoReader(path, every=every, hdr_mode="convert", deinterlace=True)
    width, height = reader.info.size_wh
    if width * height > max_pixels:
        raise InputError(
            f"{path}: {width}x{height} pixels are more than the limit of {max_pixels}. "
            "Make it smaller, or raise --max_pixels"
        )
    aspect = float(reader.info.aspect)
    for frame in reader:
        if not frame.damaged:
            image = frame.image
            if aspect != 1.0:
                image = pixel_aspect.as_shown(image, aspect)
            yield frame.index * every, image
