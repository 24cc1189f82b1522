"""Tests of facedancer.portable_writing: graphs are changed, their results are not."""

import collections

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator

from facedancer.inference import portable_writing

FIRST, LAST = [0, 3, 1, 2], [0, 2, 3, 1]


def node(kind, inputs, output, **attributes):
    return helper.make_node(kind, inputs, [output], **attributes)


def modulated(gain="gain", more=(), outputs=("result",)):
    """A map that a norm left channels first, scaled and shifted by channel."""
    nodes = [
        node("Relu", ["map"], "norm"),
        node("Transpose", ["norm"], "last", perm=LAST),
        node("Mul", ["last", gain], "scaled"),
        node("Add", ["offset", "scaled"], "shifted"),
        node("LeakyRelu", ["shifted"], "active", alpha=0.2),
        node("Transpose", ["active"], "first", perm=FIRST),
        node("Conv", ["first", "kernel"], "result"),
        *more,
    ]
    shapes = {
        "map": ["n", 3, 4, 6],
        "gain": ["n", 1, 1, 3],
        "wide": ["n", 4, 6, 3],
        "offset": [1, 1, 1, 3],
    }
    ends = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [None] * 4)
        for name in outputs
    ]
    given = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
        for name, shape in shapes.items()
    ]
    kernel = np.random.default_rng(1).normal(size=(2, 3, 1, 1)).astype(np.float32)
    arrays = [onnx.numpy_helper.from_array(kernel, "kernel")]
    graph = helper.make_graph(nodes, "made", given, ends, arrays)
    opset = [helper.make_opsetid("", 15)]
    return helper.make_model(graph, opset_imports=opset, ir_version=8)


def feeds():
    random = np.random.default_rng(0)
    sizes = {"map": (2, 3, 4, 6), "gain": (2, 1, 1, 3), "wide": (2, 4, 6, 3)}
    sizes["offset"] = (1, 1, 1, 3)
    return {k: random.normal(size=s).astype(np.float32) for k, s in sizes.items()}


@pytest.mark.parametrize("repeats", [[1, 3, 1], [2, 1, 4]])
def test_tiles_become_joined_copies(repeats):
    given = helper.make_tensor_value_info("map", TensorProto.FLOAT, ["n", 2, 3])
    end = helper.make_tensor_value_info("twice", TensorProto.FLOAT, [None] * 3)
    times = onnx.numpy_helper.from_array(np.array(repeats, np.int64), "times")
    nodes = [
        node("Tile", ["map", "times"], "tiled"),
        node("Add", ["tiled", "tiled"], "twice"),
    ]
    graph = helper.make_graph(nodes, "made", [given], [end], [times])
    opset = [helper.make_opsetid("", 15)]
    model = helper.make_model(graph, opset_imports=opset, ir_version=8)
    values = {"map": np.arange(12, dtype=np.float32).reshape(2, 2, 3)}
    before = ReferenceEvaluator(model).run(None, values)[0]
    portable_writing.join_copies(model)
    assert "Tile" not in kinds(model)
    assert not model.graph.initializer
    np.testing.assert_array_equal(
        ReferenceEvaluator(model).run(None, values)[0], before
    )


def kinds(model):
    return collections.Counter(one.op_type for one in model.graph.node)


def test_maps_stay_channels_first():
    model = modulated()
    expected = ReferenceEvaluator(model).run(None, feeds())[0]
    portable_writing.keep_channels_first(model)
    onnx.checker.check_model(model, full_check=True)
    np.testing.assert_array_equal(
        ReferenceEvaluator(model).run(None, feeds())[0], expected
    )
    turned = [one.input[0] for one in model.graph.node if one.op_type == "Transpose"]
    assert sorted(turned) == ["gain", "offset"]  # numbers, no map


@pytest.mark.parametrize(
    "options",
    [
        {"gain": "wide"},  # one number a pixel
        {"outputs": ("result", "active")},
        {"outputs": ("result", "first")},
        {
            "more": (node("Tanh", ["scaled"], "other"),),
            "outputs": ("result", "other"),
        },
    ],
)
def test_what_is_taken_elsewhere_or_not_by_channel_stays(options):
    model = modulated(**options)
    before = model.SerializeToString()
    portable_writing.keep_channels_first(model)
    assert model.SerializeToString() == before
    assert kinds(model)["Transpose"] == 2
