"""Reads identity encoders: this project's files and the published ArcFace `.h5`."""

from __future__ import annotations

import os
import typing

from facedancer.arcface_model.embedding import Embedder
from facedancer.arcface_model.portable_encoder import PortableEncoder
from facedancer.inference import portable
from facedancer.process import keras_needed
from facedancer.storage import weights

if typing.TYPE_CHECKING:
    from facedancer.arcface_model.encoder import Encoder


def load_embedder(
    path: str | os.PathLike = "",
    runtime: str = "openvino",
    device: str = "cpu",
) -> Embedder:
    """Returns what turns crops into identity vectors, without Keras where that goes.

    Args:
        path: What `load_encoder` takes, or its portable form, `.onnx`; empty: the
            packaged encoder.
        runtime: What runs an encoder that has a portable form: `openvino`,
            `onnxruntime` or `keras`, which also runs all others.
        device: For ONNX Runtime, see `runtimes.PROVIDERS`.

    Raises:
        InputError: If the file is missing, damaged or of another kind.
    """
    file = portable.find("encoder", path) if runtime != "keras" else None
    if file is not None:
        return Embedder(PortableEncoder(file, runtime, device))
    return Embedder(load_encoder(path or weights.find("encoder")))


def load_encoder(path: str | os.PathLike) -> Encoder:
    """Returns an identity encoder from a file.

    The file may be this project's `.keras` or `.h5`, or the published ArcFace-ResNet50
    `.h5` (arcface-tf2, TensorFlow 2.8 to 2.15). Nothing in it is executed.

    Args:
        path: The file.

    Returns:
        A model from aligned crops `(batch, size, size, 3)`, in the range its `contract`
        names, to raw identity vectors `(batch, d)`.

    Raises:
        InputError: If the file is missing, damaged or of another kind.
    """
    keras_needed.check(path)
    from facedancer.arcface_model import stored

    return stored.read(path)
