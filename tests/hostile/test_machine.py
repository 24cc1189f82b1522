"""Faults of the machine: killed programs, signals, full disks, two at one place."""

import os
import signal
import subprocess

from absl.testing import parameterized

from facedancer.dataset import dataset_sharding
from tests import testing
from tests.dataset import fixtures
from tests.hostile import processes
from tests.video_swap import made

SWAP, TASKS = "tests/hostile/slow_swap.py", "tests/hostile/slow_tasks.py"


class WorkersTest(testing.TestCase):
    def check(self, number, group, status):
        """Ends a run with workers in the middle; nothing of it may stay."""
        folder = self.tempdir() / "out"
        process = processes.start(TASKS, folder)

        def begun():
            return len(list(folder.glob(".tmp-*"))) == 3

        ended = processes.end_when(process, begun, number, group)
        self.assertEqual(ended.status, status)
        self.assertTrue(processes.all_ended(process), "workers go on for ever")
        return folder, ended

    @parameterized.parameters(
        (signal.SIGTERM, False, 143, "Terminated.\n"),
        (signal.SIGINT, True, 130, "Interrupted.\n"),
    )
    def test_signals(self, number, group, status, words):
        folder, ended = self.check(number, group, status)
        self.assertEqual(ended.err, words)
        self.assertEqual(processes.left_over(folder.parent), [])

    def test_killed(self):
        folder, _ = self.check(signal.SIGKILL, False, -signal.SIGKILL)
        # Its workers notice, and clean up what they had begun.
        self.assertEqual(processes.left_over(folder), [".lock"])

    def test_an_error_breaks_the_others_off(self):
        folder = self.tempdir() / "out"
        process = processes.start(TASKS, folder, "1")
        ended = processes.wait(process)
        self.assertEqual(ended.status, 1)
        self.assertStartsWith(ended.err, f"Error: {folder}/1.txt: cannot be written")
        self.assertTrue(ended.one_line)
        self.assertLess(len(list(folder.glob("*.txt"))), 9)
        self.assertTrue(processes.all_ended(process))
        self.assertEqual(processes.left_over(folder), [])


class SwapTest(testing.TestCase):
    def setUp(self):
        super().setUp()
        self.folder = self.tempdir()
        self.path = made.write_clip(self.folder / "a.mp4", made.moving_scenes(60))
        self.output = self.folder / "out" / "b.mp4"

    def test_killed_then_two_at_once_then_finished(self):
        process = processes.start(SWAP, self.path, self.output)
        for _ in range(3):
            process.stdout.readline()
        processes.end_when(process, lambda: True)
        self.assertEqual(
            processes.left_over(self.folder), ["out/.b.mp4.parts", "out/.lock-b.mp4"]
        )
        (self.output.parent / ".tmp-9999999-b.mp4").touch()  # of an older version
        first = processes.start(SWAP, self.path, self.output)
        first.stdout.readline()
        first.send_signal(signal.SIGSTOP)  # else it could be done before
        second = processes.run(SWAP, self.path, self.output)
        first.send_signal(signal.SIGCONT)
        self.assertEqual((second.status, second.out), (1, ""))
        words = f"Error: {self.output}: another process is writing there .slow_swap.py,"
        words += f" process {first.pid} on .*, since .*\n$"
        self.assertRegex(second.err, words)
        self.assertEqual(processes.wait(first).status, 0)
        self.assertEqual(list(processes.content(self.output.parent)), ["b.mp4"])

    def test_terminated(self):
        process = processes.start(SWAP, self.path, self.output)
        process.stdout.readline()
        ended = processes.end_when(process, lambda: True, signal.SIGTERM)
        self.assertEqual(ended.status, 143)
        self.assertEndsWith(ended.err, "\nTerminated.\n")
        self.assertFalse(self.output.parent.exists())

    def test_full_disk(self):
        with processes.small_disk(self.folder / "small", 65536) as disk:
            ended = processes.run(SWAP, self.path, disk / "b.mp4")
            self.assertEqual(ended.status, 1, ended)
            self.assertTrue(ended.one_line, ended.err)
            self.assertRegex(ended.err, "No space left on device")
            self.assertEqual(list(disk.iterdir()), [])


class DatasetTest(testing.TestCase):
    def photos(self, count):
        folder = self.tempdir()
        fixtures.write_photos(folder, {"a": count}, size=(120, 120), boxes=())
        return folder

    def test_sharding_on_a_full_disk(self):
        words = [f"--data_dir={self.photos(60)}", "--num_shards=4"]
        for more in ([], ["--num_workers=2"]):
            with processes.small_disk(self.tempdir() / "small", 200_000) as disk:
                words.append(f"--target_dir={disk / 'shards'}")
                ended = processes.run(dataset_sharding, *words, *more)
                self.assertEqual(ended.status, 1)
                self.assertTrue(ended.one_line, ended.err)
                self.assertRegex(ended.err, "shards/.*: cannot be written .No space")
                self.assertEqual(processes.left_over(disk), [])

    def test_sharding_where_nothing_can_be_written(self):
        words = [f"--data_dir={self.photos(4)}", "--num_shards=2"]
        with processes.small_disk(self.tempdir() / "small", 200_000, "ro") as disk:
            ended = processes.run(dataset_sharding, *words, f"--target_dir={disk}/a")
        self.assertEqual(ended.status, 1)
        self.assertRegex(ended.err, "^Error: .*/a: cannot be written .Read-only file")

    def test_sharding_when_its_folder_vanishes(self):
        target = self.tempdir() / "shards"
        words = [f"--data_dir={self.photos(400)}", f"--target_dir={target}"]
        process = processes.start(dataset_sharding, *words, "--num_shards=200")
        while process.poll() is None and not list(target.glob("*.records")):
            pass
        process.send_signal(signal.SIGSTOP)
        target.rename(target.with_name("elsewhere"))
        process.send_signal(signal.SIGCONT)
        ended = processes.wait(process)
        self.assertEqual(ended.status, 1)
        self.assertTrue(ended.one_line, ended.err)
        self.assertRegex(ended.err, "shards")


class HelpersTest(testing.TestCase):
    def test_moments(self):
        found = processes.moments(3, 5, 10.0, 2.0)
        self.assertEqual(found, processes.moments(3, 5, 10.0, 2.0))
        self.assertEqual(sorted(found), found)
        self.assertTrue(all(2.0 <= moment <= 10.0 for moment in found))

    def test_still_running(self):
        program = self.tempdir() / "program.py"
        program.write_text("import os, time; os.fork(); time.sleep(60)")
        nowhere = dict.fromkeys(("stdout", "stderr"), subprocess.DEVNULL)
        process = processes.start(program, **nowhere)
        while len(processes.still_running(process)) < 2:
            pass
        processes.end_when(process, lambda: True)
        self.assertFalse(processes.all_ended(process, 0.2))
        for number in processes.still_running(process):
            os.kill(number, signal.SIGKILL)
        self.assertTrue(processes.all_ended(process))
