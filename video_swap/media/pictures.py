"""Moving pictures without a video container: GIF, animated WebP, folders of images."""

from __future__ import annotations

import bisect
import contextlib
import os
import pathlib
from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import TypeAlias

import numpy as np
from PIL import Image, ImageSequence

from facedancer.errors import InputError
from facedancer.imaging import image_colours, image_formats, images
from facedancer.storage import files
from facedancer.video_swap.media import video_reader
from facedancer.video_swap.pixels.picture import Rgb

ANIMATIONS = (".gif", ".webp")
_ONLY_READ = (".avif", ".avifs")  # FFmpeg takes an animation's first picture for all
_LONGEST = {".gif": 655_350, ".webp": (1 << 24) - 1}  # milliseconds of one picture
_MILLISECOND = Fraction(1, 1000)
_SEQUENCE_RATE = 25  # images a second of a folder, for times only


def is_picture(path: str | os.PathLike) -> bool:
    """Returns whether a name means a GIF, a WebP or a folder of images.

    A folder that does not exist yet is known by its name having no ending; a file
    without one may be anything.

    Args:
        path: A file or folder, existing or not.
    """
    path = pathlib.Path(path)
    nameless = not path.suffix and not path.is_file()
    return is_animation(path) or path.is_dir() or nameless


def reads(path: str | os.PathLike) -> bool:
    """Returns whether `PictureReader` is what reads an input.

    Args:
        path: A file or folder.
    """
    return is_picture(path) or pathlib.Path(path).suffix.lower() in _ONLY_READ


def is_animation(path: str | os.PathLike) -> bool:
    """Returns whether a file's ending means GIF or WebP."""
    return pathlib.Path(path).suffix.lower() in ANIMATIONS


class PictureReader:
    """Frames of a GIF, an animated WebP or a folder of images.

    A damaged file is read up to the damage. After the iteration `damage` says at which
    time that is, if it was reached.

    Args:
        path: The file or folder.
        start: Seconds at which to begin.
        length: Seconds to read, None for all.
        every: Use every n-th frame.
        max_pixels: Largest picture, see `image_formats.check_size`.

    Attributes:
        info: What is known of it.
        notes: Remarks for the report.
        damage: Stretches that could not be read, in seconds.
        names: Of a folder: its files, in order.

    Raises:
        InputError: If not even its first image can be read; while reading, if no frame
            begins in the part.
    """

    origin = 0

    def __init__(
        self,
        path: str | os.PathLike,
        start: float = 0.0,
        length: float | None = None,
        every: int = 1,
        max_pixels: int = images.MAX_PIXELS,
    ) -> None:
        self.path, self.max_pixels = pathlib.Path(path), max_pixels
        self.start, self.every = video_reader.exact_seconds(start), every
        self.length = None if length is None else video_reader.exact_seconds(length)
        self.damage: list[tuple[Fraction, Fraction]] = []
        self.notes: list[str] = []
        self.names: list[pathlib.Path] = []
        if self.path.is_dir():
            self.names = images.list_images(self.path)
        first, count, duration = self._look()
        rate = Fraction(count * 1000, duration) if duration else Fraction(25)
        self.info = video_reader.ClipInfo(
            self.path,
            (first.shape[1], first.shape[0]),
            rate.limit_denominator(1000),
            _MILLISECOND,
            duration * _MILLISECOND,
            count,
            kind="folder" if self.names else "picture",
        )

    def _look(self) -> tuple[np.ndarray, int, int]:
        """Returns the first image, the number of images and milliseconds in all."""
        if self.names:
            step = 1000 // _SEQUENCE_RATE
            return (
                images.read_image(self.names[0], self.max_pixels),
                len(self.names),
                step * len(self.names),
            )
        first, count, total = None, 0, 0
        for image, duration in self._animation():
            first = image if first is None else first
            count, total = count + 1, total + duration
        if self.damage:
            seconds = float(self.damage[0][0])
            self.notes.append(
                f"{self.path.name}: damaged after {seconds:.2f} s, the rest is left out"
            )
        return first, count, total

    @property
    def output_colour(self) -> video_reader.Colour:
        """Colours that a video made of it is encoded in."""
        return video_reader.colour_of(2, 2, 2, self.info.size_wh[1])

    def __iter__(self) -> Iterator[video_reader.Frame]:
        source = self._sequence() if self.names else self._animation()
        self.damage, seconds = [], None
        pts = count = used = 0
        for number, (image, duration) in enumerate(source):
            seconds = pts * _MILLISECOND
            if self.length is not None and seconds >= self.start + self.length:
                break
            if seconds >= self.start:
                if count % self.every == 0:
                    name = self.names[number] if self.names else None
                    length = duration * self.every
                    yield video_reader.Frame(used, Rgb(image), pts, length, source=name)
                    used += 1
                count += 1
            pts += duration
        if not used:
            raise video_reader.nothing_used(self, seconds)

    def _sequence(self) -> Iterator[tuple[np.ndarray, int]]:
        for path in self.names:
            image = images.read_image(path, self.max_pixels)
            if (image.shape[1], image.shape[0]) != self.info.size_wh:
                width, height = self.info.size_wh
                raise InputError(
                    f"{path}: the images of a sequence must all have the same size, "
                    f"here {width}x{height}. "
                    f"Received: {image.shape[1]}x{image.shape[0]}"
                )
            yield image, 1000 // _SEQUENCE_RATE

    def _animation(self) -> Iterator[tuple[np.ndarray, int]]:
        """Yields `(image, milliseconds)`; transparent parts are white."""
        shown, whole = 0, False
        try:
            with _open(self.path, self.max_pixels) as (animation, whole):
                for frame in ImageSequence.Iterator(animation):
                    image_formats.check_size(frame, self.max_pixels)
                    image = image_colours.photo_of(frame).pixels
                    # Of WebP the duration is known only now.
                    duration = round(frame.info.get("duration", 0)) or 100
                    yield image, duration
                    shown += duration
        except InputError:
            if not shown:
                raise
            whole = False
        if not whole:
            self.damage.append((shown * _MILLISECOND, shown * _MILLISECOND))


