"""Shards -> batches of (source, target, truth), as a `tf.data.Dataset`.

photos = pair_reader.PairSettings("shards/", batch_size=8)
settings = triplets.TripletSettings(
    photos, "triplets/edits_beard*,triplets/edits_glasses*", (0.024, 0.042)
)
for batch in triplets.make_dataset(settings): ...
"""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from facedancer.dataset.reading import pairs
from facedancer.dataset.reading.triplet_reader import (
    MARKS,
    PEOPLE,
    ROLES,
    TripletReader,
    TripletSettings,
)


def make_dataset(
    settings: TripletSettings,
    first_batch: int = 0,
    input_pipeline_id: int = 0,
    num_input_pipelines: int = 1,
) -> tf.data.Dataset:
    """Returns an endless dataset of batches of triplets.

    Args:
        settings: What to read and how to mix it.
        first_batch: Number of the first batch: how many were used before.
        input_pipeline_id: Which of the input pipelines this is.
        num_input_pipelines: How many share the global batch (one per worker).

    Returns:
        A dataset of dictionaries: `"source"`, `"target"` and `"truth"`
        `(batch, size, size, 3)` float32 in [-1, 1], the truth -1 where it is unknown;
        `"has_truth"`, `"same"` and `"source_is_real"` `(batch,)` float32 of 0 and 1;
        `"target_identity"` and `"source_identity"` `(batch,)` int64, -1 unknown.

    Raises:
        InputError: If shards are missing.
        ValueError: If the pipelines do not divide the batch.
    """
    rows = pairs.rows_of(settings, input_pipeline_id, num_input_pipelines)
    reader = TripletReader(settings)
    dataset = tf.data.Dataset.range(first_batch, np.iinfo(np.int64).max)
    dataset = dataset.map(
        lambda number: _read_batch(reader, number, *rows),
        num_parallel_calls=settings.photos.num_parallel_calls or pairs.parallel_calls(),
        deterministic=True,
    )
    return dataset.prefetch(2)


def _read_batch(
    reader: TripletReader, number: tf.Tensor, start: int, stop: int
) -> dict:
    count, size = stop - start, reader.settings.image_size
    images, marks, people = tf.numpy_function(
        lambda k: reader.batch(int(k), start, stop),
        [number],
        [tf.uint8, tf.float32, tf.int64],
        stateful=False,
    )
    images = pairs.signed(tf.ensure_shape(images, (3, count, size, size, 3)))
    marks = tf.ensure_shape(marks, (3, count))
    people = tf.ensure_shape(people, (2, count))
    batch: dict[str, tf.Tensor] = {}
    for names, values in ((ROLES, images), (MARKS, marks), (PEOPLE, people)):
        batch |= {name: values[index] for index, name in enumerate(names)}
    return batch
