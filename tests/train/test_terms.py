"""FaceDancer's terms and a discriminator with mixup, by hand."""

import keras
import numpy as np
from absl.testing import parameterized

from facedancer.train.objective import losses
from facedancer.train.objective.adversary import Adversary
from facedancer.train.step.adversarial import Judge, Shown
from facedancer.train.systems import facedancer_terms as terms
from tests import testing
from tests.train import tiny


def flat_images(*values):
    """Images of 2x3 pixels, each of one value."""
    ones = np.ones((len(values), 2, 3, 3), "f4")
    return ones * np.array(values, "f4")[:, None, None, None]


def number(value):
    return float(np.asarray(value))


class TermsTest(testing.TestCase):
    def test_rows_with_a_mark(self):
        seen = {
            "reference": flat_images(0.5, 0.5, 0.5),
            "known": np.array([1.0, 0.0, 1.0], "f4"),
        }
        made = {"swapped": flat_images(0.25, -0.5, 1.0)}
        term = terms.marked("truth", "known", "reference")
        sums = term.sums(seen, made)
        self.assertEqual(number(sums["known"]), 2.0)
        self.assertAlmostEqual(number(sums["truth"]), 0.25 + 0.5)
        self.assertAlmostEqual(number(term.of(sums, 3)), 0.75 / 2.001, places=6)

    def test_the_published_mean_is_halved_and_clipped(self):
        mean = losses.published_reconstruction
        term = terms.marked("reconstruction", "same", "target", mean)
        for value, expected in ((0.5, 0.25), (50.0, 5.0)):
            seen = {"target": flat_images(value), "same": np.ones(1, "f4")}
            sums = term.sums(seen, {"swapped": flat_images(0.0)})
            self.assertAlmostEqual(
                number(term.of(sums, 1)), expected / (1.001 if value < 1 else 1), 5
            )

    def test_identity_and_contrast(self):
        seen = {
            "source_vector": np.array([[2.0, 0.0], [0.0, 1.0]], "f4"),
            "person_vector": np.array([[2.0, 0.0], [0.0, 1.0]], "f4"),
            "target_vector": np.array([[0.0, 3.0], [0.0, 1.0]], "f4"),
        }
        made = {"vector": np.array([[3.0, 4.0], [0.0, -5.0]], "f4")}
        # Cosines to the source: 0.6 and -1; to the target: 0.8 and -1; apart: 0 and 1.
        found = terms.identity(1.0, seen, made)["identity"]
        self.assertAlmostEqual(number(found), 0.4 + 2.0, places=5)
        swapped, apart = terms.cosines(seen, made)
        self.assert_close(np.asarray(swapped), np.array([0.8, -1.0], "f4"))
        self.assert_close(np.asarray(apart), np.array([0.0, 1.0], "f4"), atol=1e-5)
        found = terms.contrast(seen, made)["contrast"]
        expected = losses.identity_contrast(swapped, apart)
        self.assertAlmostEqual(number(found), float(np.sum(expected)), places=5)

    def test_cycle_leaves_out_places_that_are_left_over(self):
        made = {
            "back_of": flat_images(1.0, 0.0),
            "back": flat_images(0.0, 9.0),
            "back_weight": np.array([1.0, 0.0], "f4"),
        }
        sums = terms.cycle({}, made)
        self.assertEqual(number(terms.cycle_value(sums, 2)), 1.0)


class WeightDecayTest(testing.TestCase):
    """A discriminator that is one kernel and one bias."""

    def gradients(self, batch_size, **options):
        image = keras.Input((2, 3, 3))
        start = keras.initializers.Constant(0.25)
        maps = keras.layers.Conv2D(1, 1, kernel_initializer=start)(image)
        network = keras.Model(image, keras.layers.GlobalAveragePooling2D()(maps))
        shown = Shown(flat_images(1.0, 0.5), flat_images(-1.0, 0.0))
        driver, one = tiny.tensorflow_driver(), keras.ops.ones(())
        judge = Judge(driver, network, Adversary(**options), batch_size)
        return [np.asarray(part) for part in judge(shown, one, False).gradients]

    @parameterized.parameters((2, 1.0), (6, 1 / 3))
    def test_by_hand(self, batch_size, share):
        """Two rows of a batch of six bring a third of the decay along."""
        plain = self.gradients(batch_size)
        kernel, bias = self.gradients(batch_size, weight_decay=0.1)
        expected = np.full((1, 1, 3, 1), 2 * 0.1 * 0.25 * share, "f4")
        self.assert_close(kernel - plain[0], expected, rtol=1e-4)
        self.assert_close(bias, plain[1])


class MixupTest(testing.TestCase):
    """A discriminator whose logit is w times an image's mean, plus its condition."""

    def judge(self, share, condition=()):
        image = keras.Input((2, 3, 3))
        mean = keras.layers.GlobalAveragePooling2D()(image)
        start = keras.initializers.Constant(1.0 / 3)
        inputs, logit = (
            image,
            keras.layers.Dense(1, use_bias=False, kernel_initializer=start)(mean),
        )
        if condition:
            number = keras.Input((1,))
            inputs, logit = [image, number], keras.layers.Add()([logit, number])
        network = keras.Model(inputs, logit)
        rule = Adversary(
            kind="lsgan", mixup=0.2, condition=("label",) * bool(condition)
        )
        shares = np.full(2, share, "f4")
        shown = Shown(flat_images(1.0, 0.5), flat_images(-1.0, 0.0), condition, shares)
        one = keras.ops.ones(())
        return Judge(tiny.tensorflow_driver(), network, rule, 2)(shown, one, False)

    def test_by_hand(self):
        found = self.judge(0.25)
        # Mixtures have the logits -0.5 and 0.125, and should have 0.25.
        expected = 0.75**2 + 0.125**2
        total = number(found.sums["d_fake"]) + number(found.sums["d_real"])
        self.assertAlmostEqual(total, expected, places=5)
        # d loss / d w_c, summed over both: 2 (logit - share) mean of the channel / 2.
        by_weight = (-0.75 * -0.5) + (-0.125 * 0.125)
        self.assert_close(
            np.asarray(found.gradients[0]), np.full((3, 1), by_weight, "f4"), rtol=1e-4
        )
        # The generator is paid by the fakes themselves: (logit - 1)^2.
        self.assertAlmostEqual(number(found.sums["adversarial"]), 4.0 + 1.0, places=5)

    def test_a_condition_is_given_with_mixtures_too(self):
        found = self.judge(0.25, (keras.ops.array([[0.75], [0.125]], "float32"),))
        total = number(found.sums["d_fake"]) + number(found.sums["d_real"])
        self.assertAlmostEqual(total, 0.0, places=5)