# What gives the frames of a clip, whatever it is.
ClipReader: TypeAlias = PictureReader | video_reader.VideoReader


@contextlib.contextmanager
def _open(path: pathlib.Path, max_pixels: int) -> Iterator[tuple[Image.Image, bool]]:
    """Gives an animation, and whether it is whole; damage of a GIF shows later."""
    with contextlib.ExitStack() as stack:
        try:
            image = stack.enter_context(image_formats.open_image(path, max_pixels))
            whole = True
        except InputError:
            data = path.read_bytes() if path.is_file() else b""
            end, whole = _readable_end(data), False
            if end is None:
                raise
            beginning = image_formats.open_image(_beginning(data, end), max_pixels)
            image = stack.enter_context(beginning)
        yield image, whole


def _readable_end(data: bytes) -> int | None:
    """Returns how many bytes of a damaged WebP can be read, None if nothing can.

    A WebP is 12 bytes and then chunks: a name of 4 bytes, a length of 4, the content,
    filled up to an even length. Each image is one chunk. None is read if one is bad.
    """
    if data[:4] != b"RIFF":
        return None
    ends: list[int] = []
    at = 12
    while at + 8 <= len(data):
        name, size = data[at : at + 4], int.from_bytes(data[at + 4 : at + 8], "little")
        at += 8 + size + size % 2
        if at <= len(data) and (ends or name == b"ANMF"):
            ends.append(at)
    bad = bisect.bisect_left(ends, True, key=lambda end: not _opens(data, end))
    return ends[bad - 1] if bad else None


def _opens(data: bytes, end: int) -> bool:
    try:
        with image_formats.open_image(_beginning(data, end)):
            return True
    except InputError:
        return False


def _beginning(data: bytes, end: int) -> bytes:
    return data[:4] + (end - 8).to_bytes(4, "little") + data[8:end]


