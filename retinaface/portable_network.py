"""A detector's network that runs without Keras, and the making of its file."""

from __future__ import annotations

import os
import typing
from collections.abc import Sequence
from typing import Any

import numpy as np

from facedancer.inference import runtimes
from facedancer.inference.portable import PortableFile
from facedancer.storage import untrusted

if typing.TYPE_CHECKING:
    import keras

    from facedancer.networks.tensors import Tensor
    from facedancer.retinaface.network import RetinaFace

_SETTINGS = ("backbone", "mean", "signed")  # of `RetinaFace`, which the detector needs


class PortableRetinaFace:
    """A detector's file, run by OpenVINO or ONNX Runtime.

    It stands for a `RetinaFace` where one is run only.

    Args:
        file: The file.
        runtime: What runs it, see `runtimes.run_by`.
        device: See `runtimes.run_by`.
    """

    def __init__(
        self, file: PortableFile, runtime: str = "openvino", device: str = "cpu"
    ) -> None:
        with untrusted.faults(file.path, "its description is damaged"):
            self._config = {name: file.facts[name] for name in _SETTINGS}
        self.own = bool(file.facts.get("own"))
        self._run = runtimes.run_by(runtime, file, None, device)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of the network that matter where it is run."""
        return dict(self._config)

    def predict_on_batch(self, image: np.ndarray) -> dict[str, np.ndarray]:
        """Returns boxes, landmarks and classes of all anchors, see `RetinaFace`.

        Args:
            image: `(n, height, width, 3)` float32 RGB in [0, 255].
        """
        return self._run({"image": np.asarray(image, np.float32)})


def save(network: RetinaFace, path: str | os.PathLike, own: bool, facts: dict) -> None:
    """Writes the portable file of a detector's network.

    Args:
        network: What `load_network` or a builder gave.
        path: The file.
        own: Whether it was trained with this project's programs, whose boxes vote (see
            `DetectorOptions`).
        facts: Where it comes from: `licence`, `source` and the like.
    """
    from facedancer.inference import portable_writing

    config = network.get_config()
    described = {
        "kind": "detector",
        "name": f"retinaface-{config['backbone']}",
        "own": own,
    }
    described |= {name: config[name] for name in _SETTINGS}
    portable_writing.save(
        _exported(network),
        path,
        {"image": np.zeros((1, 64, 96, 3), np.float32)},
        facts | described,
    )


def _exported(network: RetinaFace) -> keras.Model:
    """Returns an equal network of operations that every runtime has.

    What is repeated or turned round becomes an operation with open shapes that is known
    to TensorFlow only. A photo's sides are multiples of 32 here, so that a map has
    always twice the height and width of the one below.
    """
    import keras
    from keras import ops

    from facedancer.retinaface.network import SubtractMean, UpsampleLike, fold

    class Reversed(SubtractMean):
        def call(self, image: Tensor) -> Tensor:
            image = ops.concatenate([image[..., i : i + 1] for i in (2, 1, 0)], -1)
            return (image - ops.cast(self.mean, image.dtype)) / self.divisor

    class Doubled(UpsampleLike):
        def call(self, inputs: Sequence[Tensor]) -> Tensor:
            coarse, _ = inputs
            _, height, width, channels = ops.shape(coarse)
            pairs = ops.concatenate([coarse, coarse], axis=-1)
            wide = ops.reshape(pairs, (-1, height, 2 * width, channels))
            rows = ops.concatenate([wide, wide], axis=2)
            return ops.reshape(rows, (-1, 2 * height, 2 * width, channels))

    folded = fold(network)
    plain = keras.Model(folded.inputs, folded.output)
    to_turn = _first_convolutions(plain)

    def copied(layer: keras.Layer) -> keras.Layer:
        config = layer.get_config()
        if isinstance(layer, UpsampleLike):
            return Doubled.from_config(config)
        if isinstance(layer, SubtractMean) and layer.reverse:
            if not to_turn:
                return Reversed.from_config(config)
            config |= {"reverse": False, "mean": layer.mean[::-1]}
        return type(layer).from_config(config)

    exported = keras.models.clone_model(plain, clone_function=copied)
    exported.set_weights(plain.get_weights())
    for name in to_turn:
        kernel, *bias = exported.get_layer(name).get_weights()
        exported.get_layer(name).set_weights([kernel[:, :, ::-1], *bias])
    return exported


def _first_convolutions(network: keras.Model) -> list[str]:
    """Returns the convolutions that can be turned round instead of the colours.

    That gives the same, and exchanging colours takes as long as half of the network.

    Returns:
        Names; none if the colours keep their order, or go to other layers too.
    """
    import keras

    from facedancer.retinaface.network import SubtractMean

    names = []
    waiting = [one for one in network.layers if isinstance(one, SubtractMean)]
    if not all(layer.reverse for layer in waiting):
        return []
    while waiting:
        for node in waiting.pop()._outbound_nodes:
            layer = node.operation
            if isinstance(layer, keras.layers.ZeroPadding2D):
                waiting.append(layer)
            elif isinstance(layer, keras.layers.Conv2D):
                names.append(layer.name)
            else:
                return []
    return names
