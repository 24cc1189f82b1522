"""Decoded photos that are likely to be needed again soon, within a bound of memory."""

from __future__ import annotations

import collections
import threading
from collections.abc import Callable

import numpy as np

Photo = tuple[np.ndarray, int]


class PhotoCache:
    """Keeps the photos used last; safe to use from several threads.

    What it keeps changes only how long reading takes, never what is read.

    Attributes:
        hits: How often a photo was there.
        misses: How often one was read.

    Args:
        read: Returns a photo, `(side, side, 3)` uint8, and its position; called
            outside the lock, so two threads may read the same photo at once.
        capacity: Number of photos.
    """

    def __init__(self, read: Callable[[int], Photo], capacity: int) -> None:
        self._read = read
        self._capacity = capacity
        self._photos: collections.OrderedDict[int, Photo] = collections.OrderedDict()
        self._lock = threading.Lock()
        self.hits = self.misses = 0

    def __len__(self) -> int:
        return len(self._photos)

    def get(self, photo: int) -> Photo:
        """Returns a photo and its position; it must not be changed.

        Args:
            photo: Which; passed to `read` if it is not there.
        """
        with self._lock:
            found = self._photos.get(photo)
            if found is not None:
                self._photos.move_to_end(photo)
                self.hits += 1
                return found
            self.misses += 1
        found = self._read(photo)
        with self._lock:
            self._photos[photo] = found
            while len(self._photos) > self._capacity:
                self._photos.popitem(last=False)
        return found
