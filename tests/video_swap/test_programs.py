"""Tests of the swapping programs with real, tiny, random networks; and the engines."""

import errno
import json
import os
import pathlib
import subprocess
import sys
import tempfile
from unittest import mock

import keras
import numpy as np
from absl import flags
from absl.testing import parameterized

from facedancer import images, testing
from facedancer.arcface_model import build_mobilefacenet
from facedancer.errors import InputError
from facedancer.models import GeneratorConfig, build_generator, fuse, get_preset
from facedancer.video_swap import (
    engines,
    multi_face_single_source,
    networks,
    options,
    provenance,
    quantization,
    swap_image,
    video,
)
from tests.video_swap import made

ROOT = pathlib.Path(__file__).parents[2]


OUTLIVES = """
import gc
import numpy as np
from facedancer import models
from facedancer.video_swap import engines

generator = models.build_generator(models.get_preset("facedancer_lite_64"))
random = np.random.default_rng(0)
targets = random.uniform(-1, 1, (4, 64, 64, 3)).astype("float32")
vectors = random.normal(size=(4, 128)).astype("float32")
expected = np.asarray(generator([targets, vectors]))
engine = engines.make_engine(generator, "openvino")
del generator
gc.collect()
sizes = (10, 100, 128, 256, 512, 1024, 4096, 32768, 65536, 262144, 590000)
counts = [300 if size < 5000 else 20 for size in sizes]
churn = [
    np.full(size, np.nan, np.float32)
    for size, count in zip(sizes, counts)
    for _ in range(count)
]
worst = 0.0
for n in (1, 2, 3, 4, 1):
    error = np.abs(engine(targets[:n], vectors[:n]) - expected[:n]).max()
    worst = max(worst, np.nan_to_num(error, nan=9.0))
print(worst / np.abs(expected).max())
"""


def tiny_generator(encoder="", **values):
    config = {
        "image_size": 64,
        "base_width": 4,
        "max_width": 16,
        "mapping_sizes": (16,),
        "identity_size": 32,
    }
    return build_generator(GeneratorConfig(**config | values, encoder=encoder))


