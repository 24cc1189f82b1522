"""Tests of the room `facedancer.video_swap.engines`."""

import gc
import weakref
from unittest import mock

import keras
import numpy as np
import pytest
from absl.testing import parameterized

from facedancer import models
from facedancer.errors import InputError
from facedancer.imaging import sample_photos
from facedancer.models import fuse, get_preset
from facedancer.video_swap import settings
from facedancer.video_swap.engines import make, openvino_engine, quantization
from tests import testing
from tests.video_swap import made


class EngineTest(testing.TestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        keras.utils.set_random_seed(0)
        random = np.random.default_rng(0)
        cls.generator = made.tiny_generator()
        cls.targets = random.uniform(-1, 1, (3, 64, 64, 3)).astype("float32")
        cls.vectors = random.normal(size=(3, 32)).astype("float32")
        cls.feeds = {"target": cls.targets, "identity": cls.vectors}
        cls.expected = keras.ops.convert_to_numpy(
            cls.generator([cls.targets, cls.vectors], training=False)
        )

    @parameterized.parameters("keras", "openvino")
    def test_f32_equals_the_plain_generator(self, name):
        engine = make.make_engine(self.generator, name)
        self.assertEqual((engine.name, engine.precision), (name, "f32"))
        scale = np.abs(self.expected).max()
        for n in (3, 1, 2):
            result = engine({name: part[:n] for name, part in self.feeds.items()})
            self.assertEqual(list(result), ["swapped"])
            error = np.abs(result["swapped"] - self.expected[:n]).max() / scale
            self.assertLess(error, 1e-5)

    @pytest.mark.slow
    def test_openvino_knows_the_norms(self):
        """Written otherwise, each is five operations, a tenth slower together."""
        engine = make.make_engine(self.generator, "openvino")
        nodes = engine.compiled.get_runtime_model().get_ops()
        kinds = [node.get_rt_info()["layerType"].astype(str) for node in nodes]
        self.assertGreater(kinds.count("MVN"), 8)
        self.assertNotIn("Reduce", kinds)

    @pytest.mark.slow
    def test_openvino_outlives_the_generator(self):
        """The engine must not read weights that are freed with the Keras model."""
        random = np.random.default_rng(0)
        targets = random.uniform(-1, 1, (4, 64, 64, 3)).astype("float32")
        vectors = random.normal(size=(4, 128)).astype("float32")
        generator = models.build_generator(models.get_preset("facedancer_lite_64"))
        expected = np.asarray(generator([targets, vectors]))
        engine = make.make_engine(generator, "openvino")
        gone = weakref.ref(generator.get_layer("stem"))
        del generator
        gc.collect()
        self.assertIsNone(gone())
        sizes = (10, 100, 128, 256, 512, 1024, 4096, 32768, 65536, 262144, 590000)
        churn = [  # takes the memory that was freed
            np.full(size, np.nan, np.float32)
            for size in sizes
            for _ in range(300 if size < 5000 else 20)
        ]
        for n in (1, 2, 3, 4, 1):
            feeds = {"target": targets[:n], "identity": vectors[:n]}
            error = np.abs(engine(feeds)["swapped"] - expected[:n]).max()
            self.assertLess(error / np.abs(expected).max(), 1e-5)
        self.assertTrue(np.isnan(churn[-1]).all())

    @parameterized.parameters(("keras", "bf16"), ("keras", "f16"), ("openvino", "bf16"))
    @pytest.mark.slow
    def test_half_precision_is_near(self, name, precision):
        engine = make.make_engine(self.generator, name, precision)
        result = engine(self.feeds)["swapped"]
        self.assertEqual(result.dtype, np.float32)
        error = np.abs(result - self.expected).mean() / self.expected.std()
        self.assertLess(error, 0.05)

    def quantized(self, vectors):
        with mock.patch.object(
            quantization, "quantize", wraps=quantization.quantize
        ) as spied:
            engine = make.make_engine(
                self.generator, "openvino", "int8", embed=lambda faces: vectors
            )
        return engine, spied

    def test_int8_is_near(self):
        vectors = np.random.default_rng(1).normal(size=(12, 32)).astype("float32")
        engine, spied = self.quantized(vectors)
        spied.assert_called_once()
        result = engine(self.feeds)["swapped"]
        error = np.abs(result - self.expected).mean() / self.expected.std()
        self.assertLess(error, 0.2)
        self.assertGreater(error, 1e-4, "nothing was rounded")

    @pytest.mark.slow
    def test_int8_rounds_hidden_convolutions_only(self):
        model = openvino_engine.convert(fuse(self.generator))
        numbers = openvino_engine.numbers(model.inputs)
        example = {numbers[name]: part[:1] for name, part in self.feeds.items()}
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
            make.make_engine(self.generator, "openvino", "int8")
        with self.assertRaisesRegex(InputError, "one of f32, bf16, f16 for this"):
            make.make_engine(self.generator, "keras", "int8")

    def test_example_faces_differ(self):
        faces = sample_photos.example_faces(40)
        self.assertEqual((faces.shape, faces.dtype), ((12, 40, 40, 3), np.uint8))
        self.assertLen({face.tobytes() for face in faces}, 12)

    @parameterized.parameters("keras", "openvino")
    def test_the_largest_fusion_mask(self, name):
        wanted = ("swapped", "fusion_mask")
        engine = make.make_engine(self.generator, name, outputs=wanted)
        result = engine(self.feeds)
        self.assertEqual(set(result), {"swapped", "fusion_mask"})
        self.assertEqual(result["fusion_mask"].shape, (3, 64, 64, 1))
        scale = np.abs(self.expected).max()
        self.assertLess(np.abs(result["swapped"] - self.expected).max() / scale, 1e-5)
        blend = self.generator.get_layer("fuse32_affa1_blend")
        inner = keras.Model(self.generator.inputs, blend.input[0])
        mask = keras.ops.convert_to_numpy(inner([self.targets, self.vectors]))
        expected = mask.mean(axis=-1)
        # Bilinear upsampling by two keeps the mean and the range.
        self.assertAlmostEqual(
            float(result["fusion_mask"].mean()), float(expected.mean()), delta=1e-2
        )
        self.assertLessEqual(result["fusion_mask"].max(), expected.max() + 1e-5)

    def test_a_fusion_mask_needs_fusions(self):
        plain = made.tiny_generator(up_types=("no_skip", "add", "concat", "concat"))
        with self.assertRaisesRegex(InputError, "needs a generator with AFFA fusion"):
            make.make_engine(plain, "keras", outputs=("swapped", "fusion_mask"))

    def test_wrong_words(self):
        with self.assertRaisesRegex(InputError, "--engine must be one of auto, keras"):
            make.make_engine(self.generator, "tpu")
        with self.assertRaisesRegex(InputError, "--precision must be one of f32, bf16"):
            make.make_engine(self.generator, "openvino", "f16")

    def test_the_table_and_the_flags_name_the_same(self):
        self.assertEqual(set(settings.ENGINES), {"auto", *make.ENGINES})
        known = {one for kind in make.ENGINES.values() for one in kind.precisions}
        self.assertEqual(set(settings.PRECISIONS), known)

    def test_presets_exist_for_the_benchmark(self):
        self.assertEqual(get_preset("facedancer_c").image_size, 256)
