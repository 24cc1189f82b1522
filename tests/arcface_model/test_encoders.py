"""Tests of the encoders: `mobilefacenet`, `resnet50`, `encoder`."""

import functools

import keras
import numpy as np
import pytest
from absl.testing import parameterized

from facedancer import arcface_model
from tests import testing

BatchNorm = keras.layers.BatchNormalization
# Built once each, a second or two; tests may change the weights.
SMALL = {
    "mobilefacenet": functools.cache(
        lambda: arcface_model.build_mobilefacenet(12, 48, width=0.125)
    ),
    "resnet50": functools.cache(
        lambda: arcface_model.build_resnet50(12, 48, width=8, dropout=0.25)
    ),
}


@functools.cache
def published_size():
    """A narrow MobileFaceNet for pictures of the published size."""
    return arcface_model.build_mobilefacenet(width=0.125)


def randomize(model):
    """Gives every weight, statistics too, a value of its own."""
    random = np.random.default_rng(0)
    for weight in model.weights:
        low, high = (-0.2, 0.2) if "kernel" in weight.path else (0.5, 1.5)
        weight.assign(random.uniform(low, high, weight.shape))


class EncodersTest(testing.TestCase):
    def setUp(self):
        super().setUp()
        random = np.random.default_rng(0)
        self.crops = random.uniform(-1, 1, (2, 48, 48, 3)).astype("float32")

    @parameterized.parameters((512, 1_200_512), (128, 1_003_136))
    def test_parameters_of_mobilefacenet(self, size, expected):
        encoder = arcface_model.build_mobilefacenet(size)
        count = sum(int(np.prod(w.shape)) for w in encoder.trainable_weights)
        self.assertEqual(count, expected)
        self.assertEqual(encoder.output_shape, (None, size))
        self.assertEqual(encoder.embedding_size, size)

    @pytest.mark.slow
    def test_parameters_of_resnet50(self):
        encoder = arcface_model.build_resnet50()
        self.assertEqual(encoder.count_params(), 40_375_680)
        self.assertLen(encoder.taps, 11)

    def test_contracts(self):
        contract = published_size().contract
        self.assertEqual((contract.size, contract.value_range), (112, "signed"))
        contract = SMALL["resnet50"]().contract
        self.assertEqual((contract.size, contract.value_range), (48, "unit"))

    def test_shapes_of_the_taps(self):
        encoder = published_size()
        taps = arcface_model.tap_model(encoder)
        shapes = {name: tuple(value.shape[1:]) for name, value in taps.output.items()}
        expected = {
            "stage2_block5_out": (28, 28, 8),
            "stage3_block4_out": (14, 14, 16),
            "stage3_block7_out": (14, 14, 16),
            "embedding": (128,),
        }
        self.assertEqual(shapes, expected)

    @parameterized.parameters(*sorted(SMALL))
    def test_taps_share_the_weights(self, name):
        encoder = SMALL[name]()
        taps = arcface_model.tap_model(encoder)
        randomize(encoder)
        self.assert_close(taps(self.crops)["embedding"], encoder(self.crops))

    def test_chosen_and_unknown_taps(self):
        encoder = SMALL["mobilefacenet"]()
        taps = arcface_model.tap_model(encoder, ["stage2_block1_out"])
        self.assertEqual(set(taps.output), {"stage2_block1_out", "embedding"})
        with self.assertRaisesRegex(ValueError, "stage4_block3_out.*Received: nowhere"):
            arcface_model.tap_model(encoder, ["stage2_block1_out", "nowhere"])

    def test_stride_two_pads_both_sides_alike(self):
        """The first output sees one padded row and column, as in other frameworks."""
        encoder = SMALL["mobilefacenet"]()
        first = keras.Model(encoder.input, encoder.get_layer("stage1_conv").output)
        kernel = encoder.get_layer("stage1_conv").get_weights()[0]
        window = np.zeros((3, 3, 3), "float32")
        window[1:, 1:] = self.crops[0, :2, :2]
        expected = np.einsum("hwc,hwco->o", window, kernel)
        self.assert_close(first(self.crops)[0, 0, 0], expected, 1e-4, 1e-5)

    @parameterized.parameters(*sorted(SMALL))
    def test_fold(self, name):
        encoder = SMALL[name]()
        randomize(encoder)
        folded = arcface_model.fold(encoder)
        expected = arcface_model.tap_model(encoder)(self.crops)
        got = arcface_model.tap_model(folded)(self.crops)
        for tap, value in expected.items():
            scale = np.abs(value).max()
            self.assert_close(got[tap] / scale, value / scale, 0, 1e-5)
        self.assertEqual(folded.name_with_hash, encoder.name_with_hash)
        self.assertEqual(folded.contract, encoder.contract)
        self.assertEmpty(folded.trainable_weights)
        self.assertIs(arcface_model.fold(folded), folded)
        again = type(encoder).from_config(encoder.get_config())
        arcface_model.unfold(folded, again)
        got = arcface_model.tap_model(again)(self.crops)
        for tap, value in expected.items():
            scale = np.abs(value).max()
            self.assert_close(got[tap] / scale, value / scale, 0, 1e-5)
        norms = [x for x in folded.layers if isinstance(x, BatchNorm)]
        self.assertLessEqual(len(norms), 2)  # only those that no convolution precedes

    def test_names_differ_with_the_weights(self):
        encoder = SMALL["mobilefacenet"]()
        before = encoder.name_with_hash
        self.assertRegex(before, r"^mobilefacenet@[0-9a-f]{8}$")
        self.assertEqual(encoder.name_with_hash, before)
        encoder.weights[-1].assign(encoder.weights[-1] + 1e-3)
        self.assertNotEqual(encoder.name_with_hash, before)

    def test_image_size(self):
        with self.assertRaisesRegex(ValueError, "multiple of 16. Received: .*=100"):
            arcface_model.build_mobilefacenet(image_size=100)

    def test_a_shallower_one(self):
        encoder = arcface_model.build_mobilefacenet(
            12, 32, width=0.125, blocks=(2, 1, 1)
        )
        self.assertEqual(encoder.taps, ("stage2_block2_out", "stage3_block1_out"))
        path = self.tempdir() / "shallow.keras"
        encoder.save(path)
        self.assertEqual(
            arcface_model.load_encoder(path).name_with_hash, encoder.name_with_hash
        )
        for blocks in ((5, 7), (5, 7, 0), (5, 7, 25)):
            with self.assertRaisesRegex(
                ValueError, r"3 numbers in \[1, 24\]. Received"
            ):
                arcface_model.build_mobilefacenet(blocks=blocks)

    def test_trains_in_half_precision(self):
        keras.config.set_dtype_policy("mixed_bfloat16")
        encoder = arcface_model.build_mobilefacenet(12, 48, width=0.125)
        self.assertEqual(encoder(self.crops, training=True).dtype, "float32")
        self.assertEqual(encoder.get_layer("head_conv").compute_dtype, "bfloat16")
