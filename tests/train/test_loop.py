"""The loop: resume equals undisturbed, NaN stops it, what a run leaves behind."""

import contextlib
import itertools
import json
from unittest import mock

import numpy as np
import pytest
import tensorflow as tf
from absl import logging
from absl.testing import parameterized

from facedancer.train.loop import alarms, clock, loop
from facedancer.train.loop.checkpoints import Checkpoints
from facedancer.train.loop.journal import Journal
from facedancer.train.objective import adversary
from tests import testing
from tests.train import tiny

# Both players, and few operations.
RECIPE = tiny.QUICK.changed(
    adversarial=1.0,
    contrast=0.0,
    chroma=0.0,
    low_frequency=0.0,
    r1_gamma=0.0,
    look=True,
)
STEPS = 4


def batches(first, count=100, nan_at=None):
    for number in range(first, count):
        one = tiny.batch(4, number)
        if number == nan_at:
            one["target"] = one["target"] * np.nan
        yield one


class Counting:
    """A step that only counts."""

    names, batch_size = {"one": ["loss"]}, 2

    def __init__(self):
        self.taken, self.state, self.saved = 0, None, []
        self.driver = mock.Mock(clear_errors=contextlib.nullcontext)
        self.recipe = mock.Mock(learning_rate=lambda *_: 1e-4)

    def set_learning_rate(self, rate):
        pass

    def __call__(self, batch):
        self.taken += 1
        return "one", np.array([0.5])

    def save(self, *_):
        self.saved.append(self.taken)


class ClockTest(testing.TestCase):
    def run_by(self, told, steps):
        step, journal = Counting(), Journal(self.tempdir())
        plan = loop.Plan(steps, log_every=50, save_every=50)
        run = loop.Loop(step, plan, journal, checkpoints=step, clock=told(step))
        run.run(itertools.repeat({}))
        logged = [one["step"] for one in journal.entries()]
        return step.saved, logged, run.out_of_time

    def test_time_is_up(self):
        seconds = iter(range(0, 4000, 40))  # at each look 40 s later
        found = self.run_by(lambda _: clock.Clock(3.9, 0.0, lambda: next(seconds)), 90)
        self.assertEqual(found, ([6], [6], True))  # 240 s are more than 234

    def test_saved_by_time(self):
        found = self.run_by(lambda s: clock.Clock(0.0, 2.0, lambda: 60.0 * s.taken), 55)
        self.assertEqual(found, ([*range(2, 55, 2), 55], [50, 55], False))

    def test_steps_alone(self):
        found = self.run_by(lambda _: None, 55)
        self.assertEqual(found, ([50, 55], [50, 55], False))


