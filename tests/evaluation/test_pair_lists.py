"""Tests of pair lists: seeded, balanced by people, read back, refused."""

import collections
import pathlib

import numpy as np

from facedancer import cli
from facedancer.errors import InputError
from facedancer.evaluation import make_pairs
from facedancer.evaluation.inputs import frames, pairs
from facedancer.imaging import images
from tests import testing

PEOPLE = {"ann": 1, "bob": 2, "eve": 9}


def photos(root=pathlib.Path("data")):
    return {n: [root / n / f"{i}.png" for i in range(c)] for n, c in PEOPLE.items()}


def write_photos(root):
    for paths in photos(root).values():
        for path in paths:
            images.write_image(path, np.zeros((4, 6, 3), np.uint8))


class MakePairsTest(testing.TestCase):
    def test_same_seed_same_list(self):
        first = pairs.make_pairs(photos(), 12, seed=3)
        self.assertEqual(first, pairs.make_pairs(photos(), 12, seed=3))
        self.assertNotEqual(first, pairs.make_pairs(photos(), 12, seed=4))

    def test_two_people_no_pair_twice(self):
        found = pairs.make_pairs(photos(), 50, seed=0)
        self.assertLen(set(found), 50)
        for pair in found:
            self.assertNotEqual(pair.source_label, pair.target_label)
            self.assertEqual(pair.source.parent.name, pair.source_label)
            self.assertEqual(pair.target.parent.name, pair.target_label)

    def test_people_are_drawn_alike(self):
        many = {
            str(i): [pathlib.Path(f"{i}/{j}") for j in range(1 + 20 * (i == 0))]
            for i in range(20)
        }
        found = pairs.make_pairs(many, 150, seed=0)
        count = collections.Counter(pair.source_label for pair in found)
        self.assertLess(count["0"], 30)  # 21 of 40 photos, 1 of 20 people

    def test_share_of_same_pairs(self):
        found = pairs.make_pairs(photos(), 20, seed=0, same=0.25)
        same = [pair for pair in found if pair.source == pair.target]
        self.assertLen(same, 5)

    def test_too_few_photos(self):
        with self.assertRaisesRegex(InputError, "at most 58 pairs of two people"):
            pairs.make_pairs(photos(), 59, seed=0)
        self.assertLen(pairs.make_pairs(photos(), 58, seed=0), 58)
        with self.assertRaisesRegex(InputError, "fraction of same pairs must lie in"):
            pairs.make_pairs(photos(), 5, seed=0, same=1.5)

    def test_photos_by_label(self):
        root = self.tempdir()
        write_photos(root)
        images.write_image(root / "zoe.png", np.zeros((4, 6, 3), np.uint8))
        found = pairs.photos_by_label(root)
        self.assertEqual({k: len(v) for k, v in found.items()}, PEOPLE | {"zoe": 1})

    def run_program(self, *args):
        return make_pairs.main(cli.parse(make_pairs.PairSettings, list(args)))

    def test_program(self):
        root = self.tempdir()
        write_photos(root)
        output = root / "lists" / "pairs.csv"
        args = [f"--data_dir={root}", f"--output={output}", "--pairs=9", "--seed=2"]
        self.assertEqual(self.run_program(*args), cli.DONE)
        first = output.read_bytes()
        self.run_program(*args)
        self.assertEqual(output.read_bytes(), first)
        self.assertLen(pairs.read_pairs(output), 9)

    def test_program_refuses(self):
        with self.assertRaisesRegex(InputError, "must be at least 1"):
            self.run_program("--data_dir=x", "--output=y", "--pairs=0")
        with self.assertRaisesRegex(InputError, "no such folder"):
            self.run_program("--data_dir=/nowhere/x", "--output=y")


