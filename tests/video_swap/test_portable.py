"""Tests of networks as portable files: without Keras, and as those of Keras."""

import json
import os
import pathlib
import subprocess
import sys
from unittest import mock

import numpy as np
import pytest
from absl.testing import parameterized

from facedancer.arcface_model import build_mobilefacenet
from facedancer.arcface_model.loading import load_embedder, load_encoder
from facedancer.errors import InputError
from facedancer.face import alignment
from facedancer.imaging import images, sample_photos
from facedancer.inference import portable, runtimes
from facedancer.retinaface.loading import load_detector
from facedancer.storage import files, weights
from facedancer.video_swap import portable_network
from facedancer.video_swap.engines import devices, make
from facedancer.video_swap.settings import NetworkSettings
from facedancer.video_swap.swapping import converting, networks
from tests import testing
from tests.video_swap import made

onnx = pytest.importorskip("onnx")
ROOT = pathlib.Path(__file__).parents[2]
KINDS = ("generator", "encoder", "detector", "parser")
# What must not be imported where packaged networks are run. None in its place makes an
# import of it fail, wherever it is written.
HEAVY = ("tensorflow", "keras", "h5py", "scipy", "skimage", "sklearn", "tf2onnx", "jax")
PROLOGUE = f"import sys; sys.modules.update(dict.fromkeys({HEAVY}))\n"
COMMAND = """
from facedancer import command
sys.argv = ["facedancer", *sys.argv[1:]]
command.main()
"""
FROM_PYTHON = """
from facedancer import Swapper
from facedancer.imaging import sample_photos
swapper = Swapper()
hopper = sample_photos.path("hopper")
result = swapper.swap(sample_photos.path("collins"), source=hopper)
result.save(sys.argv[1])
assert len(swapper.faces(sample_photos.path("collins"))) == 1
"""
MORE_FROM_PYTHON = """
import pathlib
import facedancer
from facedancer.imaging import images, sample_photos

folder = pathlib.Path(sys.argv[1])
photos = [
    images.write_image(folder / name / "1.png", sample_photos.read(name)[:400])
    for name in ("hopper", "collins")
]
assert [len(faces) for faces in facedancer.detect(photos)] == [1, 1]
assert facedancer.align(photos, im_size=64).shape == (2, 64, 64, 3)
assert len(facedancer.align(folder, sys.argv[2], im_size=64).crops) == 2
vectors = facedancer.embed(photos)
assert vectors.shape == (2, len(vectors[0])) and (vectors[0] != vectors[1]).any()
out = folder.with_name("report")
report = facedancer.evaluate(folder, out, pairs=2, studies=("none",), draws=20)
text = (out / "report.json").read_text()
assert all(f'"{figure.key}"' in text for figure in report.figures)
print(report["pose_pnp_l2"].estimate.value, report.counts)
"""


def run(program, *words, **environment):
    """Runs a program where neither Keras nor what it needs can be imported."""
    return subprocess.run(
        [sys.executable, "-c", PROLOGUE + program, *map(str, words)],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"PYTHONPATH": str(ROOT)} | environment,
    )


class WithoutKerasTest(testing.TestCase):
    def check(self, done):
        self.assertEqual(done.returncode, 0, done.stderr[-2000:])
        return done.stdout

    def test_a_photo_is_swapped_and_verified(self):
        output = self.tempdir() / "swapped.png"
        source, target = sample_photos.path("hopper"), sample_photos.path("collins")
        words = ("swap", "-s", source, "-t", target, "-o", output)
        self.assertIn("1 of 1 faces swapped", self.check(run(COMMAND, *words)))
        apart = np.abs(
            images.read_image(output).astype(int) - sample_photos.read("collins")
        )
        self.assertGreater(apart[80:200, 180:280].mean(), 3.0)
        said = self.check(run(COMMAND, "verify", output))
        self.assertIn("signed", said)

    def test_a_clip_is_swapped(self):
        folder = self.tempdir()
        said = self.check(
            run(COMMAND, "demo", f"--output_dir={folder}", "--seconds=0.4")
        )
        self.assertIn("10 of 10 frames swapped", said)
        self.assertTrue((folder / "swapped.mp4").is_file())

    def test_photos_are_aligned(self):
        folder = self.tempdir()
        images.write_image(
            folder / "in" / "anna" / "1.png", sample_photos.read("collins")
        )
        words = ("align", "-i", folder / "in", "-o", folder / "out", "--im_size=64")
        self.check(run(COMMAND, *words, "--num_workers=1"))
        self.assertLen(list((folder / "out" / "anna").iterdir()), 1)

    def test_from_python(self):
        output = self.tempdir() / "swapped.png"
        self.check(run(FROM_PYTHON, output))
        self.assertTrue(output.is_file())

    @pytest.mark.slow
    def test_the_rest_from_python(self):
        folder = self.tempdir()
        done = run(MORE_FROM_PYTHON, folder / "photos", folder / "crops")
        self.assertIn("'measured': 2", self.check(done))
        self.assertEqual(done.stderr, "")

    @parameterized.parameters("train", "export")
    def test_what_needs_keras_says_so_before_any_work(self, word):
        done = run(COMMAND, word)
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stderr, r'^Error: .* pip install "facedancer\[train\]"')
        self.assertEqual(done.stderr.count("\n"), 1)

    def test_a_network_of_keras_says_what_it_needs(self):
        words = ("swap", "-s", sample_photos.path("hopper"))
        words += ("-t", sample_photos.path("collins"), "-o", self.tempdir() / "a.png")
        path = weights.find("generator")
        done = run(COMMAND, *words, f"--facedancer_path={path}")
        self.assertEqual(done.returncode, 1)
        self.assertRegex(
            done.stderr, "needs keras and tensorflow, which is not install"
        )


