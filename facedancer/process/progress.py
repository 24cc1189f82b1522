"""How far a long work is: a bar in a terminal, else a line every few seconds."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator
from typing import Any

import tqdm

SECONDS = 5.0  # between two lines, and before the first


class Lines:
    """A progress of whole lines, for files and logs; short works write none.

    Args:
        iterable: What it goes through, if it is iterated.
        total: How much there is, None if that is not known.
        unit: What is counted, in the singular.
        desc: What is done.
        initial: How much is done already.
    """

    def __init__(
        self,
        iterable: Iterable[Any] | None,
        total: int | None,
        unit: str,
        desc: str,
        initial: int,
    ):
        self.total, self._iterable, self._unit = total, iterable, unit
        self._desc, self._initial, self._count = desc, initial, initial
        self._began = self._said = time.monotonic()

    def __enter__(self) -> Lines:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def __iter__(self) -> Iterator[Any]:
        for one in self._iterable or ():
            yield one
            self.update()

    def update(self, count: int = 1) -> None:
        """Counts, and says how far it is if nothing was said for some seconds.

        Args:
            count: How much was done.
        """
        self._count += count
        now = time.monotonic()
        if now - self._said >= SECONDS:
            self._said = now
            sys.stderr.write(f"{self._line(now - self._began)}\n")
            sys.stderr.flush()

    def _line(self, seconds: float) -> str:
        rate = (self._count - self._initial) / seconds
        words = f"{self._desc}: " if self._desc else ""
        words += str(self._count)
        if self.total:
            words += f" of {self.total}"
        words += f" {self._unit}s, {rate:.3g} a second"
        if self.total and rate > 0:
            left = max(0.0, (self.total - self._count) / rate)
            words += f", {left:.0f} s left"
        return words


def bar(
    iterable: Iterable[Any] | None = None,
    *,
    total: int | None = None,
    unit: str = "",
    desc: str = "",
    initial: int = 0,
    shown: bool = True,
    leave: bool = True,
) -> Any:
    """Returns a progress with `update` and `total`, which is also a context.

    Args:
        iterable: What it goes through, if it is iterated.
        total: How much there is, None if that is not known.
        unit: What is counted, in the singular.
        desc: What is done.
        initial: How much is done already.
        shown: Whether anything is written.
        leave: Whether the bar stays in the terminal at the end.
    """
    if total is None and isinstance(iterable, list | tuple):
        total = len(iterable)
    if shown and not sys.stderr.isatty():
        return Lines(iterable, total, unit, desc, initial)
    return tqdm.tqdm(
        iterable,
        desc or None,
        total,
        leave,
        unit=unit,
        initial=initial,
        disable=not shown,
    )
