"""The training step: equal however it is divided, and each option does its work."""

import itertools

import numpy as np
import pytest
import tensorflow as tf
from absl.testing import parameterized

from facedancer.train.drivers.tensorflow_driver import TensorFlowDriver
from facedancer.train.objective import terms
from facedancer.train.objective.recipes import Stage
from facedancer.train.step.state import State
from facedancer.train.systems import facedancer_terms
from facedancer.train.systems.base import Phase
from tests import testing
from tests.train import tiny

PLAIN = tiny.EVERYTHING.changed(ema=0.0, lr=1e-3)
# Quick to trace: the generator alone.
SIMPLE = PLAIN.changed(
    **dict.fromkeys(
        "adversarial contrast cycle perceptual ifsr outside chroma".split(), 0.0
    ),
)
BOTH = SIMPLE.changed(adversarial=1.0)


def weights_of(train_step):
    return train_step.state.to_arrays()


class DividedStepTest(tiny.EagerTestCase):
    """N replicas, or parts, equal one replica on the same global batch."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.batches = [tiny.batch(8, seed) for seed in range(2)]
        whole = tiny.make_step(batch_size=8, sgd=True, recipe=cls.recipe())
        cls.values = tiny.run(whole, cls.batches)
        cls.arrays = weights_of(whole)

    @staticmethod
    def recipe(**changes):
        return tiny.EVERYTHING.changed(
            look=True, clip_norm=1.0, cycle_every=2, **changes
        )

    def assert_equal_to_whole(self, other, batches):
        values = tiny.run(other, batches)
        for found, expected in zip(values, self.values, strict=True):
            self.assertEqual(list(found), list(expected))
            for name in expected:
                np.testing.assert_allclose(
                    found[name], expected[name], 2e-5, 1e-6, err_msg=name
                )
        arrays = weights_of(other)
        for name, expected in self.arrays.items():
            np.testing.assert_allclose(arrays[name], expected, 0, 1e-5, err_msg=name)

    @pytest.mark.slow
    def test_the_terms_are_at_work(self):
        """Else the comparisons below would prove nothing."""
        for name in (
            "adversarial identity contrast reconstruction perceptual cycle ifsr "
            "low_frequency chroma outside r1 g_gradient_norm d_gradient_norm"
        ).split():
            self.assertGreater(self.values[0][name], 1e-4, name)
        start = weights_of(tiny.make_step(batch_size=8, sgd=True, recipe=self.recipe()))
        moved = max(np.abs(start[k] - self.arrays[k]).max() for k in start)
        self.assertGreater(moved, 1e-4)

    @pytest.mark.slow
    def test_two_replicas(self):
        other = tiny.make_step(
            batch_size=8,
            sgd=True,
            recipe=self.recipe(),
            driver=tiny.two_replicas(),
        )
        self.assertEqual(other.driver.replicas, 2)
        self.assert_equal_to_whole(other, [tiny.halved(one) for one in self.batches])

    @pytest.mark.slow
    def test_accumulation(self):
        other = tiny.make_step(
            batch_size=8, sgd=True, recipe=self.recipe(), accumulation=2
        )
        self.assert_equal_to_whole(other, self.batches)


@pytest.mark.large
class TracedDividedStepTest(DividedStepTest):
    eager = False


class TracedTest(testing.TestCase):
    @pytest.mark.slow
    def test_two_traced_replicas_equal_one_that_is_not(self):
        recipe = SIMPLE.changed(ema=0.9, clip_norm=1.0)
        found = []
        for driver in (None, tiny.two_replicas()):
            made = tiny.make_step(recipe, batch_size=8, sgd=True, driver=driver)
            batch = tiny.halved(tiny.batch(8)) if driver else tiny.batch(8)
            tiny.eagerly(driver is None)
            self.addCleanup(tiny.eagerly, False)
            found.append((tiny.run(made, [batch])[0], weights_of(made)))
        (expected, arrays), (values, others) = found
        self.assertEqual(list(values), list(expected))
        for name in expected:
            np.testing.assert_allclose(values[name], expected[name], 2e-5, 1e-6)
        for name, array in arrays.items():
            np.testing.assert_allclose(others[name], array, 0, 1e-5, err_msg=name)


def gradients_of(train_step, phase=None, batch=None):
    """Gradients by player and sums of a step's first batch."""
    phase = phase or train_step.phase_of(0)
    batch = batch or tiny.batch(train_step.batch_size)
    draws = train_step.draws(0, phase)
    return train_step.gradients(train_step.share(batch, draws), phase)


