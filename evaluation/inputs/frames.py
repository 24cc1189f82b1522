"""Frames of videos as photos: so many of each, drawn by a seed."""

from __future__ import annotations

import os
import pathlib
import zlib

import numpy as np

from facedancer.errors import InputError
from facedancer.imaging import images
from facedancer.video_swap.media.video_reader import VideoReader

VIDEOS = (".mp4", ".mov", ".mkv", ".avi", ".webm", ".mpg", ".m4v")


def list_videos(folder: str | os.PathLike) -> list[pathlib.Path]:
    """Returns the video files below a folder, sorted; none if there are none.

    Args:
        folder: The folder.

    Raises:
        InputError: If there is no such folder.
    """
    folder = pathlib.Path(folder)
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder")
    return [p for p in sorted(folder.rglob("*")) if p.suffix.lower() in VIDEOS]


def draw_frames(
    path: str | os.PathLike, count: int, seed: int
) -> list[tuple[int, np.ndarray]]:
    """Returns frames of a video, every one with the same chance, none twice.

    One pass, whatever the file says of its length (reservoir sampling, Vitter 1985).

    Args:
        path: The video.
        count: Number of frames; fewer come back from a shorter video.
        seed: Of the draw, together with the file's name.

    Returns:
        List of `(index, (height, width, 3) uint8 RGB)`, in the order of the video.

    Raises:
        InputError: If it is no video.
    """
    name = zlib.crc32(os.fsencode(pathlib.Path(path).name))
    random = np.random.default_rng([seed, name])
    kept: list[tuple[int, np.ndarray]] = []
    for seen, frame in enumerate(VideoReader(path, hdr_mode="convert")):
        if len(kept) < count:
            kept.append((frame.index, frame.image))
        elif (slot := int(random.integers(seen + 1))) < count:
            kept[slot] = (frame.index, frame.image)
    return sorted(kept, key=lambda entry: entry[0])


def extract(
    videos: list[pathlib.Path], output: str | os.PathLike, count: int, seed: int
) -> dict[str, list[pathlib.Path]]:
    """Writes frames of videos as PNG, one folder a video, and returns them by video.

    Args:
        videos: The files; the name without ending is the label.
        output: Folder that is filled.
        count: Frames of each.
        seed: Of the draws.

    Raises:
        InputError: If a video cannot be read or two have one name.
    """
    stems = [path.stem for path in videos]
    twice = sorted({stem for stem in stems if stems.count(stem) > 1})
    if twice:
        raise InputError(f"Two videos have the same name: {', '.join(twice)}")
    found = {}
    for path in videos:
        found[path.stem] = [
            images.write_image(
                pathlib.Path(output) / path.stem / f"frame_{index:06d}.png", image
            )
            for index, image in draw_frames(path, count, seed)
        ]
    return found
