"""A discriminator on frozen features, augmentation and hinges, in the whole step."""

import dataclasses

import numpy as np
import pytest
from absl.testing import parameterized

from facedancer.networks.vectors import cosine
from facedancer.train.frozen import people
from facedancer.train.objective import losses
from facedancer.train.systems import facedancer
from facedancer.train.systems.base import Phase
from tests import testing
from tests.train import tiny

RECIPE = tiny.QUICK.changed(
    adversarial_projected=1.0,
    augment=("colour", "translation", "cutout"),
    ema=0.0,
    lr=0.1,
)


def make_step(recipe=RECIPE, driver=None, **options):
    """A step of 8 by plain descent."""
    return tiny.make_step(recipe, 8, driver, sgd=True, **options)


def gradients_of(made, batch=None):
    """Gradients by player and the sums of a step's first batch."""
    phase = made.phase_of(0)
    part = made.share(batch or tiny.batch(8), made.draws(0, phase))
    return made.gradients(part, phase)


class StepTest(tiny.EagerTestCase):
    """Beside the plain discriminator; N replicas, or parts, equal one."""

    RECIPE = RECIPE.changed(adversarial=0.5, r1_gamma=0.0)

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.whole = make_step(cls.RECIPE)
        cls.before = cls.whole.state.to_arrays()
        frozen = cls.whole.system.frozen.features.variables
        kept = [np.array(v) for v in frozen]
        cls.values = tiny.run(cls.whole, [tiny.batch(8, k) for k in range(2)])
        cls.arrays = cls.whole.state.to_arrays()
        cls.moved = [np.abs(a - v).max() for a, v in zip(kept, frozen, strict=True)]

    def test_both_play(self):
        for name in "adversarial d_fake d_real fooled d_loss".split():
            for key in (name, f"{name}_projected"):
                self.assertNotEqual(self.values[0][key], 0.0, key)
        for part in ("generator", "discriminator", "projected_heads"):
            names = [name for name in self.arrays if name.startswith(f"{part}/")]
            change = [np.abs(self.arrays[k] - self.before[k]).max() for k in names]
            self.assertGreater(max(change), 1e-4, part)

    def test_what_is_frozen_does_not_move(self):
        self.assertLen(self.moved, 2)
        self.assertEqual(max(self.moved), 0.0)

    def assert_equal_to_whole(self, other, batches):
        values = tiny.run(other, batches)
        for found, expected in zip(values, self.values, strict=True):
            self.assertEqual(list(found), list(expected))
            for name in expected:
                np.testing.assert_allclose(
                    found[name], expected[name], 2e-5, 1e-6, err_msg=name
                )
        arrays = other.state.to_arrays()
        for name, expected in self.arrays.items():
            np.testing.assert_allclose(arrays[name], expected, 0, 1e-5, err_msg=name)

    @pytest.mark.slow
    def test_two_replicas(self):
        other = make_step(self.RECIPE, tiny.two_replicas())
        batches = [tiny.halved(tiny.batch(8, k)) for k in range(2)]
        self.assert_equal_to_whole(other, batches)

    @pytest.mark.slow
    def test_accumulation(self):
        other = make_step(self.RECIPE, accumulation=2)
        self.assert_equal_to_whole(other, [tiny.batch(8, k) for k in range(2)])


@pytest.mark.large
class TracedStepTest(StepTest):
    eager = False