class PackagedTest(testing.TestCase):
    @parameterized.parameters(*KINDS)
    def test_the_shipped_file_is_the_network_of_the_catalogue(self, kind):
        source, shipped = weights.find(kind), portable.find(kind)
        entry = next(one for one in weights.CATALOGUE.values() if one.kind == kind)
        self.assertEqual(shipped.path.name, entry.portable)
        self.assertEqual(files.file_hash(shipped.path), entry.portable_sha256)
        self.assertEqual(shipped.facts["source"], entry.sha256)
        self.assertEqual(files.file_hash(source), entry.sha256)
        self.assertEqual(shipped.facts["licence"], entry.licence)
        self.assertLess(shipped.path.stat().st_size, 25e6)
        self.assertEqual(shipped.kind, kind)

    @parameterized.parameters(*KINDS)
    @pytest.mark.large  # half a minute each
    def test_the_shipped_file_is_what_the_program_makes(self, kind):
        source, shipped = weights.find(kind), portable.find(kind)
        found = converting.convert(source, self.tempdir() / "again.onnx")
        self.assertEqual((found.kind, found.facts), (kind, shipped.facts))
        feeds, _ = converting.examples(shipped, source)
        ours, theirs = (
            runtimes.OpenVINORuntime(one)(feeds) for one in (found, shipped)
        )
        for name, values in theirs.items():
            np.testing.assert_array_equal(ours[name], values)
        self.assertLess(portable_network.difference(shipped, source), 2e-5)

    def test_contract_and_names(self):
        generator, encoder = portable.find("generator"), portable.find("encoder")
        self.assertEqual(generator.contract.image.size, 96)
        self.assertEqual(generator.contract.identity.encoder, encoder.name)
        self.assertEqual(encoder.image.size, 112)
        with self.assertRaisesRegex(InputError, "expected the network of a detector"):
            portable.read(encoder.path, "detector")

    @pytest.mark.slow
    def test_maps_inside_the_encoder(self):
        from facedancer.arcface_model import tap_model

        encoder = load_encoder(weights.find("encoder"))
        image = np.random.default_rng(0).uniform(-1, 1, (2, 112, 112, 3))
        expected = tap_model(encoder).predict_on_batch(image.astype(np.float32))
        found = load_embedder().encoder.maps(image.astype(np.float32))
        self.assertEqual(set(found) | {"embedding"}, set(expected))
        for name, values in found.items():
            self.assert_close(values, expected[name], rtol=1e-4, atol=1e-4)

    @pytest.mark.slow
    def test_the_detector_finds_what_that_of_keras_finds(self):
        photo = sample_photos.read("collins")[:400, :470]
        found = load_detector().detect(photo)
        expected = load_detector(runtime="keras").detect(photo)
        self.assertLen(found, len(expected))
        np.testing.assert_allclose(found.landmarks, expected.landmarks, atol=1e-3)

    def test_often_the_same_size(self):
        """The network that is compiled for one size gives what the other gives."""
        run = runtimes.OpenVINORuntime(portable.find("encoder"), ("embedding",))
        feeds = {"image": np.random.default_rng(0).uniform(-1, 1, (1, 112, 112, 3))}
        feeds = {"image": feeds["image"].astype(np.float32)}
        results = [run(feeds)["embedding"] for _ in range(runtimes._OFTEN + 2)]
        np.testing.assert_allclose(results[-1], results[0], atol=1e-5)
        self.assertLen(run._of_size, 1)


