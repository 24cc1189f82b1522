"""Folders of photos with bad files in them, and folders that hold files of others."""

import json

import numpy as np

from facedancer.dataset import folder_alignment, outliers
from facedancer.dataset.photos import aligning
from facedancer.errors import InputError
from facedancer.face import alignment
from facedancer.imaging import images
from facedancer.video_swap.swapping import jobs
from tests import testing
from tests.hostile import images as hostile
from tests.video_swap import made


class FoldersTest(testing.TestCase):
    def setUp(self):
        super().setUp()
        self.folder = self.tempdir()
        self.photos = self.folder / "photos"
        scene = made.scene((made.RED, 20, 20, 60), size_wh=(150, 140))
        images.write_image(self.photos / "good.png", scene)

    def align(self, target="crops", data=None, **options):
        settings = aligning.AlignSettings(
            str(data or self.photos), str(self.folder / target), im_size=32, **options
        )
        return folder_alignment.align_folder(settings, made.SquareDetector())

    def test_a_bad_file_ends_no_run(self):
        for name, (data, _) in hostile.bad().items():
            (self.photos / name).write_bytes(data)
        count = len(hostile.bad())
        self.assertEqual(self.align(), {"done": 1, "unreadable": count})
        lines = (self.folder / "crops" / "report.jsonl").read_text().splitlines()
        found = {entry["path"]: entry for entry in map(json.loads, lines)}
        for name, (_, words) in hostile.bad().items():
            self.assertRegex(found[name]["why"], words)

    def test_limit_is_that_of_the_flag(self):
        counts = self.align(max_pixels=150 * 140 - 1)
        self.assertEqual(counts, {"unreadable": 1})
        self.assertEqual(self.align(max_pixels=150 * 140), {"done": 1})

    def test_target_with_files_of_others(self):
        theirs = self.folder / "crops" / "good.jpg"
        theirs.parent.mkdir()
        theirs.write_bytes(b"theirs")
        with self.assertRaisesRegex(InputError, "holds good.jpg, which this program"):
            self.align()
        self.assertEqual(theirs.read_bytes(), b"theirs")

    def test_pictures_of_what_was_dropped_replace_no_folder(self):
        theirs = self.folder / "crops.dropped" / "theirs.txt"
        theirs.parent.mkdir()
        theirs.write_bytes(b"theirs")
        images.write_image(self.photos / "empty.png", made.scene(size_wh=(150, 140)))
        self.assertEqual(self.align(), {"done": 1, "no_face": 1})
        self.assertTrue((theirs.parent / "no_face.jpg").exists())
        self.assertEqual(theirs.read_bytes(), b"theirs")
        with self.assertRaisesRegex(InputError, "no photos may lie there"):
            self.align(data=theirs.parent)
        (self.photos / "empty.png").unlink()
        self.align()
        self.assertFalse((theirs.parent / "no_face.jpg").exists())

    def test_outliers_found_twice_are_not_overwritten(self):
        colours = {"a": made.RED, "b": made.RED, "c": made.RED, "odd": made.BLUE}
        settings = outliers.OutlierSettings(str(self.folder / "all"), "x.keras")

        def write():
            for name, colour in colours.items():
                crop = np.full((32, 32, 3), colour, np.uint8)
                images.write_image(self.folder / "all" / "ann" / f"{name}.png", crop)

        write()
        embed = made.ColourEmbedder().embed
        self.assertEqual(outliers.move_outliers(settings, embed), ["ann/odd.png"])
        before = (self.folder / "all.outliers" / "ann" / "odd.png").read_bytes()
        write()
        with self.assertRaisesRegex(InputError, "odd.png exists already, from an earl"):
            outliers.move_outliers(settings, embed)
        after = (self.folder / "all.outliers" / "ann" / "odd.png").read_bytes()
        self.assertEqual(after, before)
        self.assertTrue((self.folder / "all" / "ann" / "odd.png").exists())

    def test_crop_of_a_photo_wider_than_what_can_be_warped(self):
        photo = np.zeros((60, 40_000, 3), np.uint8)
        photo[:, 39_950:] = np.arange(50, dtype=np.uint8)[None, :, None] * 5
        small = photo[:, 39_000:]
        points = alignment.template(50) + [39_940, 5]
        crop = alignment.crop(photo, alignment.crop_matrix(points, 50), 50)
        points = points - [39_000, 0]
        expected = alignment.crop(small, alignment.crop_matrix(points, 50), 50)
        self.assertLessEqual(np.abs(crop.astype(int) - expected).max(), 1)


class OverlapTest(testing.TestCase):
    def test_the_face_behind_is_not_painted_on_the_one_in_front(self):
        tool = made.make_swapper()
        frame = made.background(200, 120)
        behind, front = alignment.template(70), alignment.template(90)
        points = np.array([behind + [20, 20], front + [55, 10]])
        alone = tool.swap_frames([frame], [jobs.make_jobs(points[:1], [0])])[0]
        both = tool.swap_frames([frame], [jobs.make_jobs(points, [0, None])])[0]
        inside = slice(45, 70), slice(80, 86)  # of the face in front, at its edge
        changed = np.abs(both.astype(int) - frame).max(axis=2)
        self.assertLess(changed[inside].max(), 12)
        self.assertGreater(np.abs(alone.astype(int) - frame)[inside].max(), 12)
        self.assertGreater(changed[45:70, 45:55].min(), 60)  # it is painted elsewhere


class ReasonTest(testing.TestCase):
    def test_what_a_decoder_says_in_two_lines_is_one(self):
        data = hostile.encoded(hostile.picture(), "PNG")
        with self.assertRaisesRegex(InputError, "damaged image .first second."):
            with images.image_formats.open_image(data):
                raise OSError("first\n second\n")
