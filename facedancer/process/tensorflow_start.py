"""TensorFlow starts with its quick kernels, and without news about them.

`facedancer/__init__.py` calls this: it has to be said before TensorFlow is imported,
whoever imports it. TensorFlow turns oneDNN's kernels on by itself only on processors
with instructions for neural networks (AVX-512 VNNI and later). On those with AVX2, as
most laptops are, they save a tenth of the CPU time of a step at 64 px with the recipe
`published` (`benchmarks/train_step.py`), more with networks that are told many terms.
"""

from __future__ import annotations

import contextlib
import importlib.machinery
import os
import pathlib
import sys
import types
from collections.abc import Iterator, Sequence
from typing import Any

OPTION = "TF_ENABLE_ONEDNN_OPTS"
# Written at each import, before a program could say that it does not want them.
_NEWS = (
    b"All log messages before absl::InitializeLog()",
    b"oneDNN custom operations are on.",
    b"This TensorFlow binary is optimized to use available CPU instructions",
    b"To enable the following instructions:",
)
_CPU_INFO = pathlib.Path("/proc/cpuinfo")
_FIRST_PROCESSOR = 8192  # bytes of the list that hold all words about it


def prepare() -> None:
    """Turns oneDNN's kernels on where they help, unless the user said something.

    Nothing is done where the processor is not known to have AVX2: there TensorFlow may
    end the process at its import, and what it says then must be seen.
    """
    if "tensorflow" in sys.modules or not _has_avx2():
        return
    os.environ.setdefault(OPTION, "1")
    sys.meta_path.insert(0, _Finder())


def _has_avx2() -> bool:
    try:
        with _CPU_INFO.open("rb") as file:
            return b" avx2 " in file.read(_FIRST_PROCESSOR)
    except OSError:  # not Linux
        return False


class _Finder:  # its base in importlib.abc would bring much along
    """Finds TensorFlow where everybody does, and quietens its import."""

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None,
        target: types.ModuleType | None = None,
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname != "tensorflow":
            return None
        spec = importlib.machinery.PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.loader is not None:
            spec.loader = _Loader(spec.loader)  # type: ignore[assignment]
        return spec


class _Loader:
    """Stands before a loader until the module is there."""

    def __init__(self, loader: Any) -> None:
        self._loader = loader

    def create_module(
        self, spec: importlib.machinery.ModuleSpec
    ) -> types.ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: types.ModuleType) -> None:
        module.__loader__ = self._loader
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader
        with _without_news():
            self._loader.exec_module(module)


@contextlib.contextmanager
def _without_news() -> Iterator[None]:
    """Keeps what is written to the standard error meanwhile, and writes the rest."""
    try:
        errors = os.dup(2)
    except OSError:  # it is closed
        yield
        return
    with os.fdopen(os.memfd_create("errors"), "w+b") as kept:
        os.dup2(kept.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(errors, 2)
            os.close(errors)
            kept.seek(0)
            for line in kept:
                if not any(news in line for news in _NEWS):
                    os.write(2, line)