class LoopTest(tiny.EagerTestCase):
    def make_loop(self, folder, steps=STEPS, precision="float32", **options):
        plan = loop.Plan(steps, log_every=2, save_every=2, sample_every=2, eval_every=2)
        return loop.Loop(
            tiny.make_step(RECIPE, precision=precision),
            plan,
            Journal(folder),
            Checkpoints(folder / "checkpoints"),
            **options,
        )

    @pytest.mark.slow
    def test_resume_equals_undisturbed_and_the_run_folder(self):
        whole, parts = self.tempdir(), self.tempdir()
        undisturbed = self.make_loop(
            whole,
            show=lambda journal, step: journal.picture(
                "swaps", step, np.full((6, 9, 3), step, np.uint8)
            ),
            validate=lambda: {"cosine_to_source": 0.25, "change": 3.0},
        )
        undisturbed.run(batches(0))

        first = self.make_loop(parts)
        for _ in range(3):  # one step beyond the checkpoint of step 2, then "killed"
            first.plan = loop.Plan(first.state.step + 1, 1, 2, 9, 9)
            first.run(batches(first.state.step))
            if first.state.step == 3:
                first.checkpoints.path(3).unlink()
            if first.state.step == 1:
                first.checkpoints.path(1).unlink()
        again = self.make_loop(parts)
        again.checkpoints.restore(again.state, again.checkpoints.find("latest"))
        self.assertEqual(again.state.step, 2)
        again.run(batches(2))

        expected = undisturbed.state.to_arrays()
        for name, array in again.state.to_arrays().items():
            np.testing.assert_array_equal(array, expected[name], err_msg=name)
        steps = [entry["step"] for entry in again.journal.entries()]
        self.assertEqual(steps, [1, 2, 4])  # 3 was lost and taken again
        self.check_run_folder(undisturbed, whole)

    def check_run_folder(self, undisturbed, folder):
        lines = [json.loads(x) for x in open(folder / "metrics.jsonl")]
        kinds = [(entry["kind"], entry["step"]) for entry in lines]
        self.assertEqual(kinds, [("train", 2), ("eval", 2), ("train", 4), ("eval", 4)])
        self.assertIn("g_loss", lines[0])
        self.assertEqual(lines[1]["change"], 3.0)
        self.assertEqual(undisturbed.checkpoints.best_step(), 2)
        self.assertTrue((folder / "samples" / "swaps_00000004.png").is_file())
        (events,) = (folder / "tensorboard").glob("events*")
        self.check_board(events)
        self.assertGreater(undisturbed.journal.curves().stat().st_size, 10_000)

    def check_board(self, path):
        """What TensorBoard shows: read without it."""
        found = {}
        for record in tf.data.TFRecordDataset(str(path)):
            event = tf.compat.v1.Event.FromString(record.numpy())
            for value in event.summary.value:
                plugin = value.metadata.plugin_data.plugin_name
                array = tf.make_ndarray(value.tensor)
                found[value.tag, event.step] = plugin, array
        self.assertEqual(found["eval/change", 4], ("scalars", np.float32(3.0)))
        plugin, (width, height, png) = found["swaps", 4]
        self.assertEqual((plugin, width, height), ("images", b"9", b"6"))
        self.assertEqual(tf.io.decode_png(png).shape, (6, 9, 3))

    @pytest.mark.slow
    def test_nan_stops_with_the_loss_and_the_step(self):
        folder = self.tempdir()
        training = self.make_loop(folder, steps=50)
        with self.assertRaisesRegex(
            alarms.NotFiniteError, "step 4: .*reconstruction.*became NaN.*Lower --lr"
        ):
            training.run(batches(0, nan_at=3))
        self.assertEqual(training.checkpoints.steps(), [2])
        fresh = self.make_loop(folder)
        fresh.checkpoints.restore(fresh.state, 2)
        for array in fresh.state.to_arrays().values():
            self.assertTrue(np.isfinite(array).all())

    @pytest.mark.slow
    def test_overflows_of_float16_are_left_out(self):
        """A loss scale that is too high at first is no reason to stop."""
        training = self.make_loop(self.tempdir(), steps=12, precision="mixed_float16")
        for optimizer in training.state.optimizers.values():
            optimizer.dynamic_scale.assign(2.0**19)
        start = training.state.to_arrays()
        training.run(batches(0))
        entries = training.journal.entries()
        for letter in "gd":
            skipped = [entry[f"{letter}_skipped"] for entry in entries]
            self.assertEqual((skipped[0], skipped[-1]), (1.0, 0.0))
            self.assertNotIn(f"{letter}_gradient_norm", entries[0])
            self.assertGreater(entries[-1][f"{letter}_gradient_norm"], 0.0)
        moved = training.state.to_arrays()
        self.assertTrue(any((moved[k] != v).any() for k, v in start.items()))

    @pytest.mark.slow
    def test_float16_stops_after_many_overflows_in_a_row(self):
        training = self.make_loop(self.tempdir(), steps=12, precision="mixed_float16")
        training.state.optimizers["g"].dynamic_scale.assign(2.0**60)
        with mock.patch.object(alarms, "MANY_SKIPS", 4):
            with self.assertRaisesRegex(
                alarms.NotFiniteError, "step 4: g_gradient_norm became NaN"
            ):
                training.run(batches(0))


class GuardTest(testing.TestCase):
    NAMES = ("g_loss", "g_gradient_norm", "g_skipped")

    def test_overflows_in_a_row(self):
        guard, last = alarms.Guard(), alarms.MANY_SKIPS - 1
        for first in (1, last + 2):  # one step is taken between the two rows
            for step in range(first, first + last):
                guard.check(self.NAMES, [1.0, np.inf, 1.0], step)
                guard.check(self.NAMES, [1.0, np.inf, 1.0], step)
            guard.check(self.NAMES, [1.0, 2.0, 0.0], first + last)
        for step in range(100, 100 + last):
            guard = alarms.Guard() if step == 100 else guard
            guard.check(self.NAMES, [1.0, np.nan, 1.0], step)
        with self.assertRaisesRegex(alarms.NotFiniteError, "g_gradient_norm became"):
            guard.check(self.NAMES, [1.0, np.nan, 1.0], 100 + last)

    def test_a_loss_is_never_excused(self):
        with self.assertRaisesRegex(alarms.NotFiniteError, "step 1: g_loss became"):
            alarms.Guard().check(self.NAMES, [np.inf, np.inf, 1.0], 1)

    def test_a_norm_without_a_loss_scale(self):
        with self.assertRaisesRegex(alarms.NotFiniteError, "step 1: g_gradient_norm"):
            alarms.Guard().check(self.NAMES[:2], [1.0, np.inf], 1)
        with self.assertRaisesRegex(alarms.NotFiniteError, "step 1: g_gradient_norm"):
            alarms.Guard().check(self.NAMES, [1.0, np.inf, 0.0], 1)