def seen_of(train_step, batch):
    """What the system sees of a batch."""
    phase = train_step.phase_of(0)
    part = train_step.share(batch, train_step.draws(0, phase))
    return train_step.system.see(part, phase)


class OptionsTest(tiny.EagerTestCase):
    def gradients(self, margins=(0.01, 0.01), recipe=PLAIN, **changes):
        recipe = recipe.changed(**changes)
        train_step = tiny.make_step(recipe, batch_size=4, margins=margins)
        phase = train_step.phase_of(0)
        return train_step, phase, gradients_of(train_step, phase)

    @pytest.mark.slow
    def test_each_term_can_be_switched_off(self):
        """Each weight changes the gradient, and without it the term is not made."""
        train_step, phase, (all_grads, sums) = self.gradients()
        everything = train_step.report(sums, phase)
        for name in (
            "adversarial identity contrast reconstruction perceptual cycle ifsr "
            "low_frequency chroma outside"
        ).split():
            self.assertIn(name, everything)
            train_step.recipe = PLAIN.changed(**{name: 0.0})
            grads, sums = gradients_of(train_step, phase)
            changed = [
                np.abs(a - b).max()
                for a, b in zip(grads["g"], all_grads["g"], strict=True)
            ]
            self.assertGreater(max(changed), 1e-6, name)
            self.assertEqual("d" in grads, name != "adversarial")
            terms = train_step.report(sums, phase)
            self.assertNotIn(name, terms)
            self.assertIn("cosine_to_source", terms)

    @parameterized.parameters("nonsaturating", "relativistic", "hinge", "lsgan")
    @pytest.mark.slow
    def test_kinds_have_the_gradient_of_their_formula(self, kind):
        """The shared backward pass against a plain one."""
        names = (
            "identity reconstruction perceptual cycle ifsr low_frequency chroma outside"
        )
        changes = dict.fromkeys(names.split(), 0.0)
        train_step, phase, found = self.gradients(kind=kind, **changes)
        self.assertTrue(train_step.shared)
        train_step.shared = False
        plain = gradients_of(train_step, phase)
        for a, b in zip(tf.nest.flatten(found), tf.nest.flatten(plain), strict=True):
            np.testing.assert_allclose(a, b, 1e-4, 1e-6)
        self.assertGreater(max(np.abs(g).max() for g in found[0]["g"]), 0.0)

    @pytest.mark.slow
    def test_real_images(self):
        sums = {}
        for real in ("source", "target"):
            found = self.gradients(recipe=BOTH, real_images=real)
            sums[real] = found[2][1]
        self.assertNotAlmostEqual(
            float(sums["source"]["d_real"]), float(sums["target"]["d_real"]), places=4
        )
        self.assertAlmostEqual(
            float(sums["source"]["d_fake"]), float(sums["target"]["d_fake"]), places=4
        )

    @pytest.mark.slow
    def test_hinge_on_the_mean_or_per_sample(self):
        alone = SIMPLE.changed(ifsr=1.0)
        sums = self.gradients(recipe=alone)[2][1]
        margins = tuple(np.asarray(sums["ifsr_distances"]) / 4)
        values = []
        for per_sample in (False, True):
            train_step, phase, (_, sums) = self.gradients(
                margins, alone, ifsr_per_sample=per_sample, ifsr_scale=1.0
            )
            values.append(float(train_step.report(sums, phase)["ifsr"]))
        self.assertAlmostEqual(values[0], 0.0, places=5)
        self.assertGreater(values[1], 1e-3)

    def test_pairs_of_one_person_reconstruct(self):
        train_step = tiny.make_step(PLAIN.changed(same_person_ratio=0.5), batch_size=4)
        batch = tiny.batch(4)
        batch["source_identity"] = tf.constant([0, 1, 102, -1], tf.int64)
        batch["target_identity"] = tf.constant([0, 1, 2, -1], tf.int64)
        seen = seen_of(train_step, batch)
        self.assert_close(seen["same"], np.array([1, 1, 0, 0], "f4"))

    @pytest.mark.slow
    def test_cycle_on_rows_of_the_global_batch(self):
        """However the batch is divided, the same rows are swapped back."""
        recipe = SIMPLE.changed(cycle=1.0, cycle_every=3)
        found = []
        for divided, parts in ((False, 1), (False, 2), (True, 2)):
            made = tiny.make_step(
                recipe,
                batch_size=8,
                sgd=True,
                driver=tiny.two_replicas() if divided else None,
                accumulation=parts,
            )
            batch = tiny.halved(tiny.batch(8)) if divided else tiny.batch(8)
            found.append((tiny.run(made, [batch])[0], weights_of(made)))
        values, arrays = found[0]
        for other, others in found[1:]:
            for name in ("cycle", "g_loss", "g_gradient_norm"):
                np.testing.assert_allclose(other[name], values[name], 1e-5)
            for name, array in arrays.items():
                np.testing.assert_allclose(others[name], array, 0, 1e-5)

    def test_rows_to_cycle(self):
        for first, count, every in itertools.product(
            (0, 3, 4, 9), (1, 3, 4), (2, 3, 8)
        ):
            first *= count
            row = np.arange(first, first + count, dtype="int32")
            rows, weights = facedancer_terms.rows_to_cycle(tf.constant(row), every, 100)
            rows = range(count)[rows] if isinstance(rows, slice) else rows.numpy()
            wanted = [k for k in range(count) if row[k] % every == 0]
            taken = [k for k, w in zip(rows, np.asarray(weights), strict=True) if w]
            self.assertEqual(taken, wanted)
        rows, weights = facedancer_terms.rows_to_cycle(tf.range(10), 8, 10)
        self.assertEqual(rows, slice(None, None, 8))
        self.assert_close(weights, np.ones(2, "f4"))

    @pytest.mark.slow
    def test_cycle_on_a_part(self):
        for every, count in ((1, 4.0), (2, 2.0), (4, 1.0)):
            alone = SIMPLE.changed(cycle=1.0, cycle_every=every)
            sums = self.gradients(recipe=alone)[2][1]
            self.assertEqual(float(sums["cycled"]), count)


