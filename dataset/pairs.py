"""Shards -> batches of (target, source) pairs, as a `tf.data.Dataset`.

    dataset = pairs.make_dataset(pairs.PairSettings(data_dir="shards/", batch_size=8))
    for batch in dataset: ...

Batch k depends only on the settings and on k. To resume after k batches, pass
`first_batch=k`: the batches that follow are bit for bit those of a run that was never
stopped. With several input pipelines each gives its rows of the same global batches,
so the number of workers changes nothing either.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import re
import threading
from collections.abc import Iterator

import numpy as np
import tensorflow as tf
from absl import logging

from facedancer.dataset import augmentation, photo_cache, sampling, shard_index
from facedancer.errors import InputError

ON_CORRUPT = ("stop", "skip")
# Salts that make of the seed and the batch's number one seed per use.
_JITTER_TARGET, _JITTER_SOURCE, _CHANGES = 101, 102, 103


@dataclasses.dataclass(frozen=True)
class PairSettings:
    """How pairs are drawn and prepared.

    Attributes:
        data_dir: Shards: a folder with *.records files, or a glob pattern; several with
            commas between. Shards written by the original program are read too.
        batch_size: Pairs in a (global) batch.
        image_size: Side of the images in pixels. Others are resized.
        same_ratio: Probability that the source is the target photo itself; above 0 at
            least one such pair is in each batch.
        pairing: random, different (source and target show different people),
            same_person (two photos of one person) or batch (sources are the targets of
            the same batch in another order: about twice as fast to read).
        same_person_ratio: Share of pairs of two photos of one person.
        balance: none, identity or folder: each person or source folder (the first
            folder of a photo's path) gets the same share of the pairs.
        jitter: Colour jitter: per_image (on [0, 1], clipped, the same draw for both
            images of a same pair), legacy (as the original: one draw for a batch, on
            [-1, 1], not clipped) or none.
        flip: Mirror images at random, target and source independently.
        shuffle: Draw the photos in random order.
        window: Sources are drawn among this many targets that come at about the same
            time, so that each photo is decoded once for both; 0: among all photos,
            which takes nearly twice as long. Not used with balance.
        cache_mb: Memory for decoded photos. What does not fit is decoded again; what
            is enough for all photos decodes each once.
        seed: Of everything random here.
        on_corrupt: stop at a damaged record, or skip it: another record takes its
            place, and a warning names it.
        num_parallel_calls: Batches prepared at the same time; 0 means two per CPU, at
            least 4.

    Raises:
        ValueError: If a value is out of its range.
    """

    data_dir: str
    batch_size: int = 10
    image_size: int = 256
    same_ratio: float = 0.2
    pairing: str = "random"
    same_person_ratio: float = 0.0
    balance: str = "none"
    jitter: str = "per_image"
    flip: bool = False
    shuffle: bool = True
    window: int = sampling.WINDOW
    cache_mb: int = 256
    seed: int = 0
    on_corrupt: str = "stop"
    num_parallel_calls: int = 0

    def __post_init__(self):
        for name, known in (
            ("pairing", sampling.PAIRINGS),
            ("balance", sampling.BALANCES),
            ("jitter", augmentation.JITTERS),
            ("on_corrupt", ON_CORRUPT),
        ):
            value = getattr(self, name)
            if value not in known:
                raise ValueError(
                    f"`{name}` must be one of {known}. Received: {name}={value!r}"
                )
        least = {
            "batch_size": 1,
            "image_size": 1,
            "window": 0,
            "cache_mb": 0,
            "seed": 0,
        }
        for name, low in least.items():
            if getattr(self, name) < low:
                raise ValueError(
                    f"`{name}` must be at least {low}. "
                    f"Received: {name}={getattr(self, name)}"
                )


def make_dataset(
    settings: PairSettings,
    first_batch: int = 0,
    input_pipeline_id: int = 0,
    num_input_pipelines: int = 1,
    reader: PairReader | None = None,
) -> tf.data.Dataset:
    """Returns an endless dataset of batches of pairs.

    Args:
        settings: What to read and how to pair it.
        first_batch: Number of the first batch: how many were used before.
        input_pipeline_id: Which of the input pipelines this is.
        num_input_pipelines: How many share the global batch (one per worker).
        reader: An own `PairReader`, to see what it skipped. Made here if None.

    Returns:
        A dataset of dictionaries: `"target"` and `"source"` `(batch, size, size, 3)`
        float32 in [-1, 1]; `"same"` `(batch,)` float32, 1 where the source is the
        target photo; `"target_identity"` and `"source_identity"` `(batch,)` int64, -1
        unknown; `batch` is `batch_size // num_input_pipelines`. Iterate within
        `clear_errors()` to get its errors as `InputError`.

    Raises:
        InputError: If the shards are missing, or hold no labels that are asked for.
        ValueError: If the pipelines do not divide the batch.
    """
    if not 0 <= input_pipeline_id < num_input_pipelines:
        raise ValueError(
            "`input_pipeline_id` must lie in [0, num_input_pipelines). "
            f"Received: {input_pipeline_id} of {num_input_pipelines}"
        )
    if settings.batch_size % num_input_pipelines:
        raise ValueError(
            "`batch_size` must be a multiple of the number of input pipelines. "
            f"Received: {settings.batch_size} for {num_input_pipelines}"
        )
    reader = reader or PairReader(settings)
    rows = settings.batch_size // num_input_pipelines
    first_row = input_pipeline_id * rows
    dataset = tf.data.Dataset.range(first_batch, np.iinfo(np.int64).max)
    dataset = dataset.map(
        lambda number: _read_batch(reader, number, first_row, rows),
        num_parallel_calls=settings.num_parallel_calls or parallel_calls(),
        deterministic=True,
    )
    return dataset.prefetch(2)


def parallel_calls() -> int:
    """Returns how many batches are prepared at the same time by default."""
    return max(4, 2 * (os.cpu_count() or 1))


def _read_batch(reader: PairReader, number, first_row: int, rows: int):
    size = reader.settings.image_size
    target, source, same, target_identity, source_identity = tf.numpy_function(
        lambda k: reader.rows(int(k), first_row, first_row + rows),
        [number],
        [tf.uint8, tf.uint8, tf.float32, tf.int64, tf.int64],
        stateful=False,
    )
    target = signed(tf.ensure_shape(target, (rows, size, size, 3)))
    source = signed(tf.ensure_shape(source, (rows, size, size, 3)))
    if reader.settings.jitter == "legacy":
        seed = tf.stack([tf.cast(reader.settings.seed, tf.int64), number])
        fold = tf.random.experimental.stateless_fold_in
        target = augmentation.jitter_legacy(target, fold(seed, _JITTER_TARGET))
        source = augmentation.jitter_legacy(source, fold(seed, _JITTER_SOURCE))
    return {
        "target": target,
        "source": source,
        "same": tf.ensure_shape(same, (rows,)),
        "target_identity": tf.ensure_shape(target_identity, (rows,)),
        "source_identity": tf.ensure_shape(source_identity, (rows,)),
    }


def signed(image):
    """Returns images in [-1, 1] as float32, `image / 127.5 - 1` to 2e-7.

    One pass over the memory, where a cast and two operations make three.

    Args:
        image: uint8 tensor of any shape.
    """
    return tf.raw_ops.Dequantize(
        input=tf.bitcast(image, tf.quint8),
        min_range=-1.0,
        max_range=1.0,
        mode="MIN_COMBINED",
    )


@contextlib.contextmanager
def clear_errors() -> Iterator[None]:
    """Turns what TensorFlow makes of an `InputError` of the reader back into one.

    Raises:
        InputError: With the reader's own text, such as the file and the record.
    """
    try:
        yield
    except tf.errors.OpError as error:
        found = re.search(r"(?:InputError|CorruptRecordError): (.*)", error.message)
        if not found:
            raise
        raise InputError(found[1]) from None


class PairReader:
    """Reads the photos of batch k; safe to use from several threads.

    Attributes:
        settings: What it was made with.
        index: The `ShardIndex`.
        sampler: The `PairSampler`.
        cache: The `PhotoCache` of decoded photos.
        skipped: Text by `(file, record)` of the damaged records met so far.

    Args:
        settings: What to read and how to pair it.

    Raises:
        InputError: If the shards are missing, or hold no labels that are asked for.
    """

    def __init__(self, settings: PairSettings):
        self.settings = settings
        self.index = shard_index.open_index(settings.data_dir)
        self.sampler = sampling.PairSampler(
            self.index.identity,
            self.index.folder,
            batch_size=settings.batch_size,
            same_ratio=settings.same_ratio,
            pairing=settings.pairing,
            same_person_ratio=settings.same_person_ratio,
            balance=settings.balance,
            shuffle=settings.shuffle,
            seed=settings.seed,
            window=settings.window,
        )
        photo_bytes = 3 * settings.image_size**2
        fitting = settings.cache_mb * 2**20 // photo_bytes
        self.cache = photo_cache.PhotoCache(
            self._good_photo, max(2 * settings.batch_size, fitting)
        )
        self.skipped: dict[tuple[str, int], str] = {}
        self._lock = threading.Lock()

    def rows(self, number: int, start: int, stop: int) -> tuple[np.ndarray, ...]:
        """Returns rows of batch `number`, read and decoded.

        Args:
            number: The batch.
            start: First row.
            stop: Row after the last.

        Returns:
            Target and source `(rows, size, size, 3)` uint8 RGB, same `(rows,)` float32
            of 0 and 1, identities of target and source `(rows,)` int64.

        Raises:
            InputError: If a record is damaged and `on_corrupt` is `"stop"`.
        """
        pairs = self.sampler.batch(number).rows(start, stop)
        size = self.settings.image_size
        images = np.empty((2, stop - start, size, size, 3), np.uint8)
        identities = np.empty((2, stop - start), np.int64)
        draws = self._draws(number)[start:stop]
        for row, photos in enumerate(zip(pairs.target, pairs.source, strict=True)):
            for role in range(1 if pairs.same[row] else 2):
                image, used = self.cache.get(int(photos[role]))
                images[role, row] = self._changed(image, draws[row, role])
                identities[role, row] = self.index.identity[used]
            if pairs.same[row]:
                images[1, row], identities[1, row] = images[0, row], identities[0, row]
        same = pairs.same.astype(np.float32)
        return images[0], images[1], same, identities[0], identities[1]

    def _draws(self, number: int) -> np.ndarray:
        """Returns the random numbers for each row, target and source of a batch."""
        random = np.random.default_rng([self.settings.seed, _CHANGES, number])
        return random.random((self.settings.batch_size, 2, 4))

    def _changed(self, image: np.ndarray, draws: np.ndarray) -> np.ndarray:
        if self.settings.flip and draws[0] < 0.5:
            image = image[:, ::-1]
        if self.settings.jitter == "per_image":
            image = augmentation.jitter(image, draws[1:])
        return image

    def _good_photo(self, photo: int) -> tuple[np.ndarray, int]:
        """Returns a photo and its position; the next good one if it may be skipped."""
        for step in range(len(self.index)):
            used = (photo + step) % len(self.index)
            try:
                return self.photo(used), used
            except InputError as error:
                if self.settings.on_corrupt == "stop":
                    raise
                self._skip(used, str(error))
        raise InputError(f"{self.settings.data_dir}: no record can be read")

    def _skip(self, photo: int, why: str) -> None:
        place = self.index.place(photo)
        with self._lock:
            new = place not in self.skipped
            self.skipped[place] = why
        if new:
            logging.warning("Skipped (%d so far): %s", len(self.skipped), why)

    def photo(self, photo: int) -> np.ndarray:
        """Returns one photo of the index, `(size, size, 3)` uint8 RGB.

        Args:
            photo: Its position in the index.

        Raises:
            CorruptRecordError: If it cannot be read.
        """
        return self.index.image(photo, self.settings.image_size)
