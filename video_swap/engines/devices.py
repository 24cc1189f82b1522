"""Which device computes, and in which precision it may."""

from __future__ import annotations

import importlib.util
import os
import sys

from facedancer.errors import InputError
from facedancer.process import keras_needed

# There is no GPU for TensorFlow where none of these is; a look costs nothing, while
# TensorFlow takes seconds to be imported.
_DRIVERS = ("/dev/nvidiactl", "/dev/nvidia0", "/dev/dxg", "/dev/kfd")


def gpus(visible: bool = True) -> list:
    """Returns the GPUs, none where another backend than TensorFlow runs.

    Args:
        visible: Only those that may be used.
    """
    if not _may_have_gpus():
        return []
    import keras

    if keras.backend.backend() != "tensorflow":
        return []
    import tensorflow as tf

    config = tf.config
    find = config.get_visible_devices if visible else config.list_physical_devices
    return find("GPU")


def _may_have_gpus() -> bool:
    """Whether it is worth asking TensorFlow, which takes seconds to be imported."""
    if keras_needed.missing_packages():
        return False
    if "tensorflow" in sys.modules:
        return True
    if os.environ.get("KERAS_BACKEND", "tensorflow") != "tensorflow":
        return False
    if sys.platform == "darwin":  # by the plug-in of Apple, as no file tells
        return importlib.util.find_spec("tensorflow-plugins") is not None
    return any(map(os.path.exists, _DRIVERS))


def use_device(device_id: int) -> None:
    """Lets TensorFlow use one GPU, or none; must come before anything is computed.

    Args:
        device_id: Number of the GPU, -1 for the CPU. Without a GPU 0 means the CPU.

    Raises:
        InputError: If there is no such GPU.
    """
    found = gpus(visible=False)
    if not -1 <= device_id < max(len(found), 1):
        raise InputError(
            f"--device_id must be -1 (CPU) or below {max(len(found), 1)} on this "
            f"machine. Received: {device_id}"
        )
    if not found:
        return
    import tensorflow as tf

    chosen = [] if device_id == -1 else [found[device_id]]
    try:
        tf.config.set_visible_devices(chosen, "GPU")
        for gpu in chosen:
            tf.config.experimental.set_memory_growth(gpu, True)
    except RuntimeError:
        if tf.config.get_visible_devices("GPU") != chosen:
            raise InputError(
                "--device_id cannot be changed once TensorFlow computes"
            ) from None


def check_precision(precision: str, known: tuple[str, ...]) -> None:
    """Refuses a precision that an engine does not have.

    Args:
        precision: What is asked for.
        known: What there is.

    Raises:
        InputError: If it is none of them.
    """
    if precision not in known:
        raise InputError(
            f"--precision must be one of {', '.join(known)} for this engine. "
            f"Received: {precision}"
        )
