"""Tests of `facedancer.process.tensorflow_start`, by a stand-in for TensorFlow."""

import os
import pathlib
import subprocess
import sys

import pytest

from tests import testing

MODULE = (
    pathlib.Path(__file__)
    .parents[2]
    .joinpath("facedancer", "process", "tensorflow_start.py")
)
STAND_IN = r"""
import os
os.write(2, b"WARNING: All log messages before absl::InitializeLog() is called ...\n")
os.write(2, b"I0000 00:00:1 15 port.cc:153] oneDNN custom operations are on. You may\n")
os.write(2, b"E0000 00:00:1 15 something.cc:1] this must be seen\n")
"""
FAILING = STAND_IN + 'raise OSError("libtensorflow is broken")\n'
START = """
import os, pathlib, sys
from importlib import util
spec = util.spec_from_file_location("tensorflow_start", sys.argv[1])
spec.loader.exec_module(tensorflow_start := util.module_from_spec(spec))
tensorflow_start._CPU_INFO = pathlib.Path(sys.argv[2])
tensorflow_start.prepare()
try:
    import tensorflow
    print(type(tensorflow.__spec__.loader).__name__)
except OSError as error:
    print(error)
os.write(2, b"oneDNN custom operations are on.\\n")
print(os.environ.get("TF_ENABLE_ONEDNN_OPTS"))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="done on Linux only")
class TensorflowStartTest(testing.TestCase):
    def start(self, flags="sse4_2 avx2 fma", content=STAND_IN, **environment):
        """Returns what a process that imports the stand-in prints, and its errors."""
        folder = self.tempdir()
        (folder / "tensorflow.py").write_text(content)
        (folder / "cpuinfo").write_text(f"model\t: 1\nflags\t\t: fpu {flags} x\n\n")
        kept = {k: v for k, v in os.environ.items() if not k.startswith("TF_")}
        done = subprocess.run(
            [sys.executable, "-c", START, MODULE, folder / "cpuinfo"],
            capture_output=True,
            text=True,
            check=True,
            env=kept | {"PYTHONPATH": str(folder)} | environment,
        )
        words = done.stdout.split()
        return words[0], words[-1], done.stderr

    def test_news_are_dropped_and_all_else_is_seen(self):
        loader, option, errors = self.start()
        self.assertEqual(loader, "SourceFileLoader")
        self.assertEqual(option, "1")
        first, after = errors.splitlines()
        self.assertIn("this must be seen", first)
        self.assertEqual(after, "oneDNN custom operations are on.")

    def test_a_broken_import_says_so(self):
        first, _, errors = self.start(content=FAILING)
        self.assertEqual(first, "libtensorflow")
        self.assertIn("this must be seen", errors)

    def test_the_users_word_counts(self):
        self.assertEqual(self.start(TF_ENABLE_ONEDNN_OPTS="0")[1], "0")

    def test_an_older_processor_is_left_alone(self):
        _, option, errors = self.start(flags="sse4_2 avx")
        self.assertEqual(option, "None")
        self.assertEqual(len(errors.splitlines()), 4)
