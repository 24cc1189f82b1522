"""Checkpoints: whole or not there, the last N and the best, clear refusals."""

import collections
import json
import os
import pathlib
from unittest import mock

import keras
import numpy as np

from facedancer.errors import InputError
from facedancer.models import GeneratorConfig
from facedancer.train.loop import checkpoints
from facedancer.train.step import state
from facedancer.train.systems import facedancer, facedancer_recipes
from facedancer.train.systems.base import Fed
from tests import testing
from tests.train import tiny


def make_state(seed=0, **changes):
    keras.utils.set_random_seed(seed)
    system = tiny.make_system(tiny.EVERYTHING.changed(**changes))
    keras.utils.set_random_seed(seed)
    return state.build_state(system, tiny.builders())


# Arrays of each part of the tiny state, as the first trainer wrote them.
BEFORE = {
    "generator": 68,
    "discriminator": 26,
    "average_generator": 68,
    "g_optimizer": 138,
    "d_optimizer": 54,
}


class CheckpointsTest(testing.TestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.state, cls.other = make_state(), make_state(seed=1)
        cls.arrays, cls.others = cls.state.to_arrays(), cls.other.to_arrays()

    def setUp(self):
        super().setUp()
        self.state.set_arrays(self.arrays, 0)
        self.other.set_arrays(self.others, 0)
        self.folder = self.tempdir() / "deep" / "checkpoints"
        self.saved = checkpoints.Checkpoints(self.folder, keep=2)

    def save(self, step, score=None):
        self.state.step = step
        self.saved.save(self.state, {"generator": {"a": 1}}, score)

    def test_everything_comes_back(self):
        for number, optimizer in enumerate(self.state.optimizers.values()):
            for variable in optimizer.variables:
                variable.assign(keras.ops.ones_like(variable) * (3 + number))
        self.save(12)
        other = self.other
        record = self.saved.restore(other, 12)
        self.assertEqual((other.step, record["generator"]), (12, {"a": 1}))
        expected, found = self.state.to_arrays(), other.to_arrays()
        parts = {name.split("/")[0] for name in found}
        self.assertLen(parts, 5)
        for name, array in expected.items():
            np.testing.assert_array_equal(found[name], array)

    def test_a_checkpoint_of_before(self):
        """The only average was once called `average`; the other names stand."""
        arrays = self.state.to_arrays()
        counts = collections.Counter(name.partition("/")[0] for name in arrays)
        self.assertEqual(counts, BEFORE)
        old = {
            k.replace("average_generator/", "average/"): v for k, v in arrays.items()
        }
        self.assertLen([name for name in old if name.startswith("average/")], 68)
        record = np.frombuffer(b'{"generator": {"a": 1}, "step": 7}', np.uint8)
        self.folder.mkdir(parents=True)
        np.savez(self.saved.path(7), record=record, **old)
        other = self.other
        self.saved.restore(other, 7)
        self.assertEqual(other.step, 7)
        for name, array in other.to_arrays().items():
            np.testing.assert_array_equal(array, arrays[name])

    def test_the_last_ones_and_the_best_are_kept(self):
        for step, score in ((1, 0.5), (2, 0.9), (3, 0.1), (4, None), (5, 0.2)):
            self.save(step, score)
        self.assertEqual(self.saved.steps(), [2, 4, 5])
        self.assertEqual(self.saved.best_step(), 2)
        self.assertEqual(self.saved.find("best"), 2)
        self.assertEqual(self.saved.find("latest"), 5)
        self.assertEqual(self.saved.find("4"), 4)
        with self.assertRaisesRegex(InputError, "no checkpoint '3'. There are 2, 4, 5"):
            self.saved.find("3")

    def test_going_back_sets_later_ones_aside(self):
        for step in (1, 2):
            self.save(step, score=float(step))
        self.saved.set_aside(1)
        self.assertEqual((self.saved.steps(), self.saved.best_step()), ([1], None))
        self.assertTrue((self.folder / "step_00000002.npz.superseded").exists())
        self.save(3, score=0.5)  # less than the score set aside
        self.assertEqual(self.saved.best_step(), 3)

    def test_nothing_yet(self):
        self.assertEqual(self.saved.steps(), [])
        with self.assertRaisesRegex(InputError, "no checkpoint 'latest'. There are no"):
            self.saved.find("latest")

    def test_a_full_disk_leaves_the_earlier_one_whole(self):
        self.save(1)
        full = OSError(28, "No space left on device")
        with mock.patch.object(os, "fsync", side_effect=full):
            with self.assertRaisesRegex(
                InputError, "00002.npz: .*No space left on .* goes on from the last"
            ):
                self.save(2)
        self.assertEqual(os.listdir(self.folder), ["step_00000001.npz"])
        self.saved.restore(self.other, 1)

    def test_what_a_killed_process_left_is_no_checkpoint(self):
        self.folder.mkdir(parents=True)
        left = self.folder / ".tmp-9999999-step_00000007.npz"
        left.write_bytes(b"half")
        self.assertEqual(self.saved.steps(), [])
        self.save(8)
        self.assertFalse(left.exists())

    def test_damaged_file(self):
        self.save(1)
        path = self.saved.path(1)
        path.write_bytes(path.read_bytes()[:-500])
        with self.assertRaisesRegex(InputError, "damaged checkpoint"):
            self.saved.restore(self.state, 1)

    def test_other_structure(self):
        self.save(1)
        with self.assertRaisesRegex(InputError, "made with other settings"):
            self.saved.restore(make_state(ema=0.0), 1)
        with self.assertRaisesRegex(InputError, "no such file"):
            self.saved.restore(self.state, 9)

    def test_other_system(self):
        self.saved.save(self.state, {"system": "mobile_fsgan"})
        with self.assertRaisesRegex(
            InputError,
            "of a training of --system=mobile_fsgan. Received: .*=facedancer",
        ):
            self.saved.restore(self.other, 0, "facedancer")
        self.saved.restore(self.other, 0, "mobile_fsgan")
        self.save(1)  # an early record, which does not say it
        self.saved.restore(self.other, 1, "facedancer")


class LayoutTest(testing.TestCase):
    """What a checkpoint holds, as the trainer wrote it before systems had a table.

    `checkpoint_layout.json` has the names and shapes of a real one, of four steps with
    `facedancer_lite_64` at 16 pixels, a discriminator and an average.
    """

    CONFIG = GeneratorConfig(
        image_size=16,
        base_width=32,
        max_width=256,
        up_types=("no_skip", "affa", "concat"),
        mapping_sizes=(8,),
        identity_size=8,
        gain_bias=1.0,
    )

    def test_it_is_restored_array_by_array(self):
        path = pathlib.Path(__file__).with_name("checkpoint_layout.json")
        layout = json.loads(path.read_text())
        random = np.random.default_rng(0)
        arrays = {
            name: random.normal(size=shape).astype(dtype)
            for name, (shape, dtype) in layout.items()
        }
        system = tiny.make_system(facedancer_recipes.PUBLISHED.changed(ema=0.9))
        structures = facedancer.FaceDancer.structures(
            "", {}, Fed(), {"generator": self.CONFIG}
        )
        made = state.build_state(system, system.builders(structures))
        folder = self.tempdir()
        record = np.frombuffer(b'{"step": 4, "score": null}', np.uint8)
        np.savez(folder / "step_00000004.npz", **arrays, record=record)
        checkpoints.Checkpoints(folder).restore(made, 4)
        found = made.to_arrays()
        self.assertLen(found, len(layout))
        for name, array in arrays.items():
            now = name.replace("average/", "average_generator/")
            np.testing.assert_array_equal(found[now], array, err_msg=name)
