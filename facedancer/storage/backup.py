"""The state of a training after its last epoch, in one file that is whole or absent."""

from __future__ import annotations

import os
import pathlib
from collections.abc import Sequence

import keras
import numpy as np

from facedancer.errors import InputError
from facedancer.storage import files, untrusted

_DAMAGED = "damaged backup; remove it to begin anew"


class Backup(keras.callbacks.Callback):
    """Writes variables and the number of finished epochs at the end of each epoch.

    Keras' own `BackupAndRestore` writes over its last file, so that a run which is
    killed meanwhile can neither go on nor start.

    Args:
        path: The file.
        variables: All that changes, in an order that stays.
    """

    def __init__(
        self, path: str | os.PathLike, variables: Sequence[keras.Variable]
    ) -> None:
        super().__init__()
        self.path, self.variables = pathlib.Path(path), list(variables)

    def restore(self) -> int:
        """Returns how many epochs are done, after setting the variables; 0 without.

        Raises:
            InputError: If the file is damaged or of another network.
        """
        if not self.path.exists():
            return 0
        with untrusted.faults(self.path, _DAMAGED):
            arrays = untrusted.load_arrays(self.path, _DAMAGED)
            epochs = int(arrays.pop("epochs"))
            found = [arrays[str(number)] for number in range(len(arrays))]
        shapes = [tuple(variable.shape) for variable in self.variables]
        if [array.shape for array in found] != shapes:
            raise InputError(
                f"{self.path}: belongs to another network. Remove it to begin anew, or "
                "give another --output"
            )
        for variable, array in zip(self.variables, found, strict=True):
            variable.assign(array)
        return epochs

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Keras calls this."""
        arrays = {
            str(number): keras.ops.convert_to_numpy(variable)
            for number, variable in enumerate(self.variables)
        }
        with files.whole(self.path, durable=True) as temporary:
            with open(temporary, "wb") as file:
                np.savez(file, epochs=np.int64(epoch + 1), **arrays)
