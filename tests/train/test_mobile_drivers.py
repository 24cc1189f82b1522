"""MobileFSGAN's step: TensorFlow and JAX, one device and two, are equal."""

import pathlib
import subprocess
import sys
import tempfile

import numpy as np
import pytest

from tests import testing
from tests.train import mobile_tiny, tiny

ROOT = pathlib.Path(__file__).parents[2]


@pytest.mark.large  # four programs of four networks are compiled
class MobileDriversTest(testing.TestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.folder = pathlib.Path(cls.enterClassContext(tempfile.TemporaryDirectory()))
        made = mobile_tiny.make_step(tiny.tensorflow_driver())
        weights = made.system.frozen.teacher.encoder.get_weights()
        np.savez(cls.folder / "encoder.npz", *weights)
        cls.start = made.state.to_arrays()
        np.savez(cls.folder / "start.npz", **cls.start)
        (cls.values,) = tiny.run(made, [mobile_tiny.batch(4)])
        cls.arrays = made.state.to_arrays()
        worker = str(ROOT / "tests" / "train" / "jax_mobile.py")
        words = [sys.executable, worker, str(ROOT), str(cls.folder)]
        done = subprocess.run(words, capture_output=True, text=True, timeout=900)
        assert done.returncode == 0, done.stderr[-4000:]

    def assert_alike(self, values, arrays):
        self.assertEqual(list(values), list(self.values))
        for name, expected in self.values.items():
            np.testing.assert_allclose(values[name], expected, 1e-3, 1e-4, err_msg=name)
        for network in mobile_tiny.structures():
            names = [name for name in self.arrays if name.startswith(f"{network}/")]
            found, expected = (
                {name: one[name] - self.start[name] for name in names}
                for one in (arrays, self.arrays)
            )
            largest = max(np.abs(array).max() for array in expected.values())
            self.assertGreater(largest, 1e-3, network)
            for name in names:
                np.testing.assert_allclose(
                    found[name], expected[name], 1e-3, 1e-3 * largest, err_msg=name
                )

    def test_jax(self):
        for name in ("one", "two"):
            with self.subTest(name):
                found = dict(np.load(self.folder / f"{name}.npz"))
                values = {
                    key.removeprefix("values:"): found.pop(key)
                    for key in list(found)
                    if key.startswith("values:")
                }
                self.assert_alike(values, found)

    def test_two_replicas_of_tensorflow(self):
        made = mobile_tiny.make_step(tiny.two_replicas())
        made.system.frozen.teacher.encoder.set_weights(
            list(np.load(self.folder / "encoder.npz").values())
        )
        made.state.set_arrays(self.start, 0)
        (values,) = tiny.run(made, [tiny.halved(mobile_tiny.batch(4))])
        self.assert_alike(values, made.state.to_arrays())