class CsvTest(testing.TestCase):
    def test_written_list_comes_back(self):
        root = self.tempdir()
        write_photos(root)
        made = pairs.make_pairs(photos(root), 8, seed=0)
        pairs.write_pairs(root / "pairs.csv", made)
        self.assertNotIn(str(root), (root / "pairs.csv").read_text())  # relative
        self.assertEqual(pairs.read_pairs(root / "pairs.csv"), made)

    def test_without_labels_every_photo_is_a_person(self):
        root = self.tempdir()
        write_photos(root)
        (root / "p.csv").write_text("source,target\nann/0.png,bob/0.png\n")
        (pair,) = pairs.read_pairs(root / "p.csv")
        self.assertEqual(pair.source_label, str(root / "ann/0.png"))
        self.assertIsNone(pair.swapped)

    def test_refused(self):
        root = self.tempdir()
        write_photos(root)
        for text, words in (
            ("source\nann/0.png\n", "columns source, target"),
            ("source,target\nann/0.png,no.png\n", r"p.csv:2: .*no.png: no such file"),
            ("source,target\nann/0.png,\n", "p.csv:2: no target"),
            ("source,target\n", "expected rows"),
        ):
            (root / "p.csv").write_text(text)
            with self.assertRaisesRegex(InputError, words):
                pairs.read_pairs(root / "p.csv")
        with self.assertRaisesRegex(InputError, "no such file"):
            pairs.read_pairs(root / "other.csv")


class ResultsTest(testing.TestCase):
    def write(self, root, *names):
        for name in names:
            images.write_image(root / name, np.zeros((4, 6, 3), np.uint8))

    def test_three_folders(self):
        root = self.tempdir()
        for role in ("source", "target"):
            self.write(root, f"{role}/ann__1.png", f"{role}/ann__2.png")
        self.write(root, "swapped/ann__1.jpg", "swapped/ann__2.jpg")
        found = pairs.read_results(root)
        self.assertEqual([pair.source_label for pair in found], ["ann", "ann"])
        self.assertEqual(found[1].swapped, root / "swapped/ann__2.jpg")

    def test_csv_is_preferred(self):
        root = self.tempdir()
        self.write(root, "a.png", "b.png", "c.png")
        (root / "pairs.csv").write_text("source,target,swapped\na.png,b.png,c.png\n")
        (pair,) = pairs.read_results(root)
        self.assertEqual(pair.swapped, root / "c.png")

    def test_refused(self):
        root = self.tempdir()
        self.write(root, "source/1.png", "swapped/1.png")
        with self.assertRaisesRegex(InputError, "Missing: target"):
            pairs.read_results(root)
        self.write(root, "target/2.png")
        with self.assertRaisesRegex(InputError, "no source or target for swapped 1"):
            pairs.read_results(root)


class FramesTest(testing.TestCase):
    def test_frames_of_a_clip(self):
        clip = testing.shared("faces", "video", "dfl_obama_speaking.mp4")
        few = frames.draw_frames(clip, 4, seed=0)
        self.assertLen(few, 4)
        places = [index for index, _ in few]
        self.assertEqual(places, sorted(set(places)))
        again = frames.draw_frames(clip, 4, seed=0)
        self.assertEqual(places, [index for index, _ in again])
        np.testing.assert_array_equal(few[2][1], again[2][1])
        other = frames.draw_frames(clip, 4, seed=1)
        self.assertNotEqual(places, [index for index, _ in other])

    def test_program_with_videos(self):
        clip = testing.shared("faces", "video", "sber_random.gif")
        self.assertEqual(frames.list_videos(clip.parent)[0].suffix, ".mp4")
        root = self.tempdir()
        with self.assertRaisesRegex(InputError, "videos: give --frames_dir"):
            settings = make_pairs.PairSettings(str(clip.parent), str(root / "p.csv"))
            make_pairs.find_photos(settings)

    def test_two_videos_of_one_name(self):
        with self.assertRaisesRegex(InputError, "the same name: a"):
            frames.extract([pathlib.Path("a.mp4"), pathlib.Path("b/a.mov")], "x", 2, 0)
