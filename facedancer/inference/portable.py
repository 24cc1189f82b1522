"""Networks as one ONNX file that OpenVINO and ONNX Runtime read: no Keras is needed.

Such a file says itself what it is: under `KEY` its metadata holds a JSON object with
`kind` (generator, encoder, detector, parser or refiner), `name`, `licence`, `source`
(SHA-256 of the file it was made from) and what this kind needs to be used, such as its
contract. It is made by `portable_writing`; here it is read, and files that do other
than compute are refused.

A generator may also be a LiteRT file, `.tflite`, for phones. Its description is packed
behind the network as a zip archive with the entry `NOTE`, where LiteRT's own tools put
such files, too; LiteRT reads past it.
"""

from __future__ import annotations

import dataclasses
import io
import json
import os
import pathlib
import zipfile
from collections.abc import Collection, Iterator
from typing import Any

from facedancer.errors import InputError
from facedancer.inference import protobuf
from facedancer.inference.openvino_core import CACHE
from facedancer.networks.contract import IdentityInput, InputContract, SwapContract
from facedancer.storage import files, untrusted, weights

KEY = "facedancer"
ENDING, LITERT = ".onnx", ".tflite"
NOTE = "facedancer.json"
# What networks are made of here. Others can ask for any amount of memory (Tile), run
# for ever (Loop) or call what a library brings along.
OPERATIONS = frozenset(
    """
    Add AveragePool BatchNormalization Cast Clip Concat Constant Conv ConvTranspose
    DepthToSpace Div Elu Erf Exp Flatten Gather Gemm GlobalAveragePool
    GlobalMaxPool HardSigmoid Identity InstanceNormalization LeakyRelu Less Log MatMul
    Max MaxPool Min Mul Neg Not PRelu Pad Pow Reciprocal ReduceMax ReduceMean ReduceProd
    ReduceSum Relu Reshape Resize Shape Sigmoid Slice Softmax Softplus SpaceToDepth
    Split Sqrt Squeeze Sub Tanh Transpose Unsqueeze
    """.split()
)
# Numbers of the fields of ONNX's messages (onnx.proto).
_GRAPH, _FUNCTIONS, _METADATA, _OPSETS = 7, 25, 14, 8
_VERSION = 2
_MAX_OPSET = 64  # far above those there are; beyond it OpenVINO crashes
_NODES, _ARRAYS, _SPARSE = 1, 5, 15
_OPERATION, _DOMAIN, _ATTRIBUTES = 4, 7, 5
_TENSOR, _ELSEWHERE, _LOCATION = 5, 13, 14
_KEY, _VALUE = 1, 2
# What networks of others are made of besides.
_OF_OTHERS = OPERATIONS | {"ConstantOfShape", "Dropout"}


@dataclasses.dataclass(frozen=True)
class PortableFile:
    """A network as a file that needs no Keras.

    Attributes:
        path: The file.
        kind: `"generator"`, `"encoder"`, `"detector"`, `"parser"` or
            `"refiner"`.
        facts: The other entries of its description.
    """

    path: pathlib.Path
    kind: str
    facts: dict[str, Any] = dataclasses.field(repr=False)

    @property
    def name(self) -> str:
        """What the network is called, for an encoder with the hash of its weights."""
        return str(self.facts["name"])

    @property
    def contract(self) -> SwapContract:
        """What a generator is fed and gives.

        Raises:
            InputError: If the description is damaged.
        """
        found = self.facts
        with untrusted.faults(self.path, "its description is damaged"):
            return SwapContract(
                InputContract(**found["image"]),
                IdentityInput(**found["identity"]),
                tuple(found["inputs"]),
                tuple(found["outputs"]),
            )

    @property
    def image(self) -> InputContract:
        """What pictures an encoder is fed.

        Raises:
            InputError: If the description is damaged.
        """
        with untrusted.faults(self.path, "its description is damaged"):
            return InputContract(**self.facts["image"])