def check_names(folder: pathlib.Path, names: list[pathlib.Path]) -> None:
    """Refuses a folder two images of which would get one name as PNG.

    Args:
        folder: The folder.
        names: Its images.

    Raises:
        InputError: If there are such images.
    """
    taken: dict[pathlib.Path, pathlib.Path] = {}
    for name in names:
        other = taken.setdefault(name.with_suffix(""), name)
        if other != name:
            raise InputError(
                f"{folder}: {other.relative_to(folder)} and {name.relative_to(folder)} "
                f"would both become {name.stem}.png. Rename one of them"
            )


def name_of(frame: video_reader.Frame, folder: pathlib.Path) -> pathlib.Path:
    """Returns the name of a frame's image in a folder that is written.

    Args:
        frame: Of a folder of images, it keeps its name and place; of others, its number
            is its name.
        folder: The folder it was read from.
    """
    if frame.source is None:
        return pathlib.Path(f"{frame.index:06d}.png")
    return frame.source.relative_to(folder).with_suffix(".png")


def write_animation(
    path: str | os.PathLike,
    frames: Iterable[tuple[np.ndarray, int | Fraction]],
    quality: int = 90,
) -> int:
    """Writes a GIF or animated WebP that repeats for ever.

    Of a GIF times are rounded to 10 ms without adding up, and no picture is shown for
    less than 20 ms, which browsers would take for 100. None is shown for more than 11
    minutes in a GIF and 4.6 hours in a WebP.

    Args:
        path: The file; its ending decides.
        frames: Pairs of `(height, width, 3)` uint8 RGB and milliseconds.
        quality: Of WebP, 1 to 100.

    Returns:
        By how many milliseconds it became longer than `frames`, 0 for rounding; below 0
        if it became shorter.

    Raises:
        InputError: If there is no frame or the disk is full.
    """
    longest = _LONGEST[pathlib.Path(path).suffix.lower()]
    times = _Durations(*((1, 1) if _is_webp(path) else (10, 20)), longest)
    rest = _noted(frames, times)
    first = next(rest, None)
    if first is None:
        raise InputError(f"{path}: there is no frame to write")
    options = {"quality": quality, "method": 4} if _is_webp(path) else {"disposal": 1}
    try:
        first.save(
            path,
            format="WEBP" if _is_webp(path) else "GIF",
            save_all=True,
            append_images=rest,  # Pillow asks for one image of a GIF after the other
            duration=times.rounded,
            loop=0,
            **options,
        )
    except OSError as error:
        raise files.not_written(path, error) from None
    return times.longer


def _noted(
    frames: Iterable[tuple[np.ndarray, int | Fraction]], times: _Durations
) -> Iterator[Image.Image]:
    for image, milliseconds in frames:
        times.add(milliseconds)
        yield Image.fromarray(image)


class _Durations:
    """Durations as a format can hold them.

    Args:
        grid: All are multiples of so many milliseconds.
        min_length: None is shorter.
        max_length: None is longer.
    """

    def __init__(self, grid: int, min_length: int, max_length: int) -> None:
        self.grid, self.min_length, self.max_length = grid, min_length, max_length
        self.rounded: list[int] = []
        self.exact, self.cut, self.shown = Fraction(0), Fraction(0), 0

    def add(self, milliseconds: int | Fraction) -> None:
        held = min(Fraction(milliseconds), Fraction(self.max_length))
        self.cut += milliseconds - held  # what follows is shown for as long as it was
        self.exact += held
        length = round(self.exact / self.grid) * self.grid - self.shown
        length = min(max(length, self.min_length), self.max_length)
        self.rounded.append(length)
        self.shown += self.rounded[-1]

    @property
    def longer(self) -> int:
        late = round(self.shown - self.exact - self.cut)
        return late if late > self.grid or self.cut else 0


def _is_webp(path: str | os.PathLike) -> bool:
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
    with files.whole(path) as temporary:
        temporary.mkdir()
        yield temporary
