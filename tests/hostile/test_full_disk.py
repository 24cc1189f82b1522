"""Full disks: what is written for long says so in one line, and leaves nothing."""

import contextlib
import os
import resource
import subprocess
import sys

import keras
import numpy as np
import pytest

from facedancer.dataset import make_faces
from facedancer.errors import InputError
from facedancer.evaluation.report import document
from facedancer.models import exports, saving
from facedancer.storage.backup import Backup
from tests.hostile import processes
from tests.video_swap import made


@contextlib.contextmanager
def small_files(size=4096):
    """Lets no file grow beyond some bytes while the block runs."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def generator(folder, name, *layout):
    saving.save(made.tiny_generator(), folder / name, *layout)


def openvino(folder):
    pytest.importorskip("openvino")
    exports.export(made.tiny_generator(), folder / "a.xml")


def backup(folder):
    Backup(folder / "a.npz", [keras.Variable(np.ones(5000))]).on_epoch_end(0)


def faces(folder):
    words = {"num_identities": 1, "num_images": 1, "image_format": "png"}
    make_faces.write_faces(make_faces.MadeSettings(target_dir=str(folder), **words))


def report(folder):
    document.write(folder, document.Report("x" * 5000))


WRITERS = {
    "keras": lambda folder: generator(folder, "a.keras"),
    "h5": lambda folder: generator(folder, "a.h5"),  # a thousand lines of traces
    "published h5": lambda folder: generator(folder, "a.h5", "published"),
    "openvino": openvino,  # RuntimeError
    "backup of the detector": backup,
    "made faces": faces,
    "report": report,
}


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[pytest.mark.slow] * (name == "openvino"))
        for name in WRITERS
    ],
)
def test_one_line_and_nothing_left(name, tmp_path, capfd):
    capfd.readouterr()
    with small_files(), pytest.raises(InputError, match="cannot be written"):
        WRITERS[name](tmp_path)
    assert capfd.readouterr().err == ""
    assert processes.left_over(tmp_path) == []


@pytest.mark.large
@pytest.mark.timeout(3600)
@pytest.mark.parametrize(
    "name", ["train", "distill_encoder", "train_detector", "evaluate", "make_faces"]
)
def test_programs_on_full_and_read_only_disks(name, tmp_path):
    with processes.small_disk(tmp_path / "disk", 4096):  # skips where that cannot be
        pass
    done = subprocess.run(
        [sys.executable, "-m", "tests.hostile.disks", f"--programs={name}"],
        cwd=processes.ROOT,
        env=os.environ | {"PYTHONPATH": str(processes.ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
