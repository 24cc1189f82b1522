"""An identity encoder that runs without Keras, and the making of its file."""

from __future__ import annotations

import os
import typing

import numpy as np

from facedancer.inference import runtimes
from facedancer.inference.portable import PortableFile

if typing.TYPE_CHECKING:
    from facedancer.arcface_model.encoder import Encoder

EMBEDDING = "embedding"


class PortableEncoder:
    """An encoder's file, run by OpenVINO or ONNX Runtime; an `Embedder` takes it.

    Args:
        file: The file.
        runtime: What runs it, see `runtimes.run_by`.
        device: See `runtimes.run_by`.

    Attributes:
        contract: What pictures it is fed.
        embedding_size: Length of the identity vector.
        name_with_hash: Architecture and hash of the weights; equal to the name of the
            encoder that the file was made from.
        taps: Names of the maps inside it that are compared by default.
    """

    def __init__(
        self, file: PortableFile, runtime: str = "openvino", device: str = "cpu"
    ) -> None:
        self._file, self._runtime, self._device = file, runtime, device
        self._run = runtimes.run_by(runtime, file, (EMBEDDING,), device)
        self.contract, self.name_with_hash = file.image, file.name
        self.embedding_size = int(file.facts["embedding_size"])
        self.taps = tuple(file.facts["taps"])

    def predict_on_batch(self, image: np.ndarray) -> np.ndarray:
        """Returns raw identity vectors, `(n, d)` float32.

        Args:
            image: `(n, size, size, 3)` float32, as the contract says.
        """
        return self._run({"image": image})[EMBEDDING]

    def maps(self, image: np.ndarray) -> dict[str, np.ndarray]:
        """Returns the maps of the taps, `(n, height, width, channels)` each, by name.

        Args:
            image: `(n, size, size, 3)` float32, as the contract says.
        """
        if "_maps" not in vars(self):
            self._maps = runtimes.run_by(
                self._runtime, self._file, self.taps, self._device
            )
        return self._maps({"image": image})


def save(encoder: Encoder, path: str | os.PathLike, facts: dict) -> None:
    """Writes the portable file of an encoder.

    Args:
        encoder: What `load_encoder` or a builder gave.
        path: The file.
        facts: Where it comes from: `licence`, `source` and the like.
    """
    import keras

    from facedancer.arcface_model.encoder import fold, tap_model
    from facedancer.inference import portable_writing

    taps = tap_model(fold(encoder))
    size = encoder.contract.size
    # The input gets the name that all files have, whatever the network calls its own.
    image = keras.Input((size, size, 3), name="image")
    outputs = {
        name: keras.layers.Identity(name=name)(value)
        for name, value in taps(image).items()
    }
    contract = {"size": size, "value_range": encoder.contract.value_range}
    described = {
        "kind": "encoder",
        "name": encoder.name_with_hash,
        "image": contract
        | {"template": encoder.contract.template, "shrink": encoder.contract.shrink},
        "embedding_size": encoder.embedding_size,
        "taps": [name for name in taps.output if name != EMBEDDING],
    }
    portable_writing.save(
        keras.Model(image, outputs),
        path,
        {"image": np.zeros((1, size, size, 3), np.float32)},
        facts | described,
    )