def vectors_of(faces):
    return np.random.default_rng(1).normal(size=(len(faces), 128))


class RuntimeTest(testing.TestCase):
    def feeds(self):
        photo, generator = sample_photos.read("collins"), portable.find("generator")
        contract = generator.contract.image
        landmarks = load_detector().detect(photo).landmarks[0]
        matrix = alignment.crop_matrix(landmarks, contract.size)
        crop = alignment.crop(photo, matrix, contract.size)
        vector = np.random.default_rng(0).normal(size=(2, 128)).astype(np.float32)
        views = np.stack([crop, crop[:, ::-1]])
        return generator, {"target": contract.from_uint8(views), "identity": vector}

    def test_all_engines_give_the_same_pixels(self):
        pytest.importorskip("onnxruntime")
        generator, feeds = self.feeds()
        expected = make.make_engine(generator, "openvino")(feeds)["swapped"]
        found = make.make_engine(generator, "onnxruntime")(feeds)
        self.assertEqual(list(found), ["swapped"])
        np.testing.assert_allclose(found["swapped"], expected, atol=1e-4)
        wanted = ("swapped", "fusion_mask")
        both = make.make_engine(generator, "onnxruntime", outputs=wanted)(feeds)
        masks = make.make_engine(generator, "openvino", outputs=wanted)(feeds)
        np.testing.assert_allclose(both["fusion_mask"], masks["fusion_mask"], atol=1e-4)

    @pytest.mark.slow
    def test_a_network_of_keras_by_onnx_runtime(self):
        pytest.importorskip("onnxruntime")
        generator = made.tiny_generator()
        feeds = generator.example_inputs()
        found = make.make_engine(generator, "onnxruntime")(feeds)["swapped"]
        expected = np.asarray(generator.named(feeds)["swapped"])
        np.testing.assert_allclose(found, expected, atol=1e-4)

    def test_devices(self):
        runtime = pytest.importorskip("onnxruntime")
        self.assertEqual(make.choose("auto", "f32", "cuda"), "onnxruntime")
        self.assertEqual(make.choose("auto", "f32", "cpu"), "openvino")
        with self.assertRaisesRegex(InputError, "--device=coreml is for --engine=onnx"):
            make.choose("openvino", "f32", "coreml")
        with self.assertRaisesRegex(InputError, "--device must be one of auto, cpu"):
            make.choose("auto", "f32", "tpu")
        known = runtime.get_available_providers()
        for device, (provider, package) in runtimes.PROVIDERS.items():
            if provider not in known:
                with self.assertRaisesRegex(InputError, f"pip install {package}$"):
                    runtimes.OnnxRuntime(portable.find("encoder"), device=device)
        with self.assertRaisesRegex(InputError, "--precision must be one of f32"):
            make.make_engine(portable.find("generator"), "onnxruntime", "int8")

    @pytest.mark.slow
    def test_int8_of_a_portable_file(self):
        generator, feeds = self.feeds()
        plain = make.make_engine(generator, "openvino")(feeds)["swapped"]
        engine = make.make_engine(generator, "openvino", "int8", embed=vectors_of)
        apart = np.abs(engine(feeds)["swapped"] - plain).mean()
        self.assertBetween(float(apart), 1e-5, 0.05)

    def test_no_gpu_no_tensorflow(self):
        with mock.patch.object(devices, "_may_have_gpus", return_value=False):
            self.assertEqual(devices.gpus(), [])


@pytest.mark.slow
class CacheTest(testing.TestCase):
    def test_a_network_is_converted_once(self):
        folder = self.tempdir()
        path = folder / "mine.keras"
        made.tiny_generator(encoder=load_embedder().encoder.name_with_hash).save(path)
        kept = folder / "kept"
        with mock.patch.dict(os.environ, {portable.CACHE: str(kept)}):
            self.assertIsNone(portable.find("generator", path))
            converting.keep("generator", path)
            found = portable.find("generator", path)
            self.assertEqual(found.path, kept / f"{files.file_hash(path)}.onnx")
            with mock.patch.object(converting, "convert") as again:
                converting.keep("generator", path)
            again.assert_not_called()
        with mock.patch.dict(os.environ):
            os.environ.pop(portable.CACHE, None)
            self.assertIsNone(portable.find("generator", path))
            converting.keep("generator", path)

    def test_portable_file_by_name(self):
        folder = self.tempdir()
        encoder = build_mobilefacenet(128, 32, width=0.125, blocks=(1, 1, 1))
        encoder.save(folder / "mine.keras")
        path = folder / "mine.onnx"
        converting.convert(folder / "mine.keras", path, "encoder")
        loaded = networks.load_networks(NetworkSettings(arcface_path=str(path)))
        self.assertEqual(loaded.names["encoder"], encoder.name_with_hash)


