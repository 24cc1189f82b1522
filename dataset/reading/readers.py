"""How each form of batch is read: one line in a table, by the name that systems use.

A reader gives batch k as NumPy arrays; `ahead` reads on in threads, for a driver
without TensorFlow. Under TensorFlow the same reader feeds a `tf.data.Dataset`.
"""

from __future__ import annotations

import collections
import dataclasses
import functools
import itertools
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from facedancer.dataset.reading.pair_reader import (
    PairReader,
    PairSettings,
    parallel_calls,
)
from facedancer.dataset.reading.portrait_people import names_of
from facedancer.dataset.reading.portrait_reader import (
    PeopleReader,
    PortraitSettings,
    TwoPeopleReader,
)
from facedancer.dataset.reading.trio_reader import TrioReader
from facedancer.dataset.reading.triplet_reader import TripletReader

if TYPE_CHECKING:
    import tensorflow as tf


class Reader(Protocol):
    """What reads batches."""

    def arrays(self, number: int) -> dict[str, np.ndarray]:
        """Returns a batch by name, images as uint8 or as float32 in [-1, 1].

        Args:
            number: The batch; the ones before it need not be read.
        """


@dataclasses.dataclass(frozen=True)
class Form:
    """One form of batch.

    Attributes:
        reader: From its settings to its `Reader`.
        dataset: From settings, first batch, number of this input pipeline and how many
            there are to a `tf.data.Dataset`; imports TensorFlow.
        photos: Class of the settings of what is read of photos.
        people: From such settings to the names of the people who are learned; None:
            it does not matter who they are.
    """

    reader: Callable[[Any], Reader]
    dataset: Callable[..., tf.data.Dataset]
    photos: type[PairSettings] = PairSettings
    people: Callable[[Any], tuple[str, ...]] | None = None


def _pairs(*arguments: Any) -> tf.data.Dataset:
    from facedancer.dataset.reading import pairs

    return pairs.make_dataset(*arguments)


def _trios(
    settings: PairSettings, first_batch: int = 0, pipeline: int = 0, pipelines: int = 1
) -> tf.data.Dataset:
    from facedancer.dataset.reading import pairs

    reader = TrioReader(settings)
    return pairs.make_dataset(settings, first_batch, pipeline, pipelines, reader)


def _triplets(*arguments: Any) -> tf.data.Dataset:
    from facedancer.dataset.reading import triplets

    return triplets.make_dataset(*arguments)


def _portraits(reader: Callable, *arguments: Any) -> tf.data.Dataset:
    from facedancer.dataset.reading import portraits

    return portraits.make_dataset(reader, *arguments)


READERS = {
    "pairs": Form(PairReader, _pairs),
    "trios": Form(TrioReader, _trios),
    "triplets": Form(TripletReader, _triplets),
    "two_people": Form(
        TwoPeopleReader,
        functools.partial(_portraits, TwoPeopleReader),
        PortraitSettings,
        functools.partial(names_of, two=True),
    ),
    "people": Form(
        PeopleReader,
        functools.partial(_portraits, PeopleReader),
        PortraitSettings,
        functools.partial(names_of, two=False),
    ),
}


def ahead(
    reader: Reader, first_batch: int, threads: int = 0
) -> Iterator[dict[str, np.ndarray]]:
    """Yields batches in order, without end, while threads read the next ones.

    Args:
        reader: What reads them.
        first_batch: Number of the first.
        threads: Batches read at the same time; 0 means `parallel_calls()`.
    """
    threads = threads or parallel_calls()
    pool = ThreadPoolExecutor(threads)
    try:
        waiting = collections.deque(
            pool.submit(reader.arrays, first_batch + k) for k in range(threads)
        )
        for number in itertools.count(first_batch + threads):
            batch = waiting.popleft().result()
            waiting.append(pool.submit(reader.arrays, number))
            yield batch
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