class ProgramTest(testing.TestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.networks = pathlib.Path(folder.name)
        cls.encoder = build_mobilefacenet(embedding_size=32)
        cls.encoder.save(cls.networks / "encoder.keras")
        generator = tiny_generator(cls.encoder.name_with_hash)
        generator.save(cls.networks / "generator.keras")

    def setUp(self):
        super().setUp()
        self.folder = self.tempdir()
        home = mock.patch.dict(os.environ, {"XDG_CONFIG_HOME": str(self.folder / "c")})
        home.start()
        self.addCleanup(home.stop)
        detector = mock.patch.object(
            networks, "load_detector", lambda path, **options: made.SquareDetector()
        )
        detector.start()
        self.addCleanup(detector.stop)
        images.write_image(self.folder / "me.png", made.scene((made.RED, 30, 20, 50)))

    def flags_of(self, program, **values):
        values = {
            "facedancer_path": self.networks / "generator.keras",
            "arcface_path": self.networks / "encoder.keras",
            "swap_source": self.folder / "me.png",
            "engine": "keras",
        } | values
        parsed = flags.FlagValues()
        program.define_flags(parsed)
        parsed(["program"] + [f"--{name}={value}" for name, value in values.items()])
        return parsed

    def run_program(self, program, **values):
        with mock.patch("builtins.print") as printed:
            status = program.main(self.flags_of(program, **values))
        return status, [str(call.args[0]) for call in printed.call_args_list]

    def test_video(self):
        clip = made.write_clip(self.folder / "clip.mp4", made.moving_scenes(10))
        output, report = self.folder / "o.mp4", self.folder / "r.json"
        status, lines = self.run_program(
            multi_face_single_source,
            vid_path=clip,
            output=output,
            report=report,
            preset="ultrafast",
        )
        self.assertEqual(status, 0)
        self.assertEqual(lines[-1], str(output))
        self.assertIn("10 faces in 10 of 10 frames swapped", " ".join(lines))
        self.assertLen(list(video.VideoReader(output)), 10)
        self.assertTrue(provenance.read(output).intact)
        stored = json.loads(report.read_text())
        self.assertEqual(stored["faces_swapped"], 10)
        self.assertEqual(stored["provenance"], "watermarked, signed")
        self.assertEqual(stored["networks"]["encoder"], self.encoder.name_with_hash)
        self.assertEqual(stored["networks"]["engine"], "keras f32")

    def test_image(self):
        photo = self.folder / "photo.png"
        images.write_image(photo, made.scene((made.RED, 20, 20, 40)))
        output = self.folder / "new" / "o.png"
        status, lines = self.run_program(
            swap_image, img_path=photo, output=output, compare="true"
        )
        self.assertEqual(status, 0)
        self.assertEqual(lines[-1], str(output))
        self.assertEqual(images.read_image(output).shape, (96, 320, 3))
        self.assertTrue(provenance.read(output).intact)
        self.assertLen(list(output.parent.iterdir()), 1)

    @parameterized.parameters(
        ("a.mkv", "a_swapped.mkv"),
        ("b.MKV", "b_swapped.MKV"),
        ("c.mp4", "c_swapped.mp4"),
        ("d.avi", "d_swapped.mp4"),
        ("e.gif", "e_swapped.gif"),
        ("folder", "folder_swapped"),
    )
    def test_default_output(self, name, expected):
        path = self.folder / name
        if not path.suffix:
            path.mkdir()
        output = multi_face_single_source.default_output(path)
        self.assertEqual(output, pathlib.Path("results") / expected)

    def test_full_disk(self):
        photo = images.write_image(
            self.folder / "photo.png", made.scene((made.RED, 20, 20, 40))
        )
        full = OSError(errno.ENOSPC, "No space left on device")
        with mock.patch.object(pathlib.Path, "write_bytes", side_effect=full):
            with self.assertRaisesRegex(InputError, "/o.png: cannot be written"):
                self.run_program(
                    swap_image, img_path=photo, output=self.folder / "o.png"
                )
        names = [path.name for path in self.folder.iterdir()]
        self.assertCountEqual(names, ["me.png", "photo.png", "c"])

    def test_image_without_a_face(self):
        photo = images.write_image(self.folder / "photo.png", made.scene())
        output = self.folder / "o.png"
        with self.assertRaisesRegex(InputError, "0 faces were found, none"):
            self.run_program(swap_image, img_path=photo, output=output)
        self.assertFalse(output.exists())

    def test_mapping_from_flags(self):
        clip = made.write_clip(
            self.folder / "clip.mp4", [made.scene((made.RED, 20, 20, 40))] * 3
        )
        me = self.folder / "me.png"
        parsed = self.flags_of(
            multi_face_single_source, vid_path=clip, map=f"{me}={me}", only=me
        )
        swapper, _ = options.make_swapper(parsed)
        names = [rule.name for rule in swapper.rules]
        self.assertEqual(names, [f"{me}={me}"] * 2)
        self.assertTrue(swapper.compares)

    @parameterized.parameters(
        ({"vid_path": "none.mp4"}, "--vid_path: none.mp4: no such file"),
        ({"swap_source": "none.png"}, "--swap_source: none.png: no such file"),
        ({"map": "oops"}, "--map must be REFERENCE=SOURCE. Received: oops"),
        ({"only": "none.png"}, "--only: none.png: no such file"),
        ({"codec": "nonsense"}, "--codec=nonsense .* does not work here"),
        ({"mask": "round"}, "--mask must be one of"),
        ({"facedancer_path": "none.keras"}, "none.keras"),
        ({"precision": "f8"}, "--precision must be one of f32, bf16, f16"),
        ({"device_id": 7}, "--device_id must be -1"),
    )
    def test_bad_flags(self, values, words):
        clip = made.write_clip(self.folder / "clip.mp4", made.moving_scenes(3))
        values = {"vid_path": clip, "output": self.folder / "o.mp4"} | values
        with self.assertRaisesRegex(InputError, words):
            self.run_program(multi_face_single_source, **values)
        self.assertFalse((self.folder / "o.mp4").exists())

    def test_source_must_be_given_and_output_not_be_the_input(self):
        clip = made.write_clip(self.folder / "clip.mp4", made.moving_scenes(3))
        parsed = self.flags_of(multi_face_single_source, vid_path=clip)
        parsed["swap_source"].value = []
        with self.assertRaisesRegex(InputError, "Whose face .* Give --swap_source"):
            options.make_swapper(parsed)
        with self.assertRaisesRegex(InputError, "must not be the input itself"):
            self.run_program(multi_face_single_source, vid_path=clip, output=clip)

    @parameterized.parameters("report", "output")
    def test_places_are_checked_before_the_work(self, name):
        photo = images.write_image(self.folder / "photo.png", made.scene())
        for place in (photo / "x.png", photo / "new" / "x.png", self.folder):
            values = {"output": self.folder / "o.png"} | {name: place}
            with mock.patch.object(networks, "load_networks") as loads:
                with self.assertRaisesRegex(
                    InputError, f"--{name} must be a file|type"
                ):
                    self.run_program(swap_image, img_path=photo, **values)
            loads.assert_not_called()

    def test_only_needs_a_source(self):
        me = self.folder / "me.png"
        parsed = self.flags_of(
            multi_face_single_source, vid_path=me, map=f"{me}={me}", only=me
        )
        parsed["swap_source"].value = []
        with self.assertRaisesRegex(
            InputError, "--only says who gets .*me.png without"
        ):
            options.make_swapper(parsed)

    def test_encoder_that_does_not_fit(self):
        check = networks.check_encoder
        name = self.encoder.name_with_hash
        self.assertEqual(check(tiny_generator(name).config, self.encoder), ())
        self.assertEqual(check(tiny_generator().config, self.encoder), ())
        other_weights = tiny_generator("mobilefacenet@00000000").config
        self.assertRegex(check(other_weights, self.encoder)[0], "likeness may be worse")
        with self.assertRaisesRegex(InputError, "trained with the encoder arcface"):
            check(tiny_generator("arcface@00000000").config, self.encoder)
        with self.assertRaisesRegex(InputError, "vectors of 48 numbers"):
            check(tiny_generator(identity_size=48).config, self.encoder)

    def test_exit_status_of_the_process(self):
        program = ROOT / "video_swap" / "multi_face_single_source.py"
        done = subprocess.run(
            [sys.executable, program, "--vid_path=none.mp4", "--swap_source=a.jpg"],
            capture_output=True,
            text=True,
        )
        self.assertEqual(done.returncode, 1)
        self.assertIn("Error: --vid_path: none.mp4: no such file", done.stderr)
        self.assertNotIn("Traceback", done.stderr)


class EngineTest(testing.TestCase):
    def setUp(self):
        super().setUp()
        random = np.random.default_rng(0)
        self.generator = tiny_generator()
        self.targets = random.uniform(-1, 1, (3, 64, 64, 3)).astype("float32")
        self.vectors = random.normal(size=(3, 32)).astype("float32")
        self.expected = keras.ops.convert_to_numpy(
            self.generator([self.targets, self.vectors], training=False)
        )

    @parameterized.parameters("keras", "openvino")
    def test_f32_equals_the_plain_generator(self, name):
        engine = engines.make_engine(self.generator, name)
        self.assertEqual((engine.name, engine.precision), (name, "f32"))
        scale = np.abs(self.expected).max()
        for n in (3, 1, 2):
            result = engine(self.targets[:n], self.vectors[:n])
            error = np.abs(result - self.expected[:n]).max() / scale
            self.assertLess(error, 1e-5)

    def test_openvino_knows_the_norms(self):
        """Written otherwise, each is five operations, a tenth slower together."""
        engine = engines.make_engine(self.generator, "openvino")
        nodes = engine.compiled.get_runtime_model().get_ops()
        kinds = [node.get_rt_info()["layerType"].astype(str) for node in nodes]
        self.assertGreater(kinds.count("MVN"), 8)
        self.assertNotIn("Reduce", kinds)

    def test_openvino_outlives_the_generator(self):
        """The engine must not read weights that are freed with the Keras model."""
        done = subprocess.run(
            [sys.executable, "-c", OUTLIVES],
            capture_output=True,
            text=True,
            check=False,
        )
        self.assertEqual(done.returncode, 0, done.stderr[-2000:])
        self.assertLess(float(done.stdout), 1e-5)

    @parameterized.parameters(("keras", "bf16"), ("keras", "f16"), ("openvino", "bf16"))
    def test_half_precision_is_near(self, name, precision):
        engine = engines.make_engine(self.generator, name, precision)
        result = engine(self.targets, self.vectors)
        self.assertEqual(result.dtype, np.float32)
        error = np.abs(result - self.expected).mean() / self.expected.std()
        self.assertLess(error, 0.05)

    def quantized(self, vectors):
        with mock.patch.object(
            quantization, "quantize", wraps=quantization.quantize
        ) as spied:
            engine = engines.make_engine(
                self.generator, "openvino", "int8", embed=lambda faces: vectors
            )
        return engine, spied

    def test_int8_is_near(self):
        vectors = np.random.default_rng(1).normal(size=(12, 32)).astype("float32")
        engine, spied = self.quantized(vectors)
        spied.assert_called_once()
        result = engine(self.targets, self.vectors)
        error = np.abs(result - self.expected).mean() / self.expected.std()
        self.assertLess(error, 0.2)
        self.assertGreater(error, 1e-4, "nothing was rounded")

    def test_int8_rounds_hidden_convolutions_only(self):
        model = engines._openvino_model(fuse(self.generator))
        places = engines._input_places(model)
        example = {places[4]: self.targets[:1], places[2]: self.vectors[:1]}
        changed = quantization.quantize(model, [example])
        nodes = model.get_ordered_ops()
        kinds = [node.get_type_name() for node in nodes]
        self.assertGreater(changed, 10)
        self.assertEqual(kinds.count("FakeQuantize"), 2 * changed)
        inputs = [
            node.input_value(0).get_node().get_type_name()
            for node in nodes
            if node.get_type_name() == "Convolution"
        ]
        self.assertNotEqual(inputs[0], "FakeQuantize", "the picture comes in here")
        makers = [
            node.input_value(0).get_node().get_type_name()
            for node in nodes
            if node.get_type_name() == "Convolution"
            and node.input_value(1).get_partial_shape()[2].get_length() == 4
        ]
        self.assertNotEmpty(makers)
        self.assertNotIn("FakeQuantize", makers, "the picture is made here")

    def test_int8_needs_faces(self):
        with self.assertRaisesRegex(ValueError, "int8 needs `embed`"):
            engines.make_engine(self.generator, "openvino", "int8")
        with self.assertRaisesRegex(InputError, "one of f32, bf16, f16 for this"):
            engines.make_engine(self.generator, "keras", "int8")

    def test_example_faces_differ(self):
        faces = quantization.example_faces(40)
        self.assertEqual((faces.shape, faces.dtype), ((12, 40, 40, 3), np.uint8))
        self.assertLen({face.tobytes() for face in faces}, 12)

    @parameterized.parameters("keras", "openvino")
    def test_share_of_the_largest_fusion_mask(self, name):
        engine = engines.make_engine(self.generator, name, shares=True)
        result = engine(self.targets, self.vectors)
        self.assertEqual(result.shape, (3, 64, 64, 4))
        scale = np.abs(self.expected).max()
        self.assertLess(np.abs(result[..., :3] - self.expected).max() / scale, 1e-5)
        blend = self.generator.get_layer("fuse32_affa1_blend")
        inner = keras.Model(self.generator.inputs, blend.input[0])
        mask = keras.ops.convert_to_numpy(inner([self.targets, self.vectors]))
        expected = mask.mean(axis=-1)
        # Bilinear upsampling by two keeps the mean and the range.
        self.assertAlmostEqual(
            float(result[..., 3].mean()), float(expected.mean()), delta=1e-2
        )
        self.assertLessEqual(result[..., 3].max(), expected.max() + 1e-5)

    def test_share_needs_fusion_masks(self):
        plain = tiny_generator(up_types=("no_skip", "add", "concat", "concat"))
        with self.assertRaisesRegex(InputError, "needs a generator with AFFA fusion"):
            engines.make_engine(plain, "keras", shares=True)

    def test_wrong_words(self):
        with self.assertRaisesRegex(InputError, "--engine must be one of auto, keras"):
            engines.make_engine(self.generator, "tpu")
        with self.assertRaisesRegex(InputError, "--precision must be one of f32, bf16"):
            engines.make_engine(self.generator, "openvino", "f16")

    def test_presets_exist_for_the_benchmark(self):
        self.assertEqual(get_preset("facedancer_c").image_size, 256)
