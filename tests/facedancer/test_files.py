"""Tests of `facedancer.storage.files`: writing, temporary names, leftovers."""

import errno
import hashlib
import os
import subprocess
import sys
import time

from absl.testing import parameterized

from facedancer.errors import InputError
from facedancer.storage import files
from tests import testing

# Makes a temporary file and folder beside the path it is given, then waits.
MAKER = """
import sys, time
from facedancer.storage import files
path = files.temporary_name(sys.argv[1])
path.write_text("half")
files.temporary_name(sys.argv[1]).mkdir()
print(flush=True)
time.sleep(60)
"""


def names(folder):
    return sorted(path.name for path in folder.iterdir())


class WholeTest(testing.TestCase):
    def test_appears_at_the_end(self):
        path = self.tempdir() / "new" / "a.txt"
        with files.whole(path) as temporary:
            temporary.write_text("content")
            self.assertFalse(path.exists())
            self.assertEqual(
                (temporary.suffix, temporary.parent), (".txt", path.parent)
            )
        self.assertEqual(path.read_text(), "content")
        self.assertEqual(names(path.parent), ["a.txt"])

    def test_failure_leaves_what_was_there(self):
        path = self.tempdir() / "a.xml"
        path.write_text("before")
        with self.assertRaises(KeyError), files.whole(path, ".bin") as temporary:
            temporary.write_text("after")
            temporary.with_suffix(".bin").write_text("after")
            raise KeyError
        self.assertEqual((names(path.parent), path.read_text()), (["a.xml"], "before"))

    def test_companions_and_folders(self):
        folder = self.tempdir()
        with files.whole(folder / "a.xml", ".bin") as temporary:
            temporary.write_text("1")
            temporary.with_suffix(".bin").write_text("2")
        self.assertEqual((folder / "a.bin").read_text(), "2")
        for content in ("first", "second"):
            with files.whole(folder / "made") as temporary:
                temporary.mkdir()
                (temporary / content).touch()
            self.assertEqual(names(folder / "made"), [content])
        self.assertEqual(names(folder), ["a.bin", "a.xml", "made"])

    def test_a_file_takes_no_folders_place(self):
        folder = self.tempdir() / "kept"
        (folder / "inside").mkdir(parents=True)
        with self.assertRaisesRegex(InputError, "kept: cannot be written"):
            files.write_atomic(folder, b"content")
        self.assertEqual(names(folder), ["inside"])
        self.assertEqual(names(folder.parent), ["kept"])

    def test_folder_vanishes(self):
        folder = self.tempdir() / "gone"
        with self.assertRaisesRegex(InputError, "gone/a: cannot be written .No such"):
            with files.whole(folder / "a") as temporary:
                temporary.write_text("half")
                os.rename(folder, folder.with_name("elsewhere"))
        self.assertFalse(folder.exists())

    def test_errors_about_other_files_keep_their_name(self):
        folder = self.tempdir()
        with self.assertRaises(FileNotFoundError) as raised:
            with files.whole(folder / "a.mp4"):
                open(folder / "input.mp4", "rb")
        self.assertEqual(raised.exception.filename, str(folder / "input.mp4"))

    def test_long_names(self):
        for letter in ("x", "ä", "語"):
            name = letter * (251 // len(letter.encode())) + ".mp4"
            path = self.tempdir() / name
            files.write_atomic(path, b"content", durable=True)
            self.assertEqual(names(path.parent), [name])


class NamesTest(testing.TestCase):
    def test_temporary_name(self):
        path = self.tempdir() / "a.b.mp4"
        first, second = files.temporary_name(path), files.temporary_name(path)
        self.assertNotEqual(first, second)
        self.assertEqual(first.parent, path.parent)
        self.assertStartsWith(first.name, ".tmp-")
        for made in (first, second, files.temporary_name(first)):
            self.assertEqual(files.final_name(made), path)

    def test_names_of_older_versions(self):
        self.assertEqual(str(files.final_name("a/.tmp-12-b.png")), "a/b.png")
        self.assertEqual(str(files.final_name(".tmp-12-1396482-b.png")), "b.png")
        self.assertEqual(str(files.final_name(".tmp-notes/b.png")), ".tmp-notes/b.png")

    def test_file_hash(self):
        path = self.tempdir() / "a"
        path.write_bytes(b"abc")
        self.assertEqual(files.file_hash(path), hashlib.sha256(b"abc").hexdigest())
        with self.assertRaisesRegex(InputError, "no such file"):
            files.file_hash(path.parent)


class WordsTest(testing.TestCase):
    @parameterized.parameters(
        (errno.ENOSPC, "out/a.mp4: No space left on device. Make room"),
        (errno.EROFS, "out/a.mp4: Read-only file system. Give a place"),
        (errno.ENOENT, "out/a.mp4: No such file or directory. It is not there"),
        (errno.EIO, "out/a.mp4: Input/output error"),
    )
    def test_words(self, number, expected):
        name = f"out/{files.temporary_name('a.mp4').name}"
        error = OSError(number, os.strerror(number), name)
        self.assertStartsWith(files.in_words(error), expected)

    def test_errors_without_name_or_number(self):
        self.assertEqual(files.in_words(OSError("torn\n  apart")), "torn apart")
        self.assertEqual(files.in_words(TimeoutError()), "TimeoutError")


class LeftoversTest(testing.TestCase):
    def maker(self, path):
        """Returns a process that has a temporary file and folder beside a path."""
        process = subprocess.Popen(
            [sys.executable, "-c", MAKER, path], stdout=subprocess.PIPE
        )
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        process.stdout.readline()
        return process

    def test_only_those_of_ended_processes_are_removed(self):
        folder = self.tempdir()
        living, ended = self.maker(folder / "a"), self.maker(folder / "b")
        ended.kill()  # not waited for: it is a zombie now
        while len(names(folder)) > 2:
            files.remove_leftovers(folder)
        self.assertEqual({n.rsplit("-", 1)[1] for n in names(folder)}, {"a"})
        living.kill()
        living.wait()
        files.remove_leftovers(folder)
        self.assertEqual(names(folder), [])

    def test_own_are_kept(self):
        folder = self.tempdir()
        made = files.temporary_name(folder / "a")
        made.touch()
        files.remove_leftovers(folder)
        self.assertTrue(made.exists())

    def test_number_of_another_process(self):
        """A number is given again: who has it now did not make the file."""
        folder = self.tempdir()
        name = files.temporary_name(folder / "a").name
        start = name.split("_")[2]
        (folder / name.replace(start, "0" * 6)).touch()
        files.remove_leftovers(folder)
        self.assertEqual(names(folder), [])

    def test_other_machines_have_a_day(self):
        folder = self.tempdir()
        name = files.temporary_name(folder / "a").name
        for number, hours in enumerate((1, 25)):
            path = folder / (".tmp-" + 6 * str(number) + name[11:])
            path.touch()
            os.utime(path, (time.time() - 3600 * hours,) * 2)
        files.remove_leftovers(folder)
        self.assertEqual([n[5:11] for n in names(folder)], ["000000"])

    def test_older_versions_and_strangers(self):
        folder = self.tempdir()
        gone = subprocess.Popen([sys.executable, "-c", ""])
        gone.wait()
        kept = [f".tmp-{os.getpid()}-a", ".tmp-notes", ".tmp-99999999999-a", "tmp-1-a"]
        for name in [*kept, f".tmp-{gone.pid}-a.mp4", f".tmp-{gone.pid}-14093485-b"]:
            (folder / name).touch()
        files.remove_leftovers(folder)
        self.assertEqual(names(folder), sorted(kept))

    def test_deep(self):
        folder = self.tempdir() / "a"
        (folder / "b").mkdir(parents=True)
        process = self.maker(folder / "b" / "c")
        process.kill()
        process.wait()
        files.remove_leftovers(folder)
        self.assertLen(names(folder / "b"), 2)
        files.remove_leftovers(folder, deep=True)
        self.assertEqual(names(folder / "b"), [])
        files.remove_leftovers(folder / "missing", deep=True)
