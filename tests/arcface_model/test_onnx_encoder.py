"""Tests of `facedancer.arcface_model.onnx_network`."""

import numpy as np
import pytest
from absl.testing import parameterized

from facedancer.arcface_model import fold, load_encoder, onnx_network
from facedancer.errors import InputError
from tests import testing

onnx = pytest.importorskip("onnx")
from onnx import helper, numpy_helper  # noqa: E402
from onnx.reference import ReferenceEvaluator  # noqa: E402

MEAN, STD = (0.4, 0.5, 0.6), (0.2, 0.25, 0.3)


def make_model(last="Gemm", odd_node=None):
    """A small residual network with every node that is understood."""
    random = np.random.default_rng(0)

    def array(name, *shape, low=-0.5):
        values = random.uniform(low, 0.5, size=shape).astype("float32")
        return numpy_helper.from_array(values, name)

    weights = [
        array("k0", 6, 3, 3, 3),
        array("b0", 6),
        array("gamma", 6),
        array("beta", 6),
        array("mean", 6),
        array("variance", 6, low=0.1),
        array("slope", 6, 1, 1),
        array("k1", 6, 1, 3, 3),
        numpy_helper.from_array(np.float32(0), "low"),
        numpy_helper.from_array(np.float32(0.7), "high"),
        array("dense", 5, 6 * 4 * 4),
        array("dense_bias", 5),
    ]
    nodes = [
        helper.make_node(
            "Conv", ["x", "k0", "b0"], ["c0"], strides=[2, 2], pads=[1, 1, 1, 1]
        ),
        helper.make_node(
            "BatchNormalization", ["c0", "gamma", "beta", "mean", "variance"], ["n0"]
        ),
        helper.make_node("PRelu", ["n0", "slope"], ["p0"]),
        helper.make_node("Conv", ["p0", "k1"], ["c1"], group=6, pads=[1, 1, 1, 1]),
        helper.make_node("Clip", ["c1", "low", "high"], ["r1"]),
        helper.make_node("Add", ["r1", "p0"], ["a1"]),
        helper.make_node("Dropout", ["a1"], ["d1"]),
        helper.make_node("Flatten", ["d1"], ["f1"]),
        helper.make_node(last, ["f1", "dense", "dense_bias"], ["y"], transB=1),
    ]
    if odd_node:
        nodes.insert(0, helper.make_node(odd_node, ["x"], ["odd"]))
    image = helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [1, 3, 8, 8])
    vector = helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [1, 5])
    graph = helper.make_graph(nodes, "tiny", [image], [vector], weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 15)])


class OnnxEncoderTest(testing.TestCase):
    def write(self, model):
        path = self.tempdir() / "tiny.onnx"
        onnx.save(model, path)
        return path

    def test_equals_the_reference_evaluator(self):
        model = make_model()
        encoder = onnx_network.load_onnx_encoder(self.write(model), MEAN, STD)
        crops = np.random.default_rng(1).integers(0, 256, (2, 8, 8, 3), np.uint8)
        normalised = ((crops / 255.0 - MEAN) / STD).astype("float32")
        expected = [
            ReferenceEvaluator(model).run(None, {"x": x[None].transpose(0, 3, 1, 2)})[0]
            for x in normalised
        ]
        output = encoder(encoder.contract.from_uint8(crops))
        self.assert_close(output, np.concatenate(expected), atol=2e-5)
        self.assertEqual(encoder.taps, ("add_5_out",))

    def test_keras_file_is_an_encoder(self):
        encoder = onnx_network.load_onnx_encoder(self.write(make_model()), MEAN, STD)
        path = self.tempdir() / "tiny.keras"
        encoder.save(path)
        again = load_encoder(path)
        x = np.random.default_rng(2).normal(size=(2, 8, 8, 3)).astype("float32")
        self.assert_close(again(x), encoder(x))
        self.assertEqual(again.name_with_hash, encoder.name_with_hash)
        self.assertIs(fold(again), again)

    @parameterized.named_parameters(
        ("node", make_model(odd_node="Sin"), "holds the operation Sin, which no netw"),
    )
    def test_refuses(self, model, words):
        with self.assertRaisesRegex(InputError, words):
            onnx_network.load_onnx_encoder(self.write(model))

    def test_refuses_other_files(self):
        path = self.tempdir() / "no.onnx"
        with self.assertRaisesRegex(InputError, "no such file"):
            onnx_network.load_onnx_encoder(path)
        path.write_bytes(b"\xff" * 40)
        with self.assertRaisesRegex(InputError, "not an ONNX model"):
            onnx_network.load_onnx_encoder(path)
