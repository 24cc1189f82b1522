"""Being told to end while native code calls back: neither lost nor the code's fault."""

import os
import signal
import subprocess
import sys
import textwrap

from absl.testing import parameterized

from facedancer.imaging import images
from tests import testing
from tests.hostile import processes
from tests.video_swap import made

SIGN = "tests/hostile/told_signing.py"
# Python drops what is raised in a hook of its garbage collection, and prints it.
COLLECTING = """
import gc, os, signal, sys, time
from facedancer import cli

def tell(phase, info):
    gc.callbacks.remove(tell)
    os.kill(os.getpid(), int(sys.argv[1]))
    time.sleep(0)

def work():
    gc.callbacks.append(tell)
    gc.collect()
    time.sleep(30)
    print("never", flush=True)

sys.exit(cli.guard(work))
"""


class SigningTest(testing.TestCase):
    """Ctrl-C in a callback of C2PA was a failure to write, or an abort."""

    @parameterized.product(
        told=((signal.SIGTERM, 143), (signal.SIGINT, 130)),
        place=("parent", "signing", "reading"),
    )
    def test_told_while_it_signs_or_reads(self, told, place):
        folder = self.tempdir()
        target, output = folder / "target.png", folder / "new" / "output.png"
        images.write_image(target, made.scene())
        process = processes.start(
            SIGN,
            *(target, output, int(told[0]), place),
            env={"XDG_CONFIG_HOME": str(folder / "config")},
        )
        ended = processes.wait(process)
        words = "Interrupted.\n" if told[0] == signal.SIGINT else "Terminated.\n"
        self.assertEqual((ended.status, ended.err), (told[1], words))
        self.assertEqual(processes.left_over(folder), [])
        self.assertFalse(output.exists())


class DroppedTest(testing.TestCase):
    @parameterized.parameters((signal.SIGTERM, 143), (signal.SIGINT, 130))
    def test_told_while_it_collects_garbage(self, number, status):
        """The run went on, and "Exception ignored" was all that came of it."""
        program = self.tempdir() / "program.py"
        program.write_text(textwrap.dedent(COLLECTING))
        done = subprocess.run(
            [sys.executable, str(program), str(int(number))],
            env={**os.environ, "PYTHONPATH": str(processes.ROOT)},
            capture_output=True,
            text=True,
        )
        self.assertEqual(done.returncode, status, done.stderr)
        self.assertEqual(done.stdout, "")
        self.assertNotIn("Exception ignored", done.stderr)
