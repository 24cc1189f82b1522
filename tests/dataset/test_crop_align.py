"""Tests of the alignment: formats, choice of faces, report, resume, dying workers."""

import json
import pathlib
import subprocess
import sys

import numpy as np
import pytest
from absl.testing import parameterized
from PIL import Image

from facedancer import cli
from facedancer.dataset import crop_align, folder_alignment
from facedancer.dataset.photos import aligning
from facedancer.errors import InputError
from facedancer.face import alignment
from facedancer.face.faces import Faces
from facedancer.imaging import images
from tests import testing
from tests.dataset import detectors, fixtures


class AlignTestCase(testing.TestCase):
    def setUp(self):
        super().setUp()
        self.data = self.tempdir() / "photos"
        self.target = self.tempdir() / "aligned"

    def settings(self, **options):
        options = {"im_size": 64, "min_size": 100} | options
        return aligning.AlignSettings(str(self.data), str(self.target), **options)

    def align(self, detector=None, **options):
        detector = detector or detectors.BoxDetector()
        return folder_alignment.align_folder(self.settings(**options), detector)

    def report(self):
        lines = (self.target / "report.jsonl").read_text().splitlines()
        return {entry["path"]: entry for entry in map(json.loads, lines)}

    def files(self):
        return sorted(
            str(p.relative_to(self.target)) for p in self.target.rglob("*.*g")
        )

    def content(self):
        return {
            str(p.relative_to(self.target)): p.read_bytes()
            for p in self.target.rglob("*")
            if p.is_file()
        }


class AlignFolderTest(AlignTestCase):
    def test_folders_are_mirrored(self):
        paths = fixtures.write_photos(self.data, {"ann": 3, "b/bob": 2, "": 1})
        counts = self.align()
        self.assertEqual(counts, {"done": 6})
        self.assertEqual(self.files(), sorted(paths))
        report = self.report()
        self.assertEqual(set(report), set(paths))
        entry = report["b/bob/001.jpg"]
        self.assertEqual((entry["height"], entry["width"]), (150, 200))
        self.assertEqual(entry["faces"][0]["output"], "b/bob/001.jpg")
        summary = json.loads((self.target / "summary.json").read_text())
        self.assertEqual(summary["statuses"], {"done": 6})
        self.assertTrue(summary["complete"])

    def test_a_crop_is_what_its_report_says(self):
        fixtures.write_photos(self.data, {"ann": 1})
        self.align(image_format="png", shrink_factor=0.75, template="ffhq")
        face = self.report()["ann/000.jpg"]["faces"][0]
        matrix = alignment.crop_matrix(np.array(face["landmarks"]), 64, "ffhq", 0.75)
        photo = images.read_image(self.data / "ann/000.jpg")
        expected = alignment.crop(photo, matrix, 64)
        actual = images.read_image(self.target / "ann/000.png")
        np.testing.assert_array_equal(actual, expected)
        np.testing.assert_allclose(
            face["crop_landmarks"],
            alignment.apply(matrix, face["landmarks"]),
            atol=0.006,
        )

    def test_jpeg_keeps_full_colour(self):
        fixtures.write_photos(self.data, {"ann": 1})
        self.align(quality=90)
        with Image.open(self.target / "ann/000.jpg") as image:
            self.assertEqual(image.layer[0][1:3], image.layer[1][1:3])  # 4:4:4
            coarse = image.quantization[0][0]
        self.assertEqual(coarse, 3)  # the standard table's 16, at quality 90

    @parameterized.parameters("L", "RGBA", "P", "I;16", "CMYK")
    def test_every_kind_of_image(self, mode):
        image = Image.fromarray(fixtures.photo())
        if mode == "I;16":
            grey = np.asarray(image.convert("L"), np.uint16) * 257
            image = Image.fromarray(grey)
        else:
            image = image.convert(mode)
        self.data.mkdir(parents=True)
        image.save(self.data / ("a.tif" if mode in ("CMYK", "I;16") else "a.png"))

        class Anywhere:
            def detect_batch(self, batch):
                assert all(p.shape == (150, 200, 3) for p in batch)
                return [detectors.BoxDetector().detect(fixtures.photo())] * len(batch)

        self.assertEqual(self.align(Anywhere()), {"done": 1})

    def test_exif_orientation(self):
        self.data.mkdir(parents=True)
        image = Image.fromarray(np.rot90(fixtures.photo()).copy())
        exif = Image.Exif()
        exif[0x0112] = 6  # shown after a quarter turn clockwise
        image.save(self.data / "a.jpg", exif=exif, quality=98, subsampling=0)
        self.align()
        face = self.report()["a.jpg"]["faces"][0]
        np.testing.assert_allclose(face["box"], [60, 40, 110, 100], atol=2)

    def test_animation_gives_its_first_frame(self):
        self.data.mkdir(parents=True)
        first = Image.fromarray(fixtures.photo(background=90))
        other = Image.fromarray(fixtures.photo(boxes=(), background=90))
        first.save(self.data / "a.gif", save_all=True, append_images=[other])
        self.assertEqual(self.align(), {"done": 1})
        self.assertEqual(self.files(), ["a.jpg"])

    def test_same_stem_twice(self):
        self.data.mkdir(parents=True)
        for name in ("a.png", "a.jpg", "b.png"):
            images.write_image(self.data / name, fixtures.photo())
        self.align()
        self.assertEqual(self.files(), ["a.jpg.jpg", "a.png.jpg", "b.jpg"])

    def test_what_gives_no_crop(self):
        write = {
            "ok.jpg": fixtures.photo(),
            "none.jpg": fixtures.photo(boxes=()),
            "small.jpg": fixtures.photo(size=(100, 200)),  # a side must be larger
            "just.jpg": fixtures.photo(size=(101, 200)),
        }
        for name, image in write.items():
            images.write_image(self.data / name, image)
        (self.data / "torn.jpg").write_bytes((self.data / "ok.jpg").read_bytes()[:900])
        (self.data / "text.png").write_text("no image")
        counts = self.align(max_pixels=200 * 150)
        report = self.report()
        statuses = {name: entry["status"] for name, entry in report.items()}
        self.assertEqual(
            statuses,
            {
                "ok.jpg": "done",
                "just.jpg": "done",
                "none.jpg": "no_face",
                "small.jpg": "image_too_small",
                "text.png": "unreadable",
                "torn.jpg": "unreadable",
            },
        )
        self.assertIn("not an image", report["text.png"]["why"])
        self.assertEqual(counts["unreadable"], 2)
        sheet = images.read_image(f"{self.target}.dropped/no_face.jpg")
        self.assertEqual(sheet.shape, (142, 128, 3))
        self.assertFalse(pathlib.Path(f"{self.target}.dropped/unreadable.jpg").exists())

    def test_too_many_pixels(self):
        fixtures.write_photos(self.data, {"ann": 1})
        self.align(max_pixels=200 * 150 - 1)
        self.assertIn("limit of 29999", self.report()["ann/000.jpg"]["why"])

    def test_one_folder_inside_the_other_is_refused(self):
        fixtures.write_photos(self.data, {"ann": 1})
        self.target = self.data / "aligned"
        with self.assertRaisesRegex(InputError, "must lie outside"):
            self.align()
        self.assertFalse(self.target.exists())


