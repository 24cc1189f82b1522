"""Optimisers that more than one training program uses."""

from __future__ import annotations

from typing import Any

import keras


def adamw(
    learning_rate: float, steps: int, warmup: int, **options: Any
) -> keras.optimizers.AdamW:
    """Returns AdamW whose rate rises from zero in a line, then falls by a cosine.

    Args:
        learning_rate: At its highest, after the warm-up.
        steps: Of the whole training; the rate is zero at its end.
        warmup: Steps of the rise, below `steps`; at least one is taken.
        **options: Of `keras.optimizers.AdamW`.

    Reference:
        - [Loshchilov and Hutter, 2017](https://arxiv.org/abs/1711.05101)
    """
    schedule = keras.optimizers.schedules.CosineDecay(
        initial_learning_rate=0.0,
        decay_steps=max(1, steps - warmup),
        warmup_target=learning_rate,
        warmup_steps=max(1, warmup),
    )
    return keras.optimizers.AdamW(schedule, **options)
