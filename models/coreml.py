"""Turns a network into a Core ML package, `.mlpackage`, for Apple's devices.

A package is a folder: an ML program for one example at a time, its weights of 32 or 16
bits, and under `portable.KEY` of its metadata what swapping needs to know. It is
written wherever coremltools installs, and runs on macOS and iOS only. Needs TensorFlow.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import os
import pathlib
import platform
from collections.abc import Mapping
from typing import Any

import numpy as np

from facedancer.inference import portable
from facedancer.models import coreml_program, portable_generator, saving
from facedancer.networks.contract import SwapContract
from facedancer.networks.network import Network
from facedancer.storage import files

ENDING = ".mlpackage"
PRECISIONS = {"f32": "FLOAT32", "f16": "FLOAT16"}  # as coremltools calls them
# Makes of each factor and shift a batch norm whose epsilon changes it by 5e-6.
_INEXACT = "common::fuse_elementwise_to_batchnorm"
_RUNS_ON = "Darwin"


def save(network: Network, path: str | os.PathLike, precision: str = "f32") -> None:
    """Writes a Core ML package, of a generator with what swapping needs to know.

    Args:
        network: The network.
        path: The folder; its name ends in `ENDING`.
        precision: A key of `PRECISIONS`.
    """
    made = convert(network, precision)
    if isinstance(getattr(network, "contract", None), SwapContract):
        facts = portable_generator.describe(network) | {"precision": precision}
        made.user_defined_metadata[portable.KEY] = json.dumps(facts, sort_keys=True)
    with files.whole(path) as temporary:
        made.save(str(temporary))


def convert(network: Network, precision: str = "f32") -> Any:
    """Returns a network as a model of coremltools, its ends called as in Keras.

    Args:
        network: The network.
        precision: A key of `PRECISIONS`.

    Raises:
        ValueError: If the precision is unknown.
    """
    if precision not in PRECISIONS:
        raise ValueError(
            f"`precision` must be one of {', '.join(PRECISIONS)}. Received: {precision}"
        )
    tools = coreml_program.tools()
    frozen, names = _frozen(network)
    passes = tools.PassPipeline()
    passes.remove_passes({_INEXACT})
    with contextlib.redirect_stderr(io.StringIO()):  # its bars of progress
        made = tools.convert(
            [frozen],
            source="tensorflow",
            convert_to="mlprogram",
            minimum_deployment_target=tools.target.iOS16,
            compute_precision=getattr(tools.precision, PRECISIONS[precision]),
            pass_pipeline=passes,
            skip_model_load=True,
        )
    spec = made.get_spec()
    given = [one.name for one in spec.description.output]
    # The converter calls the outputs by their nodes, which stand in this order.
    for before, name in zip(given, names, strict=True):
        tools.utils.rename_feature(spec, before, name, rename_inputs=False)
    return tools.models.MLModel(
        spec, weights_dir=made.weights_dir, skip_model_load=True
    )


def run(
    path: pathlib.Path, inputs: Mapping[str, np.ndarray]
) -> dict[str, np.ndarray] | None:
    """Returns what a package makes of arrays; None where that cannot be computed.

    By Core ML on a Mac, elsewhere by `coreml_program`.

    Args:
        path: The package.
        inputs: `(1, ...)` arrays by the names of the inputs.
    """
    if platform.system() != _RUNS_ON:
        return coreml_program.run(path, inputs)
    return coreml_program.tools().models.MLModel(str(path)).predict(dict(inputs))


def _frozen(network: Network) -> tuple[Any, list[str]]:
    """Returns a network as a TensorFlow function of constants; names of its outputs."""
    tensorflow = importlib.import_module("tensorflow")
    constants = importlib.import_module(
        "tensorflow.python.framework.convert_to_constants"
    )
    named, feeds = saving.with_named_ends(network), network.example_inputs(batch=1)
    ends = [end.name for end in named.inputs]
    names = list(named.output)

    def call(**inputs: Any) -> list[Any]:
        found = named([inputs[name] for name in ends], training=False)
        return [found[name] for name in names]

    signature = {
        name: tensorflow.TensorSpec(feeds[name].shape, feeds[name].dtype, name=name)
        for name in ends
    }
    function = tensorflow.function(call, autograph=False)
    traced = function.get_concrete_function(**signature)
    return constants.convert_variables_to_constants_v2(traced), names
