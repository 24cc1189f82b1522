"""Formulas of discriminators by hand, on one logit an image and on maps of patches."""

import math

import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from facedancer.train.objective import adversary
from tests import testing


class FormulasTest(testing.TestCase):
    @parameterized.parameters(
        # kind, logit of the swapped, of the real, generator, fake part, real part
        ("nonsaturating", 0.0, 0.0, math.log(2), math.log(2), math.log(2)),
        ("nonsaturating", 2.0, 3.0, 0.126928, 2.126928, 0.048587),
        ("hinge", 0.5, 0.25, -0.5, 1.5, 0.75),
        ("hinge", -2.0, 2.0, 2.0, 0.0, 0.0),
        ("lsgan", 0.5, 0.25, 0.25, 0.25, 0.5625),
        ("relativistic", 1.0, 1.0, math.log(2), 0.5 * math.log(2), 0.5 * math.log(2)),
        ("relativistic", 1.0, 3.0, 2.126928, 0.063464, 0.063464),
    )
    def test_adversarial_by_hand(self, kind, fake, real, generator, d_fake, d_real):
        fake, real = np.full((2, 1), fake, "f4"), np.full((2, 1), real, "f4")
        found = adversary.generator_loss(kind, fake, real)
        self.assert_close(found, np.full(2, generator, "f4"), rtol=1e-5)
        parts = adversary.discriminator_loss(kind, fake, real)
        self.assert_close(parts[0], np.full(2, d_fake, "f4"), rtol=1e-5)
        self.assert_close(parts[1], np.full(2, d_real, "f4"), rtol=1e-5)

    def test_unknown_kind(self):
        logits = np.zeros((2, 1))
        for function in (
            adversary.generator_loss,
            adversary.discriminator_loss,
        ):
            with self.assertRaisesRegex(ValueError, "Unknown kind.*Received: 'wgan'"):
                function("wgan", logits, logits)

    def test_r1_by_hand(self):
        gradients = np.zeros((2, 4, 6, 3), "f4")
        gradients[1, 0, 0] = [1.0, 2.0, 2.0]
        self.assert_close(adversary.r1_penalty(gradients), np.array([0.0, 9.0], "f4"))

    # That of means over the rows looks at each place by itself.
    @parameterized.parameters(*sorted(set(adversary.KINDS) - {"relativistic_lsgan"}))
    def test_patches_are_averaged_per_image(self, kind):
        """Logits `(2, 3, 5, 1)`: an image's value is the mean over its 15 patches."""
        random = np.random.default_rng(0)
        fake, real = random.normal(size=(2, 2, 3, 5, 1)).astype("f4")
        for function in (
            lambda *logits: [adversary.generator_loss(kind, *logits)],
            lambda *logits: adversary.discriminator_loss(kind, *logits),
            lambda *logits: adversary.judged_real(kind, *logits),
        ):
            found = function(fake, real)
            flat = function(fake.reshape(30, 1), real.reshape(30, 1))
            for part, each in zip(found, flat, strict=True):
                self.assertEqual(part.shape, (2,))
                self.assert_close(part, np.asarray(each).reshape(2, 15).mean(axis=1))

    def test_heads_count_alike(self):
        random = np.random.default_rng(0)
        small, large = (random.normal(size=(2, n, n, 1)).astype("f4") for n in (2, 7))
        found = adversary.generator_loss("hinge", [small, large], [small, large])
        expected = -(small.mean((1, 2, 3)) + large.mean((1, 2, 3))) / 2
        self.assert_close(found, expected)

    @parameterized.parameters(
        ("nonsaturating", (3, 1), True),
        ("relativistic", (3,), True),
        ("hinge", (3, 1), False),
        ("nonsaturating", (3, 2, 2, 1), False),
    )
    def test_when_one_backward_pass_serves_both(self, kind, shape, expected):
        random = np.random.default_rng(0)
        fake, real = (tf.constant(random.normal(size=shape), "float32") for _ in "fr")
        factor = adversary.exchange_factor(kind, fake, real)
        self.assertEqual(factor is not None, expected)
        if not expected:
            return
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(fake)
            wanted = tf.reduce_sum(adversary.generator_loss(kind, fake, real))
            loss = tf.reduce_sum(sum(adversary.discriminator_loss(kind, fake, real)))
        pair = (tf.reshape(tape.gradient(x, fake), [-1]) for x in (wanted, loss))
        first, second = pair
        self.assert_close(first, (second * factor).numpy(), rtol=1e-4)

    def test_mixtures(self):
        logits = np.array([[1.0, 0.0], [0.5, 0.25]], "f4")
        found = adversary.mixed_loss(logits, np.array([0.5, 0.25], "f4"))
        self.assert_close(found, np.array([0.25, 0.03125], "f4"))

    @parameterized.parameters(
        (dict(kind="wgan"), "Unknown kind"),
        (dict(mixup=0.2), "`mixup` must be positive and is for lsgan"),
        (dict(kind="lsgan", mixup=-1.0), "Received: mixup=-1.0"),
    )
    def test_bad_adversaries(self, options, words):
        with self.assertRaisesRegex(ValueError, words):
            adversary.Adversary(**options)

    def test_names_of_values(self):
        self.assertEqual(adversary.Adversary().key("d_fake"), "d_fake")
        small = adversary.Adversary(name="adversarial_64")
        self.assertEqual(small.key("d_fake"), "d_fake_64")
