"""Generators in 8-bit integers for OpenVINO: ranges from a few faces, no retraining.

Each convolution gets its weights rounded to 255 steps a channel and its input to 256
steps over the range seen on example faces, a tenth wider. Convolutions from or to the
picture itself stay as they are: there a step would be seen. OpenVINO then computes the
others in integers (Jacob et al., "Quantization and Training of Neural Networks for
Efficient Integer-Arithmetic-Only Inference", CVPR 2018).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from facedancer.inference import openvino_core

if TYPE_CHECKING:
    import openvino

_WIDER = 1.1  # other faces go beyond what the examples showed
_FEWEST = 4  # channels up to which a convolution is taken for one of the picture


def quantize(model: openvino.Model, examples: list[dict]) -> int:
    """Changes a model so that OpenVINO computes its convolutions in 8 bits.

    Args:
        model: An `openvino.Model` in float32; it is changed.
        examples: Inputs by place, as a compiled model takes them.

    Returns:
        The number of convolutions that were changed.
    """
    from openvino import opset13 as ops

    found = [(node, weights) for node, weights in _convolutions(model)]
    ranges = _ranges(model, [node for node, _ in found], examples)
    for (node, weights), (low, high) in zip(found, ranges, strict=True):
        limits = [ops.constant(np.float32(v)) for v in (low, high)] * 2
        rounded = ops.fake_quantize(node.input_value(0), *limits, 256)
        node.input(0).replace_source_output(rounded.output(0))
        largest = np.abs(weights).max(axis=(1, 2, 3), keepdims=True) + 1e-12
        limits = [ops.constant(v.astype(np.float32)) for v in (-largest, largest)] * 2
        rounded = ops.fake_quantize(ops.constant(weights), *limits, 255)
        node.input(1).replace_source_output(rounded.output(0))
    model.validate_nodes_and_infer_types()
    return len(found)


def _convolutions(model: openvino.Model) -> Iterator[tuple[openvino.Node, np.ndarray]]:
    """Yields each convolution between hidden layers with its weights."""
    for node in model.get_ordered_ops():
        if node.get_type_name() != "Convolution":
            continue
        source = node.input_value(1).get_node()
        while source.get_type_name() != "Constant" and source.get_input_size() == 1:
            source = source.input_value(0).get_node()
        if source.get_type_name() != "Constant":
            continue
        weights = np.array(source.data, np.float32)
        outputs, inputs, size, _ = weights.shape
        if size % 2 == 0:  # see `layers.blockwise_kernel`
            outputs //= 4
        if min(outputs, inputs) > _FEWEST:
            yield node, weights


def _ranges(
    model: openvino.Model, nodes: Sequence[openvino.Node], examples: Sequence[dict]
) -> list[tuple[float, float]]:
    """Returns the range of the input of each node over the examples, 0 within."""
    seen = model.clone()
    twins = {node.get_friendly_name(): node for node in seen.get_ordered_ops()}
    first = len(model.outputs)
    sources = [twins[n.get_friendly_name()].input_value(0) for n in nodes]
    # Convolutions of one map share an output: it is added, and counted, once.
    keys = [(one.get_node().get_friendly_name(), one.get_index()) for one in sources]
    positions = {key: first + i for i, key in enumerate(dict.fromkeys(keys))}
    seen.add_outputs([sources[keys.index(key)] for key in positions])
    run = openvino_core.core().compile_model(
        seen, "CPU", {"INFERENCE_PRECISION_HINT": "f32"}
    )
    low, high = np.zeros(len(nodes)), np.zeros(len(nodes))
    for example in examples:
        result = run(example)
        values = [result[positions[key]] for key in keys]
        low = np.minimum(low, [value.min() for value in values])
        high = np.maximum(high, [value.max() for value in values])
    return list(zip(low * _WIDER, np.maximum(high * _WIDER, 1e-6), strict=True))
