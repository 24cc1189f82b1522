"""The step under JAX equals the step under TensorFlow, on one device and on two."""

import pathlib
import subprocess
import sys
import tempfile

import numpy as np
import pytest

from facedancer.train.loop.checkpoints import Checkpoints
from tests import testing
from tests.train import tiny

ROOT = pathlib.Path(__file__).parents[2]


@pytest.mark.large  # it compiles four programs
class JaxDriverTest(testing.TestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.folder = pathlib.Path(cls.enterClassContext(tempfile.TemporaryDirectory()))
        made = tiny.make_step(tiny.JUDGED.changed(lr=1.0), batch_size=8, sgd=True)
        weights = made.system.frozen.teacher.encoder.get_weights()
        np.savez(cls.folder / "encoder.npz", *weights)
        cls.start = made.state.to_arrays()
        np.savez(cls.folder / "start.npz", **cls.start)
        (cls.values,) = tiny.run(made, [tiny.batch(8)])
        cls.arrays = made.state.to_arrays()

        cls.saved = Checkpoints(cls.folder / "checkpoints")
        cls.adam = tiny.make_step(tiny.QUICK)
        cls.adam.set_learning_rate(1e-3)
        tiny.run(cls.adam, [tiny.batch(4, seed) for seed in range(2)])
        cls.saved.save(cls.adam.state, {})
        worker = str(ROOT / "tests" / "train" / "jax_worker.py")
        words = [sys.executable, worker, str(ROOT), str(cls.folder)]
        done = subprocess.run(words, capture_output=True, text=True, timeout=900)
        assert done.returncode == 0, done.stderr[-4000:]

    def read(self, name):
        found = dict(np.load(self.folder / f"{name}.npz"))
        values = {
            k.partition(":")[2]: found.pop(k)
            for k in list(found)
            if k.startswith("values:")
        }
        return values, found

    def test_losses_and_gradients_equal_tensorflow(self):
        """By plain descent with the rate 1 a weight moves by its gradient."""
        values, arrays = self.read("one")
        self.assertEqual(list(values), list(self.values))
        for name, expected in self.values.items():
            np.testing.assert_allclose(values[name], expected, 1e-4, 1e-5, err_msg=name)
        self.assertEqual(set(arrays), set(self.arrays))
        for part in ("generator", "discriminator", "projected_heads"):
            names = [name for name in arrays if name.startswith(f"{part}/")]
            found, expected = (
                {name: one[name] - self.start[name] for name in names}
                for one in (arrays, self.arrays)
            )
            largest = max(np.abs(array).max() for array in expected.values())
            self.assertGreater(largest, 1e-2)
            for name in names:
                np.testing.assert_allclose(
                    found[name], expected[name], 1e-4, 1e-4 * largest, err_msg=name
                )

    def test_the_average_moves_alike(self):
        arrays = self.read("one")[1]
        names = [name for name in arrays if name.startswith("average_generator/")]
        self.assertLen(names, 68)
        for name in names:
            np.testing.assert_allclose(
                arrays[name], self.arrays[name], 1e-3, 1e-3, err_msg=name
            )

    def test_two_devices_equal_one(self):
        values, arrays = self.read("one")
        others, again = self.read("two")
        for name, expected in values.items():
            np.testing.assert_allclose(others[name], expected, 2e-5, 1e-6, err_msg=name)
        for name, expected in arrays.items():
            np.testing.assert_allclose(again[name], expected, 1e-4, 1e-4, err_msg=name)

    def test_a_checkpoint_goes_on_in_the_other(self):
        """TensorFlow to step 2, JAX to 3, TensorFlow to 4; against TensorFlow alone."""
        self.assertEqual(self.saved.steps(), [2, 3])
        found = self.read("went_on")[0]
        expected = tiny.run(self.adam, [tiny.batch(4, k) for k in (2, 3)])
        for name, value in expected[0].items():
            np.testing.assert_allclose(found[name], value, 1e-3, 1e-4, err_msg=name)
        again = tiny.make_step(tiny.QUICK)
        self.saved.restore(again.state, 3)
        (last,) = tiny.run(again, [tiny.batch(4, 3)])
        self.assertEqual(again.taken, 4)
        for name, value in expected[1].items():
            np.testing.assert_allclose(last[name], value, 1e-2, 1e-3, err_msg=name)
