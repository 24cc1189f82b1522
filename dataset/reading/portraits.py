"""Shards -> batches of portraits, as a `tf.data.Dataset`.

settings = portrait_reader.PortraitSettings("shards/", distortion="warp", jitter="none")
for batch in portraits.make_dataset(portrait_reader.TwoPeopleReader, settings): ...
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from facedancer.dataset.reading import pairs
from facedancer.dataset.reading.portrait_reader import PortraitReader, PortraitSettings


def make_dataset(
    reader_class: Callable[[PortraitSettings], PortraitReader],
    settings: PortraitSettings,
    first_batch: int = 0,
    input_pipeline_id: int = 0,
    num_input_pipelines: int = 1,
) -> tf.data.Dataset:
    """Returns an endless dataset of batches of portraits.

    Args:
        reader_class: `TwoPeopleReader` or `PeopleReader`.
        settings: What to read and how to distort it.
        first_batch: Number of the first batch: how many were used before.
        input_pipeline_id: Which of the input pipelines this is.
        num_input_pipelines: How many share the global batch (one per worker).

    Returns:
        A dataset of dictionaries: the reader's `names`, each `(batch, size, size, 3)`
        float32 in [-1, 1]; of many people also `"label"`, `(batch,)` int64.

    Raises:
        InputError: If shards are missing or do not show the people that are needed.
        ValueError: If the pipelines do not divide the batch.
    """
    rows = pairs.rows_of(settings, input_pipeline_id, num_input_pipelines)
    reader = reader_class(settings)
    dataset = tf.data.Dataset.range(first_batch, np.iinfo(np.int64).max)
    dataset = dataset.map(
        lambda number: _read_batch(reader, number, *rows),
        num_parallel_calls=settings.num_parallel_calls or pairs.parallel_calls(),
        deterministic=True,
    )
    return dataset.prefetch(2)


def _read_batch(
    reader: PortraitReader, number: tf.Tensor, start: int, stop: int
) -> dict[str, tf.Tensor]:
    size = reader.settings.image_size
    images, labels = tf.numpy_function(
        lambda k: reader.images(int(k), start, stop),
        [number],
        [tf.uint8, tf.int64],
        stateful=False,
    )
    shape = (len(reader.names), stop - start, size, size, 3)
    images = tf.ensure_shape(images, shape)
    batch = {name: pairs.signed(images[i]) for i, name in enumerate(reader.names)}
    if reader.labels:
        batch["label"] = tf.ensure_shape(labels, (stop - start,))
    return batch
