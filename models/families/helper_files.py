"""Files of the networks beside the generator: face parser and face refiner.

What a file is, is looked at when it is named, so that a wrong one is refused before
the work; it is read and made ready when its network is first run, as many runs never
do so.
"""

from __future__ import annotations

import os
import pathlib
import threading
import typing
from collections.abc import Callable
from concurrent import futures
from typing import Generic, TypeVar

from facedancer.errors import InputError
from facedancer.inference import portable
from facedancer.process import keras_needed
from facedancer.storage import weights

if typing.TYPE_CHECKING:
    from facedancer.models.families.built_network import BuiltNetwork

Made = TypeVar("Made")
Built = TypeVar("Built", bound="BuiltNetwork")


class AtFirstUse(Generic[Made]):
    """Something that is made once, when it is first asked for.

    Args:
        make: Makes it.
    """

    def __init__(self, make: Callable[[], Made]) -> None:
        self._make, self._lock = make, threading.Lock()
        self._made: list[Made] = []

    def __call__(self) -> Made:
        """Returns it; threads that ask meanwhile wait.

        Raises:
            InputError: If what makes it does so.
        """
        with self._lock:
            if not self._made:
                self._made.append(self._make())
            return self._made[0]

    def begin(self) -> None:
        """Begins to make it beside other work; what fails is raised at its use."""
        pool = futures.ThreadPoolExecutor(1, thread_name_prefix="helper")
        pool.submit(self)
        pool.shutdown(wait=False)


def portable_form(
    kind: str, path: str | os.PathLike, runtime: str
) -> portable.PortableFile | None:
    """Returns the portable form of a network, None where Keras runs it.

    Args:
        kind: `"parser"` or `"refiner"`.
        path: Its file, of any form; empty: the packaged one.
        runtime: `openvino`, `onnxruntime` or `keras`.

    Raises:
        InputError: If a portable file is damaged or of another kind.
    """
    return None if runtime == "keras" else portable.find(kind, path)


def keras_file(kind: str, path: str | os.PathLike) -> pathlib.Path:
    """Returns the file that Keras reads.

    Args:
        kind: `"parser"` or `"refiner"`.
        path: Its `.keras` or `.h5` file; empty: the packaged one.

    Raises:
        InputError: If Keras cannot read such a file, or is not installed.
    """
    found = pathlib.Path(path or weights.find(kind))
    keras_needed.check(found)
    return found


def own_network(
    path: pathlib.Path, cls: type[Built], command: str
) -> Callable[[], Built]:
    """Returns what reads a network of this project, after a look at its file.

    Args:
        path: Its `.keras` or `.h5` file.
        cls: Its class.
        command: What trains such networks, for the message.

    Raises:
        InputError: If the file is missing, damaged or of another kind; when the
            network is read, if its weights are damaged.
    """
    from facedancer.storage import model_files

    stored = model_files.read_model_file(path)
    if stored.class_name != cls.__name__:
        raise InputError(
            f"{path}: found {stored.describe()}, expected a face {cls.role} of this "
            f"project (facedancer {command})"
        )
    return AtFirstUse(lambda: typing.cast(Built, model_files.load_own(stored, cls)))
