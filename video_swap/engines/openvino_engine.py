"""Runs a swapper by OpenVINO, on CPUs."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from facedancer.errors import InputError
from facedancer.imaging import sample_photos
from facedancer.inference import openvino_core, runtimes
from facedancer.inference.portable import PortableFile
from facedancer.video_swap.engines import devices, quantization

if TYPE_CHECKING:
    import openvino

    from facedancer.models.families.built_network import SwapperNetwork


class OpenVINOEngine:
    """Runs a swapper by OpenVINO on the CPU, each face by itself, several at a time.

    Threads that share one face wait for each other, and in a swap other stages take
    their turns on the same cores; faces side by side need no waiting.

    Args:
        generator: Its portable file; or what `load_generator` or a builder gave, which
            is fused here.
        precision: `"f32"`, `"bf16"` or `"int8"` (see `quantization`); never left to the
            library, which would take bf16 silently on a CPU that has it.
        outputs: Names of what is wanted; None: what the generator gives by itself.
        embed: For int8: gives the identity vectors of `(n, size, size, 3)` uint8 faces.

    Raises:
        InputError: If OpenVINO is not installed, the precision is unknown or there is
            no such output.
    """

    name = "openvino"
    precisions = ("f32", "bf16", "int8")

    def __init__(
        self,
        generator: SwapperNetwork | PortableFile,
        precision: str = "f32",
        outputs: tuple[str, ...] | None = None,
        embed: Callable[[np.ndarray], np.ndarray] | None = None,
    ) -> None:
        devices.check_precision(precision, self.precisions)
        if importlib.util.find_spec("openvino") is None:
            raise InputError(
                "--engine=openvino needs OpenVINO: pip install openvino, or take "
                "another --engine"
            )
        self.precision, self.contract = precision, generator.contract
        if isinstance(generator, PortableFile):
            converted = _for_one_face(generator, outputs)
        else:
            # Kept: the compiled model may still point into the weights.
            self.model = _fused(generator, precision, outputs)
            converted = convert(self.model)
        self.inputs = numbers(converted.inputs)
        self.outputs = numbers(converted.outputs, all_names=True)
        if precision == "int8":
            self._quantize(converted, embed)
        hint = "f32" if precision == "int8" else precision
        self._run = openvino_core.SideBySide(converted, hint)
        self.compiled = self._run.compiled

    @classmethod
    def suits(cls, precision: str) -> bool:
        """Whether it can be taken on this machine, and is faster there.

        Args:
            precision: What is asked for.
        """
        return (
            importlib.util.find_spec("openvino") is not None
            and precision in cls.precisions
            and not devices.gpus()
        )

    def _quantize(
        self,
        converted: openvino.Model,
        embed: Callable[[np.ndarray], np.ndarray] | None,
    ) -> None:
        if embed is None:
            raise ValueError("int8 needs `embed` for its example faces. Received: None")
        faces = sample_photos.example_faces(self.contract.image.size)
        feeds = {
            "target": self.contract.image.from_uint8(faces),
            "identity": np.roll(embed(faces), 1, axis=0),
        }
        examples = [
            {self.inputs[name]: feeds[name][i : i + 1] for name in self.inputs}
            for i in range(len(faces))
        ]
        quantization.quantize(converted, examples)

    def __call__(self, feeds: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Returns the outputs by name, float32.

        Args:
            feeds: `(n, ...)` arrays by the names of the inputs.
        """
        found = self._run({self.inputs[name]: feeds[name] for name in self.inputs})
        return {name: found[number] for name, number in self.outputs.items()}


def numbers(
    ports: Iterable[openvino.Output], all_names: bool = False
) -> dict[str, int]:
    """Returns the number of each input or output by its name.

    Args:
        ports: `inputs` or `outputs` of an OpenVINO model.
        all_names: By each name of those that have several: an output has where its
            layer is called otherwise than the end.
    """
    return {
        name.removesuffix(":0"): number
        for number, port in enumerate(ports)
        for name in (port.names if all_names else (port.get_any_name(),))
    }


def _for_one_face(
    file: PortableFile, outputs: tuple[str, ...] | None
) -> openvino.Model:
    """Returns a portable network for one face: joined only where shapes are known."""
    model = runtimes.openvino_model(file, outputs or file.contract.outputs)
    shapes = {
        port.get_any_name(): [1, *map(_length, list(port.partial_shape)[1:])]
        for port in model.inputs
    }
    model.reshape(shapes)
    return model


def _length(dimension: openvino.Dimension) -> int:
    return dimension.get_length()


def _fused(
    generator: SwapperNetwork, precision: str, outputs: tuple[str, ...] | None
) -> SwapperNetwork:
    import keras

    from facedancer.models import fuse

    if keras.backend.backend() != "tensorflow":
        raise InputError(
            "--engine=openvino takes Keras networks by way of TensorFlow. Received: "
            f"the backend {keras.backend.backend()}. Convert the generator first "
            "(facedancer convert NETWORK.keras NETWORK.onnx), or take --engine=keras"
        )
    # Half precision has its own units for products, which need no fewer of them.
    options: dict[str, Any] = {"norm_form": "plain"}
    options["fast_convolutions"] = precision == "f32"
    if outputs is not None:
        options["outputs"] = outputs
    return fuse(generator, **options)


def convert(model: SwapperNetwork) -> openvino.Model:
    """Returns a network as an OpenVINO model for one face, with the names of its ends.

    Args:
        model: A `Network`, which must stay alive as long as the result.
    """
    import openvino
    import tensorflow as tf

    # Operations are joined only where all shapes are known: a tenth faster.
    signature = {
        tensor.name: tf.TensorSpec((1, *tensor.shape[1:]), tf.float32, name=tensor.name)
        for tensor in model.inputs
    }

    @tf.function(input_signature=[signature])
    def call(feeds: dict[str, Any]) -> dict[str, Any]:
        found = model.named(feeds)
        return {name: tf.identity(value, name=name) for name, value in found.items()}

    # With shared weights OpenVINO would read memory that is freed with the model.
    return openvino.convert_model(call.get_concrete_function(), share_weights=False)