class ScheduleTest(tiny.EagerTestCase):
    def test_batch_that_cannot_be_divided(self):
        with self.assertRaisesRegex(
            ValueError,
            "multiple of replicas times accumulation. Received: batch_size=4",
        ):
            tiny.make_step(batch_size=4, accumulation=3)

    def test_phases(self):
        recipe = PLAIN.changed(warmup_steps=3, r1_every=2)
        train_step = tiny.make_step(recipe, batch_size=4)
        phases = [train_step.phase_of(k) for k in range(6)]
        self.assertEqual([p.self_pairs for p in phases], [True] * 3 + [False] * 3)
        self.assertEqual([p.with_r1 for p in phases], [False] * 4 + [True, False])
        never = tiny.make_step(recipe.changed(r1_gamma=0.0), batch_size=4)
        self.assertFalse(never.phase_of(4).with_r1)

    @pytest.mark.slow
    def test_lazy_r1_has_the_matching_weight(self):
        grads = []
        for every in (1, 4):
            train_step = tiny.make_step(BOTH.changed(r1_every=every), batch_size=4)
            both = [
                gradients_of(train_step, Phase(with_r1=r1))[0]["d"]
                for r1 in (True, False)
            ]
            grads.append([a - b for a, b in zip(*both, strict=True)])
        for one, four in zip(*grads, strict=True):
            np.testing.assert_allclose(4.0 * one, four, 1e-2, 1e-4)

    @pytest.mark.slow
    def test_stages_exchange_networks_and_forget_moments(self):
        stage = Stage(1, {"contrast": 0.0}, reset_optimizers=True)
        train_step = tiny.make_step(SIMPLE.changed(stages=(stage,)), batch_size=4)
        tiny.run(train_step, [tiny.batch(4)])
        moments = train_step.state.optimizers["g"].variables
        self.assertGreater(max(np.abs(v.numpy()).max() for v in moments[2:]), 0.0)
        train_step.state.begin(stage)
        self.assertEqual(max(np.abs(v.numpy()).max() for v in moments[2:]), 0.0)
        self.assertGreater(float(train_step.state.optimizers["g"].learning_rate), 0.0)
        first, second = (tiny.builders()["generator"]() for _ in range(2))
        state = State({"a": first, "b": second}, {}, {}, {"g": ("a", "b")})
        before = first.get_weights(), second.get_weights()
        state.begin(Stage(0, exchange=(("a", "b"),)))
        self.assert_close((second.get_weights(), first.get_weights()), before)

    def test_warm_up_only_reconstructs(self):
        recipe = SIMPLE.changed(warmup_steps=1)
        train_step = tiny.make_step(recipe, batch_size=4)
        before = weights_of(train_step)
        first, second = tiny.run(train_step, [tiny.batch(4), tiny.batch(4)])
        self.assertEqual(
            list(first),
            ["g_loss", "low_frequency", "reconstruction", "g_gradient_norm"],
        )
        self.assertIn("identity", second)
        self.assertGreater(len(before), 0)

    def test_average_of_the_generator(self):
        train_step = tiny.make_step(SIMPLE.changed(ema=0.999), batch_size=4)
        state = train_step.state
        start = [w.numpy() for w in state.variables_of("g")]
        tiny.run(train_step, [tiny.batch(4)])
        new = state.variables_of("g")
        average = state.averages["generator"].trainable_variables
        # At step 0 the decay is (1 + 0) / (10 + 0).
        for s, n, a in zip(start, new, average, strict=True):
            np.testing.assert_allclose(a.numpy(), s + 0.9 * (n.numpy() - s), 1e-4, 1e-6)
        self.assertIs(state.best_generator, state.averages["generator"])

    @pytest.mark.slow
    def test_clipping_bounds_the_step(self):
        norms = []
        for clip in (0.0, 0.5):
            recipe = SIMPLE.changed(clip_norm=clip, lr=1.0)
            train_step = tiny.make_step(recipe, batch_size=4, sgd=True)
            start = weights_of(train_step)
            (values,) = tiny.run(train_step, [tiny.batch(4)])
            moved = [
                weights_of(train_step)[k] - start[k]
                for k in start
                if k.startswith("generator/")
            ]
            norms.append(np.sqrt(sum((m**2).sum() for m in moved)))
            self.assertGreater(values["g_gradient_norm"], 0.5)
        self.assertAlmostEqual(norms[0], values["g_gradient_norm"], delta=1e-2)
        self.assertAlmostEqual(norms[1], 0.5, delta=1e-3)


