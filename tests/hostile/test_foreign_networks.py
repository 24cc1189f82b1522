"""Networks of others that name other files, reach without end, or cannot be run."""

import numpy as np
import pytest
from absl.testing import parameterized

from facedancer import models
from facedancer.arcface_model import onnx_network
from facedancer.errors import InputError
from facedancer.evaluation.instruments import runtime
from facedancer.inference import portable, protobuf, runtimes
from facedancer.networks import foreign
from facedancer.storage import model_files
from tests import testing
from tests.hostile import model_files as hostile
from tests.hostile.test_model_files import save_foreign, save_generator

QUANTIZED = {
    "module": "keras",
    "class_name": "QuantizedDTypePolicy",
    "config": {"mode": "int8", "source_name": "float32"},
    "registered_name": None,
}


class KerasTest(testing.TestCase):
    def changed(self, change, save=save_foreign):
        """Returns a file whose description was changed in place."""
        path = self.tempdir() / "net.keras"
        save(path)

        def described(whole):
            change(whole)
            return whole

        path.write_bytes(hostile.with_config(path.read_bytes(), described))
        return path

    @parameterized.parameters(
        ({"dtype": QUANTIZED}, "a network that cannot be run"),
        ({"name": "a\nb"}, "cannot be run .*|not a Keras model"),
        ({"dilation_rate": [10**6, 1]}, "dilation_rate must be at most 1024 in a"),
        ({"strides": [1, 10**7]}, "strides must be at most 1024 in a"),
    )
    def test_a_layer(self, values, words):
        """A trace, or an end without a word, came at the first picture."""

        def change(whole):
            whole["config"]["layers"][1]["config"] |= values

        with self.assertRaisesRegex(InputError, f"net.keras: .*{words}"):
            foreign.load_network(self.changed(change))

    @parameterized.parameters("os", "evil.module", "kerasx")
    def test_a_known_name_of_another_module(self, module):
        """Keras before 3.13 imports the module that a file names."""

        def change(whole):
            whole["config"]["layers"][1]["module"] = module

        with self.assertRaisesRegex(InputError, "names 'Conv2D', which is not a layer"):
            foreign.load_network(self.changed(change))

    def test_maps_without_end(self):
        def change(whole):
            layers = whole["config"]["layers"]
            (layer,) = [one for one in layers if one["class_name"] == "Rescaling"]
            kept = {"name": layer["config"]["name"], "data_format": "channels_last"}
            layer["class_name"] = "ZeroPadding2D"
            layer["config"] = kept | {"padding": [[20_000] * 2] * 2}

        with self.assertRaisesRegex(
            InputError, "a layer gives 30,4.* numbers; at most"
        ):
            foreign.load_network(self.changed(change))

    def test_own_network_of_pictures_without_end(self):
        def change(whole):
            whole["config"]["config"]["image_size"] = 1 << 16

        path = self.changed(change, save_generator)
        with self.assertRaisesRegex(InputError, "a layer gives .* numbers; at most"):
            models.load_generator(path)

    def test_layers_without_end(self):
        """They were built for hours."""

        def change(whole):
            layers = whole["config"]["layers"]
            layers += [layers[-1]] * (model_files.MAX_LAYERS + 1 - len(layers))

        with self.assertRaisesRegex(InputError, "of 5,001 layers; at most 5,000"):
            foreign.load_network(self.changed(change))


class OnnxTest(testing.TestCase):
    """ONNX files of others: an encoder, and whatever the evaluation runs."""

    def changed(self, change):
        onnx = pytest.importorskip("onnx")
        from tests.arcface_model import test_onnx_encoder

        model = test_onnx_encoder.make_model()
        change(onnx, model.graph)
        path = self.tempdir() / "in" / "net.onnx"
        path.parent.mkdir()
        path.write_bytes(model.SerializeToString())
        return path

    def refused(self, path, words):
        for load in (onnx_network.load_onnx_encoder, runtime.PortableNetwork):
            with self.assertRaisesRegex(InputError, f"^{path}: .*{words}"):
                load(path)

    def test_a_version_that_there_is_not(self):
        """OpenVINO ended in a segmentation fault."""
        path = self.changed(lambda onnx, graph: None)
        path.write_bytes(path.read_bytes() + protobuf.field(8, b"\x10\x8f\x4e"))
        self.refused(path, "names opset 9999")

    @parameterized.parameters(runtimes.OpenVINORuntime, runtimes.OnnxRuntime)
    def test_what_cannot_be_run_is_one_line(self, run):
        """Each ended in a trace of its own."""
        if run is runtimes.OnnxRuntime:
            pytest.importorskip("onnxruntime")
        network = run(portable.find("detector"))
        odd = {"image": np.zeros((1, 33, 40, 3), np.float32)}
        with self.assertRaisesRegex(InputError, "onnx: .* cannot run it .*[a-z]") as e:
            network(odd)
        self.assertNotIn("\n", str(e.exception))
        self.assertNotIn("Exception from src/", str(e.exception))

    @parameterized.parameters("beside.bin", "../beside.bin", "/etc/hostname")
    def test_arrays_of_other_files(self, name):
        """Those beside the network were read, by both."""

        def change(onnx, graph):
            array = graph.initializer[0]
            held = onnx.numpy_helper.to_array(array).tobytes()
            (self.tempdir() / "beside.bin").write_bytes(held)
            array.ClearField("raw_data")
            array.data_location = onnx.TensorProto.EXTERNAL
            entry = array.external_data.add()
            entry.key, entry.value = "location", name

        self.refused(self.changed(change), "arrays that lie in other files")

    def test_loops(self):
        def change(onnx, graph):
            info = onnx.helper.make_tensor_value_info
            body = onnx.helper.make_graph(
                [onnx.helper.make_node("Identity", ["c"], ["d"])],
                "body",
                [info("i", onnx.TensorProto.INT64, []), info("c", 9, [])],
                [info("d", 9, [])],
            )
            ends = np.array(2**62), np.array(True)
            for name, value in zip(("often", "go"), ends, strict=True):
                graph.initializer.append(onnx.numpy_helper.from_array(value, name))
            graph.node.insert(
                0, onnx.helper.make_node("Loop", ["often", "go"], [], body=body)
            )

        self.refused(self.changed(change), "holds the operation Loop")

    def test_whole(self):
        """Else nothing above would prove anything."""
        path = self.changed(lambda onnx, graph: None)
        side = onnx_network.load_onnx_encoder(path).contract.size
        found = runtime.PortableNetwork(path)(np.zeros((2, 3, side, side)))
        self.assertEqual(found[0].shape[0], 2)
