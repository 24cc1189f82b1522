"""The same steps under JAX, without TensorFlow; started by test_jax_driver.py.

    python jax_worker.py ROOT FOLDER

`FOLDER/start.npz` holds the state of a step under TensorFlow, `FOLDER/encoder.npz` the
weights of the encoder.
"""

import os
import pathlib
import sys

os.environ["KERAS_BACKEND"] = "jax"
# Two devices; quick to compile, which is what takes the time here.
os.environ["XLA_FLAGS"] = (
    "--xla_force_host_platform_device_count=2 --xla_backend_optimization_level=0 "
    "--xla_llvm_disable_expensive_passes=true"
)
sys.path.insert(0, sys.argv[1])

import numpy as np  # noqa: E402

from facedancer.train.drivers.jax_driver import JaxDriver  # noqa: E402
from facedancer.train.loop.checkpoints import Checkpoints  # noqa: E402
from tests.train import tiny  # noqa: E402


class NoTensorFlow:
    """Refuses the import of TensorFlow, by whomever."""

    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "tensorflow":
            raise ImportError("TensorFlow was imported")
        return None


def make_step(recipe, devices, folder, **options):
    made = tiny.make_step(recipe, driver=JaxDriver(devices), **options)
    made.system.frozen.teacher.encoder.set_weights(
        list(np.load(folder / "encoder.npz").values())
    )
    return made


def main(folder):
    start = dict(np.load(folder / "start.npz"))
    for name, devices in (("one", ("0",)), ("two", ("0", "1"))):
        made = make_step(
            tiny.JUDGED.changed(lr=1.0), devices, folder, batch_size=8, sgd=True
        )
        made.state.set_arrays(start, 0)
        (values,) = tiny.run(made, [tiny.batch(8)])
        arrays = made.state.to_arrays()
        np.savez(folder / f"{name}.npz", **arrays, **prefixed("values", values))
    saved = Checkpoints(folder / "checkpoints")
    made = make_step(tiny.QUICK, ("1",), folder)
    saved.restore(made.state, 2)
    made.set_learning_rate(1e-3)
    (values,) = tiny.run(made, [tiny.batch(4, 2)])
    saved.save(made.state, {})
    np.savez(folder / "went_on.npz", **prefixed("values", values))


def prefixed(prefix, values):
    return {f"{prefix}:{name}": value for name, value in values.items()}


if __name__ == "__main__":
    sys.meta_path.insert(0, NoTensorFlow())
    main(pathlib.Path(sys.argv[2]))
    assert "tensorflow" not in sys.modules
