"""Tests of `facedancer.process.stopping`, and what `cli.run` makes of signals."""

import os
import pathlib
import signal
import subprocess
import sys
import textwrap

from absl.testing import parameterized

from facedancer.process import stopping
from tests import testing

# Says that it works, waits, and says that it cleaned up.
PROGRAM = """
import dataclasses, errno, os, pathlib, signal, sys, time
from facedancer import cli
from facedancer.storage import files

signal.signal(signal.SIGHUP, signal.SIG_DFL)  # also where the tests run by nohup

def wait():
    try:
        print("working", flush=True)
        time.sleep(30)
    finally:
        print("cleaned up", flush=True)

def deaf():
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    cli.stopping.listen()
    os.kill(os.getpid(), signal.SIGHUP)

def twice():
    try:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(30)
    finally:
        os.kill(os.getpid(), signal.SIGTERM)  # to the group, and to each of it
        time.sleep(0.1)
        print("cleaned up", flush=True)

def full():
    raise OSError(errno.ENOSPC, "No space left on device", "out/.tmp-12-a.mp4")

def torn():
    raise OSError("no number\\nno name")

def says():
    print("x" * 100_000)

@dataclasses.dataclass(frozen=True)
class Settings:
    '''What is done.

    Attributes:
        do: What.
    '''

    do: str

cli.run(lambda settings: globals()[settings.do](), Settings)
"""


class StoppingTest(testing.TestCase):
    def program(self, do, **options):
        path = self.tempdir() / "program.py"
        path.write_text(textwrap.dedent(PROGRAM))
        options = {"stdout": subprocess.PIPE, **options}
        words = [sys.executable, str(path), f"--do={do}"]
        return subprocess.Popen(words, stderr=subprocess.PIPE, text=True, **options)

    @parameterized.parameters(
        (signal.SIGINT, 130, "Interrupted.\n"),
        (signal.SIGTERM, 143, "Terminated.\n"),
        (signal.SIGHUP, 129, "Terminated.\n"),
    )
    def test_signals_end_alike(self, number, status, words):
        process = self.program("wait")
        self.assertEqual(process.stdout.readline(), "working\n")
        process.send_signal(number)
        out, err = process.communicate()
        found = (process.returncode, out, err)
        self.assertEqual(found, (status, "cleaned up\n", words))

    def test_clean_up_is_not_disturbed(self):
        process = self.program("twice")
        out, _ = process.communicate()
        self.assertEqual((process.returncode, out), (143, "cleaned up\n"))

    def test_ignored_signal_stays_ignored(self):
        process = self.program("deaf")
        self.assertEqual(process.communicate()[1], "")
        self.assertEqual(process.returncode, 0)

    @parameterized.parameters(
        ("full", "Error: out/a.mp4: No space left on device. Make room, or"),
        ("torn", "Error: no number no name\n"),
    )
    def test_files_make_one_line(self, do, words):
        process = self.program(do)
        err = process.communicate()[1]
        self.assertStartsWith(err, words)
        self.assertEqual((process.returncode, err.count("\n")), (1, 1))

    def test_output_that_cannot_be_written(self):
        with open("/dev/full", "w") as full:
            process = self.program("says", stdout=full)
            err = process.communicate()[1]
        self.assertEqual(process.returncode, 1)
        self.assertRegex(err, "^Error: No space left on device.*\n$")

    def test_other_thread_changes_nothing(self):
        before = signal.getsignal(signal.SIGTERM)
        words = "import threading; from facedancer.process import stopping as s;"
        words += "t = threading.Thread(target=s.listen); t.start(); t.join()"
        subprocess.run([sys.executable, "-c", words], check=True)
        self.assertIs(signal.getsignal(signal.SIGTERM), before)

    def test_held_and_released(self):
        with stopping.held():
            words = "import os, signal; from facedancer.process import stopping;"
            words += "os.kill(os.getpid(), signal.SIGTERM); print('held', flush=True);"
            words += "stopping.release(); print('never')"
            root = pathlib.Path(stopping.__file__).resolve().parents[1]
            done = subprocess.run(
                [sys.executable, "-c", words],
                capture_output=True,
                text=True,
                env={**os.environ, "PYTHONPATH": str(root)},
            )
        self.assertEqual((done.stdout, done.returncode), ("held\n", -signal.SIGTERM))