class HostileTest(testing.TestCase):
    """Files that are no networks of ours, or would do other than compute."""

    def model(self, nodes=(), arrays=(), facts=None, **changes):
        helper = onnx.helper
        info = helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [1])
        nodes = list(nodes) or [helper.make_node("Relu", ["x"], ["y"])]
        graph = helper.make_graph(nodes, "g", [info], [info], list(arrays))
        model = helper.make_model(graph, **changes)
        path = self.tempdir() / "network.onnx"
        facts = {"kind": "encoder", "name": "a"} if facts is None else facts
        helper.set_model_props(model, {portable.KEY: json.dumps(facts)})
        path.write_bytes(model.SerializeToString())
        return path

    def test_whole(self):
        found = portable.read(self.model())
        self.assertEqual((found.kind, found.name), ("encoder", "a"))

    def test_what_cannot_be_read_is_not_written(self):
        model = onnx.load(
            self.model([onnx.helper.make_node("Tile", ["x", "n"], ["y"])])
        )
        path = self.tempdir() / "network.onnx"
        with self.assertRaisesRegex(InputError, "network.onnx: holds the operation"):
            portable.write(path, model.SerializeToString(), {})
        self.assertFalse(path.exists())

    def test_operations(self):
        tile = onnx.helper.make_node("Tile", ["x", "n"], ["y"])
        with self.assertRaisesRegex(InputError, "holds the operation Tile"):
            portable.read(self.model([tile]))
        other = onnx.helper.make_node("Relu", ["x"], ["y"], domain="com.example")
        with self.assertRaisesRegex(InputError, "holds operations of com.example"):
            portable.read(self.model([other]))

    def test_arrays_in_other_files(self):
        array = onnx.numpy_helper.from_array(np.zeros(3, np.float32), "w")
        array.ClearField("raw_data")
        array.data_location = onnx.TensorProto.EXTERNAL
        array.external_data.add(key="location", value="/etc/passwd")
        with self.assertRaisesRegex(InputError, "arrays that lie in other files"):
            portable.read(self.model(arrays=[array]))
        node = onnx.helper.make_node("Constant", [], ["y"], value=array)
        with self.assertRaisesRegex(InputError, "arrays that lie in other files"):
            portable.read(self.model([node]))

    def test_functions(self):
        call = onnx.helper.make_node("Relu", ["x"], ["y"])
        opset = [onnx.helper.make_opsetid("", 15)]
        function = onnx.helper.make_function("d", "Relu", ["x"], ["y"], [call], opset)
        with self.assertRaisesRegex(InputError, "defines functions of its own"):
            portable.read(self.model(functions=[function]))

    def test_descriptions(self):
        with self.assertRaisesRegex(InputError, "damaged .no name."):
            portable.read(self.model(facts={"kind": "encoder"}))
        file = portable.read(self.model())
        with self.assertRaisesRegex(InputError, "its description is damaged"):
            file.contract  # noqa: B018
        path = self.model()
        path.write_bytes(path.read_bytes().replace(b"facedancer", b"facedance_"))
        with self.assertRaisesRegex(InputError, "does not say what it is"):
            portable.read(path)

    def test_damage(self):
        whole = self.model().read_bytes()
        path = self.tempdir() / "network.onnx"
        for length in range(0, len(whole)):
            path.write_bytes(whole[:length])
            with self.assertRaises(InputError):
                portable.read(path)
        with self.assertRaisesRegex(InputError, "no such file"):
            portable.read(path.with_name("none.onnx"))

    def test_no_keras_file(self):
        with self.assertRaisesRegex(InputError, "can be run, but not trained"):
            load_encoder(weights.find_portable("encoder"))

    def test_description_is_readable(self):
        model = onnx.load(weights.find_portable("generator"))
        (entry,) = [one for one in model.metadata_props if one.key == portable.KEY]
        self.assertEqual(json.loads(entry.value)["image"]["template"], "arcface")