class ChoiceTest(AlignTestCase):
    # left large, middle, right small; the score grows to the right
    BOXES = ((5, 40, 60, 70), (82, 50, 36, 50), (150, 40, 30, 40))

    @parameterized.parameters(("largest", 5), ("best", 150), ("central", 82))
    def test_one(self, faces, left):
        fixtures.write_photos(self.data, {"": 1}, boxes=self.BOXES)
        self.align(faces=faces)
        entry = self.report()["000.jpg"]
        self.assertEqual(entry["found"], 3)
        self.assertLen(entry["faces"], 1)
        self.assertAlmostEqual(entry["faces"][0]["box"][0], left, delta=2)

    def test_all(self):
        fixtures.write_photos(self.data, {"": 1}, boxes=self.BOXES)
        self.align(faces="all", min_face=45)
        self.assertEqual(self.files(), ["000.face1.jpg", "000.jpg"])
        statuses = [face["status"] for face in self.report()["000.jpg"]["faces"]]
        self.assertEqual(statuses, ["done", "done", "face_too_small"])

    def test_score_threshold(self):
        fixtures.write_photos(self.data, {"": 1}, boxes=self.BOXES)
        self.align(score_threshold=0.7)  # 0.6 + 0.3 * left / 200
        self.assertEqual(self.report()["000.jpg"]["found"], 2)

    def test_filters(self):
        fixtures.write_photos(self.data, {"": 2}, boxes=((60, 40, 50, 60),))
        self.align(min_sharpness=1e6)
        self.assertEqual(self.report()["000.jpg"]["status"], "blurred")
        self.target = self.tempdir() / "b"
        with self.subTest("the box detector's faces look ahead"):
            self.assertEqual(self.align(max_yaw=5.0), {"done": 2})

    @parameterized.parameters(1, 2, 3)
    def test_turned_photos(self, turns):
        """The crop of a photo on its side is that of the upright one."""
        upright = fixtures.photo()
        images.write_image(self.data / "a.png", np.rot90(upright, -turns))

        class Upright(detectors.BoxDetector):
            def detect(self, photo):
                same = photo.shape == upright.shape and (photo == upright).all()
                return super().detect(photo) if same else Faces.empty()

        self.assertEqual(self.align(Upright()), {"no_face": 1})
        self.target = self.tempdir() / "turned"
        self.align(Upright(), turned=True, image_format="png")
        crop = images.read_image(self.target / "a.png").astype(int)
        self.target = self.tempdir() / "upright"
        images.write_image(self.data / "a.png", upright)
        self.align(Upright(), image_format="png")
        expected = images.read_image(self.target / "a.png")
        self.assertLess(np.abs(crop - expected).mean(), 1.0)

    def test_landmarks_that_coincide_are_no_face(self):
        class Broken:
            def detect_batch(self, batch):
                points = np.zeros((1, 5, 2))
                return [Faces(np.ones((1, 4)), points, np.ones(1)) for _ in batch]

        fixtures.write_photos(self.data, {"": 1})
        self.assertEqual(self.align(Broken()), {"no_face": 1})


