"""The graph of layers that a Keras config describes, of Keras 2 or 3.

Nothing is built and no class is looked up: a config is read as plain data.
"""

from __future__ import annotations

import collections
import dataclasses
import graphlib
from collections.abc import Iterable, Iterator
from typing import Any

from facedancer.errors import InputError


@dataclasses.dataclass(frozen=True)
class Node:
    """One layer of a graph.

    Attributes:
        name: Its name in the file.
        kind: Its class, without the package in front of it.
        settings: Its config.
        inputs: Names of the layers it reads, in the order of its arguments.
    """

    name: str
    kind: str
    settings: dict[str, Any]
    inputs: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Graph:
    """A functional model.

    Attributes:
        nodes: All layers by name.
        outputs: Names of the layers whose results the model returns.
    """

    nodes: dict[str, Node]
    outputs: tuple[str, ...]

    def source(self, node: Node, position: int = 0) -> Node:
        """Returns the layer that a layer reads.

        Args:
            node: The layer that reads.
            position: Which of its inputs.

        Raises:
            InputError: If it has no such input.
        """
        if position >= len(node.inputs):
            raise InputError(
                f"layer {node.name!r} ({node.kind}) has {len(node.inputs)} inputs, "
                f"expected at least {position + 1}"
            )
        return self.nodes[node.inputs[position]]

    def sources(self, node: Node) -> list[Node]:
        """Returns all layers that a layer reads.

        Args:
            node: The layer that reads.
        """
        return [self.nodes[name] for name in node.inputs]

    def inputs(self) -> list[Node]:
        """Returns the input layers, in the order of the file."""
        return [node for node in self.nodes.values() if node.kind == "InputLayer"]

    def describe(self) -> str:
        """Returns what the model is made of, for a message."""
        shapes = [_shape_text(shape_of(node)) for node in self.inputs()]
        counts = collections.Counter(node.kind for node in self.nodes.values())
        commonest = ", ".join(f"{n} {kind}" for kind, n in counts.most_common(4))
        return f"a model with inputs {' and '.join(shapes) or 'unknown'} of {commonest}"


def shape_of(node: Node) -> tuple[int | None, ...]:
    """Returns the shape of an input layer without the batch axis.

    Args:
        node: A layer of kind `InputLayer`.
    """
    shape = node.settings.get("batch_input_shape") or node.settings.get("batch_shape")
    return tuple(shape or (None,))[1:]


def _shape_text(shape: Iterable[int | None]) -> str:
    return "x".join("?" if side is None else str(side) for side in shape)


def _references(value: Any) -> Iterator[str]:
    """Yields the layers that a stored call refers to, in order.

    Keras 2 writes `[name, node, tensor, arguments]` with further references in the
    arguments, Keras 3 a tensor with a `keras_history`.
    """
    if isinstance(value, list):
        if len(value) >= 3 and isinstance(value[0], str) and type(value[1]) is int:
            if value[0] == "_CONSTANT_VALUE":  # a number in place of a layer
                return
            yield value[0]
            value = value[3:]
        for item in value:
            yield from _references(item)
    elif isinstance(value, dict):
        if "keras_history" in value:
            yield value["keras_history"][0]
        else:
            for item in value.values():
                yield from _references(item)


def from_config(config: Any) -> Graph:
    """Returns the graph of a stored model config.

    Args:
        config: What a file holds: a dict with `class_name` and `config`.

    Raises:
        InputError: If it is no functional model, or its layers form a loop. A part
            of another kind raises what Python does (`untrusted.READING_ERRORS`).
    """
    inner = config.get("config") if isinstance(config, dict) else None
    if not isinstance(inner, dict) or not isinstance(inner.get("layers"), list):
        kind = config.get("class_name") if isinstance(config, dict) else type(config)
        raise InputError(f"expected a functional model, found {kind!r}")
    return _read(inner)


def _read(inner: dict[str, Any]) -> Graph:
    nodes = {}
    for layer in inner["layers"]:
        name = layer.get("name") or layer["config"]["name"]
        kind = layer["class_name"].rpartition(">")[2]
        inputs = tuple(_references(layer.get("inbound_nodes", [])))
        nodes[name] = Node(name, kind, layer["config"], inputs)
    outputs = tuple(_references(inner.get("output_layers", [])))
    missing = {name for node in nodes.values() for name in node.inputs} - set(nodes)
    missing |= set(outputs) - set(nodes)
    if missing or not outputs:
        raise InputError(
            "the description of the model is damaged: layers without a description: "
            f"{sorted(missing) or 'the output'}"
        )
    try:
        graphlib.TopologicalSorter({n: x.inputs for n, x in nodes.items()}).prepare()
    except graphlib.CycleError:
        raise InputError("the layers of the model form a loop") from None
    return Graph(nodes, outputs)
