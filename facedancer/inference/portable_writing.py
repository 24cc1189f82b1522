"""Turns a Keras network into a portable file (`portable`). Needs TensorFlow.

The graph comes from Keras' own export. Four things are changed in it: norms that are
written as seven operations become the one that runtimes have for them; maps stay
channels first where all between two transposes goes by channel; repeated maps are
joined of their copies, as a reader must not follow a number of repeats; and weights
that 16 bits hold exactly are stored in 16 bits, so that the file is half as large and
its results are the same.
"""

from __future__ import annotations

import os
import pathlib
import tempfile
from collections.abc import Mapping, Sequence
from typing import Any, TypeGuard

import keras
import numpy as np
import onnx
from tf2onnx.graph import GraphUtil

from facedancer.inference import portable

_TO_LAST = [0, 2, 3, 1]  # channels first to channels last
_TO_FIRST = [0, 3, 1, 2]
_EACH_NUMBER = frozenset(("LeakyRelu", "Relu", "Sigmoid", "Tanh"))
_WITH_ANOTHER = frozenset(("Add", "Div", "Mul", "Sub"))
_SMALL = 256  # numbers up to which an array is not worth a further operation


def save(
    network: keras.Model,
    path: str | os.PathLike,
    feeds: Mapping[str, np.ndarray],
    facts: Mapping[str, Any],
) -> None:
    """Writes a network as a portable file.

    Args:
        network: A functional model whose call gives a dict of outputs by name.
        path: The file.
        feeds: Inputs by name, of any values; the network is called with them once, as
            the export wants one that was called.
        facts: What the file says of itself, see `portable`.
    """
    given = [feeds[tensor.name] for tensor in network.inputs]
    network(given if len(given) > 1 else given[0])
    with tempfile.TemporaryDirectory() as folder:
        exported = pathlib.Path(folder, "network.onnx")
        network.export(str(exported), format="onnx", verbose=False)
        model = onnx.load(str(exported))
    _join_norms(model)
    model = _without_detours(model)
    keep_channels_first(model)
    join_copies(model)
    _halve(model.graph)
    del model.metadata_props[:]
    model.doc_string = ""
    onnx.checker.check_model(model)
    portable.write(path, model.SerializeToString(), dict(facts))


def _without_detours(model: onnx.ModelProto) -> onnx.ModelProto:
    """Returns the model without transposes that the norms had kept apart."""
    return GraphUtil.optimize_model_proto(model)


def _join_norms(model: onnx.ModelProto) -> None:
    """Writes instance norms as one operation.

    `(x - mean(x)) / sqrt(mean((x - mean(x)) ** 2) + e)`, means over height and width.
    The export keeps maps channels first, and transposes them for the division.
    """
    graph = model.graph
    shapes = _channels(model)
    made = {name: node for node in graph.node for name in node.output}
    arrays = {a.name: onnx.numpy_helper.to_array(a) for a in graph.initializer}
    for node in list(graph.node):
        found = _norm(node, made, arrays) if node.op_type == "Div" else None
        if found is None or found[0] not in shapes:
            continue
        name, epsilon = found
        ends = []
        for kind, value in (("scale", 1.0), ("shift", 0.0)):
            ends.append(f"norm_{kind}_{shapes[name]}")
            if ends[-1] not in arrays:
                arrays[ends[-1]] = np.full(shapes[name], value, np.float32)
                graph.initializer.append(
                    onnx.numpy_helper.from_array(arrays[ends[-1]], ends[-1])
                )
        norm = f"{node.output[0]}_norm"
        index = list(graph.node).index(node)
        graph.node.remove(node)
        pair = (
            onnx.helper.make_node(
                "InstanceNormalization", [name, *ends], [norm], norm, epsilon=epsilon
            ),
            onnx.helper.make_node(
                "Transpose", [norm], list(node.output), node.name, perm=_TO_LAST
            ),
        )
        for made_node in reversed(pair):
            graph.node.insert(index, made_node)
    _drop_unused(graph)


def _norm(
    node: onnx.NodeProto,
    made: Mapping[str, onnx.NodeProto],
    arrays: Mapping[str, np.ndarray],
) -> tuple[str, float] | None:
    """Returns input and epsilon of the norm that ends in a division."""
    turned, root = (made.get(name) for name in node.input)
    total = _before(root, "Sqrt", made)
    variance = _before(total, "Add", made)
    square = _before(variance, "ReduceMean", made)
    apart = _before(turned, "Transpose", made)
    if not (_is(turned, "Transpose") and _is(apart, "Sub") and _is(square, "Pow")):
        return None
    if not (_is(total, "Add") and _is(variance, "ReduceMean")):
        return None
    if square.input[0] != turned.output[0] or _ints(turned, "perm") != _TO_LAST:
        return None
    if _ints(variance, "axes") != [1, 2] or total.input[1] not in arrays:
        return None
    mean = made.get(apart.input[1])
    if _is(mean, "Reshape"):
        mean = made.get(mean.input[0])
    if not _is(mean, "GlobalAveragePool") or mean.input[0] != apart.input[0]:
        return None
    return apart.input[0], float(arrays[total.input[1]].reshape(()))


def _before(
    node: onnx.NodeProto | None, kind: str, made: Mapping[str, onnx.NodeProto]
) -> onnx.NodeProto | None:
    """Returns the first input's node of a node of some kind, else None."""
    return made.get(node.input[0]) if _is(node, kind) else None


def _is(node: onnx.NodeProto | None, kind: str) -> TypeGuard[onnx.NodeProto]:
    return node is not None and node.op_type == kind


def _ints(node: onnx.NodeProto, name: str) -> list[int]:
    return next((list(one.ints) for one in node.attribute if one.name == name), [])


