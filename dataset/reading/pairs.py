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
import re
from collections.abc import Iterator

import numpy as np
import tensorflow as tf

from facedancer.dataset.augmentation import colour
from facedancer.dataset.reading.pair_reader import (
    PairReader,
    PairSettings,
    parallel_calls,
)
from facedancer.dataset.reading.triplet_reader import TripletSettings
from facedancer.errors import InputError

# Salts that make of the seed and the batch's number one seed per use.
_JITTER_TARGET, _JITTER_SOURCE = 101, 102


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
        unknown; with a distortion also `"distorted"`, like the target, and so what a
        reader of another kind adds to `roles`; `batch` is
        `batch_size // num_input_pipelines`. Iterate within
        `clear_errors()` to get its errors as `InputError`.

    Raises:
        InputError: If the shards are missing, or hold no labels that are asked for.
        ValueError: If the pipelines do not divide the batch.
    """
    first_row, last = rows_of(settings, input_pipeline_id, num_input_pipelines)
    reader, rows = reader or PairReader(settings), last - first_row
    dataset = tf.data.Dataset.range(first_batch, np.iinfo(np.int64).max)
    dataset = dataset.map(
        lambda number: _read_batch(reader, number, first_row, rows),
        num_parallel_calls=settings.num_parallel_calls or parallel_calls(),
        deterministic=True,
    )
    return dataset.prefetch(2)


def rows_of(
    settings: PairSettings | TripletSettings,
    input_pipeline_id: int,
    num_input_pipelines: int,
) -> tuple[int, int]:
    """Returns the first row of an input pipeline in a batch, and the one after it.

    Args:
        settings: With the global `batch_size`.
        input_pipeline_id: Which of the input pipelines.
        num_input_pipelines: How many share the global batch.

    Raises:
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
    rows = settings.batch_size // num_input_pipelines
    return input_pipeline_id * rows, (input_pipeline_id + 1) * rows


def _read_batch(
    reader: PairReader, number: tf.Tensor, first_row: int, rows: int
) -> dict[str, tf.Tensor]:
    settings = reader.settings
    roles = reader.roles
    images, same, identities = tf.numpy_function(
        lambda k: reader.batch(int(k), first_row, first_row + rows),
        [number],
        [tf.uint8, tf.float32, tf.int64],
        stateful=False,
    )
    size = settings.image_size
    images = tf.ensure_shape(images, (len(roles), rows, size, size, 3))
    batch = {role: signed(images[index]) for index, role in enumerate(roles)}
    if settings.jitter == "legacy":
        seed = tf.stack([tf.cast(settings.seed, tf.int64), number])
        salts = {"source": _JITTER_SOURCE}
        for role in roles:
            folded = tf.random.experimental.stateless_fold_in(
                seed, salts.get(role, _JITTER_TARGET)
            )
            batch[role] = colour.jitter_legacy(batch[role], folded)
    identities = tf.ensure_shape(identities, (2, rows))
    return batch | {
        "same": tf.ensure_shape(same, (rows,)),
        "target_identity": identities[0],
        "source_identity": identities[1],
    }


def signed(image: tf.Tensor) -> tf.Tensor:
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