class ResumeTest(AlignTestCase):
    def setUp(self):
        super().setUp()
        fixtures.write_photos(self.data, {"ann": 10, "bob": 20, "eve": 15})

    def test_second_run_does_only_what_is_missing(self):
        self.align()
        whole = self.content()
        counted = Counting()
        self.align(counted)
        self.assertEqual(counted.photos, 0)
        self.assertEqual(self.content(), whole)
        (self.target / "bob/010.jpg").unlink()
        self.align(counted)
        self.assertEqual(counted.photos, folder_alignment.CHUNK)
        self.assertEqual(self.content(), whole)

    def test_torn_report_and_leftovers(self):
        self.align()
        whole = self.content()
        path = self.target / "report.jsonl"
        lines = path.read_bytes().splitlines(keepends=True)
        path.write_bytes(b"".join(lines[20:30]) + lines[40][:50])
        (self.target / "ann/.tmp-9999999-1234567-000.jpg").write_bytes(b"half")
        self.align()
        self.assertEqual(self.content(), whole)

    def test_a_broken_photo_is_tried_again(self):
        good = (self.data / "ann/003.jpg").read_bytes()
        (self.data / "ann/003.jpg").write_bytes(good[:500])
        self.assertEqual(self.align(), {"done": 44, "unreadable": 1})
        (self.data / "ann/003.jpg").write_bytes(good)
        self.assertEqual(self.align(), {"done": 45})

    def test_other_settings_need_overwrite(self):
        self.align()
        with self.assertRaisesRegex(InputError, "--im_size.*--overwrite"):
            self.align(im_size=32)
        self.align(im_size=32, image_format="png", overwrite=True)
        self.assertLen(self.files(), 45)
        crop = images.read_image(self.target / "bob/000.png")
        self.assertEqual(crop.shape, (32, 32, 3))

    def test_workers_give_the_same_bytes(self):
        self.align()
        one, self.target = self.content(), self.tempdir() / "two"
        self.align(num_workers=2)
        self.assertEqual(self.content(), one)

    @pytest.mark.slow
    def test_a_worker_that_dies_loses_one_photo(self):
        killer = np.zeros((150, 200, 3), np.uint8)
        images.write_image(self.data / "bob/007.jpg", killer)
        counts = self.align(detectors.FragileDetector(), num_workers=2)
        self.assertEqual(counts, {"done": 44, "worker_died": 1})
        entry = self.report()["bob/007.jpg"]
        self.assertEqual(entry["why"], "the worker process died")


class Counting(detectors.BoxDetector):
    photos = 0

    def detect_batch(self, batch):
        self.photos += len(batch)
        return super().detect_batch(batch)


class ProgramTest(AlignTestCase):
    def parse(self, *words):
        argv = [f"--data_dir={self.data}", f"--target_dir={self.target}", *words]
        return cli.parse(aligning.AlignSettings, argv)

    def test_defaults_of_the_original(self):
        values = self.parse()
        expected = {"im_size": 256, "min_size": 128, "shrink_factor": 1.0}
        for name, value in expected.items() | {("device_id", 0)}:
            self.assertEqual(getattr(values, name), value)

    @parameterized.parameters(
        ("--faces=any", "faces"),
        ("--im_size=1", "--im_size must lie in"),
        ("--shrink_factor=0", "shrink_factor"),
        ("--template=x", "template"),
        ("--image_format=gif", "Received: gif"),
        ("--quality=0", "quality"),
    )
    def test_bad_values(self, word, words):
        with self.assertRaisesRegex(InputError, words):
            crop_align.main(self.parse(word))

    def test_bad_folders(self):
        with self.assertRaisesRegex(InputError, "no such folder"):
            crop_align.main(self.parse())
        self.data.mkdir(parents=True)
        with self.assertRaisesRegex(InputError, "no images in it"):
            crop_align.main(self.parse())
        self.assertFalse(self.target.exists())

    def test_exit_status_and_one_line(self):
        """The program as a user starts it: one clear line, status 1."""
        program = pathlib.Path(crop_align.__file__)
        done = subprocess.run(
            [sys.executable, program, "--data_dir=/no/where", "--target_dir=x"],
            capture_output=True,
            text=True,
        )
        self.assertEqual(done.returncode, 1)
        self.assertEqual(done.stderr.strip(), "Error: /no/where: no such folder")
