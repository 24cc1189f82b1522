"""Two steps on shards where only JAX, Keras, NumPy, OpenCV and Pillow are there.

    python jax_alone.py ROOT SHARDS ENCODER.npz FOLDER

It refuses what a machine with a GPU and little else does not have. (JAX itself needs
SciPy.)
"""

import os
import sys

os.environ["KERAS_BACKEND"] = "jax"
os.environ["XLA_FLAGS"] = (
    "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"
)
sys.path.insert(0, sys.argv[1])
ABSENT = (
    "tensorflow openvino av c2pa matplotlib skimage cryptography onnx tqdm "
    "sklearn tensorboard torch"
).split()


class Absent:
    """Says of some packages that they are not there."""

    def find_spec(self, name, path=None, target=None):
        if any(name == one or name.startswith(f"{one}.") for one in ABSENT):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return None


sys.meta_path.insert(0, Absent())

from facedancer import cli  # noqa: E402
from facedancer.train import train  # noqa: E402
from facedancer.train.config import TrainConfig  # noqa: E402

if __name__ == "__main__":
    status = train.main(cli.parse(TrainConfig, sys.argv[2:]))
    own = {"facedancer", "tests", "__main__"}
    found = {name.partition(".")[0] for name in sys.modules} - set(
        sys.stdlib_module_names
    )
    print("needs", *sorted(n for n in found - own if not n.startswith("_")))
    sys.exit(status)
