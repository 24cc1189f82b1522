"""An identity encoder from an ONNX file, as a Keras model that can be trained through.

Most published encoders are ONNX files. The training needs gradients through them and
maps inside them, so the graph is rebuilt from Keras layers; the `.keras` file is then
an encoder like our own for every `--arcface_path`. Needs the package `onnx`
(`pip install "facedancer[export]"`).
"""

from __future__ import annotations

import math
import os
import pathlib
import types
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import keras
import numpy as np
from keras import layers

from facedancer.arcface_model.encoder import Encoder
from facedancer.errors import InputError
from facedancer.inference import portable
from facedancer.networks.tensors import Tensor
from facedancer.storage import model_files, untrusted

if TYPE_CHECKING:
    from onnx import AttributeProto, GraphProto, NodeProto

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


@keras.saving.register_keras_serializable(package="facedancer")
class OnnxEncoder(Encoder):
    """An encoder whose graph was read from an ONNX file.

    Input is RGB in [-1, 1]; the normalisation of the original network is the first
    layer. Every layer has the name `node_<i>`; the sums, which end the residual blocks
    of the common encoders, are named `add_<i>_out`, and four of them, spread evenly,
    are the default taps.

    Args:
        nodes: The graph: one dictionary a node, see `read_onnx`.
        image_size: Side of the input in pixels.
        mean: Of each channel of an image in [0, 1], subtracted.
        std: Of each channel, divided by.
        name: Name of the model.
    """

    architecture = "onnx"
    value_range = "signed"

    def __init__(
        self,
        nodes: Sequence[dict],
        image_size: int = 112,
        mean: Sequence[float] = (0.5,) * 3,
        std: Sequence[float] = (0.5,) * 3,
        name: str | None = None,
        **kwargs: object,
    ) -> None:
        image = layers.Input((image_size, image_size, 3), name="image")
        scale = [0.5 / s for s in std]
        offset = [(0.5 - m) / s for m, s in zip(mean, std, strict=True)]
        values = {"": layers.Rescaling(scale, offset, name="normalise")(image)}
        for index, node in enumerate(nodes):
            inputs = [values[key] for key in node["inputs"]]
            values[node["output"]] = _LAYERS[node["op"]](node, f"node_{index}", inputs)
        output = layers.Flatten(name="embedding")(values[nodes[-1]["output"]])
        super().__init__(inputs=image, outputs=output, name=name, **kwargs)
        self._remember(
            nodes=nodes,
            image_size=image_size,
            mean=list(mean),
            std=list(std),
        )

    @property
    def taps(self) -> tuple[str, ...]:
        """Names of the layers whose maps IFSR compares by default."""
        sums = [layer.name for layer in self.layers if layer.name.endswith("_out")]
        chosen = np.linspace(0, len(sums) - 1, min(4, len(sums))).round().astype(int)
        return tuple(sums[i] for i in chosen)


def _padded(node: dict, name: str, x: Tensor) -> Tensor:
    top, left, bottom, right = node["pads"]
    if not any(node["pads"]):
        return x
    return layers.ZeroPadding2D(((top, bottom), (left, right)), name=f"{name}_pad")(x)


def _conv(node: dict, name: str, inputs: Sequence[Tensor]) -> Tensor:
    x = _padded(node, name, inputs[0])
    shared = dict(strides=node["strides"], use_bias=node["bias"], name=name)
    if node["group"] == 1:
        return layers.Conv2D(node["filters"], node["size"], **shared)(x)
    return layers.DepthwiseConv2D(node["size"], **shared)(x)


def _gemm(node: dict, name: str, inputs: Sequence[Tensor]) -> Tensor:
    return layers.Dense(node["filters"], use_bias=node["bias"], name=name)(inputs[0])


def _flatten(node: dict, name: str, inputs: Sequence[Tensor]) -> Tensor:
    x = inputs[0]
    if len(x.shape) == 4:  # ONNX is channels first
        x = layers.Permute((3, 1, 2), name=f"{name}_order")(x)
    return layers.Flatten(name=name)(x)


