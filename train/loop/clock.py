"""When the time of a training is up, and when its state is saved by the clock."""

from __future__ import annotations

import time
from collections.abc import Callable


class Clock:
    """Counts the minutes of a training from when it is made.

    Args:
        max_minutes: Until the training ends; 0: it ends by its steps.
        save_minutes: Between two saved states; 0: they are due by steps alone.
        now: Gives the seconds since any fixed moment.
    """

    def __init__(
        self,
        max_minutes: float = 0.0,
        save_minutes: float = 0.0,
        now: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._limit, self._every, self._now = 60 * max_minutes, 60 * save_minutes, now
        self._began = self._saved = now()

    def is_up(self) -> bool:
        """Returns whether the training is to end."""
        return 0.0 < self._limit <= self._now() - self._began

    def save_due(self) -> bool:
        """Returns whether a state is to be saved."""
        return 0.0 < self._every <= self._now() - self._saved

    def saved(self) -> None:
        """Notes that a state was saved just now."""
        self._saved = self._now()
