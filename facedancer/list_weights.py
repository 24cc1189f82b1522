"""Lists the weights of the catalogue, checks files against it, or gets a published one.

    facedancer weights list
    facedancer weights verify
    facedancer weights verify generator.keras
    facedancer weights get NAME --accept_licence=LICENCE

Files lie in the folder that the environment variable FACEDANCER_WEIGHTS names, or in
the package. Exit status of verify: 0 all as in the catalogue, 2 a file is missing or
another. Nothing is fetched but by get, and by that nothing that cannot be checked.
"""

from __future__ import annotations

import dataclasses
import pathlib

from facedancer import cli
from facedancer.errors import InputError
from facedancer.flags.settings import Checked, positional, setting
from facedancer.storage import files, published_files, weights


@dataclasses.dataclass(frozen=True)
class WeightsSettings(Checked):
    """What is done.

    Attributes:
        action: list, verify or get.
        path: For verify: the file, of any name; empty: all files of the catalogue. For
            get: name of a published file, which goes to the folder that the environment
            variable FACEDANCER_WEIGHTS names.
        accept_licence: For get: the licence of the file, by its name, as list shows it.
    """

    action: str = positional("list|verify|get", choices=("list", "verify", "get"))
    path: str = positional("FILE", "")
    accept_licence: str = setting("", essential=True)


def main(settings: WeightsSettings) -> int:
    if settings.action == "get":
        path = published_files.get(settings.path, settings.accept_licence)
        licence = published_files.PUBLISHED[settings.path].licence
        print(f"{path}: as in the catalogue, under {licence}")
        return cli.DONE
    if settings.action == "list":
        if settings.path:
            raise InputError(f"list takes no file. Received: {settings.path}")
        texts = ["\n".join(described(one)) for one in weights.CATALOGUE]
        texts += ["\n".join(published(one)) for one in published_files.PUBLISHED]
        print("\n\n".join(texts))
        return cli.DONE
    if settings.path:
        print(recognised(settings.path))
        return cli.DONE
    lines, good = checked()
    print("\n".join(lines))
    return cli.DONE if good else cli.PARTIAL


def described(name: str) -> list[str]:
    """Returns the lines that tell of one entry.

    Args:
        name: Its key in `weights.CATALOGUE`.
    """
    entry = weights.CATALOGUE[name]
    lines = [f"{name}: {entry.kind}, {entry.licence}"]
    for file, digest in entry.digests.items():
        lines += [f"  {weights.location(file) or f'{file} (not there)'}"]
        lines += [f"    sha256 {digest}"]
    lines.append(f"  trained on: {entry.trained_on}")
    return [*lines, f"  card: {entry.card}"]


def published(name: str) -> list[str]:
    """Returns the lines that tell of a file that others published.

    Args:
        name: Its key in `published_files.PUBLISHED`.
    """
    entry = published_files.PUBLISHED[name]
    lines = [f"{name}: {entry.kind}, published by others, {entry.licence}"]
    lines += [f"  {weights.location(entry.file) or f'{entry.file} (not there)'}"]
    lines += [f"    sha256 {entry.sha256 or 'not known here: weights get refuses it'}"]
    if entry.belongs:
        lines.append(f"  belongs with: {', '.join(entry.belongs)}")
    return [*lines, f"  see: {entry.page}"]


def checked() -> tuple[list[str], bool]:
    """Returns what is found of each file of the catalogue, and whether all is well."""
    lines, good = [], True
    for entry in weights.CATALOGUE.values():
        for file in entry.digests:
            path = weights.location(file)
            try:
                if path is None:
                    raise InputError(f"{file}: not there")
                weights.verify(entry, path)
                lines.append(f"{path}: as in the catalogue")
            except InputError as error:
                lines.append(str(error))
                good = False
    return lines, good


def recognised(path: str) -> str:
    """Returns which file of the catalogue a file is.

    Args:
        path: The file, of any name.

    Raises:
        InputError: If it is none of them, or missing.
    """
    digest = files.file_hash(path)
    for name, entry in weights.CATALOGUE.items():
        for file, known in entry.digests.items():
            if known == digest:
                return (
                    f"{path}: {file} of {name}, a {entry.kind}, {entry.licence}, "
                    "as in the catalogue"
                )
    raise InputError(
        f"{pathlib.Path(path)}: none of the files of the catalogue. Its SHA-256 is "
        f"{digest}"
    )


if __name__ == "__main__":
    cli.run(main, WeightsSettings)
