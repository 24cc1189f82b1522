"""Which photos make batch number k: a pure function of the seed and of k.

So a run that is resumed at batch k sees what an uninterrupted one would have seen,
and the only state to save is one number. Random order costs eight bytes a photo.
"""

from __future__ import annotations

import dataclasses
import functools
import threading

import numpy as np

from facedancer.errors import InputError

PAIRINGS = ("random", "different", "same_person", "batch")
BALANCES = ("none", "identity", "folder")
WINDOW = 256  # photos; 50 MB decoded at 256 pixels

# Each use of random numbers has its own stream of the seed.
_TARGET, _SOURCE, _DRAWS = 0, 1, 2


@dataclasses.dataclass(frozen=True)
class Pairs:
    """The photos of one batch, as positions in the index.

    Attributes:
        target: `(batch,)` int64.
        source: `(batch,)` int64.
        same: `(batch,)` bool, the source is the target photo itself.
    """

    target: np.ndarray
    source: np.ndarray
    same: np.ndarray

    def rows(self, start: int, stop: int) -> Pairs:
        """Returns a part of the batch.

        Args:
            start: First row.
            stop: Row after the last.
        """
        part = slice(start, stop)
        return Pairs(self.target[part], self.source[part], self.same[part])


class PairSampler:
    """Draws pairs of photos.

    Targets go through all photos in a random order, each once an epoch. Sources do
    too, in another order, which is mixed within windows of the targets' order: a photo
    is target and source within a short time, and is read and decoded once for both.
    Pairing or balance may ask for something else.

    Args:
        identity: `(n,)` labels, -1 unknown.
        folder: `(n,)` labels of the source folders.
        batch_size: Pairs in a batch.
        same_ratio: Probability that a source becomes the target photo itself. Where
            it is above 0, at least one pair of each batch is such a pair.
        pairing: `"random"`, `"different"` (the source shows another person),
            `"same_person"` (another photo of the target's person) or `"batch"` (the
            batch's own targets in another order, so that each photo is read once).
        same_person_ratio: Probability that a pair is made as by `"same_person"`,
            if the person has several photos.
        balance: `"none"`; `"identity"` or `"folder"` gives each person or source
            folder the same fraction, however many photos it has.
        shuffle: Off: targets and sources come in the order of the files.
        seed: Of all random draws.
        window: Targets among which their sources are drawn, at most. 0: all photos.

    Raises:
        InputError: If the labels do not allow what is asked.
        ValueError: If an argument is out of its range.
    """

    def __init__(
        self,
        identity: np.ndarray,
        folder: np.ndarray,
        batch_size: int,
        same_ratio: float = 0.2,
        pairing: str = "random",
        same_person_ratio: float = 0.0,
        balance: str = "none",
        shuffle: bool = True,
        seed: int = 0,
        window: int = WINDOW,
    ) -> None:
        _check(batch_size, same_ratio, pairing, same_person_ratio, balance)
        self.identity = np.asarray(identity)
        self.batch_size = batch_size
        self.same_ratio = same_ratio
        self.same_person_ratio = 1.0 if pairing == "same_person" else same_person_ratio
        self.different = pairing == "different"
        self.within_batch = pairing == "batch"
        self.shuffle = shuffle
        self.seed = seed
        self.window = window
        self._people = _Groups(self.identity)
        self._check_labels(pairing, balance)
        labels = {"none": None, "identity": self.identity, "folder": folder}[balance]
        self._groups = None if labels is None else _Groups(np.asarray(labels))
        self._pool = np.arange(len(self.identity))
        if pairing == "same_person":
            self._pool = np.flatnonzero(self._people.count_of(self._pool) > 1)
            if balance != "none":
                self._groups = _Groups(np.asarray(labels)[self._pool])
        self._order = functools.lru_cache(maxsize=4)(self._draw_order)
        self._lock = threading.Lock()

    def _check_labels(self, pairing: str, balance: str) -> None:
        needed = {
            "pairing=different": pairing == "different",
            "balance=identity": balance == "identity",
            "same-person pairs": self.same_person_ratio > 0,
        }
        for what in (name for name, asked in needed.items() if asked):
            if (self.identity < 0).any():
                raise InputError(
                    f"{what} needs identity labels, and some records have none. Shard "
                    "folders with one folder a person, or use pairing=random"
                )
        if pairing == "different" and len(self._people) < 2:
            raise InputError("pairing=different needs at least two people")
        if pairing == "same_person" and self._people.largest < 2:
            raise InputError("pairing=same_person needs a person with two photos")

    def __len__(self) -> int:
        return len(self._pool)

    @property
    def batches_per_epoch(self) -> int:
        """Batches after which each photo was a target once, the last one partial."""
        return -(-len(self) // self.batch_size)

    def batch(self, number: int) -> Pairs:
        """Returns batch `number`, the first is 0.

        Args:
            number: Any; the batches before it need not be drawn.
        """
        draws = np.random.default_rng([self.seed, _DRAWS, number])
        target = self._take(_TARGET, number)
        if self.within_batch:
            source = _neighbours(target, draws)
        else:
            source = self._take(_SOURCE, number)
        if self.different:
            source = self._another_person(target, source, draws)
        same_person = draws.random(self.batch_size) < self.same_person_ratio
        source = np.where(same_person, self._same_person(target, source, draws), source)
        same = draws.random(self.batch_size) < self.same_ratio
        forced = draws.integers(self.batch_size)
        if self.same_ratio > 0 and not same.any():
            same[forced] = True
        return Pairs(target, np.where(same, target, source), same)

    def others_of(self, photos: np.ndarray, fractions: np.ndarray) -> np.ndarray:
        """Returns another photo of each photo's person; itself where there is none.

        Args:
            photos: `(n,)` positions.
            fractions: `(n,)` in [0, 1), which of the others.
        """
        count = self._people.count_of(photos)
        step = 1 + np.floor(fractions * np.maximum(count - 1, 1)).astype(np.int64)
        several = (count > 1) & (self.identity[photos] >= 0)
        return np.where(several, self._people.neighbour(photos, step), photos)

    def _take(self, stream: int, number: int) -> np.ndarray:
        if self._groups:
            draws = np.random.default_rng([self.seed, stream, number])
            return self._pool[self._groups.draw(self.batch_size, draws)]
        epoch, position = np.divmod(
            np.arange(self.batch_size) + number * self.batch_size, len(self._pool)
        )
        windowed = stream == _SOURCE and self.window and self.shuffle
        take = self._from_windows if windowed else self._from_order
        taken = np.empty(self.batch_size, np.int64)
        for one in np.unique(epoch):
            rows = epoch == one
            taken[rows] = take(stream, int(one), position[rows])
        return taken

    def _from_order(self, stream: int, epoch: int, position: np.ndarray) -> np.ndarray:
        return self._ordered(stream, epoch)[position]

    def _from_windows(
        self, stream: int, epoch: int, position: np.ndarray
    ) -> np.ndarray:
        """Returns the sources at these positions of the targets' order."""
        order = self._ordered(_TARGET, epoch)
        total = len(order)
        windows = -(-total // self.window)  # of sizes that differ by at most one
        number = position * windows // total
        taken = np.empty(len(position), np.int64)
        for one in np.unique(number):
            first, last = -(-one * total // windows), -(-(one + 1) * total // windows)
            draws = np.random.default_rng([self.seed, stream, epoch, 2, int(one)])
            sources = _neighbours(order[first:last], draws)
            taken[number == one] = sources[position[number == one] - first]
        return taken

    def _ordered(self, stream: int, epoch: int) -> np.ndarray:
        if not self.shuffle:
            return self._pool
        with self._lock:  # else several threads would draw the same order
            return self._order(stream, epoch)

    def _draw_order(self, stream: int, epoch: int) -> np.ndarray:
        draws = np.random.default_rng([self.seed, stream, epoch, 1])
        return draws.permutation(self._pool)

    def _another_person(
        self, target: np.ndarray, source: np.ndarray, draws: np.random.Generator
    ) -> np.ndarray:
        source = source.copy()
        for _ in range(64):
            clash = np.flatnonzero(self.identity[source] == self.identity[target])
            if not len(clash):
                return source
            source[clash] = self._redraw(len(clash), draws)
        for row in clash:  # nearly all photos show one person: look for the others
            others = np.flatnonzero(self.identity != self.identity[target[row]])
            source[row] = draws.choice(others)
        return source

    def _redraw(self, count: int, draws: np.random.Generator) -> np.ndarray:
        if self._groups:
            return self._pool[self._groups.draw(count, draws)]
        return draws.choice(self._pool, count)

    def _same_person(
        self, target: np.ndarray, source: np.ndarray, draws: np.random.Generator
    ) -> np.ndarray:
        """Returns another photo of each target's person, the source if none is."""
        if not self.same_person_ratio:
            return source
        other = self.others_of(target, draws.random(len(target)))
        return np.where(self._people.count_of(target) > 1, other, source)


def _neighbours(photos: np.ndarray, draws: np.random.Generator) -> np.ndarray:
    """Returns the same photos, each one place on in a random circle."""
    circle = draws.permutation(len(photos))
    shuffled = np.empty_like(photos)
    shuffled[circle] = photos[np.roll(circle, 1)]
    return shuffled


class _Groups:
    """Photos sorted by a label: members of a group lie side by side."""

    def __init__(self, labels: np.ndarray) -> None:
        self._sorted = np.argsort(labels, kind="stable")
        _, self._first, self._count = np.unique(
            labels[self._sorted], return_index=True, return_counts=True
        )
        self._group = np.empty(len(labels), np.int32)
        self._group[self._sorted] = np.repeat(np.arange(len(self._count)), self._count)
        self._rank = np.empty(len(labels), np.int32)
        ranks = np.arange(len(labels)) - np.repeat(self._first, self._count)
        self._rank[self._sorted] = ranks

    def __len__(self) -> int:
        return len(self._count)

    @property
    def largest(self) -> int:
        return int(self._count.max())

    def count_of(self, photos: np.ndarray) -> np.ndarray:
        return self._count[self._group[photos]]

    def draw(self, count: int, draws: np.random.Generator) -> np.ndarray:
        group = draws.integers(len(self), size=count)
        member = np.floor(draws.random(count) * self._count[group]).astype(np.int64)
        return self._sorted[self._first[group] + member]

    def neighbour(self, photos: np.ndarray, step: np.ndarray) -> np.ndarray:
        group = self._group[photos]
        rank = (self._rank[photos] + step) % self._count[group]
        return self._sorted[self._first[group] + rank]


def _check(
    batch_size: int,
    same_ratio: float,
    pairing: str,
    same_person_ratio: float,
    balance: str,
) -> None:
    if batch_size < 1:
        raise ValueError(f"`batch_size` must be at least 1. Received: {batch_size}")
    ratios = {"same_ratio": same_ratio, "same_person_ratio": same_person_ratio}
    for name, ratio in ratios.items():
        if not 0.0 <= ratio <= 1.0:
            raise ValueError(f"`{name}` must lie in [0, 1]. Received: {name}={ratio}")
    for name, value, known in (
        ("pairing", pairing, PAIRINGS),
        ("balance", balance, BALANCES),
    ):
        if value not in known:
            raise ValueError(f"`{name}` must be one of {known}. Received: {value!r}")