class PrecisionTest(tiny.EagerTestCase):
    @parameterized.parameters("mixed_bfloat16", "mixed_float16")
    @pytest.mark.large
    def test_reduced_precision(self, precision):
        exact = tiny.make_step(PLAIN, batch_size=4)
        other = tiny.make_step(PLAIN, batch_size=4, precision=precision)
        (expected,), (found,) = (
            tiny.run(one, [tiny.batch(4)]) for one in (exact, other)
        )
        for name in ("identity", "reconstruction", "cycle", "adversarial", "d_loss"):
            np.testing.assert_allclose(found[name], expected[name], 0.05, 0.02)
        self.assertEqual(
            {str(w.dtype) for w in other.state.networks["generator"].weights},
            {"float32"},
        )
        other.set_learning_rate(0.25)
        self.assertEqual(float(other.state.optimizers["g"].learning_rate), 0.25)

    def test_float16_overflow_skips_the_step_and_lowers_the_scale(self):
        train_step = tiny.make_step(SIMPLE, batch_size=4, precision="mixed_float16")
        scale = train_step.state.optimizers["g"].dynamic_scale
        scale.assign(1e30)
        start = weights_of(train_step)
        tiny.run(train_step, [tiny.batch(4)])
        self.assertLess(float(scale.numpy()), 1e30)
        for name, array in weights_of(train_step).items():
            if name.startswith("generator/"):
                np.testing.assert_array_equal(array, start[name])


@pytest.mark.large
class XlaTest(testing.TestCase):
    def test_compiled_equals_plain(self):
        both = [
            tiny.run(
                tiny.make_step(PLAIN, driver=TensorFlowDriver(xla=xla)), [tiny.batch(4)]
            )[0]
            for xla in (False, True)
        ]
        for name, expected in both[0].items():
            np.testing.assert_allclose(
                both[1][name], expected, 1e-4, 1e-5, err_msg=name
            )


class PerceptualSumTest(testing.TestCase):
    def test_by_hand(self):
        compared = np.array([1.0, 0.0], "f4")
        target = [np.full((2, 2, 3, 1), 2.0, "f4")]
        swapped = [np.full((2, 2, 3, 1), 5.0, "f4")]
        found = terms.perceptual_sum(compared, target, swapped, relative=False)
        self.assertAlmostEqual(float(found), 3.0, places=5)
        found = terms.perceptual_sum(compared, target, swapped, relative=True)
        self.assertAlmostEqual(float(found), 1.5, places=5)
