"""Records of a run that cannot be written are one clear error."""

import pathlib

import numpy as np

from facedancer.errors import InputError
from facedancer.train.loop.journal import Journal
from tests import testing


class FullDiskTest(testing.TestCase):
    def setUp(self):
        super().setUp()
        self.journal = Journal(self.tempdir() / "run")
        self.journal.start(0)

    def test_metrics(self):
        self.journal.path.unlink()
        self.journal.path.mkdir()
        with self.assertRaisesRegex(InputError, "metrics.jsonl: cannot be written"):
            self.journal.write("train", 1, {"g_loss": 1.0})

    def test_tensorboard(self):
        full = pathlib.Path("/dev/full")  # every write ends with "no space left"
        if not full.exists():
            self.skipTest("this system has no /dev/full")
        self.journal._board.path = full
        with self.assertRaisesRegex(InputError, "cannot be written .No space left"):
            self.journal.write("train", 1, {"g_loss": 1.0})
        with self.assertRaisesRegex(InputError, "tensorboard: cannot be written"):
            self.journal.picture("swaps", 1, np.zeros((2, 3, 3), "uint8"))

    def test_pictures_and_curves(self):
        (self.journal.folder / "samples").write_text("")
        with self.assertRaisesRegex(InputError, "cannot be written"):
            self.journal.picture("swaps", 1, np.zeros((2, 3, 3), "uint8"))
        self.journal.write("train", 1, {"g_loss": 1.0})
        (self.journal.folder / "curves.png").mkdir()
        with self.assertRaisesRegex(InputError, "curves.png: cannot be written"):
            self.journal.curves()

    def test_a_folder_that_cannot_be_made(self):
        place = self.tempdir() / "file"
        place.write_text("")
        with self.assertRaisesRegex(InputError, "metrics.jsonl: cannot be written"):
            Journal(place / "run").start(0)
