"""Tests of `facedancer.storage.claims`."""

import re
import signal
import subprocess
import sys

from facedancer.errors import InputError
from facedancer.storage import claims, files
from tests import testing

# Claims a place, begins a file in it and waits for a line.
HOLDER = """
import sys
from facedancer.storage import claims, files
with claims.claimed(sys.argv[1], folder=sys.argv[2] == "folder"):
    made = files.temporary_name(sys.argv[3])
    made.parent.mkdir(exist_ok=True)
    made.write_text("half")
    print(flush=True)
    sys.stdin.readline()
"""


class ClaimsTest(testing.TestCase):
    def holder(self, path, kind="file", inner=None):
        """Returns a process that has a place."""
        words = [sys.executable, "-c", HOLDER, path, kind, inner or path]
        pipes = dict.fromkeys(("stdin", "stdout"), subprocess.PIPE)
        process = subprocess.Popen(list(map(str, words)), **pipes)
        self.addCleanup(process.communicate)
        process.stdout.readline()
        return process

    def names(self, folder):
        return sorted(path.name for path in folder.rglob("*"))

    def test_nothing_is_left(self):
        path = self.tempdir() / "a" / "b" / "c.mp4"
        with claims.claimed(path):
            self.assertEqual(self.names(path.parent), [".lock-c.mp4"])
        self.assertFalse(path.parents[1].exists())
        with claims.claimed(path):
            path.touch()
        self.assertEqual(self.names(path.parent), ["c.mp4"])
        with claims.claimed(path.parent, folder=True):
            self.assertEqual(self.names(path.parent), [".lock", "c.mp4"])
        self.assertEqual(self.names(path.parent), ["c.mp4"])

    def test_the_second_is_told_who_has_it(self):
        for kind in ("file", "folder"):
            path = self.tempdir() / "place"
            process = self.holder(path, kind)
            before = self.names(path.parent)
            words = f"^{re.escape(str(path))}: .*process {process.pid} on .*, since 20"
            with self.assertRaisesRegex(InputError, words):
                with claims.claimed(path, folder=kind == "folder"):
                    self.fail("both have it")
            self.assertEqual(self.names(path.parent), before)
            with claims.claimed(path.with_name("another")):
                pass
            process.communicate(b"\n")
            with claims.claimed(path, folder=kind == "folder"):
                pass

    def test_a_killed_one_leaves_the_place_and_nothing_in_it(self):
        for kind, inner in (("file", "place"), ("folder", "place/below/photo.png")):
            folder = self.tempdir()
            process = self.holder(folder / "place", kind, folder / inner)
            process.send_signal(signal.SIGKILL)
            process.wait()
            self.assertRegex(" ".join(self.names(folder)), r"\.lock.* \.tmp-")
            with claims.claimed(folder / "place", folder=kind == "folder"):
                pass
            self.assertNotRegex(" ".join(self.names(folder)), r"\.lock|\.tmp-")

    def test_temporary_files_of_others_stay(self):
        folder = self.tempdir()
        self.holder(folder / "first")
        before = self.names(folder)
        with claims.claimed(folder / "second"):
            pass
        self.assertEqual(self.names(folder), before)
        self.assertLen(before, 2)

    def test_place_that_cannot_be(self):
        path = self.tempdir() / "file"
        path.touch()
        with self.assertRaisesRegex(InputError, "file: cannot be written"):
            with claims.claimed(path / "below"):
                pass

    def test_folder_vanishes(self):
        folder = self.tempdir() / "a"
        with self.assertRaisesRegex(InputError, "a: its folder was moved or removed"):
            with claims.claimed(folder, folder=True):
                folder.rename(folder.with_name("b"))
                files.write_atomic(folder / "rest", b"")
        with self.assertRaisesRegex(InputError, "what went wrong first"):
            with claims.claimed(folder, folder=True):
                folder.rename(folder.with_name("c"))
                raise InputError("what went wrong first")