def is_portable(path: str | os.PathLike) -> bool:
    """Whether a file goes by the name of a portable network.

    Args:
        path: The file.
    """
    return pathlib.Path(path).suffix.lower() in (ENDING, LITERT)


def is_litert(path: str | os.PathLike) -> bool:
    """Whether a file goes by the name of a LiteRT network.

    Args:
        path: The file.
    """
    return pathlib.Path(path).suffix.lower() == LITERT


def find(kind: str, path: str | os.PathLike = "") -> PortableFile | None:
    """Returns the portable form of a network, None where there is none yet.

    Args:
        kind: `"generator"`, `"encoder"`, `"detector"`, `"parser"` or
            `"refiner"`.
        path: Its file, of any form; empty: the packaged one.

    Raises:
        InputError: If a portable file is damaged or of another kind.
    """
    path = pathlib.Path(path) if path else weights.find_portable(kind)
    if is_portable(path):
        return read(path, kind)
    kept = cached(path)
    return read(kept, kind) if kept is not None and kept.is_file() else None


def cached(path: str | os.PathLike) -> pathlib.Path | None:
    """Returns where the portable form of a network is kept, by the hash of its file.

    Args:
        path: Its `.keras` or `.h5` file.

    Returns:
        None where the environment variable `CACHE` names no folder, or the network is
        no file.
    """
    folder = os.environ.get(CACHE)
    if not folder or not pathlib.Path(path).is_file():
        return None
    return pathlib.Path(folder) / f"{files.file_hash(path)}{ENDING}"


def read(path: str | os.PathLike, kind: str = "") -> PortableFile:
    """Returns what a file says of itself, after a look at what it would do.

    Args:
        path: The file.
        kind: What it must be; empty: any.

    Raises:
        InputError: If it is missing or damaged, was not made by this project, is of
            another kind, names other files or does other than compute.
    """
    path = pathlib.Path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    untrusted.check_not_empty(path, "no ONNX or LiteRT file")
    described = _litert_note(path) if is_litert(path) else _onnx_note(path)
    facts = untrusted.parse_json(described, path)
    found = str(facts.pop("kind", "nothing"))
    if kind and found != kind:
        raise InputError(f"{path}: expected the network of a {kind}, found {found}")
    if not isinstance(facts.get("name"), str):
        raise InputError(f"{path}: its description is damaged (no name)")
    return PortableFile(path, found, facts)


def _onnx_note(path: pathlib.Path) -> bytes:
    with untrusted.faults(path, "no ONNX file, or a damaged one"):
        described = _described(memoryview(path.read_bytes()))
    if described is None:
        raise InputError(
            f"{path}: an ONNX file that does not say what it is. Make it by "
            "`facedancer convert NETWORK.keras NETWORK.onnx`; for encoders that "
            "others made `facedancer encoder` makes a .keras file first"
        )
    return described


def _litert_note(path: pathlib.Path) -> bytes:
    """Returns the description behind a LiteRT network."""
    with open(path, "rb") as file:
        begin = file.read(8)
    if begin[4:] != b"TFL3":  # what every such file is marked with
        raise InputError(f"{path}: not a LiteRT file, or a damaged one")
    if not zipfile.is_zipfile(path):
        raise InputError(
            f"{path}: a LiteRT file that does not say what it is. Make it by "
            "`facedancer export NETWORK.keras NETWORK.tflite`"
        )
    with untrusted.open_zip(path, "its description is damaged") as archive:
        return untrusted.read_entry(archive, NOTE)


def write_litert(
    path: str | os.PathLike, network: bytes, facts: dict[str, Any]
) -> None:
    """Writes a LiteRT network with its description; it appears whole or not at all.

    Args:
        path: The file.
        network: A LiteRT model.
        facts: The description, `kind` included; ready for JSON.
    """
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        entry = zipfile.ZipInfo(NOTE)  # of a fixed date: the same bytes each time
        archive.writestr(entry, json.dumps(facts, sort_keys=True))
    files.write_atomic(path, network + packed.getvalue())


