"""Says in one line that something needs Keras, where it is missing."""

from __future__ import annotations

import importlib.util
import os

from facedancer.errors import InputError


def check(path: str | os.PathLike) -> None:
    """Refuses a network that cannot be read here.

    Args:
        path: Its file, or the name of a package.

    Raises:
        InputError: If the file is a portable one, which Keras does not read, or Keras
            is not installed, or what it computes with.
    """
    if str(path).lower().endswith(".onnx"):
        raise InputError(
            f"{path}: an ONNX file can be run, but not trained, converted or run by "
            "Keras. Give the .keras or .h5 file it was made from; of an encoder "
            "`facedancer encoder` makes one"
        )
    missing = missing_packages()
    if missing:
        raise InputError(
            f"{path}: reading it needs {missing}, which is not installed. Convert it "
            "where it is (facedancer convert NETWORK.keras NETWORK.onnx), or install "
            'it: pip install "facedancer[train]"'
        )


def check_writing(path: str | os.PathLike) -> None:
    """Refuses to make a portable file where that cannot be done.

    Args:
        path: The network's file.

    Raises:
        InputError: If a package is missing.
    """
    names = ("keras", "tensorflow", "onnx", "tf2onnx")
    missing = [name for name in names if importlib.util.find_spec(name) is None]
    if missing:
        raise InputError(
            f"{path}: converting it needs {', '.join(missing)}. Install it with: pip "
            'install "facedancer[train]"'
        )


def missing_packages() -> str:
    """Returns what is missing of Keras and its backend, empty if nothing is."""
    backend = os.environ.get("KERAS_BACKEND", "tensorflow")
    names = ("keras", backend)
    missing = [name for name in names if importlib.util.find_spec(name) is None]
    return " and ".join(missing)
