"""How well a parser finds the classes of held-out photos: intersection over union."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable

import numpy as np

from facedancer.face import face_classes
from facedancer.train.parsing.parsed_photos import ParsedPhoto


@dataclasses.dataclass(frozen=True)
class Overlap:
    """Intersection over union of all pixels of all pictures.

    Attributes:
        by_class: `(classes,)`; NaN where a class is not there.
        pixels: Fraction of the pixels whose class is right.
    """

    by_class: np.ndarray
    pixels: float

    @property
    def mean(self) -> float:
        """Mean over the classes that are there."""
        return float(np.nanmean(self.by_class))

    def lines(self) -> list[str]:
        """Returns a line a class, and the means."""
        pairs = zip(face_classes.NAMES, self.by_class, strict=True)
        lines = [f"{name:<12} {value:.3f}" for name, value in pairs]
        return [
            *lines,
            f"{'mean':<12} {self.mean:.3f}",
            f"pixels right {self.pixels:.3f}",
        ]


def measure(
    parse: Callable[[np.ndarray], np.ndarray], crops: Iterable[ParsedPhoto]
) -> Overlap:
    """Returns how well the classes of crops are found.

    Args:
        parse: From `(size, size, 3)` uint8 RGB to `(size, size)` classes.
        crops: With their classes; unknown ones are not counted.
    """
    count = len(face_classes.NAMES)
    table = np.zeros((count, count), np.int64)  # truth, found
    for crop in crops:
        known = crop.classes < count
        pairs = crop.classes[known].astype(np.int64) * count
        pairs += parse(crop.image)[known]
        table += np.bincount(pairs, minlength=count**2).reshape(count, count)
    return of_table(table)


def of_table(table: np.ndarray) -> Overlap:
    """Returns the overlap of a table of counts.

    Args:
        table: `(classes, classes)` pixels: rows what is true, columns what was found.
    """
    both = np.diag(table).astype(np.float64)
    union = table.sum(0) + table.sum(1) - both
    there = table.sum(1) > 0
    by_class = np.divide(both, union, out=np.full(len(both), np.nan), where=there)
    return Overlap(by_class, float(both.sum() / max(table.sum(), 1)))