_LAYERS = {
    "Conv": _conv,
    "Gemm": _gemm,
    "Flatten": _flatten,
    "BatchNormalization": lambda node, name, inputs: layers.BatchNormalization(
        epsilon=node["epsilon"], name=name
    )(inputs[0]),
    "PRelu": lambda node, name, inputs: layers.PReLU(shared_axes=[1, 2], name=name)(
        inputs[0]
    ),
    "Relu": lambda node, name, inputs: layers.ReLU(node["max"], name=name)(inputs[0]),
    "Add": lambda node, name, inputs: layers.Add(name=f"add_{name.split('_')[1]}_out")(
        inputs
    ),
    "GlobalAveragePool": lambda node, name, inputs: layers.GlobalAveragePooling2D(
        keepdims=True, name=name
    )(inputs[0]),
}


def load_onnx_encoder(
    path: str | os.PathLike,
    mean: Sequence[float] = IMAGENET_MEAN,
    std: Sequence[float] = IMAGENET_STD,
    name: str | None = None,
) -> OnnxEncoder:
    """Returns an ONNX encoder as a Keras model with equal outputs.

    Args:
        path: The ONNX file: one image in, `(batch, 3, size, size)` RGB, one vector out.
            Convolution (plain or depthwise), batch norm, PReLU, ReLU, clip to
            [0, max], sum, flatten, matrix product and dropout are understood.
        mean: Of each RGB channel of an image in [0, 1], subtracted before the network.
        std: Of each channel, divided by.
        name: Name of the model; None for the file's.

    Raises:
        InputError: If the file is no ONNX model or holds something else.
    """
    nodes, weights, size = read_onnx(path)
    name = name or pathlib.Path(path).stem
    held = sum(array.size for arrays in weights.values() for array in arrays)
    with untrusted.faults(path, "holds no encoder that fits together"):
        encoder = model_files.build(
            lambda: OnnxEncoder(nodes, size, mean, std, name), held, path
        )
        for index, arrays in weights.items():
            encoder.get_layer(f"node_{index}").set_weights(arrays)
    return encoder


def read_onnx(
    path: str | os.PathLike,
) -> tuple[list[dict], dict[int, list[np.ndarray]], int]:
    """Returns the graph of an ONNX encoder as plain data.

    Args:
        path: The file.

    Returns:
        The nodes: dictionaries with `op`, `inputs` (output names of other nodes, `""`
        the image), `output` and what the layer needs; the weights by node index, in
        the order and layout of the Keras layer; the side of the input in pixels.

    Raises:
        InputError: If the file is no ONNX model or holds something else.
    """
    try:
        import onnx
        from google.protobuf.message import DecodeError  # ships no types
    except ImportError:
        raise InputError(
            'Reading ONNX needs the package onnx: pip install "facedancer[export]"'
        ) from None
    portable.check_foreign(path)
    try:
        with untrusted.faults(path, "not an ONNX model"):
            model = onnx.load(path, "protobuf", load_external_data=False)
            return _read_graph(path, onnx, model.graph)
    except DecodeError as error:
        why = untrusted.first_line(error)
        raise InputError(f"{path}: not an ONNX model ({why})") from None


def _read_graph(
    path: str | os.PathLike, onnx: types.ModuleType, graph: GraphProto
) -> tuple[list[dict], dict[int, list[np.ndarray]], int]:
    arrays = {t.name: onnx.numpy_helper.to_array(t) for t in graph.initializer}
    images = [value for value in graph.input if value.name not in arrays]
    shape = [d.dim_value for d in images[0].type.tensor_type.shape.dim]
    if len(shape) != 4 or shape[1] != 3 or shape[2] != shape[3]:
        raise InputError(
            f"{path}: expected one square image input (batch, 3, size, size). "
            f"Received: {shape}"
        )
    reader = _GraphReader(path, arrays, onnx.helper.get_attribute_value)
    reader.alias[images[0].name] = ""
    for node in graph.node:
        reader.read(node)
    return reader.nodes, reader.weights, shape[2]


# What a node becomes: name of its layer, what that needs, its weights.
_Entry: TypeAlias = tuple[str, dict, list[np.ndarray]]


