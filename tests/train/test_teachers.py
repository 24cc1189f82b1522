"""What the encoder is shown of images."""

import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from facedancer.errors import InputError
from facedancer.train.frozen import teachers
from tests import testing
from tests.train import tiny


class ResampleTest(testing.TestCase):
    def setUp(self):
        super().setUp()
        random = np.random.default_rng(0)
        self.image = random.uniform(-1, 1, (2, 20, 30, 3)).astype("f4")

    @parameterized.parameters(8, 20, 56)
    def test_whole_view_equals_tensorflow(self, size):
        found = teachers.resample(self.image, teachers.whole_view(2), size)
        expected = tf.image.resize(self.image, (size, size))
        self.assert_close(found, expected.numpy(), atol=1e-5)

    def test_mirror(self):
        view = teachers.View(tf.ones(2), tf.zeros((2, 2)), tf.constant([0.0, 1.0]))
        found = np.asarray(teachers.resample(self.image, view, 10))
        whole = np.asarray(teachers.resample(self.image, teachers.whole_view(2), 10))
        self.assert_close(found[0], whole[0])
        self.assert_close(found[1], whole[1, :, ::-1])

    def test_shift_and_scale_by_hand(self):
        # Values grow by one per pixel: what is seen is where it is seen.
        x = np.broadcast_to(np.arange(30.0, dtype="f4"), (1, 20, 30))
        y = np.broadcast_to(np.arange(20.0, dtype="f4")[:, None], (1, 20, 30))
        image = np.stack([x, y], -1)
        view = teachers.View(
            tf.constant([0.5]), tf.constant([[0.1, -0.2]]), tf.zeros(1)
        )
        found = np.asarray(teachers.resample(image, view, 5))[0]
        # Centre: 0.6 of 30 and 0.3 of 20, less half a pixel; steps: 3 and 2 pixels.
        self.assert_close(found[2, :, 0], np.array([11.5, 14.5, 17.5, 20.5, 23.5]))
        self.assert_close(found[:, 2, 1], np.array([1.5, 3.5, 5.5, 7.5, 9.5]))

    def test_shrink_is_the_centre(self):
        found = teachers.resample(self.image, teachers.whole_view(2, 0.5), 10)
        centre = self.image[:, 5:15, 7:22]
        self.assertEqual(found.shape, (2, 10, 10, 3))
        self.assertAlmostEqual(
            float(np.asarray(found).mean()), float(centre.mean()), places=1
        )

    def test_random_view_depends_on_the_seed_alone(self):
        first = teachers.random_view(np.random.default_rng([1, 2]), 64)
        again = teachers.random_view(np.random.default_rng([1, 2]), 64)
        other = teachers.random_view(np.random.default_rng([1, 3]), 64)
        self.assert_close(first.scale, again.scale)
        self.assertGreater(np.abs(first.scale - other.scale).max(), 0.0)
        self.assertLess(np.abs(first.scale - 1.0).max(), 0.0301)
        self.assertLess(np.abs(first.shift).max(), 0.0301)
        self.assertBetween(float(np.mean(first.mirrored)), 0.2, 0.8)


class TeacherTest(testing.TestCase):
    def test_maps_and_vectors(self):
        teacher = teachers.Teacher(tiny.encoder(), tiny.TAPS)
        image = tiny.batch(3)["target"]
        maps, vector = teacher(image, teachers.whole_view(3))
        self.assertLen(maps, 2)
        self.assertEqual(tuple(vector.shape), (3, tiny.VECTOR))
        self.assert_close(teacher.embed(image), vector.numpy(), atol=1e-5)
        resized = tf.image.resize(image, (tiny.ENCODED, tiny.ENCODED))
        self.assert_close(vector, teacher.encoder(resized).numpy(), atol=1e-5)

    def test_unknown_block(self):
        with self.assertRaisesRegex(InputError, "no such IFSR blocks.*conv9_out"):
            teachers.Teacher(tiny.encoder(), ("conv9_out",))

    def test_it_is_frozen(self):
        self.assertEmpty(teachers.Teacher(tiny.encoder()).encoder.trainable_variables)
