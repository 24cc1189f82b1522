"""Where programs may write: nowhere that costs a file they read."""

from __future__ import annotations

import itertools
import os
import pathlib
from collections.abc import Iterator, Mapping, Sequence

from facedancer.errors import InputError
from facedancer.flags.settings import flat
from facedancer.imaging import image_formats


def check_places(settings: object, outputs: Mapping[str, str | os.PathLike]) -> None:
    """Refuses, before any work, to write where nothing can or may be written.

    Args:
        settings: Record of the program's settings; all files and folders it names, but
            for `outputs`, are inputs.
        outputs: What it will write, by flag; empty ones are not asked for.

    Raises:
        InputError: If a place cannot be written, two of them are one, or one is an
            input or an image in a folder that is one.
    """
    wanted = {name: pathlib.Path(path) for name, path in outputs.items() if str(path)}
    for name, path in wanted.items():
        check_place(name, path)
    for (name, path), (other, there) in itertools.combinations(wanted.items(), 2):
        if _final(path) == _final(there):
            raise InputError(
                f"--{name} and --{other} must be two files. Received: {path} for both"
            )
    for flag, value in named_paths(settings):
        for name, path in wanted.items():
            if flag not in wanted:
                _check_input(name, path, flag, pathlib.Path(value))


def check_place(name: str, path: str | os.PathLike) -> None:
    """Refuses a place where no file can be made, before any work is done.

    Args:
        name: The flag.
        path: Its value.

    Raises:
        InputError: If a folder has that name, or the next folder above that exists is a
            file or cannot be written.
    """
    path = pathlib.Path(path)
    above = next(parent for parent in path.absolute().parents if os.path.exists(parent))
    writable = above.is_dir() and os.access(above, os.W_OK | os.X_OK)
    if path.is_dir() or not writable:
        raise InputError(
            f"--{name} must be a file in a folder that can be written. Received: {path}"
        )


def check_folder(
    settings: object, name: str, path: str | os.PathLike, files: Sequence[str] = ()
) -> pathlib.Path:
    """Returns the folder that will be written, or refuses it before any work.

    Args:
        settings: See `check_places`.
        name: The flag.
        path: Its value.
        files: Names of files that will be written in it.

    Raises:
        InputError: If a file has that name, or the folder or one of the files is an
            input.
    """
    path = pathlib.Path(path)
    if path.exists() and not path.is_dir():
        raise InputError(f"--{name}: {path} is a file; give a folder")
    for flag, value in named_paths(settings):
        given = pathlib.Path(value)
        if flag == name or not (path.exists() and given.exists()):
            continue
        if path.samefile(given):
            raise InputError(
                f"--{name} must not be the folder --{flag}, whose files could be lost. "
                f"Received: {path} for both"
            )
        for file in files:
            _check_input(name, path / file, flag, given)
    return path


def _check_input(name: str, path: pathlib.Path, flag: str, given: pathlib.Path) -> None:
    if not path.exists():
        return
    if given.is_file() and path.samefile(given):
        what = "the input itself" if flag in ("img_path", "vid_path") else f"--{flag}"
        raise InputError(
            f"--{name} must not be {what}, which would be lost. Received: {path}"
        )
    inside = given.is_dir() and _final(given) in _final(path).parents
    if inside and image_formats.known_ending(path):
        raise InputError(
            f"--{name} must not be an image of the folder --{flag}, which would be "
            f"lost. Received: {path}"
        )


def _final(path: pathlib.Path) -> pathlib.Path:
    """Returns a path with its folder's links followed, but not its own."""
    return path.parent.resolve() / path.name if path.name != ".." else path.resolve()


def named_paths(settings: object) -> Iterator[tuple[str, str]]:
    """Yields flags and the paths they may hold, also of `--map REFERENCE=SOURCE`.

    Args:
        settings: Record of a program's settings.
    """
    for name, value in flat(settings).items():
        for word in value if isinstance(value, list | tuple) else [value]:
            if isinstance(word, str):
                before, _, after = word.partition("=")
                yield from ((name, part) for part in {word, before, after} if part)
