"""Moving pictures without a video container: GIF, animated WebP, folders of images."""

from __future__ import annotations

import contextlib
import os
import pathlib
import shutil
from collections.abc import Iterable, Iterator
from fractions import Fraction

import numpy as np
import PIL
from PIL import Image, ImageSequence

from facedancer import images
from facedancer.errors import InputError
from facedancer.video_swap import video

ANIMATIONS = (".gif", ".webp")
_MILLISECOND = Fraction(1, 1000)
_SEQUENCE_RATE = 25  # images a second of a folder, for times only


def is_picture(path: str | os.PathLike) -> bool:
    """Returns whether a name means a GIF, a WebP or a folder of images.

    A folder that does not exist yet is known by its name having no ending.

    Args:
        path: A file or folder, existing or not.
    """
    path = pathlib.Path(path)
    return path.suffix.lower() in ANIMATIONS or path.is_dir() or not path.suffix


class PictureReader:
    """Frames of a GIF, an animated WebP or a folder of images.

    Args:
        path: The file or folder.
        start: Seconds at which to begin.
        length: Seconds to read, None for all.
        every: Use every n-th frame.

    Attributes:
        info: What is known of it.
        notes: Remarks for the report.
        damage: Stretches that could not be read, in seconds.
        names: Of a folder: its files, in order.

    Raises:
        InputError: If it cannot be read.
    """

    origin = 0

    def __init__(self, path, start=0.0, length=None, every=1):
        self.path = pathlib.Path(path)
        self.start, self.every = video.exact_seconds(start), every
        self.length = None if length is None else video.exact_seconds(length)
        self.damage: list[tuple[Fraction, Fraction]] = []
        self.notes: list[str] = []
        self.names: list[pathlib.Path] = []
        if self.path.is_dir():
            self.names = images.list_images(self.path)
        first, count, duration = self._look()
        rate = Fraction(count * 1000, duration) if duration else Fraction(25)
        self.info = video.ClipInfo(
            self.path,
            (first.shape[1], first.shape[0]),
            rate.limit_denominator(1000),
            _MILLISECOND,
            duration * _MILLISECOND,
            count,
            kind="folder" if self.names else "picture",
        )

    def _look(self):
        """Returns the first image, the number of images and milliseconds in all."""
        if self.names:
            step = 1000 // _SEQUENCE_RATE
            return (
                images.read_image(self.names[0]),
                len(self.names),
                step * len(self.names),
            )
        first, count, total = None, 0, 0
        for image, duration in self._animation():
            first = image if first is None else first
            count, total = count + 1, total + duration
        return first, count, total

    @property
    def output_colour(self) -> video.Colour:
        """Colours that a video made of it is encoded in."""
        return video.colour_of(2, 2, 2, self.info.size_wh[1])

    def __iter__(self) -> Iterator[video.Frame]:
        source = self._sequence() if self.names else self._animation()
        pts = count = used = 0
        for image, duration in source:
            seconds = pts * _MILLISECOND
            if self.length is not None and seconds >= self.start + self.length:
                return
            if seconds >= self.start:
                if count % self.every == 0:
                    yield video.Frame(used, image, pts, duration * self.every)
                    used += 1
                count += 1
            pts += duration

    def _sequence(self):
        for path in self.names:
            image = images.read_image(path)
            if (image.shape[1], image.shape[0]) != self.info.size_wh:
                width, height = self.info.size_wh
                raise InputError(
                    f"{path}: the images of a sequence must have one size, here "
                    f"{width}x{height}. Received: {image.shape[1]}x{image.shape[0]}"
                )
            yield image, 1000 // _SEQUENCE_RATE

    def _animation(self):
        """Yields `(image, milliseconds)`; transparent parts are white."""
        try:
            with Image.open(self.path) as animation:
                for frame in ImageSequence.Iterator(animation):
                    image = _on_white(frame)  # of WebP this reads the duration too
                    yield image, round(frame.info.get("duration", 0)) or 100
        except FileNotFoundError:
            raise InputError(f"{self.path}: no such file") from None
        except (PIL.UnidentifiedImageError, OSError, SyntaxError, EOFError) as error:
            raise InputError(f"{self.path}: damaged image ({error})") from None


def _on_white(frame):
    layers = frame.convert("RGBA")
    white = Image.new("RGBA", layers.size, "white")
    return np.array(Image.alpha_composite(white, layers).convert("RGB"))


def write_animation(
    path: str | os.PathLike, frames: Iterable[tuple[np.ndarray, int]], quality: int = 90
) -> None:
    """Writes a GIF or animated WebP that repeats for ever.

    Args:
        path: The file; its ending decides.
        frames: Pairs of `(height, width, 3)` uint8 RGB and milliseconds.
        quality: Of WebP, 1 to 100.

    Raises:
        InputError: If there is no frame or the disk is full.
    """
    durations: list[int] = []

    def pictures():
        for image, milliseconds in frames:
            durations.append(milliseconds)
            yield Image.fromarray(image)

    rest = pictures()
    first = next(rest, None)
    if first is None:
        raise InputError(f"{path}: there is no frame to write")
    others = list(rest)
    options = {"quality": quality, "method": 4} if _is_webp(path) else {"disposal": 1}
    try:
        first.save(
            path,
            format="WEBP" if _is_webp(path) else "GIF",
            save_all=True,
            append_images=others,
            duration=durations,
            loop=0,
            **options,
        )
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error})") from None


def _is_webp(path):
    return pathlib.Path(path).suffix.lower() == ".webp"


@contextlib.contextmanager
def new_folder(path: str | os.PathLike) -> Iterator[pathlib.Path]:
    """Yields a folder that gets its name when all went well, else vanishes.

    Args:
        path: The folder to make; it may exist if it is empty.

    Raises:
        InputError: If it exists and holds something.
    """
    path = pathlib.Path(path)
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise InputError(f"{path}: exists already. Give a new folder with --output")
    temporary = path.with_name(f".tmp-{os.getpid()}-{path.name}")
    temporary.mkdir(parents=True)
    try:
        yield temporary
        if path.exists():
            path.rmdir()
        os.replace(temporary, path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
