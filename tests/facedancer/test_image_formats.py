"""Tests of `image_formats` and `image_colours` in `facedancer.imaging`."""

import os
import pathlib
import subprocess
import sys
from unittest import mock

import numpy as np
from absl.testing import parameterized
from PIL import Image

from facedancer.errors import InputError
from facedancer.imaging import image_colours, image_formats, images
from tests import testing
from tests.hostile import images as hostile

RED, WHITE = [200, 30, 30], [255, 255, 255]
# Ways to hide a colour under full transparency, and formats that have them.
HIDING = (
    ("PNG", "RGBA"),
    ("PNG", "LA"),
    ("PNG", "RGB"),
    ("PNG", "P"),
    ("PNG", "PA"),
    ("PNG", "L"),
    ("GIF", "P"),
    ("WEBP", "RGBA"),
    ("TIFF", "RGBA"),
    ("JPEG2000", "RGBA"),
)


class OpenTest(testing.TestCase):
    def test_one_line_for_every_bad_file(self):
        folder = self.tempdir()
        for name, (data, words) in hostile.bad().items():
            (folder / name).write_bytes(data)
            with (
                self.subTest(name),
                self.assertRaisesRegex(InputError, words) as caught,
            ):
                images.read_image(folder / name)
            line = str(caught.exception)
            self.assertStartsWith(line, f"{folder / name}: ")
            self.assertNotIn("\n", line)

    def test_postscript_starts_no_program(self):
        folder = self.tempdir()
        (folder / "photo.jpg").write_bytes(hostile.EPS)
        fake = folder / "gs"
        fake.write_text(f"#!/bin/sh\ntouch {folder}/started\n")
        fake.chmod(0o755)
        code = (
            "from facedancer.imaging import images\n"
            "from facedancer.errors import InputError\n"
            "try:\n    images.read_image('photo.jpg')\n"
            "except InputError as error:\n    print(error)\n"
        )
        environ = os.environ | {"PATH": f"{folder}:{os.environ['PATH']}"}
        root = str(pathlib.Path(__file__).parents[2])
        done = subprocess.run(
            [sys.executable, "-c", code],
            cwd=folder,
            env=environ | {"PYTHONPATH": root},
            capture_output=True,
            text=True,
            check=True,
        )
        self.assertIn("PostScript", done.stdout)
        self.assertFalse((folder / "started").exists())

    def test_all_listed_formats_are_read(self):
        image = hostile.picture()
        kinds = [kind for kind in image_formats.FORMATS if kind != "HEIF"]
        for kind in kinds:
            data = hostile.encoded(image, kind)
            found = images.read_photo(data).pixels
            error = np.abs(found.astype(int) - image)
            self.assertLess(error.mean(), 4, kind)

    def test_pipes_and_folders_are_not_waited_for(self):
        folder = self.tempdir()
        os.mkfifo(folder / "pipe.jpg")
        (folder / "folder.jpg").mkdir()
        for name, words in (("pipe.jpg", "a pipe"), ("folder.jpg", "a folder")):
            with self.assertRaisesRegex(InputError, words):
                images.read_image(folder / name)

    def test_limit_above_that_of_pillow(self):
        data = hostile.huge_png(20_000, 10_000)  # Pillow alone stops at 179 million
        with self.assertRaisesRegex(InputError, "20000x10000 pixels are more than"):
            images.read_photo(data, max_pixels=199_999_999)
        with self.assertRaisesRegex(InputError, "damaged image"):  # decoding began
            images.read_photo(data, max_pixels=200_000_000)

    @parameterized.parameters("WEBP", "GIF", "PNG")
    def test_animation_whose_header_claims_a_size(self, kind):
        """A WebP of 12 KB took 4 GB: its decoder keeps several pictures with alpha."""
        data = hostile.animation(kind, 8_000, 5_001)  # just above 200 / 5 million
        with self.assertRaisesRegex(InputError, "5 times, are more than the limit"):
            images.read_photo(data)
        small = hostile.animation(kind, 44, 30)
        self.assertEqual(
            images.read_photo(small, 5 * 44 * 30).pixels.shape, (30, 44, 3)
        )
        with self.assertRaisesRegex(
            InputError, "44x30 pixels of an animation, 5 times"
        ):
            images.read_photo(small, 5 * 44 * 30 - 1)
        still = hostile.encoded(hostile.picture(), kind)
        self.assertEqual(images.read_photo(still, 44 * 30).pixels.shape, (30, 44, 3))

    def test_heic_without_the_extra(self):
        path = self.tempdir() / "IMG_0001.HEIC"
        path.write_bytes(hostile.heic())
        with mock.patch.object(image_formats.importlib.util, "find_spec") as find:
            find.return_value = None
            with self.assertRaisesRegex(InputError, r"facedancer\[heif\].*as JPEG"):
                images.read_image(path)
        self.assertTrue(image_formats.known_ending(path))

    def test_heic_with_the_extra(self):
        try:
            import pillow_heif
        except ImportError:
            self.skipTest("the extra heif is not installed")
        pillow_heif.register_heif_opener()
        data = hostile.encoded(hostile.picture(64, 96), "HEIF", quality=95)
        found = images.read_photo(data).pixels
        self.assertLess(np.abs(found.astype(int) - hostile.picture(64, 96)).mean(), 4)
        with self.assertRaisesRegex(InputError, "damaged image"):
            images.read_photo(hostile.heic())

    def test_nonsense_in_exif_is_no_damage(self):
        data = hostile.encoded(hostile.picture(), "JPEG", quality=95)
        np.testing.assert_array_equal(
            images.read_photo(hostile.with_broken_exif(data)).pixels,
            images.read_photo(data).pixels,
        )