def _channels(model: onnx.ModelProto) -> dict[str, int]:
    """Returns how many channels each map has, where that is known."""
    shapes = _shapes(model)
    return {n: sizes[1] for n, sizes in shapes.items() if len(sizes) == 4 and sizes[1]}


def keep_channels_first(model: onnx.ModelProto) -> None:
    """Takes two transposes away where all between them goes by channel.

    A modulated norm multiplies and adds one number a channel between a norm and a
    convolution, which both keep maps channels first: the numbers are turned instead.

    Args:
        model: Changed in place.
    """
    graph, shapes = model.graph, _shapes(model)
    for first in [node for node in graph.node if _turns(node, _TO_LAST)]:
        chain = _chain(first, graph, shapes)
        if chain:
            _keep_first(chain, graph)
            del graph.value_info[:]  # shapes of maps as they lay before


def _chain(
    first: onnx.NodeProto, graph: onnx.GraphProto, shapes: Mapping[str, list[int]]
) -> list[onnx.NodeProto]:
    """Returns a transpose, what follows it, and the transpose that undoes it.

    Empty if there is none, or something between is taken elsewhere too or does not go
    by channel.
    """
    chain, ends = [first], {one.name for one in graph.output}
    while True:
        name = chain[-1].output[0]
        takers = [node for node in graph.node if name in node.input]
        if len(takers) != 1 or name in ends:
            return []
        chain.append(takers[0])
        if _turns(chain[-1], _TO_FIRST):
            return [] if chain[-1].output[0] in ends else chain
        if not _goes_by_channel(chain[-1], name, shapes):
            return []


def _goes_by_channel(
    node: onnx.NodeProto, name: str, shapes: Mapping[str, list[int]]
) -> bool:
    """Whether an operation treats all numbers of a channel of a map alike."""
    if node.op_type in _EACH_NUMBER:
        return True
    others = [shapes.get(other, []) for other in node.input if other != name]
    if node.op_type not in _WITH_ANOTHER or len(others) != 1:
        return False
    return len(others[0]) == 4 and others[0][1:3] == [1, 1]


def _keep_first(chain: Sequence[onnx.NodeProto], graph: onnx.GraphProto) -> None:
    first, *between, last = chain
    name, now = first.output[0], first.input[0]
    for node in between:
        for i, other in enumerate(node.input):
            node.input[i] = now if other == name else f"{node.output[0]}_numbers"
            if other != name:
                turned = onnx.helper.make_node(
                    "Transpose", [other], [node.input[i]], perm=_TO_FIRST
                )
                graph.node.insert(list(graph.node).index(node), turned)
        name = now = node.output[0]
    for node in graph.node:
        taken = [now if other == last.output[0] else other for other in node.input]
        node.input[:] = taken
    graph.node.remove(first)
    graph.node.remove(last)


def join_copies(model: onnx.ModelProto) -> None:
    """Writes `Tile` by known numbers as `Concat`, axis after axis.

    Args:
        model: Changed in place; a `Tile` by numbers that are computed stays.
    """
    graph = model.graph
    arrays = {a.name: onnx.numpy_helper.to_array(a) for a in graph.initializer}
    for tile in [node for node in graph.node if _is(node, "Tile")]:
        if tile.input[1] not in arrays:
            continue
        index, now = list(graph.node).index(tile), tile.input[0]
        counts = [(axis, n) for axis, n in enumerate(arrays[tile.input[1]]) if n != 1]
        ends = [f"{tile.output[0]}_{axis}" for axis, _ in counts[:-1]]
        graph.node.remove(tile)
        for (axis, count), end in zip(counts, [*ends, tile.output[0]], strict=True):
            joined = onnx.helper.make_node("Concat", [now] * count, [end], axis=axis)
            graph.node.insert(index, joined)
            index, now = index + 1, end
    _drop_unused(graph)


def _turns(node: onnx.NodeProto, perm: list[int]) -> bool:
    return node.op_type == "Transpose" and _ints(node, "perm") == perm


def _shapes(model: onnx.ModelProto) -> dict[str, list[int]]:
    """Returns the shapes that are known; 0 where a length is open."""
    known = onnx.shape_inference.infer_shapes(model).graph
    found = {array.name: list(array.dims) for array in known.initializer}
    for value in (*known.value_info, *known.input):
        sizes = [one.dim_value for one in value.type.tensor_type.shape.dim]
        found[value.name] = sizes
    return found


def _drop_unused(graph: onnx.GraphProto) -> None:
    """Removes what nothing takes any more."""
    wanted = {one.name for one in graph.output}
    for node in reversed(list(graph.node)):
        if wanted.isdisjoint(node.output):
            graph.node.remove(node)
        else:
            wanted.update(node.input)
    for array in list(graph.initializer):
        if array.name not in wanted:
            graph.initializer.remove(array)


def _halve(graph: onnx.GraphProto) -> None:
    """Stores in 16 bits what these hold exactly; it is cast to 32 when it is read."""
    casts = []
    for array in graph.initializer:
        values = onnx.numpy_helper.to_array(array)
        if values.dtype != np.float32 or values.size <= _SMALL:
            continue
        with np.errstate(over="ignore"):
            half = values.astype(np.float16)
        if not np.array_equal(half.astype(np.float32), values):
            continue
        name, short = array.name, f"{array.name}_half"
        array.CopyFrom(onnx.numpy_helper.from_array(half, short))
        casts.append(
            onnx.helper.make_node(
                "Cast", [short], [name], name=f"{name}_cast", to=onnx.TensorProto.FLOAT
            )
        )
    for cast in reversed(casts):
        graph.node.insert(0, cast)
