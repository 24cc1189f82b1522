"""The systems that can be trained, by name; none is imported before it is asked for.

Thus `facedancer-train --help` knows their names without Keras.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, MutableMapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from facedancer.train.systems.base import System

_HERE = "facedancer.train.systems"


class SystemTable(MutableMapping):
    """Classes of systems by name; an entry may be where the class is found.

    Args:
        entries: By name module and class with a dot between, the module a file of
            this room or of a room within; or a class.
    """

    def __init__(self, entries: dict[str, str | type[System]]) -> None:
        self._entries = entries

    def __getitem__(self, name: str) -> type[System]:
        entry = self._entries[name]
        if isinstance(entry, str):
            module, _, title = entry.rpartition(".")
            found = importlib.import_module(f"{_HERE}.{module}")
            entry = self._entries[name] = getattr(found, title)
        return entry

    def __setitem__(self, name: str, entry: str | type[System]) -> None:
        self._entries[name] = entry

    def __delitem__(self, name: str) -> None:
        del self._entries[name]

    def __contains__(self, name: object) -> bool:
        return name in self._entries  # a look, which imports nothing

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)


SYSTEMS = SystemTable(
    {
        "facedancer": "facedancer.FaceDancer",
        "mobile_fsgan": "mobile_fsgan.MobileFSGAN",
        "faceswap_gan": "faceswap_gan.system.FaceswapGAN",
        "conditional_gan": "conditional_gan.system.ConditionalGAN",
        "swap_them_all": "swap_them_all.system.SwapThemAll",
        "swap_them_all_v2": "swap_them_all.system.SwapThemAllV2",
    }
)
