"""Names of a package that are imported when they are asked for.

What a package offers often brings Keras and TensorFlow along, which take seconds to
import, and swapping needs neither. An editor sees the names by imports that are never
run, a program by `__getattr__`:

    if typing.TYPE_CHECKING:
        from facedancer.retinaface.detector import Detector as Detector

    __getattr__ = lazy.attributes(__name__, {".detector": ("Detector",)})
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence


def attributes(
    package: str, modules: Mapping[str, Sequence[str]]
) -> Callable[[str], object]:
    """Returns the `__getattr__` of a package.

    Args:
        package: Its `__name__`.
        modules: What each module offers, by the module's name; with a dot in front it
            lies in the package, else it is the full name.
    """
    homes = {name: home for home, names in modules.items() for name in names}

    def find(name: str) -> object:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(importlib.import_module(homes[name], package), name)

    return find
