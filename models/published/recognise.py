"""Recognises the pieces of the FaceDancer networks in a graph of layers.

A piece is recognised by its layers and their connections; names and counters of the
file play no part.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

from facedancer.errors import InputError
from facedancer.models.families.layer_ops import SLOPE
from facedancer.models.published import graph as graphs
from facedancer.models.published.graph import Graph, Node

_NORM_SETTINGS = {"epsilon": 1e-3, "center": True, "scale": True}
_MULTIPLY = ("math.multiply", "multiply", "operator.mul")


@dataclasses.dataclass(frozen=True)
class Block:
    """A residual block: what it reads, how it resamples, its layers by role."""

    source: Node
    resample: str | None
    identity: str | None
    filters: int
    layers: dict[str, str]


@dataclasses.dataclass(frozen=True)
class Fusion:
    """A fused skip connection; `skip` is `None` for `no_skip`."""

    kind: str
    skip: str | None
    up: Node
    layers: dict[str, str]


class LayerReader:
    """Recognises single layers of the published networks in a graph.

    Args:
        graph: The graph.
    """

    def __init__(self, graph: Graph) -> None:
        self.graph = graph

    def expect(
        self, node: Node, kinds: str, settings: Mapping[str, object] | None = None
    ) -> Node:
        """Returns the layer if it is of one of the kinds and has the settings.

        Args:
            node: The layer.
            kinds: Class names with `|` between.
            settings: Values its config must have where it names them.

        Raises:
            InputError: If it is another layer.
        """
        if node.kind not in kinds.split("|"):
            raise InputError(
                f"layer {node.name!r} is a {node.kind}, "
                f"expected {kinds.replace('|', ' or ')}"
            )
        for name, value in (settings or {}).items():
            found = node.settings.get(name, value)
            if not _same(found, value):
                raise InputError(
                    f"layer {node.name!r} ({node.kind}) has {name}={found!r}, "
                    f"expected {value!r}"
                )
        return node

    def conv(
        self, node: Node, size: int, padding: str = "same", activation: str = "linear"
    ) -> Node:
        """Returns the layer if it is such a convolution.

        Args:
            node: The layer.
            size: Side of the kernel.
            padding: As in Keras.
            activation: As in Keras.

        Raises:
            InputError: If it is another layer.
        """
        wanted = node.settings.get("padding") if size == 1 else padding
        return self.expect(
            node,
            "Conv2D",
            {
                "kernel_size": [size, size],
                "strides": [1, 1],
                "padding": wanted,
                "activation": activation,
                "use_bias": True,
                "groups": 1,
                "dilation_rate": [1, 1],
                "data_format": "channels_last",
            },
        )

    def leaky(self, node: Node) -> Node:
        """Returns what a leaky ReLU of the published slope reads.

        Args:
            node: The layer that must be the leaky ReLU.

        Raises:
            InputError: If it is another layer.
        """
        self.expect(node, "LeakyReLU", {"alpha": SLOPE, "negative_slope": SLOPE})
        return self.graph.source(node)

    def normalised(self, node: Node) -> Node:
        """Returns what is brought to the length `sqrt(d)`, the `d` vectors' size.

        Args:
            node: The factor behind the unit vectors.

        Raises:
            InputError: If it is another layer or another length.
        """
        unit = self.graph.source(self.expect(node, "Rescaling", {"offset": 0.0}))
        self.expect(unit, "UnitNormalization")
        source = self.graph.source(unit)
        (size,) = graphs.shape_of(source)
        if size is None:
            raise InputError(f"layer {source.name!r} gives vectors of no fixed length")
        self.expect(node, "Rescaling", {"scale": float(size) ** 0.5})
        return source

    def norm(self, node: Node) -> Node:
        """Returns the layer if it is an instance norm of the published settings.

        Args:
            node: The layer.

        Raises:
            InputError: If it is another layer.
        """
        return self.expect(node, "InstanceNormalization|InstanceNorm", _NORM_SETTINGS)

    def pool(self, node: Node) -> Node:
        """Returns what a 2x2 average pooling reads.

        Args:
            node: The layer that must be the pooling.

        Raises:
            InputError: If it is another layer.
        """
        self.expect(node, "AveragePooling2D", {"pool_size": [2, 2], "strides": [2, 2]})
        return self.graph.source(node)


class Reader(LayerReader):
    """Recognises pieces of the published networks in a graph: blocks and fusions.

    Args:
        graph: The graph.
    """

    def looks_like_block(self, node: Node) -> bool:
        """Whether a layer ends a residual block, and is no sum of two maps.

        Args:
            node: The layer.
        """
        return (
            node.kind == "Add"
            and {
                self._without_resampling(branch).kind
                for branch in self.graph.sources(node)
            }
            == {"Conv2D"}
            and any(
                self.graph.source(self._without_resampling(branch)).kind == "LeakyReLU"
                for branch in self.graph.sources(node)
            )
        )

    def _without_resampling(self, node: Node) -> Node:
        if node.kind in ("AveragePooling2D", "UpSampling2D"):
            return self.graph.source(node)
        return node

    def _resampling(self, branches: Sequence[Node]) -> str | None:
        kinds = {branch.kind for branch in branches}
        if kinds == {"AveragePooling2D"}:
            for branch in branches:
                self.pool(branch)
            return "down"
        if kinds == {"UpSampling2D"}:
            for branch in branches:
                self.expect(
                    branch,
                    "UpSampling2D",
                    {"size": [2, 2], "interpolation": "bilinear"},
                )
            return "up"
        return None

    def branches(self, node: Node) -> tuple[Node, Node]:
        """Returns main branch and shortcut of a sum, in this order.

        Args:
            node: The layer that must be the sum.

        Raises:
            InputError: If it is another layer, or not exactly one branch ends in a
                convolution behind a leaky ReLU.
        """
        both = self.graph.sources(self.expect(node, "Add"))
        main = [
            branch
            for branch in both
            if self._without_resampling(branch).kind == "Conv2D"
            and self.graph.source(self._without_resampling(branch)).kind == "LeakyReLU"
        ]
        if len(both) != 2 or len(main) != 1:
            raise InputError(
                f"layer {node.name!r} (Add) is not the sum of a convolution behind a "
                "leaky ReLU and of a shortcut"
            )
        shortcut = both[1] if both[0] is main[0] else both[0]
        return main[0], shortcut

    def block(self, node: Node) -> Block:
        """Returns the residual block that ends in a layer.

        Args:
            node: The sum at its end.

        Raises:
            InputError: If it is no such block.
        """
        pair = self.branches(node)
        resample = self._resampling(pair)
        main = self.conv(self._without_resampling(pair[0]), 3)
        shortcut = self.conv(self._without_resampling(pair[1]), 1)
        layers = {"conv": main.name, "shortcut": shortcut.name}
        norm, identity = self.leaky(self.graph.source(main)), None
        if norm.kind == "AdaIN":
            layers["adain"], identity = norm.name, self.graph.source(norm, 1).name
            norm = self.graph.source(norm)
        layers["norm"] = self.norm(norm).name
        source = self.graph.source(norm)
        if self.graph.source(shortcut) is not source:
            raise InputError(f"the branches of {node.name!r} do not start together")
        return Block(source, resample, identity, main.settings["filters"], layers)

    def discriminator_block(self, node: Node) -> Block:
        """Returns the discriminator's block that ends in a layer.

        Args:
            node: The sum at its end.

        Raises:
            InputError: If it is no such block.
        """
        main, pooled = self.branches(node)
        second = self.conv(main, 3)
        norm2 = self.norm(self.leaky(self.graph.source(second)))
        first = self.conv(self.pool(self.graph.source(norm2)), 3)
        norm1 = self.norm(self.leaky(self.graph.source(first)))
        shortcut = self.conv(self.pool(pooled), 1)
        source = self.graph.source(norm1)
        if self.graph.source(shortcut) is not source:
            raise InputError(f"the branches of {node.name!r} do not start together")
        found = {
            "shortcut": shortcut,
            "norm1": norm1,
            "conv1": first,
            "norm2": norm2,
            "conv2": second,
        }
        layers = {role: layer.name for role, layer in found.items()}
        return Block(source, "down", None, second.settings["filters"], layers)

    def fusion(self, node: Node) -> Fusion:
        """Returns how a skip connection is fused in the map that a block reads.

        Args:
            node: The layer that gives the map.

        Raises:
            InputError: If it is no known fusion.
        """
        if self.looks_like_block(node):
            return Fusion("no_skip", None, node, {})
        self.expect(node, "Add|Concatenate|AdaptiveAttention|Blend")
        if node.kind in ("AdaptiveAttention", "Blend"):
            return self._affa(node)
        skip, up = self.graph.source(node), self.graph.source(node, 1)
        if node.kind == "Concatenate":
            self._channels(node)
            return Fusion("concat", skip.name, up, {})
        if not self._has_identity(up) and self._has_identity(skip):
            skip, up = up, skip
        return Fusion("add", skip.name, up, {})

    def _has_identity(self, node: Node) -> bool:
        return self.looks_like_block(node) and self.block(node).identity is not None

    def _channels(self, node: Node) -> Node:
        return self.expect(
            node, "Concatenate", {"axis": 3 if node.settings.get("axis") == 3 else -1}
        )

    def _affa(self, node: Node) -> Fusion:
        mask, skip, up = (self.graph.source(node, i) for i in range(3))
        if mask.kind != "Conv2D":
            return self._double_mask(mask, skip, up)
        layers = self._mask(mask, skip, up)
        if up.kind != node.kind:
            return Fusion("affa", skip.name, up, _prefixed("affa1_mask", layers))
        inner = self._affa(up)
        if inner.kind != "affa" or inner.skip != skip.name:
            raise InputError(f"more than two attention masks end in {node.name!r}")
        layers = {**inner.layers, **_prefixed("affa2_mask", layers)}
        return Fusion("d_affa", skip.name, inner.up, layers)

    def _mask(self, mask: Node, skip: Node, up: Node) -> dict[str, str]:
        """Returns the layers of one mask head, and checks what it reads."""
        self.conv(mask, 1, activation="sigmoid")
        norm = self.norm(self.graph.source(mask))
        conv = self.conv(self.leaky(self.graph.source(norm)), 3)
        both = self._channels(self.graph.source(conv))
        if both.inputs != (skip.name, up.name):
            raise InputError(
                f"mask {mask.name!r} reads {both.inputs}, expected "
                f"{(skip.name, up.name)}"
            )
        return {"": mask.name, "_norm": norm.name, "_conv": conv.name}

    def _double_mask(self, product: Node, skip: Node, up: Node) -> Fusion:
        self.expect(product, "TFOpLambda|Multiply")
        function = product.settings.get("function", "multiply")
        heads = self.graph.sources(product)
        if function not in _MULTIPLY or len(heads) != 2:
            raise InputError(
                f"layer {product.name!r} calls {function!r} on {len(heads)} maps, "
                "expected the product of two masks"
            )
        heads.sort(key=lambda head: head.settings.get("filters", 0))
        layers: dict[str, str] = {}
        for name, head in zip(("pixel_mask", "channel_mask"), heads, strict=True):
            layers |= _prefixed(name, self._mask(head, skip, up))
        return Fusion("do_affa", skip.name, up, layers)


def _same(found: object, value: object) -> bool:
    if isinstance(value, float) and isinstance(found, int | float):
        return abs(found - value) < 1e-6
    return found == value


def _prefixed(prefix: str, layers: dict[str, str]) -> dict[str, str]:
    return {f"{prefix}{role}": name for role, name in layers.items()}


def image_side(node: Node) -> int:
    """Returns the side of a model's square image input.

    Args:
        node: The input layer.

    Raises:
        InputError: If it is no square RGB image of a fixed size.
    """
    shape = graphs.shape_of(node) if node.kind == "InputLayer" else None
    if shape is None or len(shape) != 3 or shape[0] != shape[1] or shape[2] != 3:
        raise InputError(
            f"the image input {node.name!r} has the shape {shape}, expected "
            "(size, size, 3)"
        )
    if shape[0] is None:
        raise InputError(f"the image input {node.name!r} has no fixed size")
    return shape[0]
