"""One step of MobileFSGAN under JAX on one and on two devices, without TensorFlow.

    python jax_mobile.py ROOT FOLDER

`FOLDER/start.npz` holds the state of a step under TensorFlow, `FOLDER/encoder.npz` the
weights of the encoder.
"""

import os
import pathlib
import sys

sys.path.insert(0, sys.argv[1])

from tests.train import jax_worker  # noqa: E402  # sets the backend and two devices

if __name__ == "__main__":
    sys.meta_path.insert(0, jax_worker.NoTensorFlow())
    import numpy as np

    from facedancer.train.drivers.jax_driver import JaxDriver
    from tests.train import mobile_tiny, tiny

    folder = pathlib.Path(sys.argv[2])
    assert os.environ["KERAS_BACKEND"] == "jax"
    encoder = list(np.load(folder / "encoder.npz").values())
    start = dict(np.load(folder / "start.npz"))
    for name, devices in (("one", ("0",)), ("two", ("0", "1"))):
        made = mobile_tiny.make_step(JaxDriver(devices))
        made.system.frozen.teacher.encoder.set_weights(encoder)
        made.state.set_arrays(start, 0)
        (values,) = tiny.run(made, [mobile_tiny.batch(4)])
        arrays = made.state.to_arrays()
        found = jax_worker.prefixed("values", values)
        np.savez(folder / f"{name}.npz", **arrays, **found)
    assert "tensorflow" not in sys.modules
