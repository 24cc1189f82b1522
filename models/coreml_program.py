"""Computes what a Core ML package says, operation by operation, where no Core ML is.

Slow, and of the few operations that swappers here become: it shows that a package was
written as meant, weights and all. Maps of a package of 16 bits are rounded to 16 bits
after each operation. Core ML's own kernels may add up in another order.
"""

from __future__ import annotations

import importlib
import logging
import pathlib
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from keras import ops


def tools() -> Any:
    """Returns coremltools, which keeps its remarks on other versions to itself."""
    logging.getLogger("coremltools").setLevel(logging.ERROR)
    return importlib.import_module("coremltools")


def run(
    path: pathlib.Path, inputs: Mapping[str, np.ndarray]
) -> dict[str, np.ndarray] | None:
    """Returns the outputs by name, float32; None where an operation is not known here.

    Args:
        path: The package.
        inputs: Arrays by the names of the inputs.
    """
    block, names = _program(path)
    if any(one.op_type not in _KNOWN for one in block.operations):
        return None
    values: dict[str, Any] = dict(inputs)

    def value_of(given: Any) -> Any:
        if isinstance(given, list | tuple):
            return [value_of(one) for one in given]
        return given.val if given.val is not None else values[given.name]

    for one in block.operations:
        if one.op_type == "const":
            continue
        fed = {name: value_of(given) for name, given in one.inputs.items()}
        found = _KNOWN[one.op_type](**fed)
        (end,) = one.outputs
        values[end.name] = np.asarray(found).astype(_type_of(end))
    return {
        name: np.asarray(value_of(end), np.float32)
        for name, end in zip(names, block.outputs, strict=True)
    }


def _program(path: pathlib.Path) -> tuple[Any, list[str]]:
    """Returns the operations of a package, and the names of its outputs."""
    package = tools()
    reader = importlib.import_module(
        "coremltools.converters.mil.frontend.milproto.load"
    )
    model = package.models.MLModel(str(path), skip_model_load=True)
    spec = model.get_spec()
    program = reader.load(spec, spec.specificationVersion, model.weights_dir)
    return program.functions["main"], [one.name for one in spec.description.output]


def _type_of(end: Any) -> np.dtype:
    types = importlib.import_module("coremltools.converters.mil.mil.types")
    return np.dtype(types.nptype_from_builtin(end.dtype))


def _conv(x: Any, weight: Any, bias: Any = None, **told: Any) -> np.ndarray:
    """Maps are channels first; kernels are `(out, in, height, width)`."""
    kind = str(told.get("pad_type", "valid"))
    x = np.moveaxis(np.asarray(x, np.float32), 1, -1)
    if kind == "custom":
        edges = np.reshape(told["pad"], (-1, 2))
        x = np.pad(x, [(0, 0), *map(tuple, edges), (0, 0)])
        kind = "valid"
    found = ops.conv(
        x,
        np.transpose(np.asarray(weight, np.float32), (2, 3, 1, 0)),
        strides=tuple(int(n) for n in told.get("strides", (1, 1))),
        dilation_rate=tuple(int(n) for n in told.get("dilations", (1, 1))),
        padding=kind,
        data_format="channels_last",
    )
    found = np.moveaxis(ops.convert_to_numpy(found), -1, 1)
    return found if bias is None else found + np.reshape(bias, (1, -1, 1, 1))


def _batch_norm(
    x: Any, mean: Any, variance: Any, gamma: Any = 1.0, beta: Any = 0.0, **told: Any
) -> np.ndarray:
    mean, variance, gamma, beta = (
        np.reshape(one, (1, -1) + (1,) * (np.ndim(x) - 2))
        for one in (mean, variance, gamma, beta)
    )
    return (x - mean) / np.sqrt(variance + told["epsilon"]) * gamma + beta


def _pad(x: Any, pad: Any, mode: Any = "constant", constant_val: Any = 0.0) -> Any:
    edges = [tuple(edge) for edge in np.reshape(pad, (-1, 2))]
    edges = [(0, 0)] * (np.ndim(x) - len(edges)) + edges
    if str(mode) == "constant":
        return np.pad(x, edges, constant_values=constant_val)
    return np.pad(x, edges, "reflect" if str(mode) == "reflect" else "edge")


def _matmul(x: Any, y: Any, transpose_x: Any = False, transpose_y: Any = False) -> Any:
    x = np.swapaxes(x, -1, -2) if transpose_x else x
    return np.matmul(x, np.swapaxes(y, -1, -2) if transpose_y else y)


_KNOWN: dict[str, Callable[..., Any]] = {
    "abs": lambda x: np.abs(x),
    "const": lambda **told: None,
    "add": lambda x, y: x + y,
    "batch_norm": _batch_norm,
    "cast": lambda x, dtype: x,  # each result is brought to its type
    "conv": _conv,
    "expand_dims": lambda x, axes: np.expand_dims(x, tuple(axes)),
    "gather": lambda x, indices, axis, **told: np.take(x, indices, axis),
    "leaky_relu": lambda x, alpha: np.where(x < 0, x * alpha, x),
    "linear": lambda x, weight, bias=0.0: x @ np.transpose(weight) + bias,
    "matmul": _matmul,
    "mul": lambda x, y: x * y,
    "pad": _pad,
    "prelu": lambda x, alpha: np.where(x < 0, x * np.reshape(alpha, (-1, 1, 1)), x),
    "relu": lambda x: np.maximum(x, 0),
    "reshape": lambda x, shape: np.reshape(x, shape),
    "sigmoid": lambda x: 0.5 * (1.0 + np.tanh(0.5 * x)),
    "squeeze": lambda x, axes=None: np.squeeze(
        x, None if axes is None else tuple(axes)
    ),
    "sub": lambda x, y: x - y,
    "tanh": lambda x: np.tanh(x),
    "transpose": lambda x, perm: np.transpose(x, perm),
}
