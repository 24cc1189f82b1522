"""Tests of `facedancer.train.distillation.face_views`."""

import numpy as np
import tensorflow as tf

from facedancer.train.distillation import face_views
from tests import testing


class FaceViewsTest(testing.TestCase):
    def setUp(self):
        super().setUp()
        random = np.random.default_rng(0)
        self.images = tf.constant(random.uniform(size=(6, 20, 28, 3)), tf.float32)

    def test_ranges_and_shapes(self):
        for view in (
            face_views.vary(self.images),
            face_views.mix(self.images, 1.0),
            face_views.degrade(tf.image.resize(self.images, (32, 40)), 1.0),
        ):
            self.assertEqual(view.shape[0], 6)
            self.assertGreaterEqual(float(tf.reduce_min(view)), 0.0)
            self.assertLessEqual(float(tf.reduce_max(view)), 1.0)

    def test_off_changes_nothing(self):
        self.assert_close(face_views.mix(self.images, 0.0), self.images)
        self.assert_close(face_views.degrade(self.images, 0.0), self.images)

    def test_on_changes_every_image(self):
        for view in (
            face_views.vary(self.images),
            face_views.mix(self.images, 1.0),
        ):
            change = np.abs(view - self.images).max(axis=(1, 2, 3))
            self.assertTrue((change > 0.01).all())

    def test_centre_stays_at_the_centre(self):
        image = np.zeros((64, 41, 41, 3), "float32")
        image[:, 19:22, 19:22] = 1.0
        view = face_views.vary(tf.constant(image)).numpy().mean(axis=-1)
        top = view.reshape(64, -1).argmax(axis=1)
        offsets = np.stack(np.unravel_index(top, (41, 41)), axis=1) - 20.0
        self.assertLessEqual(np.abs(offsets).max(), 0.04 * 41 + 1.5)
        self.assertLess(np.abs(offsets.mean(axis=0)).max(), 0.8)
