"""What is done with files, whatever they hold."""

from __future__ import annotations

import hashlib
import os
import pathlib

from facedancer.errors import InputError


def file_hash(path: str | os.PathLike) -> str:
    """Returns the SHA-256 of a file in hexadecimal.

    Args:
        path: The file.

    Raises:
        InputError: If there is no such file.
    """
    if not pathlib.Path(path).is_file():
        raise InputError(f"{path}: no such file")
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