class GradientsTest(testing.TestCase):
    def test_instead_of_the_plain_one(self):
        made = make_step()
        self.assertEqual(
            made.state.players, {"g": ("generator",), "p": ("projected_heads",)}
        )
        self.assertNotIn("discriminator", made.state.networks)

    def test_without_weight_nothing_is_built(self):
        made = make_step(RECIPE.changed(adversarial_projected=0.0))
        self.assertEqual(list(made.state.networks), ["generator"])

    def test_hinge_of_the_heads_by_numpy(self):
        made = make_step(RECIPE.changed(augment=()))
        batch = tiny.batch(8)
        grads, sums = gradients_of(made, batch)
        networks, features = made.state.networks, made.system.frozen.features
        part = made.share(batch, made.draws(0, made.phase_of(0)))
        seen = made.system.see(part, made.phase_of(0))
        fake = networks["generator"]([seen["target"], seen["source_vector"]])
        logits = [
            np.asarray(networks["projected_heads"](features(image))).reshape(8, -1)
            for image in (fake, batch["source"])
        ]
        expected = np.maximum(0.0, 1.0 + logits[0]).mean(axis=1).sum()
        self.assert_close(sums["d_fake_projected"], expected, rtol=1e-4)
        expected = np.maximum(0.0, 1.0 - logits[1]).mean(axis=1).sum()
        self.assert_close(sums["d_real_projected"], expected, rtol=1e-4)
        self.assert_close(
            sums["adversarial_projected"], -logits[0].mean(axis=1).sum(), rtol=1e-4
        )
        self.assertEqual(set(grads), {"g", "p"})

    @pytest.mark.slow
    def test_the_generator_feels_it(self):
        """The gradient with the weight less that without is the heads' alone."""
        found = [
            gradients_of(make_step(RECIPE.changed(adversarial_projected=weight)))[0]
            for weight in (1.0, 0.0, 2.0)
        ]
        once, none, twice = ([np.asarray(x) for x in one["g"]] for one in found)
        for a, b, c in zip(once, none, twice, strict=True):
            np.testing.assert_allclose(c - b, 2 * (a - b), 1e-2, 2e-5)
        self.assertGreater(
            max(np.abs(a - b).max() for a, b in zip(once, none, strict=True)), 1e-4
        )

    @pytest.mark.slow
    def test_augmentation_differs_by_step_and_kind(self):
        made = make_step()
        draws = [made.draws(k, Phase())["augment_projected_heads"] for k in (0, 0, 1)]
        self.assertEqual(draws[0].shape, (8, 2, 7))
        np.testing.assert_array_equal(draws[0], draws[1])
        self.assertGreater(np.abs(draws[0] - draws[2]).max(), 0.1)
        self.assertGreater(np.abs(draws[0][:, 0] - draws[0][:, 1]).max(), 0.1)
        plain = make_step(RECIPE.changed(augment=()))
        self.assertNotIn("augment_projected_heads", plain.draws(0, Phase()))
        values = [gradients_of(one)[1]["d_real_projected"] for one in (made, plain)]
        self.assertNotEqual(float(values[0]), float(values[1]))


class IdentityTest(testing.TestCase):
    @parameterized.parameters(
        (1.0, [0.0, 1.0, 0.4]), (0.65, [0.0, 0.65, 0.05]), (0.0, [0.0, 0.0, 0.0])
    )
    def test_margin_by_hand(self, margin, expected):
        source = np.array([[1.0, 0.0]] * 3, "f4")
        swapped = np.array([[2.0, 0.0], [0.0, 3.0], [0.6, 0.8]], "f4")
        found = losses.identity_loss(source, swapped, margin)
        self.assert_close(found, np.array(expected, "f4"), atol=1e-6)

    def test_in_the_step_by_numpy(self):
        made = make_step(RECIPE.changed(identity_margin=0.1))
        part = made.share(tiny.batch(8), made.draws(0, Phase()))
        seen, found, sums = made.forward(part, Phase())
        cosines = cosine(np.asarray(seen["source_vector"]), np.asarray(found["vector"]))
        self.assertTrue((cosines < 0.1).any() and (cosines > 0.1).any(), cosines)
        expected = np.maximum(0.0, 0.1 - cosines).sum()
        self.assert_close(sums["identity"], np.float32(expected), rtol=1e-4)

    def others(self, **changes):
        recipe = RECIPE.changed(**changes)
        made = make_step(recipe)
        vectors = np.random.default_rng(0).normal(size=(120, tiny.VECTOR))
        identity = np.arange(120) // 2  # two photos a person
        known = people.People(identity, vectors.astype("f4"))
        both = (known, known) if recipe.options.identity_of_others else ()
        frozen = dataclasses.replace(made.system.frozen, people=both)
        system = facedancer.FaceDancer(recipe, frozen, 8)
        batch = tiny.batch(8)
        batch["source_identity"] = np.array([3, -1, 5, 7, 9, 11, 13, 15])
        part = made.share(batch, made.draws(0, Phase()))
        return system, known, part, system.see(part, Phase())

    def test_the_others_are_the_truth(self):
        _, known, part, seen = self.others(identity_of_others=True)
        expected = known.others(part["source_identity"], seen["source_vector"])
        self.assert_close(seen["person_vector"], np.asarray(expected))
        self.assert_close(
            seen["person_vector"][1], np.asarray(seen["source_vector"][1])
        )
        self.assertGreater(
            np.abs(seen["person_vector"][0] - seen["source_vector"][0]).max(), 0.1
        )

    def test_the_source_is_the_truth_without(self):
        _, _, _, seen = self.others()
        self.assert_close(seen["person_vector"], np.asarray(seen["source_vector"]))

    def test_what_a_training_reads(self):
        needed = facedancer.FaceDancer.needs_frozen
        self.assertIn("features", needed(RECIPE))
        self.assertNotIn("people", needed(RECIPE))
        self.assertIn("people", needed(RECIPE.changed(identity_of_others=True)))

    def test_ranges(self):
        with pytest.raises(ValueError, match="identity_margin.*1.5"):
            RECIPE.changed(identity_margin=1.5)
        with pytest.raises(ValueError, match="augment.*blur"):
            RECIPE.changed(augment=("blur",))
