"""The photos below a folder, as paths relative to it: strings, and nothing more.

Three million of them take about 300 MB.
"""

from __future__ import annotations

import bisect
import collections
import itertools
import os
from collections.abc import Iterator

from facedancer.imaging import images


def list_photos(folder: str | os.PathLike) -> list[str]:
    """Returns the images below a folder as relative paths with `/`, in `order`.

    Args:
        folder: The folder. Hidden files and folders are left out; links to folders
            are followed.

    Raises:
        InputError: If it is missing, no folder, or holds no image.
    """
    found = sorted(images.walk_images(folder), key=order)
    if not found:
        raise images.no_images(folder)
    return found


def order(path: str) -> tuple[str, str]:
    """Returns the sorting key of a relative path: folder by folder."""
    return parent(path), path


def parent(path: str) -> str:
    """Returns the folder of a relative path, "" for none."""
    return path.rpartition("/")[0]


def position(paths: list[str], path: str) -> int | None:
    """Returns where a path stands in a list, None if it does not.

    Args:
        paths: As `list_photos` gives them.
        path: The path.
    """
    at = bisect.bisect_left(paths, order(path), key=order)
    return at if at < len(paths) and paths[at] == path else None


def output_stems(paths: list[str]) -> Iterator[tuple[str, str]]:
    """Yields each photo with the path its crop gets, without ending.

    The ending is dropped (`a/b.png` -> `a/b`), but kept where two photos of a folder
    differ in nothing else, so that none overwrites the other.

    Args:
        paths: As `list_photos` gives them.
    """
    for _, grouped in itertools.groupby(paths, key=parent):
        group = list(grouped)
        stems = [path.rpartition(".")[0] for path in group]
        counts = collections.Counter(stems)
        for path, stem in zip(group, stems, strict=True):
            yield path, stem if counts[stem] == 1 else path