class ColoursTest(testing.TestCase):
    @parameterized.parameters(*HIDING)
    def test_hidden_colours_do_not_appear(self, kind, mode):
        image, options = hostile.hidden_colours(mode)
        if kind == "WEBP":
            options |= {"lossless": True, "exact": True}
        photo = images.read_photo(hostile.encoded(image, kind, **options))
        seen = [90] * 3 if mode in ("L", "LA") else RED
        np.testing.assert_array_equal(photo.pixels[5, 5], seen)
        np.testing.assert_array_equal(photo.pixels[5, 40], WHITE)
        np.testing.assert_array_equal(photo.alpha[5, [5, 40]], [255, 0])

    def test_half_transparent_lies_on_white(self):
        image = np.full((4, 6, 4), (100, 0, 200, 128), np.uint8)
        photo = images.read_photo(hostile.encoded(image, "PNG"))
        expected = np.array([100, 0, 200]) * 128 / 255 + 127
        self.assertLessEqual(np.abs(photo.pixels[2, 3] - expected).max(), 1)
        back = image_colours.off_white(photo.pixels, photo.alpha)
        self.assertLessEqual(np.abs(back.astype(int) - image[..., :3]).max(), 2)

    def test_off_white_by_hand(self):
        shown = np.array([[[255, 105, 55], [10, 20, 30], [1, 2, 3], [250, 0, 0]]], "u1")
        alpha = np.array([[51, 255, 0, 1]], np.uint8)
        colours = image_colours.off_white(shown, alpha)
        # 255 - (255 - x) / 0.2 of the first, clipped
        expected = [[[255, 0, 0], [10, 20, 30], [255, 255, 255], [0, 0, 0]]]
        np.testing.assert_array_equal(colours, expected)
        back = image_colours.on_white(colours, alpha)
        self.assertEqual(back[0, 1].tolist(), [10, 20, 30])

    def test_opaque_alpha_is_none(self):
        image = np.full((4, 6, 4), 255, np.uint8)
        self.assertIsNone(images.read_photo(hostile.encoded(image, "PNG")).alpha)

    @parameterized.parameters("PNG", "JPEG", "WEBP", "TIFF")
    def test_profile_becomes_srgb(self, kind):
        image = np.full((16, 24, 3), RED, np.uint8)
        profile = hostile.icc_profile(swapped=True)
        data = hostile.encoded(image, kind, icc_profile=profile)
        photo = images.read_photo(data)
        # The curve is a plain 2.2, which sRGB is near to.
        self.assertLess(np.abs(photo.pixels[8, 12] - np.array(RED[::-1])).max(), 8)
        self.assertTrue(photo.tagged)

    def test_linear_grey_profile(self):
        image = np.full((8, 12), 55, np.uint8)
        profile = hostile.icc_profile("GRAY", gamma=1.0)
        photo = images.read_photo(hostile.encoded(image, "PNG", icc_profile=profile))
        expected = 255 * (1.055 * (55 / 255) ** (1 / 2.4) - 0.055)  # sRGB's own curve
        self.assertLess(np.abs(photo.pixels.astype(float) - expected).max(), 2)

    @parameterized.parameters(b"nonsense", hostile.icc_profile()[:200])
    def test_profile_that_cannot_be_used_changes_nothing(self, profile):
        image = hostile.picture()
        data = hostile.encoded(image, "PNG", icc_profile=profile)
        np.testing.assert_array_equal(images.read_photo(data).pixels, image)

    def test_srgb_profile_changes_nothing_and_is_always_the_same(self):
        profile = image_colours.srgb_profile()
        self.assertEqual(profile, image_colours.srgb_profile())
        image = hostile.picture()
        data = hostile.encoded(image, "PNG", icc_profile=profile)
        np.testing.assert_array_equal(images.read_photo(data).pixels, image)

    @parameterized.parameters(".png", ".jpg", ".webp")
    def test_written_with_a_profile(self, ending):
        image = hostile.picture()
        data = images.encode_image(image, ending, tagged=True)
        photo = images.read_photo(data)
        self.assertTrue(photo.tagged)
        self.assertLess(np.abs(photo.pixels.astype(int) - image).mean(), 3)
        self.assertFalse(images.read_photo(images.encode_image(image, ending)).tagged)

    @parameterized.product(ending=(".png", ".webp", ".jpg"), tagged=(False, True))
    def test_alpha_is_written_where_it_can_be(self, ending, tagged):
        image = np.full((16, 24, 4), (200, 30, 30, 255), np.uint8)
        image[:, 12:, 3] = 0
        photo = images.read_photo(images.encode_image(image, ending, tagged=tagged))
        self.assertEqual(photo.alpha is None, ending == ".jpg")
        self.assertLess(np.abs(photo.pixels[8, 4] - np.array(RED)).max(), 12)
        self.assertLess(np.abs(photo.pixels[8, 20] - np.array(WHITE)).max(), 12)

    def test_floats_and_lab(self):
        grey = np.linspace(0, 1, 24, dtype=np.float32).reshape(4, 6)
        for scale in (1.0, 255.0):
            found = images.read_photo(hostile.encoded(grey * scale, "TIFF")).pixels
            self.assertLess(np.abs(found[..., 1] - grey * 255).max(), 0.6)
        odd = hostile.encoded(np.where(grey > 0.5, np.nan, grey), "TIFF")
        self.assertEqual(images.read_photo(odd).pixels[-1].max(), 0)
        lab = Image.new("LAB", (6, 4), (128, 128, 128))  # L of 50 %
        found = images.read_photo(hostile.encoded(lab, "TIFF")).pixels
        self.assertLess(np.abs(found.astype(int) - 119).max(), 3)


