"""The engines by name, and the choice of one.

An engine is called as `engine(feeds)`: float32 arrays `(n, ...)` by the names of the
swapper's inputs, for any n, give float32 arrays by the names of its outputs; see
`contract.INPUTS` and `contract.OUTPUTS`. A new engine is a class with `name`,
`precisions` and `suits` in a file of this room, an entry here, and its name in
`video_swap.settings`, which loads no network library.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

import numpy as np

from facedancer.errors import InputError
from facedancer.models.families.built_network import SwapperNetwork
from facedancer.video_swap import settings
from facedancer.video_swap.engines.keras_engine import KerasEngine
from facedancer.video_swap.engines.openvino_engine import OpenVINOEngine

# "auto" takes the first that suits the machine and the precision.
ENGINES = {one.name: one for one in (OpenVINOEngine, KerasEngine)}


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
    generator: SwapperNetwork,
    name: str = "auto",
    precision: str = "f32",
    outputs: tuple[str, ...] | None = None,
    embed: Callable[[np.ndarray], np.ndarray] | None = None,
) -> Engine:
    """Returns the engine for a generator.

    Args:
        generator: What `load_generator` or a builder gave; it is fused here.
        name: One of `settings.ENGINES`; `"auto"` is OpenVINO on a CPU where it is
            installed, else Keras.
        precision: See the engines.
        outputs: Names of what is wanted; None: what the generator gives by itself.
        embed: See `OpenVINOEngine`.

    Raises:
        InputError: If the name or precision is unknown or the engine is missing.
    """
    if name not in settings.ENGINES:
        raise InputError(
            f"--engine must be one of {', '.join(settings.ENGINES)}. Received: {name}"
        )
    if name == "auto":
        fitting = (one for one, kind in ENGINES.items() if kind.suits(precision))
        name = next(fitting, KerasEngine.name)
    return ENGINES[name](generator, precision, outputs, embed)
