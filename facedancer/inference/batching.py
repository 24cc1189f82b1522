"""Batches of few shapes: Keras compiles a function anew for each shape it meets."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np


def fill_up(array: np.ndarray, count: int) -> np.ndarray:
    """Returns an array with `count` rows, the last one repeated where rows lack.

    Args:
        array: `(n, ...)`, n in [1, count].
        count: Number of rows.
    """
    return np.concatenate([array, np.repeat(array[-1:], count - len(array), axis=0)])


def power_of_two(count: int) -> int:
    """Returns the smallest power of two that is not less than a count.

    Args:
        count: At least 1.
    """
    return 1 << (count - 1).bit_length()


def in_batches(
    function: Callable, *arrays: np.ndarray, size: int, whole: bool = True
) -> np.ndarray:
    """Returns what a function gives for arrays, called with batches of few shapes.

    Args:
        function: From one batch of each array to `(batch, ...)`, row by row.
        *arrays: `(n, ...)` each, n at least 1.
        size: Largest batch.
        whole: Fill the last batch up to `size`: one shape in all. Else to the next
            power of two, which is less work for few rows.

    Returns:
        `(n, ...)`.
    """
    parts, count = [], len(arrays[0])
    for start in range(0, count, size):
        rows = min(size, count - start)
        full = size if whole else min(size, power_of_two(rows))
        batch = [fill_up(array[start : start + rows], full) for array in arrays]
        parts.append(np.asarray(function(*batch))[:rows])
    return np.concatenate(parts)