class LargeImageTest(testing.TestCase):
    @parameterized.parameters((".jpg", 65_501), (".webp", 16_384))
    def test_what_a_format_cannot_hold(self, ending, width):
        with self.assertRaisesRegex(InputError, f"{width}x3. Write .png"):
            images.check_writable(ending, (3, width))
        images.check_writable(ending, (3, width - 1))
        images.check_writable(".png", (3, width))


class WalkTest(testing.TestCase):
    def test_what_was_passed_over_is_said(self):
        folder = self.tempdir()
        for name in ("a.jpg", "b.jfif", "c.AVIF", "d.txt", "e", ".f.jpg", "x/.g/h.png"):
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"")
        (folder / "i.png").symlink_to(folder / "nowhere")
        (folder / "j").symlink_to(folder)
        with self.assertLogs("absl", "WARNING") as logged:
            found = images.list_images(folder)
            images.list_images(folder)  # said once
        self.assertEqual([p.name for p in found], ["a.jpg", "b.jfif", "c.AVIF"])
        self.assertLen(logged.output, 1)
        for words in (
            "2 files that are no images by their ending (1 .txt, 1 without ending)",
            "2 hidden files and folders",
            "1 folders that were there already",
            "1 links that lead nowhere",
        ):
            self.assertIn(words, logged.output[0])

    def test_nothing_is_said_of_nothing(self):
        folder = self.tempdir()
        (folder / "a.png").write_bytes(b"")
        with self.assertNoLogs("absl"):
            images.list_images(folder)

    def test_folder_that_cannot_be_read(self):
        folder = self.tempdir()
        (folder / "a.png").write_bytes(b"")
        error = PermissionError(13, "Permission denied", str(folder / "b"))

        def walk(top, onerror, followlinks):
            yield str(top), [], ["a.png"]
            onerror(error)

        with mock.patch.object(images.os, "walk", walk):
            with self.assertLogs("absl", "WARNING") as logged:
                images.list_images(folder)
        self.assertIn(f"1 folders that cannot be read ({folder}/b: P", logged.output[0])
