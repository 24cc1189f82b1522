"""The console scripts. Each runs one program file exactly as `python -m` does."""

import os
import runpy
import sys
from collections.abc import Callable

from facedancer.flags import usage
from facedancer.process import keras_needed


def choose_backend(argv: list[str] | None = None) -> None:
    """Lets Keras run on what the flag `--backend` says; call it before Keras is there.

    Args:
        argv: The command line; None: the process's.
    """
    words = sys.argv if argv is None else argv
    for word, following in zip(words, [*words[1:], ""], strict=True):
        name, equals, value = word.lstrip("-").partition("=")
        if word.startswith("-") and name == "backend":
            value = value if equals else following
            if value in ("tensorflow", "jax"):  # others are refused with the flags
                os.environ["KERAS_BACKEND"] = value


def _program(module: str, needs_keras: bool = False) -> Callable[[], None]:
    def run() -> None:
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # warnings, not chatter
        choose_backend()
        missing = keras_needed.missing_packages() if needs_keras else ""
        if missing and not usage.is_wanted(sys.argv[1:]):
            sys.exit(
                f"Error: {os.path.basename(sys.argv[0])} needs {missing}, which is not "
                'installed. Install it with: pip install "facedancer[train]", with an '
                'NVIDIA GPU: pip install "facedancer[gpu]"'
            )
        try:
            name = f"facedancer.{module}"
            runpy.run_module(name, run_name="__main__", alter_sys=True)
        except KeyboardInterrupt:  # while it is still importing: cli.run is not reached
            sys.stderr.write("Interrupted.\n")
            sys.exit(130)

    return run


crop_align = _program("dataset.crop_align")
dataset_sharding = _program("dataset.dataset_sharding")
make_triplets = _program("dataset.make_triplets")
triplet_sharding = _program("dataset.triplet_sharding")
shards = _program("dataset.inspect_shards")
outliers = _program("dataset.outliers")
make_faces = _program("dataset.make_faces")
train = _program("train.train", needs_keras=True)
calibrate_margins = _program("train.calibrate_margins", needs_keras=True)
distill_encoder = _program("train.distill_encoder", needs_keras=True)
label_faces = _program("retinaface.label_faces")
train_parser = _program("train.train_parser", needs_keras=True)
train_refiner = _program("train.train_refiner", needs_keras=True)
train_detector = _program("retinaface.train_detector", needs_keras=True)
list_weights = _program("list_weights")
onnx_encoder = _program("arcface_model.onnx_encoder", needs_keras=True)
convert = _program("models.convert", needs_keras=True)
export = _program("models.export", needs_keras=True)
portable = _program("video_swap.portable_network", needs_keras=True)
swap_image = _program("video_swap.swap_image")
swap_many = _program("video_swap.swap_many")
swap_video = _program("video_swap.multi_face_single_source")
find_faces = _program("video_swap.find_faces")
verify = _program("video_swap.verify")
benchmark = _program("video_swap.benchmark")
make_pairs = _program("evaluation.make_pairs")
evaluate = _program("evaluation.evaluate")
compare_reports = _program("evaluation.compare")
demo = _program("video_swap.demo")
ui = _program("ui.serve")
