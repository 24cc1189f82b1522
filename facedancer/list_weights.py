"""Lists the weights of the catalogue, or checks files against it.

    facedancer weights list
    facedancer weights verify
    facedancer weights verify generator.keras

Files lie in the folder that the environment variable FACEDANCER_WEIGHTS names, or in
the package. Exit status of verify: 0 all as in the catalogue, 2 a file is missing or
another. Nothing is fetched.
"""

from __future__ import annotations

import dataclasses
import pathlib

from facedancer import cli, files, weights
from facedancer.errors import InputError
from facedancer.settings import Checked, positional


@dataclasses.dataclass(frozen=True)
class WeightsSettings(Checked):
    """What is done.

    Attributes:
        action: list or verify.
        path: For verify: the file, of any name; empty: all files of the catalogue.
    """

    action: str = positional("list|verify", choices=("list", "verify"))
    path: str = positional("FILE", "")


def main(settings: WeightsSettings) -> int:
    if settings.action == "list":
        if settings.path:
            raise InputError(f"list takes no file. Received: {settings.path}")
        print("\n\n".join("\n".join(described(one)) for one in weights.CATALOGUE))
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
