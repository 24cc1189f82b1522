"""What trainings by Keras' own loop do at the ends of an epoch, besides `backup`."""

from __future__ import annotations

from typing import Any

import keras
from absl import logging


class FollowEpoch(keras.callbacks.Callback):
    """Gives the batches the number of the epoch, also after a restart; logs losses.

    Args:
        data: The batches, with an attribute `epoch`.
    """

    def __init__(self, data: Any) -> None:
        super().__init__()
        self._data = data

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        """Keras calls this."""
        self._data.epoch = epoch

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Keras calls this."""
        values = " | ".join(f"{k} {v:.4f}" for k, v in (logs or {}).items())
        logging.info("epoch %d | %s", epoch + 1, values)