class IntervalTest(testing.TestCase):
    def test_means_and_the_first_bad_step(self):
        interval = loop.Interval(alarms.Guard())
        interval.add(7, ["a", "b"], tf.constant([1.0, 2.0]))
        interval.add(8, ["a"], tf.constant([3.0]))
        self.assertEqual(interval.means(), {"a": 2.0, "b": 2.0})
        interval.add(9, ["a", "b"], tf.constant([1.0, np.inf]))
        with self.assertRaisesRegex(alarms.NotFiniteError, "step 9: b became NaN"):
            interval.means()

    def test_plan(self):
        plan = loop.Plan(steps=25)
        self.assertEqual(
            [plan.due(10, step) for step in (1, 10, 20, 25)], [False, True, True, True]
        )

    def test_starving_is_told(self):
        training = loop.Loop.__new__(loop.Loop)
        training.step = type("S", (), {"batch_size": 4, "recipe": RECIPE, "taken": 2})()
        training.plan = loop.Plan(steps=10)
        training.journal = Journal("unused", active=False)
        interval = loop.Interval(alarms.Guard())
        for number in (1, 2):
            interval.add(number, ["a"], tf.constant([1.0]))
        interval.waited = 1e6
        with self.assertLogs(logging.get_absl_logger(), "WARNING") as logs:
            training._log(interval)
        self.assertIn("reading is the bottleneck", logs.output[0])


class AlarmsTest(testing.TestCase):
    def means(self, **changes):
        return {
            "cosine_to_source": 0.3,
            "cosine_apart": 0.01,
            "fooled": 0.4,
            "trusted": 0.6,
        } | changes

    def test_all_is_well(self):
        self.assertEmpty(alarms.alarms(self.means(), 9000, 5000))
        self.assertEmpty(alarms.alarms({"reconstruction": 1.0}, 9000, 5000))

    def test_copying(self):
        means = self.means(cosine_to_source=0.02)
        self.assertEmpty(alarms.alarms(means, 100, 5000))
        (text,) = alarms.alarms(means, 9000, 5000)
        self.assertIn("the generator copies the target", text)

    def test_discriminator(self):
        (text,) = alarms.alarms(self.means(fooled=0.001, trusted=0.999), 1, 5)
        self.assertIn("always right", text)
        (text,) = alarms.alarms(self.means(fooled=0.5, trusted=0.5), 1, 5)
        self.assertIn("has collapsed", text)

    def test_a_blind_discriminator(self):
        """As the log of a training had it whose discriminator saw nothing."""
        means = self.means(fooled_projected=0.461, trusted_projected=0.480)
        self.assertEmpty(alarms.alarms(means, 999, 5000))
        (text,) = alarms.alarms(means, 1000, 5000)
        self.assertStartsWith(text, "the discriminator projected takes what is made")
        self.assertIn("as real (0.46) as what is real (0.48)", text)
        means["trusted_projected"] = 0.55
        self.assertEmpty(alarms.alarms(means, 1000, 5000))

    def test_each_of_several_discriminators(self):
        means = self.means(fooled_half=0.5, trusted_half=0.5, fooled_b=0.0, trusted_b=1)
        collapsed, right = alarms.alarms(means, 1, 5)
        self.assertStartsWith(collapsed, "the discriminator half tells nothing apart")
        self.assertStartsWith(right, "the discriminator b is always right")

    @parameterized.parameters(
        ("nonsaturating", [-9.0], [9.0], [2.0], [2.0]),
        ("relativistic", [12.0], [20.0], [12.0], [12.0]),
        ("hinge", [-1.0], [1.5], [0.5], [0.5]),
        ("lsgan", [0.0], [1.0], [0.25], [0.25]),
    )
    def test_each_kind_by_its_own_rule(self, kind, fake, real, one, other):
        for logits, word in (((fake, real), "always right"), ((one, other), "collaps")):
            fooled, trusted = (
                float(x[0])
                for x in adversary.judged_real(kind, *map(np.float32, logits))
            )
            means = self.means(fooled=fooled, trusted=trusted)
            (text,) = alarms.alarms(means, 1, 5)
            self.assertIn(word, text)
        half = (np.add(one, 0.0), np.add(one, 0.2))
        fooled, trusted = adversary.judged_real(kind, *map(np.float32, half))
        self.assertLess(float(fooled[0]), float(trusted[0]))
        means = self.means(fooled=float(fooled[0]), trusted=float(trusted[0]))
        self.assertEmpty(alarms.alarms(means, 1, 5))