class _GraphReader:
    """Turns ONNX nodes into entries one after the other."""

    def __init__(
        self,
        path: str | os.PathLike,
        arrays: dict[str, np.ndarray],
        attribute_value: Callable[[AttributeProto], Any],
    ) -> None:
        self.path = path
        self.arrays = arrays
        self.attribute_value = attribute_value
        self.alias: dict[str, str] = {}  # tensor -> the tensor it equals
        self.nodes: list[dict] = []
        self.weights: dict[int, list[np.ndarray]] = {}

    def read(self, node: NodeProto) -> None:
        settings = {a.name: self.attribute_value(a) for a in node.attribute}
        if node.op_type == "Constant":
            self.arrays[node.output[0]] = _constant(settings)
        elif node.op_type in ("Dropout", "Identity"):
            self.alias[node.output[0]] = self.tensor(node.input[0])
        elif node.op_type in _READERS:
            self.add(node, *_READERS[node.op_type](self, node, settings))
        else:
            raise InputError(
                f"{self.path}: node {node.name!r} of type {node.op_type} is not "
                f"supported. Known: {', '.join(sorted(_READERS))}"
            )

    def tensor(self, name: str) -> str:
        return self.alias.get(name, name)

    def add(
        self,
        node: NodeProto,
        op: str,
        details: dict,
        weights: Sequence[np.ndarray] = (),
    ) -> None:
        inputs = [self.tensor(name) for name in node.input if name not in self.arrays]
        if weights:
            self.weights[len(self.nodes)] = [np.asarray(w, np.float32) for w in weights]
        entry = {"op": op, "inputs": [i for i in inputs if i is not None], **details}
        self.nodes.append({**entry, "output": node.output[0]})


def _constant(settings: dict[str, Any]) -> np.ndarray:
    value = settings["value"]
    from onnx import numpy_helper

    return numpy_helper.to_array(value)


def _read_conv(
    reader: _GraphReader, node: NodeProto, settings: dict[str, Any]
) -> _Entry:
    kernel, *bias = [reader.arrays[name] for name in node.input[1:]]
    group = settings.get("group", 1)
    if group not in (1, kernel.shape[0]) or any(
        d != 1 for d in settings.get("dilations", [1, 1])
    ):
        raise InputError(
            f"{reader.path}: grouped and dilated convolutions are not supported. "
            f"Received: group={group} for {kernel.shape[0]} filters"
        )
    order = (2, 3, 1, 0) if group == 1 else (2, 3, 0, 1)
    details = {
        "filters": kernel.shape[0],
        "size": list(kernel.shape[2:]),
        "strides": list(settings.get("strides", [1, 1])),
        "pads": list(settings.get("pads", [0] * 4)),
        "group": group,
        "bias": bool(bias),
    }
    return "Conv", details, [kernel.transpose(order), *bias]


def _read_gemm(
    reader: _GraphReader, node: NodeProto, settings: dict[str, Any]
) -> _Entry:
    kernel, *bias = [reader.arrays[name] for name in node.input[1:]]
    kernel = kernel.T if settings.get("transB", 0) else kernel
    kernel = kernel * settings.get("alpha", 1.0)
    details = {"filters": kernel.shape[1], "bias": bool(bias)}
    return "Gemm", details, [kernel, *(b * settings.get("beta", 1.0) for b in bias)]


def _read_batch_norm(
    reader: _GraphReader, node: NodeProto, settings: dict[str, Any]
) -> _Entry:
    weights = [reader.arrays[name] for name in node.input[1:]]
    return "BatchNormalization", {"epsilon": settings.get("epsilon", 1e-5)}, weights


def _read_prelu(
    reader: _GraphReader, node: NodeProto, settings: dict[str, Any]
) -> _Entry:
    slope = reader.arrays[node.input[1]].reshape(1, 1, -1)
    return "PRelu", {}, [slope]


def _read_clip(
    reader: _GraphReader, node: NodeProto, settings: dict[str, Any]
) -> _Entry:
    low, high = [float(reader.arrays[name]) for name in node.input[1:3]]
    if low != 0.0 or not math.isfinite(high):
        raise InputError(f"{reader.path}: clip to [{low}, {high}] is not supported")
    return "Relu", {"max": high}, []


_READERS: dict[str, Callable[[_GraphReader, NodeProto, dict[str, Any]], _Entry]] = {
    "Conv": _read_conv,
    "Gemm": _read_gemm,
    "BatchNormalization": _read_batch_norm,
    "PRelu": _read_prelu,
    "Clip": _read_clip,
    "Relu": lambda reader, node, settings: ("Relu", {"max": None}, []),
    "Add": lambda reader, node, settings: ("Add", {}, []),
    "Flatten": lambda reader, node, settings: ("Flatten", {}, []),
    "Reshape": lambda reader, node, settings: ("Flatten", {}, []),
    "GlobalAveragePool": lambda reader, node, settings: ("GlobalAveragePool", {}, []),
}
