"""Which FaceDancer network a graph of layers is: its config, and which layer is which.

The graph is followed from its output to its inputs (`pieces`); names and counters of
the file play no part.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

from facedancer.errors import InputError
from facedancer.models.families.facedancer.config import (
    DiscriminatorConfig,
    GeneratorConfig,
)
from facedancer.models.published.graph import Graph, Node, shape_of
from facedancer.models.published.recognise import Block, Fusion, Reader, image_side


@dataclasses.dataclass(frozen=True)
class Structure:
    """A recognised network.

    Attributes:
        config: Its structure.
        names: The file's name of every layer with weights, by our name.
    """

    config: GeneratorConfig | DiscriminatorConfig
    names: dict[str, str]


def kind_of(graph: Graph) -> str:
    """Returns what a graph seems to be, by its layers.

    Args:
        graph: The graph of a file.

    Returns:
        `"generator"`, `"discriminator"`, `"face encoder"`, `"face detector"` or
        `"other"`.
    """
    kinds = {node.kind for node in graph.nodes.values()}
    if {"AdaIN", "InstanceNormalization"} <= kinds and len(graph.inputs()) == 2:
        return "generator"
    if "InstanceNormalization" in kinds and len(graph.inputs()) == 1:
        return "discriminator"
    names = " ".join(graph.nodes).lower()
    if "fpn" in names or "ssh" in names:
        return "face detector"
    if kinds & {"Functional", "Model"}:
        return "face encoder"
    return "other"


def read_generator(graph: Graph) -> Structure:
    """Returns the structure of a generator's graph.

    Args:
        graph: The graph of a file.

    Raises:
        InputError: If it is no FaceDancer generator; the text names the layer that
            does not fit.
    """
    return _Generator(graph).read()


def read_discriminator(graph: Graph) -> Structure:
    """Returns the structure of a discriminator's graph.

    Args:
        graph: The graph of a file.

    Raises:
        InputError: If it is no FaceDancer discriminator; the text names the layer
            that does not fit.
    """
    reader = Reader(graph)
    logit = reader.expect(_only_output(graph), "Reshape|Flatten")
    score = reader.conv(graph.source(logit), 1)
    reader.expect(score, "Conv2D", {"filters": 1})
    head = reader.leaky(graph.source(score))
    blocks, stem = _encoder(reader.discriminator_block, graph.source(head))
    size = image_side(graph.source(reader.conv(stem, 3)))
    reader.conv(head, size >> len(blocks), padding="valid")
    widths = [stem.settings["filters"], *(block.filters for block in blocks)]
    reader.expect(head, "Conv2D", {"filters": widths[-1]})
    names = {"stem": stem.name, "head": head.name, "score": score.name}
    for i, block in enumerate(blocks, start=1):
        names |= _named(f"down{size >> i}", block.layers)
    config = DiscriminatorConfig(
        image_size=size, stages=len(blocks), widths=tuple(widths)
    )
    return Structure(config, names)


def _only_output(graph: Graph) -> Node:
    if len(graph.outputs) != 1:
        raise InputError(f"expected one output, found {len(graph.outputs)}")
    return graph.nodes[graph.outputs[0]]


def _named(piece: str, layers: dict[str, str]) -> dict[str, str]:
    return {f"{piece}_{role}": name for role, name in layers.items()}


def _encoder(read: Callable[[Node], Block], node: Node) -> tuple[list[Block], Node]:
    """Returns the halving blocks that lead to a layer, first to last, and the stem."""
    blocks: list[Block] = []
    while node.kind != "Conv2D":
        block = read(node)
        if block.resample != "down" or block.identity is not None:
            raise InputError(f"layer {node.name!r} does not end a halving block")
        blocks.insert(0, block)
        node = block.source
    return blocks, node


class _Generator:
    """Reads a generator's graph piece by piece, from the output."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.reader = Reader(graph)
        self.names: dict[str, str] = {}

    def read(self) -> Structure:
        output = _only_output(self.graph)
        activation = "linear"
        if output.kind == "Activation":
            activation = output.settings.get("activation", "")
            output = self.graph.source(output)
        final = self._block(output, None)
        self.reader.expect(
            self.graph.nodes[final.layers["conv"]], "Conv2D", {"filters": 3}
        )
        ups, fusions, latent = self._decoder(final)
        middle = self._block(latent.source, None)
        downs, stem = _encoder(self.reader.block, middle.source)
        self.reader.conv(stem, 3)
        widths = self._widths(stem, downs, middle, latent, ups)
        self._check_skips(fusions, [stem.name, *self._ends(downs[1:] + [middle])])
        sizes, start = self._mapping(self._identity([final, *ups, latent]))
        normalised = start.kind != "InputLayer"
        if normalised:
            start = self.reader.normalised(start)
        identity_size = self._identity_size(start)
        config = GeneratorConfig(
            image_size=image_side(self.graph.source(stem)),
            stages=len(downs),
            widths=widths,
            up_types=tuple(fusion.kind for fusion in reversed(fusions)),
            mapping_sizes=sizes,
            identity_size=identity_size,
            normalise_identity=normalised,
            output_activation=activation,
            final_adain=final.identity is not None,
        )
        self._name(config, stem, downs, middle, latent, ups, fusions, final)
        return Structure(config, self.names)

    def _block(self, node: Node, resample: str | None) -> Block:
        block = self.reader.block(node)
        if block.resample != resample:
            raise InputError(
                f"the block that ends in {node.name!r} resamples "
                f"{block.resample or 'nothing'}, expected {resample or 'nothing'}"
            )
        return block

    def _decoder(self, final: Block) -> tuple[list[Block], list[Fusion], Block]:
        """Returns enlarging blocks and fusions, largest first, and the first block."""
        ups: list[Block] = []
        fusions: list[Fusion] = []
        source = final.source
        while True:
            fusions.append(self.reader.fusion(source))
            block = self.reader.block(fusions[-1].up)
            if block.identity is None or block.resample == "down":
                raise InputError(f"the block before {source.name!r} has no AdaIN")
            if block.resample is None:
                return ups, fusions, block
            ups.append(block)
            source = block.source

    @staticmethod
    def _ends(readers: list[Block]) -> list[str]:
        """Returns the layers that the blocks read: where the ones before them end."""
        return [block.source.name for block in readers]

    @staticmethod
    def _widths(
        stem: Node,
        downs: Sequence[Block],
        middle: Block,
        latent: Block,
        ups: Sequence[Block],
    ) -> tuple[int, ...]:
        widths = [stem.settings["filters"], *(block.filters for block in downs)]
        back = [block.filters for block in ups] + [latent.filters]
        if back != widths or middle.filters != widths[-1]:
            raise InputError(
                f"the decoder has the widths {back}, expected the encoder's, {widths}"
            )
        return tuple(widths)

    @staticmethod
    def _check_skips(fusions: Sequence[Fusion], ends: Sequence[str]) -> None:
        for fusion, end in zip(fusions, ends, strict=True):
            if fusion.skip not in (None, end):
                raise InputError(
                    f"a skip connection starts at {fusion.skip!r}, expected {end!r}"
                )

    @staticmethod
    def _identity(blocks: list[Block]) -> str:
        found = {block.identity for block in blocks if block.identity is not None}
        if len(found) != 1:
            raise InputError(f"AdaIN reads several vectors: {sorted(found)}")
        return found.pop()

    def _mapping(self, name: str) -> tuple[tuple[int, ...], Node]:
        """Returns the sizes of the mapping network and the layer that it reads."""
        node = self.graph.nodes[name]
        layers: list[Node] = []
        while node.kind in ("Dense", "LeakyReLU"):
            if layers:
                node = self.reader.leaky(node)
            self.reader.expect(
                node, "Dense", {"activation": "linear", "use_bias": True}
            )
            layers.insert(0, node)
            node = self.graph.source(node)
        self.names |= {f"mapping{i}": layer.name for i, layer in enumerate(layers)}
        return tuple(layer.settings["units"] for layer in layers), node

    def _identity_size(self, start: Node) -> int:
        """Returns the length of the vectors of the input that the mapping reads."""
        self.reader.expect(start, "InputLayer")
        sizes = [shape_of(node) for node in self.graph.inputs()]
        size = shape_of(start)
        if len(sizes) != 2 or len(size) != 1 or not size[0]:
            raise InputError(
                f"the inputs have the shapes {sizes}, expected an image and a vector "
                f"of a fixed length; AdaIN reads {start.name!r}"
            )
        return size[0]

    def _name(
        self,
        config: GeneratorConfig,
        stem: Node,
        downs: Sequence[Block],
        middle: Block,
        latent: Block,
        ups: Sequence[Block],
        fusions: Sequence[Fusion],
        final: Block,
    ) -> None:
        size = config.image_size
        self.names["stem"] = stem.name
        pieces: dict[str, Block | Fusion]
        pieces = {"middle": middle, "latent": latent, "final": final}
        pieces |= {f"down{size >> i}": b for i, b in enumerate(downs, start=1)}
        pieces |= {f"up{size >> i}": b for i, b in enumerate(ups)}
        pieces |= {f"fuse{size >> i}": f for i, f in enumerate(fusions)}
        for name, piece in pieces.items():
            self.names |= _named(name, piece.layers)
