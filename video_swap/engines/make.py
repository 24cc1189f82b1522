"""The engines by name, and the choice of one.

An engine is called as `engine(feeds)`: float32 arrays `(n, ...)` by the names of the
swapper's inputs, for any n, give float32 arrays by the names of its outputs; see
`contract.INPUTS` and `contract.OUTPUTS`. A new engine is a class with `name`,
`precisions` and `suits` in a file of this room, an entry here, and its name in
`video_swap.settings`, which loads no network library.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Protocol

import numpy as np

from facedancer.errors import InputError
from facedancer.inference.portable import PortableFile, is_litert
from facedancer.video_swap import settings
from facedancer.video_swap.engines.keras_engine import KerasEngine
from facedancer.video_swap.engines.litert_engine import LiteRTEngine
from facedancer.video_swap.engines.onnxruntime_engine import OnnxRuntimeEngine
from facedancer.video_swap.engines.openvino_engine import OpenVINOEngine

if TYPE_CHECKING:
    from facedancer.models.families.built_network import SwapperNetwork

# "auto" takes the first that suits the machine and the precision. OpenVINO leaves
# machines with a GPU to Keras, so ONNX Runtime and LiteRT are asked last.
ENGINES = {
    one.name: one
    for one in (OpenVINOEngine, KerasEngine, OnnxRuntimeEngine, LiteRTEngine)
}


def choose(name: str = "auto", precision: str = "f32", device: str = "auto") -> str:
    """Returns the name of the engine that is taken.

    Args:
        name: One of `settings.ENGINES`; `"auto"` is OpenVINO on a CPU, Keras where
            TensorFlow has a GPU, ONNX Runtime for a device of its own.
        precision: See the engines.
        device: `"auto"`, or one of `runtimes.PROVIDERS`.

    Raises:
        InputError: If a name is unknown, or the engine does not run on the device.
    """
    if name not in settings.ENGINES:
        raise InputError(
            f"--engine must be one of {', '.join(settings.ENGINES)}. Received: {name}"
        )
    if device not in settings.DEVICES:
        raise InputError(
            f"--device must be one of {', '.join(settings.DEVICES)}. Received: {device}"
        )
    if device not in ("auto", "cpu"):
        if name not in ("auto", OnnxRuntimeEngine.name):
            raise InputError(
                f"--device={device} is for --engine=onnxruntime. Received: "
                f"--engine={name}"
            )
        return OnnxRuntimeEngine.name
    if name == "auto":
        fitting = (one for one, kind in ENGINES.items() if kind.suits(precision))
        name = next(fitting, KerasEngine.name)
    return name


class Engine(Protocol):
    """Runs a swapper's network.

    Attributes:
        name: As flags say it.
        precision: What it computes in.
    """

    name: str
    precision: str

    def __call__(self, feeds: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Returns the outputs by name, float32.

        Args:
            feeds: The inputs by name, one row a face.
        """


def make_engine(
    generator: SwapperNetwork | PortableFile,
    name: str = "auto",
    precision: str = "f32",
    outputs: tuple[str, ...] | None = None,
    embed: Callable[[np.ndarray], np.ndarray] | None = None,
    device: str = "auto",
) -> Engine:
    """Returns the engine for a generator.

    Args:
        generator: Its portable file; or what `load_generator` or a builder gave, which
            is fused here.
        name: See `choose`.
        precision: See the engines.
        outputs: Names of what is wanted; None: what the generator gives by itself.
        embed: See `OpenVINOEngine`.
        device: See `choose`.

    Raises:
        InputError: If a name or precision is unknown or the engine is missing.
    """
    chosen = choose(name, precision, device)
    litert = isinstance(generator, PortableFile) and is_litert(generator.path)
    if litert and name == "auto":
        chosen = LiteRTEngine.name
    if chosen == LiteRTEngine.name:
        return LiteRTEngine(generator, precision, outputs, embed)
    if isinstance(generator, PortableFile) and litert:
        raise InputError(
            f"{generator.path}: a LiteRT file is for --engine=litert. Received: "
            f"--engine={name}"
        )
    if chosen == OnnxRuntimeEngine.name:
        provider = "cpu" if device == "auto" else device
        return OnnxRuntimeEngine(generator, precision, outputs, embed, provider)
    if not isinstance(generator, PortableFile) and name == "auto":
        chosen = chosen if _from_tensorflow() else KerasEngine.name
    if chosen == KerasEngine.name:
        if isinstance(generator, PortableFile):
            raise InputError(
                f"{generator.path}: Keras does not read ONNX files. Take another "
                "--engine, or give the .keras or .h5 file"
            )
        return KerasEngine(generator, precision, outputs, embed)
    return OpenVINOEngine(generator, precision, outputs, embed)


def _from_tensorflow() -> bool:
    """Whether Keras computes with TensorFlow, by which alone OpenVINO takes it over."""
    import keras

    return keras.backend.backend() == "tensorflow"
