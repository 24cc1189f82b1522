"""Runs a swapper by Keras, on any device."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from facedancer.process import keras_needed
from facedancer.video_swap.engines import devices

if TYPE_CHECKING:
    from facedancer.models.families.built_network import SwapperNetwork

_POLICIES = {"f32": None, "bf16": "mixed_bfloat16", "f16": "mixed_float16"}


class KerasEngine:
    """Runs a swapper through one compiled function.

    Args:
        generator: What `load_generator` or a builder gave; it is fused here.
        precision: `"f32"`, or `"bf16"` or `"f16"` for mixed precision.
        outputs: Names of what is wanted; None: what the generator gives by itself.
        embed: Of no use here, see `openvino_engine.OpenVINOEngine`.
        jit: Whether XLA compiles it; None: on GPUs only (on CPUs it is slower).

    Raises:
        InputError: If the precision is unknown or there is no such output.
    """

    name = "keras"
    precisions = tuple(_POLICIES)

    def __init__(
        self,
        generator: SwapperNetwork,
        precision: str = "f32",
        outputs: tuple[str, ...] | None = None,
        embed: Callable[[np.ndarray], np.ndarray] | None = None,
        jit: bool | None = None,
    ) -> None:
        devices.check_precision(precision, self.precisions)
        from facedancer.models import fuse  # brings Keras along

        if jit is None:
            jit = bool(devices.gpus())
        options = {} if outputs is None else {"outputs": outputs}
        model = fuse(generator, **options)
        if _POLICIES[precision]:  # its weights stay in float32
            model = model.variant(dtype=_POLICIES[precision])
        self.precision = precision
        self.call = _compiled(model, jit)

    @classmethod
    def suits(cls, precision: str) -> bool:
        """Whether it can be taken on this machine.

        Args:
            precision: What is asked for.
        """
        return precision in cls.precisions and not keras_needed.missing_packages()

    def __call__(self, feeds: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Returns the outputs by name, float32.

        Args:
            feeds: `(n, ...)` arrays by the names of the inputs.
        """
        return self.call(feeds)


def _compiled(
    model: SwapperNetwork, jit: bool
) -> Callable[[Mapping[str, np.ndarray]], dict[str, np.ndarray]]:
    import keras

    if keras.backend.backend() != "tensorflow":
        return lambda feeds: _arrays(model.named(feeds))
    import tensorflow as tf

    names = model.feed_names

    @tf.function(jit_compile=jit, reduce_retracing=not jit)
    def call(feeds: dict[str, Any]) -> dict[str, Any]:
        return model.named(feeds)

    return lambda feeds: _arrays(
        call({name: tf.constant(feeds[name]) for name in names})
    )


def _arrays(outputs: Mapping[str, Any]) -> dict[str, np.ndarray]:
    import keras

    return {
        name: np.asarray(keras.ops.convert_to_numpy(value), np.float32)
        for name, value in outputs.items()
    }
