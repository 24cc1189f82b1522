"""What engines share that hand all to one of `facedancer.inference.runtimes`."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping
from typing import ClassVar

import numpy as np


class RuntimeEngine:
    """Runs a swapper by a runtime; the engines below it make the runtime.

    Attributes:
        package: Name of the module that must be installed.
        precisions: Those it computes in.
    """

    package: ClassVar[str]
    precisions: ClassVar[tuple[str, ...]]
    _run: Callable[[Mapping[str, np.ndarray]], dict[str, np.ndarray]]

    @classmethod
    def suits(cls, precision: str) -> bool:
        """Whether it can be taken on this machine.

        Args:
            precision: What is asked for.
        """
        installed = importlib.util.find_spec(cls.package) is not None
        return installed and precision in cls.precisions

    def __call__(self, feeds: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Returns the outputs by name, float32.

        Args:
            feeds: `(n, ...)` arrays by the names of the inputs.
        """
        return self._run(feeds)
