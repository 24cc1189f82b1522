"""The changes before a discriminator against NumPy, and what flows back."""

import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from facedancer.train.objective import diff_augment
from facedancer.train.objective.adversary import Adversary
from tests import testing

HEIGHT, WIDTH, COUNT = 16, 24, 3


def images():
    draws = np.random.default_rng(0)
    return draws.uniform(-1, 1, (COUNT, HEIGHT, WIDTH, 3)).astype("f4")


def numbers(value=None):
    if value is not None:
        return np.full((COUNT, diff_augment.NUMBERS), value, "f4")
    draws = np.random.default_rng(1)
    return draws.random((COUNT, diff_augment.NUMBERS)).astype("f4")


class WaysTest(testing.TestCase):
    def test_colour_by_numpy(self):
        image, drawn = images(), numbers()
        found = diff_augment.changed(image, drawn, ("colour",))
        for row in range(COUNT):
            brightness, saturation, contrast = drawn[row, :3]
            expected = image[row] + brightness - 0.5
            grey = expected.mean(axis=2, keepdims=True)
            expected = (expected - grey) * 2 * saturation + grey
            mean = expected.mean()
            expected = (expected - mean) * (contrast + 0.5) + mean
            np.testing.assert_allclose(found[row], expected, 1e-4, 1e-5)

    def test_half_of_everything_changes_no_colour(self):
        found = diff_augment.changed(images(), numbers(0.5), ("colour",))
        self.assert_close(found, images(), rtol=1e-5, atol=1e-6)

    @parameterized.parameters(
        (0.0, 0.0, -2, -3),
        (0.999, 0.999, 2, 3),
        (0.5, 0.5, 0, 0),
        (0.999, 0.0, 2, -3),
    )
    def test_translation_by_hand(self, down, right, rows, columns):
        image, drawn = images(), numbers(0.5)
        drawn[:, 3:5] = down, right
        found = diff_augment.changed(image, drawn, ("translation",))
        expected = np.zeros_like(image)
        for y in range(HEIGHT):
            for x in range(WIDTH):
                if 0 <= y - rows < HEIGHT and 0 <= x - columns < WIDTH:
                    expected[:, y, x] = image[:, y - rows, x - columns]
        self.assert_close(found, expected)

    @parameterized.parameters(
        (0.0, 0.0, slice(0, 4), slice(0, 6)),
        (0.999, 0.999, slice(12, 16), slice(18, 24)),
        (0.5, 0.5, slice(4, 12), slice(6, 18)),
    )
    def test_cutout_by_hand(self, down, right, rows, columns):
        image, drawn = images(), numbers(0.1)
        drawn[:, 5:7] = down, right
        found = diff_augment.changed(image, drawn, ("cutout",))
        expected = image.copy()
        expected[:, rows, columns] = 0.0
        self.assert_close(found, expected)

    @parameterized.parameters(
        ((),), (("colour",),), (("translation",),), (("cutout",),)
    )
    def test_each_alone_and_none(self, ways):
        found = np.asarray(diff_augment.changed(images(), numbers(), ways))
        self.assertEqual(not np.array_equal(found, images()), bool(ways))

    def gradient(self, ways):
        image, wanted = tf.constant(images()), images()[::-1].copy()
        with tf.GradientTape() as tape:
            tape.watch(image)
            seen = diff_augment.changed(image, numbers(), ways)
            total = tf.reduce_sum(seen * wanted)
        return tape.gradient(total, image).numpy(), float(total), wanted

    def test_gradients_flow(self):
        """All of them are affine: the gradient tells exactly what a step does."""
        every = diff_augment.AUGMENTATIONS
        gradient, total, wanted = self.gradient(every)
        step = np.sign(gradient)
        moved = diff_augment.changed(
            images() + step, numbers(), diff_augment.AUGMENTATIONS
        )
        after = np.sum(np.asarray(moved, "f8") * wanted)
        self.assert_close(after - total, np.abs(gradient).sum(), rtol=1e-3)

    def test_none_flow_from_what_is_not_seen(self):
        gradient, _, _ = self.gradient(("translation", "cutout"))
        self.assertBetween(np.mean(gradient == 0.0), 0.1, 0.5)

    @parameterized.parameters(
        (dict(augment=("colour", "blur")), "`augment` must be of.*Received: blur"),
        (dict(augment=("colour",), condition=("mask",)), "condition stands beside"),
        (dict(features=list, condition=("mask",)), "condition stands beside"),
    )
    def test_bad_adversaries(self, options, words):
        with self.assertRaisesRegex(ValueError, words):
            Adversary(**options)
