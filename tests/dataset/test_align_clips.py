"""Clips among the photos that are aligned: which frames, names, report, resume."""

import pathlib

import numpy as np

from facedancer.dataset.photos import clips
from facedancer.errors import InputError
from facedancer.face import alignment
from facedancer.imaging import images
from tests.dataset import detectors, fixtures
from tests.dataset.test_crop_align import AlignTestCase, Counting
from tests.video_swap import made


def frames(lefts):
    """Frames of one clip: the box's left edge moves, where it is None there is none."""
    return [
        fixtures.photo(
            boxes=() if x is None else ((x, 40, 50, 60),),
            background=90,
            size=(150, 200),
        )
        for x in lefts
    ]


class AlignClipsTest(AlignTestCase):
    def write(self, name, lefts, **options):
        path = self.data / name
        path.parent.mkdir(parents=True, exist_ok=True)
        # The container follows from the ending; the name must not say what it is.
        whole = made.write_clip(self.tempdir() / "clip.mp4", frames(lefts), **options)
        return whole.rename(path)

    def test_every_nth_frame_beside_photos(self):
        fixtures.write_photos(self.data, {"ann": 1})
        self.write("ann/talk.data", [20, 30, 40, 50, None, 70, 80])
        (self.data / "ann/notes.txt").write_text("no clip")
        self.assertEqual(self.align(every=2, image_format="png"), {"done": 2})
        names = [f"ann/talk.frame{i:05d}.png" for i in (0, 2, 6)]
        self.assertEqual(self.files(), ["ann/000.png", *names])
        entry = self.report()["ann/talk.data"]
        self.assertEqual((entry["height"], entry["width"]), (150, 200))
        self.assertEqual(entry["frames"], {"done": 3, "no_face": 1})
        self.assertEqual(entry["found"], 3)
        for face, name, number, left in zip(
            entry["faces"], names, (0, 2, 6), (20, 40, 80), strict=True
        ):
            self.assertEqual((face["output"], face["frame"]), (name, number))
            self.assertAlmostEqual(face["box"][0], left, delta=2)
        matrix = alignment.crop_matrix(np.array(face["landmarks"]), 64, "arcface", 1.0)
        expected = alignment.crop(frames([80])[0], matrix, 64).astype(int)
        found = images.read_image(self.target / names[-1])
        self.assertLess(np.abs(found - expected).mean(), 6.0)

    def test_what_is_there_is_not_made_again(self):
        self.write("ann/talk.mp4", [20, 30, 40, 50])
        self.align(every=2)
        whole, counted = self.content(), Counting()
        self.align(counted, every=2)
        self.assertEqual(counted.photos, 0)
        (self.target / "ann/talk.frame00002.jpg").unlink()
        self.align(counted, every=2)
        self.assertEqual(counted.photos, 2)
        self.assertEqual(self.content(), whole)
        with self.assertRaisesRegex(InputError, "--every.*--overwrite"):
            self.align(every=3)
        self.assertEqual(self.align(every=3, overwrite=True), {"done": 1})
        expected = ["ann/talk.frame00000.jpg", "ann/talk.frame00003.jpg"]
        self.assertEqual(self.files(), expected)

    def test_photos_aligned_before_there_were_clips_go_on(self):
        fixtures.write_photos(self.data, {"ann": 2})
        self.align()
        path = self.target / "summary.json"
        path.write_text(path.read_text().replace('    "every": 10,\n', ""))
        self.assertNotIn("every", path.read_text())
        counted = Counting()
        self.assertEqual(self.align(counted), {"done": 2})
        self.assertEqual(counted.photos, 0)

    def test_what_gives_no_crop(self):
        whole = self.write("good.mp4", [20] * 12).read_bytes()
        (self.data / "torn.mp4").write_bytes(whole[:700])
        self.write("empty.mp4", [None] * 12)
        counts = self.align(every=5)
        self.assertEqual(counts, {"done": 1, "no_face": 1, "unreadable": 1})
        report = self.report()
        self.assertEqual(report["empty.mp4"]["frames"], {"no_face": 3})
        self.assertIn("torn.mp4: not a video", report["torn.mp4"]["why"])
        sheet = images.read_image(f"{self.target}.dropped/no_face.jpg")
        self.assertEqual(sheet.shape, (142, 128, 3))
        self.target = self.tempdir() / "small"
        counts = self.align(max_pixels=150 * 200 - 1)
        self.assertEqual(counts, {"unreadable": 3})
        self.assertIn("limit of 29999", self.report()["good.mp4"]["why"])
        self.target = self.tempdir() / "large"
        self.assertEqual(self.align(min_size=150)["image_too_small"], 2)

    def test_pixels_that_are_not_square_become_square(self):
        path = self.write("wide.mp4", [60], aspect=2)
        _, image = next(clips.frames(path, 1, images.MAX_PIXELS))
        self.assertEqual(image.shape, (150, 400, 3))
        box = detectors.BoxDetector().detect(image).boxes[0]
        np.testing.assert_allclose(box, [120, 40, 220, 100], atol=3)

    def test_many_frames_are_searched_in_parts(self):
        self.write("long.mp4", [20] * 19)
        sizes = []

        class Noting(detectors.BoxDetector):
            def detect_batch(self, batch):
                sizes.append(len(batch))
                return super().detect_batch(batch)

        self.align(Noting(), every=1)
        self.assertLen(self.files(), 19)
        self.assertEqual(max(sizes), 16)

    def test_other_files_are_no_clips(self):
        sound = pathlib.Path(self.tempdir() / "sound.wav")
        sound.write_bytes(b"RIFF\x24\0\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0" + bytes(24))
        text = self.tempdir() / "text.csv"
        text.write_text("a,b\n")
        self.assertFalse(clips.is_clip(sound) or clips.is_clip(text))
        self.assertFalse(clips.is_clip(self.tempdir() / "animation.gif"))