def write(path: str | os.PathLike, onnx_model: bytes, facts: dict[str, Any]) -> None:
    """Writes a portable file; it appears whole or not at all.

    Args:
        path: The file.
        onnx_model: An ONNX model without a description.
        facts: The description, `kind` included; ready for JSON.

    Raises:
        InputError: If the model holds what `read` would refuse; nothing is written.
    """
    with untrusted.faults(path, "the network cannot be a portable file"):
        _described(memoryview(onnx_model))
    text = json.dumps(facts, sort_keys=True).encode()
    entry = protobuf.field(_KEY, KEY.encode()) + protobuf.field(_VALUE, text)
    files.write_atomic(path, onnx_model + protobuf.field(_METADATA, entry))


def says_what_it_is(path: str | os.PathLike) -> bool:
    """Returns whether a file is a portable network, not an ONNX file of others.

    Args:
        path: The file. One that is missing or damaged is none.
    """
    try:
        for number, value in protobuf.fields(
            memoryview(pathlib.Path(path).read_bytes())
        ):
            if number == _METADATA and KEY.encode() in bytes(value):
                return True
    except (OSError, ValueError):
        return False
    return False


def check_foreign(path: str | os.PathLike) -> None:
    """Refuses an ONNX file of others that reads other files or does not only compute.

    Args:
        path: The file.

    Raises:
        InputError: If it is missing or damaged, or holds functions, loops, operations
            that networks here are not made of, or arrays that lie in other files.
    """
    path = pathlib.Path(path)
    with untrusted.faults(path, "not an ONNX model"):
        _described(memoryview(path.read_bytes()), _OF_OTHERS)


def _described(
    content: memoryview, operations: Collection[str] = OPERATIONS
) -> bytes | None:
    """Returns the description in an ONNX model; refuses what it must not hold."""
    text = None
    for number, value in protobuf.fields(content):
        if number == _OPSETS:
            _check_opset(value)
        if number == _FUNCTIONS:
            raise InputError("defines functions of its own")
        if number == _GRAPH:
            _check_graph(value, operations)
        if number == _METADATA:
            entry = dict(protobuf.fields(value))
            if bytes(entry[_KEY]) == KEY.encode():
                text = bytes(entry[_VALUE])
    return text


def _check_opset(described: memoryview) -> None:
    version = dict(protobuf.fields(described)).get(_VERSION, 0)
    if not isinstance(version, int) or version > _MAX_OPSET:
        raise InputError(f"names opset {version}, which does not exist")


def _check_graph(graph: memoryview, operations: Collection[str]) -> None:
    for number, value in protobuf.fields(graph):
        if number == _NODES:
            _check_node(value, operations)
        elif number == _ARRAYS:
            _check_array(value)
        elif number == _SPARSE:
            raise InputError("holds sparse arrays")


def _check_node(node: memoryview, operations: Collection[str]) -> None:
    for number, value in protobuf.fields(node):
        text = bytes(value).decode() if number in (_OPERATION, _DOMAIN) else ""
        if number == _OPERATION and text not in operations:
            raise InputError(f"holds the operation {text}, which no network here has")
        if number == _DOMAIN and text not in ("", "ai.onnx"):
            raise InputError(f"holds operations of {text}")
        if number == _ATTRIBUTES:
            for tensor in _tensors(value):
                _check_array(tensor)


def _tensors(attribute: memoryview) -> Iterator[memoryview]:
    for number, value in protobuf.fields(attribute):
        if number == _TENSOR:
            yield value
        elif number in (6, 10, 11):  # graphs and many tensors: none is needed here
            raise InputError("holds graphs within graphs")


def _check_array(array: memoryview) -> None:
    for number, value in protobuf.fields(array):
        if number == _ELSEWHERE or (number == _LOCATION and value):
            raise InputError("holds arrays that lie in other files")
