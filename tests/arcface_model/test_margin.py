"""Tests of `facedancer.arcface_model.margin`."""

import math

import keras
import numpy as np
from absl.testing import parameterized

from facedancer.arcface_model import ArcMargin, arc_margin_logits
from tests import testing


class MarginTest(testing.TestCase):
    @parameterized.parameters(0.3, 1.0, 1.5, 2.0, 2.6)
    def test_right_class_by_the_angle(self, angle):
        cosines = np.array([[math.cos(angle), 0.25]], "float32")
        logits = arc_margin_logits(cosines, np.array([0]))
        expected = [[64 * math.cos(angle + 0.5), 64 * 0.25]]
        self.assert_close(logits, np.array(expected), 1e-4, 1e-4)

    def test_keeps_falling_behind_the_turn(self):
        angles = np.linspace(0.05, math.pi - 0.01, 60)
        cosines = np.cos(angles)[:, None].astype("float32")
        logits = np.asarray(arc_margin_logits(cosines, np.zeros(60, "int32")))[:, 0]
        self.assertTrue((np.diff(logits) < 0).all())

    def test_margin_and_scale(self):
        cosines = np.array([[0.5, -0.5]], "float32")
        logits = arc_margin_logits(cosines, np.array([1]), margin=0.0, scale=3.0)
        self.assert_close(logits, np.array([[1.5, -1.5]]))

    def test_gradient_is_finite_at_the_ends(self):
        layer = ArcMargin(2, scale=1.0)
        labels = np.array([0, 1])
        layer.build(((2, 2), (2,)))
        layer.centres.assign([[1.0, 0.0], [0.0, 1.0]])
        inputs = keras.Input((2,)), keras.Input((), dtype="int32")
        model = keras.Model(inputs, layer(inputs))
        model.compile(
            optimizer=keras.optimizers.SGD(0.1),
            jit_compile=False,
            loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        )
        aligned = np.array([[1.0, 0.0], [0.0, -1.0]], "float32")
        model.train_on_batch([aligned, labels], labels)
        self.assertTrue(np.isfinite(layer.get_weights()[0]).all())

    def test_layer(self):
        random = np.random.default_rng(0)
        embeddings = random.normal(size=(3, 5)).astype("float32") * 7
        labels = np.array([2, 0, 3])
        layer = ArcMargin(4, margin=0.3, scale=10.0)
        logits = np.asarray(layer((embeddings, labels)))
        self.assertEqual(layer.compute_output_shape(((3, 5), (3,))), (3, 4))
        centres = layer.get_weights()[0]
        cosines = (embeddings @ centres) / (
            np.linalg.norm(embeddings, axis=1)[:, None]
            * np.linalg.norm(centres, axis=0)
        )
        cosines[np.arange(3), labels] = np.cos(
            np.arccos(cosines[np.arange(3), labels]) + 0.3
        )
        self.assert_close(logits, 10 * cosines, 1e-4, 1e-4)
        again = ArcMargin.from_config(layer.get_config())
        self.assertEqual(again.get_config(), layer.get_config())
        self.assertEqual((again.classes, again.margin, again.scale), (4, 0.3, 10.0))
