"""Runs a swapper by OpenVINO, on CPUs."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

import keras
import numpy as np

from facedancer import openvino_core
from facedancer.errors import InputError
from facedancer.models import fuse
from facedancer.models.families.built_network import SwapperNetwork
from facedancer.tensors import Tensor
from facedancer.video_swap.engines import devices, quantization

if TYPE_CHECKING:
    import openvino


class OpenVINOEngine:
    """Runs a swapper by OpenVINO on the CPU, each face by itself, several at a time.

    Threads that share one face wait for each other, and in a swap other stages take
    their turns on the same cores; faces side by side need no waiting.

    Args:
        generator: What `load_generator` or a builder gave; it is fused here.
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
        generator: SwapperNetwork,
        precision: str = "f32",
        outputs: tuple[str, ...] | None = None,
        embed: Callable[[np.ndarray], np.ndarray] | None = None,
    ) -> None:
        devices.check_precision(precision, self.precisions)
        if importlib.util.find_spec("openvino") is None:
            raise InputError(
                '--engine=openvino needs OpenVINO: pip install "facedancer[cpu]", or '
                "take --engine=keras"
            )
        # Half precision has its own units for products, which need no fewer of them.
        options = {"norm_form": "plain", "fast_convolutions": precision == "f32"}
        if outputs is not None:
            options["outputs"] = outputs
        # Kept: the compiled model may still point into the weights.
        self.precision, self.model = precision, fuse(generator, **options)
        converted = convert(self.model)
        self.inputs = numbers(converted.inputs)
        self.outputs = numbers(converted.outputs)
        self._shapes = {
            name: tuple(converted.outputs[number].get_partial_shape().to_shape())[1:]
            for name, number in self.outputs.items()
        }
        if precision == "int8":
            self._quantize(converted, embed)
        self._compile(converted)

    def _compile(self, converted: openvino.Model) -> None:
        hint = "f32" if self.precision == "int8" else self.precision
        self.compiled = openvino_core.core().compile_model(
            converted,
            "CPU",
            {"INFERENCE_PRECISION_HINT": hint, "PERFORMANCE_HINT": "THROUGHPUT"},
        )
        count = self.compiled.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS")
        self.requests = [self.compiled.create_infer_request() for _ in range(count)]

    @classmethod
    def suits(cls, precision: str) -> bool:
        """Whether it can be taken on this machine, and is faster there.

        Args:
            precision: What is asked for.
        """
        return (
            keras.backend.backend() == "tensorflow"
            and not devices.gpus()
            and importlib.util.find_spec("openvino") is not None
            and precision in cls.precisions
        )

    def _quantize(
        self,
        converted: openvino.Model,
        embed: Callable[[np.ndarray], np.ndarray] | None,
    ) -> None:
        if embed is None:
            raise ValueError("int8 needs `embed` for its example faces. Received: None")
        contract = self.model.contract
        faces = quantization.example_faces(contract.image.size)
        feeds = {
            "target": contract.image.from_uint8(faces),
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
        given = {number: feeds[name] for name, number in self.inputs.items()}
        count = len(next(iter(given.values())))
        results = {
            name: np.empty((count, *shape), np.float32)
            for name, shape in self._shapes.items()
        }
        for i in range(count + len(self.requests)):
            request = self.requests[i % len(self.requests)]
            done = i - len(self.requests)
            if done >= 0:
                request.wait()
                for name, number in self.outputs.items():
                    results[name][done] = request.get_output_tensor(number).data[0]
            if i < count:
                request.start_async({k: v[i : i + 1] for k, v in given.items()})
        return results


def numbers(ports: Iterable[openvino.Output]) -> dict[str, int]:
    """Returns the number of each input or output by its name.

    Args:
        ports: `inputs` or `outputs` of an OpenVINO model.
    """
    return {
        port.get_any_name().removesuffix(":0"): number
        for number, port in enumerate(ports)
    }


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
    def call(feeds: dict[str, Tensor]) -> dict[str, Tensor]:
        found = model.named(feeds)
        return {name: tf.identity(value, name=name) for name, value in found.items()}

    # With shared weights OpenVINO would read memory that is freed with the model.
    return openvino.convert_model(call.get_concrete_function(), share_weights=False)
