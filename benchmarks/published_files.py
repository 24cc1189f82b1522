"""How near the networks come to what the original programs computed.

    python benchmarks/published_files.py

Reads every recorded file in the published formats and prints the largest absolute
difference of each output, and its ratio to the largest recorded value. The files are
those of the tests: they lie in the folder `shared` beside the checkout or in the one
that `FACEDANCER_SHARED` names.
"""

from __future__ import annotations

import lzma
import pathlib
import shutil
import tempfile
from collections.abc import Iterator, Mapping

import numpy as np
from absl import app

from facedancer import arcface_model, models
from facedancer.retinaface import retinaface_detector
from facedancer.retinaface.loading import load_detector, load_network
from tests import testing

GENERATORS = (
    "tf210/gen_small_C.h5",
    "tf210/gen_small_d_affa.h5",
    "tf215/gen_small_C.h5",
    "tf215/gen_small_C.ckpt",
    "tf215/gen_small_mixed.h5",
    "full/facedancer_c_tf215.h5.xz",
)
DISCRIMINATORS = ("tf215/disc_small.h5", "tf215/disc_small.ckpt")
ENCODER = "full/arcface_res50_tf215.h5.xz"
DETECTOR = "full/retinaface_res50_tf210.h5.xz"
PYTORCH = ("models", "detection", "retinaface_mobilenet025.npz")


def file_of(name: str, folder: pathlib.Path) -> pathlib.Path:
    """Returns a recorded file, unpacked into a folder where it is packed."""
    path = testing.shared("interop", name)
    if path.suffix != ".xz":
        return path
    unpacked = folder / path.stem
    with lzma.open(path) as source, unpacked.open("wb") as target:
        shutil.copyfileobj(source, target)
    return unpacked


def recorded_of(name: str) -> Mapping[str, np.ndarray]:
    """Returns the recorded inputs and outputs of a file."""
    return np.load(testing.shared("interop", f"{name.split('.')[0]}.npz"))


def networks(folder: pathlib.Path) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Yields name, output and recorded output of generators and discriminators."""
    for loader, names in (
        (models.load_generator, GENERATORS),
        (models.load_discriminator, DISCRIMINATORS),
    ):
        for name in names:
            recorded = recorded_of(name)
            inputs = [recorded[key] for key in ("x0", "x1") if key in recorded]
            network = loader(file_of(name, folder))
            output = network(inputs if len(inputs) > 1 else inputs[0], training=False)
            yield name, np.asarray(output), recorded["y0"]


def encoder(folder: pathlib.Path) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Yields the same of the published ArcFace: its vector, and the maps of IFSR."""
    network = arcface_model.load_encoder(file_of(ENCODER, folder))
    recorded = recorded_of(ENCODER)
    yield ENCODER, np.asarray(network(recorded["x0"])), recorded["y0"]
    maps = recorded_of("full/arcface_res50_tf215_ifsr_taps")
    found = arcface_model.tap_model(network)(maps["x0"])
    for tap in network.taps:
        yield f"{ENCODER}: {tap}", np.asarray(found[tap]), maps[tap]


def detectors(folder: pathlib.Path) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Yields the same of the detectors; rows by what they are nearest to."""
    recorded = recorded_of(DETECTOR)
    rows = load_detector(file_of(DETECTOR, folder))(recorded["x0"])
    distance = np.abs(rows[:, None] - recorded["y0"][None]).max(axis=-1)
    yield DETECTOR, rows[distance.argmin(axis=0)], recorded["y0"]
    recorded = recorded_of("retinaface_mobilenet025.npz")
    network = load_network(testing.shared(*PYTORCH))
    image = recorded["image_bgr_uint8"][None, ..., ::-1].astype("float32")
    outputs = network.predict_on_batch(image)
    scores = retinaface_detector.face_scores(outputs["classes"])
    yield f"{PYTORCH[-1]}: scores", scores, recorded["scores"][..., 1]
    for name in ("boxes", "landmarks"):
        yield f"{PYTORCH[-1]}: {name}", outputs[name], recorded[f"{name}_raw"]


def main(argv: list[str]) -> None:
    del argv
    print(f"{'file and output':<58}  difference  of largest")
    with tempfile.TemporaryDirectory() as name:
        for part in (networks, encoder, detectors):
            for text, found, wanted in part(pathlib.Path(name)):
                worst = float(np.abs(found - wanted).max())
                ratio = worst / float(np.abs(wanted).max())
                print(f"{text:<58}  {worst:10.2e}  {ratio:10.2e}", flush=True)


if __name__ == "__main__":
    app.run(main)
