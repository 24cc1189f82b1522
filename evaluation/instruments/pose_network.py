"""Head pose from networks in the form of FSA-Net (Yang et al., 2019)."""

from __future__ import annotations

import os
import pathlib
from collections.abc import Callable, Sequence

import numpy as np

from facedancer.errors import InputError
from facedancer.evaluation.inputs.photos import Face
from facedancer.evaluation.instruments import runtime
from facedancer.evaluation.instruments.instruments import (
    BATCH,
    Instrument,
    box_crop,
)
from facedancer.inference.batching import in_batches
from facedancer.process import keras_needed
from facedancer.storage import files

_ENLARGE = 0.2  # of the face box, as the network was trained


class PoseNetwork(Instrument):
    """Yaw, pitch and roll in degrees, the mean of one or several networks.

    Each network takes BGR images, `(x - 127.5) / 128`, of the face box enlarged by a
    fifth, and gives three numbers.

    Args:
        paths: `.onnx` (channels first) or `.keras` and `.h5` files (channels last).

    Raises:
        InputError: If a file is missing or takes or gives something else.
    """

    role = "pose"

    def __init__(self, paths: Sequence[str | os.PathLike]) -> None:
        self.networks = [_load(path) for path in paths]
        hashes = [files.file_hash(path)[:8] for path in paths]
        self.name = "+".join(
            f"{pathlib.Path(path).stem}@{digest}"
            for path, digest in zip(paths, hashes, strict=True)
        )
        sizes = {size for _, size in self.networks}
        if len(sizes) != 1:
            raise InputError(
                "Pose networks must take images of the same size. "
                f"Received: {sorted(sizes)}"
            )
        (self.size,) = sizes

    def cut(self, image: np.ndarray, face: Face) -> np.ndarray:
        """Returns the crop of a face that the network takes.

        Args:
            image: See `Instrument.cut`.
            face: See `Instrument.cut`.
        """
        return box_crop(image, face.box, self.size, _ENLARGE)

    def run(self, crops: np.ndarray) -> np.ndarray:
        """Returns yaw, pitch and roll in degrees, `(n, d)` float32.

        Args:
            crops: `(n, ...)` uint8, what `cut` gave.
        """
        return in_batches(self._mean, crops, size=BATCH).astype(np.float32)

    def _mean(self, crops: np.ndarray) -> np.ndarray:
        x = (crops[..., ::-1].astype(np.float32) - 127.5) / 128.0
        return np.mean([run(x) for run, _ in self.networks], axis=0)


def _load(path: str | os.PathLike) -> tuple[Callable[[np.ndarray], np.ndarray], int]:
    """Returns a function from `(n, size, size, 3)` to `(n, 3)`, and the size."""
    if pathlib.Path(path).suffix.lower() in runtime.ENDINGS:
        network = runtime.PortableNetwork(path)
        shape = network.shape
        if len(shape) != 4 or shape[1] != 3 or shape[2] != shape[3]:
            raise InputError(
                f"{path}: a pose network takes (batch, 3, size, size). "
                f"Received: {shape}"
            )
        return lambda x: network(x.transpose(0, 3, 1, 2))[0], shape[2]
    keras_needed.check(path)
    from facedancer.networks import foreign

    network = foreign.load_network(path)
    return network.predict_on_batch, network.input_shape[1]
