"""Sessions, swaps and looks of the page, without a browser."""

import os
import pathlib
import subprocess
import sys
import tempfile
from unittest import mock

import numpy as np
import pytest

from facedancer.errors import InputError
from facedancer.imaging import images, sample_photos
from facedancer.ui.session import reports, sessions, swaps
from facedancer.ui.session.sessions import Sessions
from facedancer.video_swap import demo
from facedancer.video_swap.settings import NetworkSettings
from tests import testing

ROOT = pathlib.Path(__file__).parents[2]
HOW = {"mask": "face", "strength": 1.0, "colour": "none"}


class SessionTest(testing.TestCase):
    def setUp(self):
        super().setUp()
        self.sessions = Sessions(NetworkSettings())
        self.addCleanup(self.sessions.close)
        self.folder = self.tempdir()

    def group(self):
        both = [sample_photos.read(name)[:512] for name in ("collins", "hopper")]
        path = self.folder / "group.png"
        return images.write_image(path, np.concatenate(both, axis=1))

    def test_what_is_missing_is_said_in_order(self):
        session = self.sessions.of("a")
        steps = (
            ("Choose the photo or clip", lambda: session.set_target(self.group())),
            (
                "Add a photo of whose face",
                lambda: session.add_source(sample_photos.path("hopper")),
            ),
            ("about consent", lambda: setattr(session, "agreed", True)),
        )
        for words, mend in steps:
            with self.assertRaisesRegex(InputError, words):
                swaps.check_ready(session)
            mend()
        self.assertEqual(swaps.check_ready(session).name, "group.png")
        session.becomes = dict.fromkeys(session.becomes)
        with self.assertRaisesRegex(InputError, "Nobody is to be swapped"):
            swaps.check_ready(session)

    def test_one_of_two_people_is_swapped(self):
        session, target = self.sessions.of("a"), self.group()
        session.add_source(sample_photos.path("hopper"))
        self.assertLen(session.set_target(target), 2)
        self.assertEqual(session.becomes, {1: 0, 2: 0})
        session.becomes[2], session.agreed = None, True
        before, after = swaps.preview(session, 0.0, HOW)
        change = np.abs(before.astype(int) - after).mean(axis=2)
        self.assertGreater(change[100:400, 100:400].max(), 40)
        self.assertLess(change[:, 512:].mean(), 3)
        done = swaps.swap(session, HOW, lambda *_: None)
        self.assertIn("1 of 2 faces were swapped.", done.words)
        self.assertIn(session.folder, done.path.parents)
        self.assertIn("signed here and unaltered", done.words[-1])

    @pytest.mark.slow
    def test_a_clip_is_stopped_and_nothing_is_left(self):
        session, clip = self.sessions.of("a"), self.folder / "clip.mp4"
        demo.write_clip(clip, sample_photos.read("collins"), 0.4)
        session.add_source(sample_photos.path("hopper"))
        session.set_target(clip)
        session.agreed = True
        told = []

        def tell(done, total):
            told.append((done, total))
            session.stopped.set()

        with self.assertRaises(swaps.Stopped):
            swaps.swap(session, HOW, tell)
        self.assertEqual(told, [(1, 10)])
        self.assertEqual([p for p in session.folder.rglob("*") if p.is_file()], [])

    def test_files_that_are_none(self):
        session = self.sessions.of("a")
        text = self.folder / "notes.jpg"
        text.write_text("no picture")
        for path, words in (
            (text, "notes.jpg is not a photo that can be read"),
            (self.folder / "none.png", "none.png: no such file"),
        ):
            with self.assertRaisesRegex(InputError, words):
                session.add_source(path)
        with self.assertRaises(InputError):
            session.set_target(text)
        self.assertIsNone(session.target)

    def test_pages_have_folders_of_their_own_until_they_end(self):
        one, other = self.sessions.of("a"), self.sessions.of("b")
        self.assertIs(self.sessions.of("a"), one)
        upload = self.sessions.folder / "hash" / "photo.png"
        upload.parent.mkdir()
        upload.write_text("x")
        taken, equal = one.take(upload), other.take(upload)  # sent by both pages
        self.assertIn(one.folder, taken.parents)
        self.assertIn(other.folder, equal.parents)
        self.sessions.end("a")
        self.assertFalse(one.folder.exists())
        self.assertEqual(equal.read_text(), "x")
        self.assertTrue(upload.exists())
        self.sessions.end("b")
        self.assertFalse(upload.exists())
        with self.assertRaisesRegex(InputError, "photo.png is no longer there"):
            self.sessions.of("c").take(upload)
        self.sessions.close()
        self.assertFalse(self.sessions.folder.exists())


class DeadServerTest(testing.TestCase):
    def test_the_next_start_removes_what_a_killed_server_left(self):
        folder = self.tempdir()
        other = folder / "facedancer-ui-notes"
        other.mkdir()
        code = (
            "from facedancer.ui.session.sessions import Sessions\n"
            "from facedancer.video_swap.settings import NetworkSettings\n"
            "held = Sessions(NetworkSettings()); held.of('a').place('photo.png')\n"
            "print(held.folder, flush=True); input()\n"
        )
        server = subprocess.Popen(
            [sys.executable, "-c", code],
            env=os.environ | {"TMPDIR": str(folder), "PYTHONPATH": str(ROOT)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        left = pathlib.Path(server.stdout.readline().strip())
        with mock.patch.object(tempfile, "tempdir", str(folder)):
            sessions.remove_dead()
            self.assertTrue(list(left.glob("page-*/*")), "its server is alive")
            server.kill()
            server.communicate()
            self.assertTrue(left.exists())
            again = sessions.Sessions(NetworkSettings())
            self.assertFalse(left.exists())
            self.assertTrue(other.exists() and again.folder.exists())
            again.close()
        self.assertEqual(list(folder.iterdir()), [other])


class LookTest(testing.TestCase):
    def test_folders_that_are_none(self):
        for look, words in ((reports.report, "report.md"), (reports.run, "metrics")):
            for folder in ("", str(self.tempdir())):
                with self.assertRaisesRegex(InputError, f"must hold {words}"):
                    look(folder)

    def test_curves_and_newest_samples(self):
        folder = self.tempdir()
        black = np.zeros((9, 12, 3), np.uint8)
        for step in range(20):
            images.write_image(folder / "samples" / f"swaps_{step:08d}.png", black)
        lines = [f'{{"kind": "train", "step": {n}, "a<b": {9 - n}}}' for n in range(3)]
        (folder / "metrics.jsonl").write_text("\n".join([*lines, "[1]", "{"]))
        look = reports.run(str(folder))
        self.assertIn("step 2", look.text)
        self.assertIn("train/a&lt;b: 7 (from 7 to 9)", look.text)
        self.assertLen(look.pictures, 12)
        self.assertEqual(look.pictures[0][1], "swaps_00000019")

    def test_a_curve_by_hand(self):
        drawn = reports.curve("x", [(0, 1.0), (10, 3.0), (20, 2.0)])
        self.assertIn('points="0.0,88.0 150.0,2.0 300.0,45.0"', drawn)
