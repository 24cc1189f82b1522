"""Tests of `facedancer.imaging.images`."""

import errno
import io
import pathlib
from unittest import mock

import numpy as np
from absl.testing import parameterized
from PIL import Image

from facedancer.errors import InputError
from facedancer.imaging import images
from facedancer.storage import files
from tests import testing


def gradient(height=24, width=40):
    y, x = np.mgrid[:height, :width]
    return np.stack([x * 6, y * 10, np.full_like(x, 30)], -1).astype(np.uint8)


class RangesTest(testing.TestCase):
    def test_by_hand(self):
        values = np.array([[0, 51, 255]], np.uint8)
        self.assert_close(
            images.unit_from_uint8(values), np.array([[0.0, 0.2, 1.0]], np.float32)
        )
        self.assert_close(
            images.signed_from_uint8(values), np.array([[-1.0, -0.6, 1.0]], np.float32)
        )
        outside = np.array([-1.5, 0.0, 3.0])
        np.testing.assert_array_equal(images.uint8_from_signed(outside), [0, 128, 255])

    def test_there_and_back(self):
        values = np.arange(256, dtype=np.uint8)
        back = images.uint8_from_signed(images.signed_from_uint8(values))
        np.testing.assert_array_equal(back, values)


class ReadTest(testing.TestCase):
    def save(self, image, name, **options):
        path = self.tempdir() / name
        image.save(path, **options)
        return path

    @parameterized.parameters("RGB", "RGBA", "P", "L", "CMYK", "LA")
    def test_modes(self, mode):
        grey = np.repeat(gradient()[..., :1], 3, -1)
        path = self.save(Image.fromarray(grey).convert(mode), f"{mode}.tiff")
        read = images.read_image(path)
        self.assertEqual((read.shape, read.dtype), ((24, 40, 3), np.uint8))
        error = np.abs(read.astype(int) - grey)
        self.assertLess(error.max(), 52 if mode == "P" else 2)  # steps of the palette

    def test_sixteen_bits(self):
        values = (gradient()[..., 0].astype(np.uint16)) * 257
        path = self.save(Image.fromarray(values), "deep.png")
        np.testing.assert_array_equal(
            images.read_image(path)[..., 1], gradient()[..., 0]
        )

    def test_exif_orientation(self):
        exif = Image.Exif()
        exif[0x0112] = 6  # turn clockwise by a quarter to see it upright
        path = self.save(Image.fromarray(gradient()), "turned.png", exif=exif)
        expected = np.rot90(gradient(), -1)
        np.testing.assert_array_equal(images.read_image(path), expected)

    def test_first_frame_of_an_animation(self):
        frames = [Image.fromarray(np.full((6, 9, 3), v, np.uint8)) for v in (10, 200)]
        path = self.save(frames[0], "a.webp", save_all=True, append_images=frames[1:])
        self.assertLess(images.read_image(path).max(), 20)

    def test_wrong_ending(self):
        path = self.tempdir() / "photo.jpg"
        Image.fromarray(gradient()).save(path, format="PNG")
        np.testing.assert_array_equal(images.read_image(path), gradient())

    def test_refuses(self):
        folder = self.tempdir()
        buffer = io.BytesIO()
        Image.fromarray(gradient(200, 300)).save(buffer, format="JPEG")
        (folder / "cut.jpg").write_bytes(buffer.getvalue()[:900])
        (folder / "text.jpg").write_text("no image")
        (folder / "empty.png").write_bytes(b"")
        images.write_image(folder / "large.png", gradient())
        for name, words in (
            ("cut.jpg", "damaged image"),
            ("text.jpg", "not an image"),
            ("empty.png", "not an image"),
            ("none.png", "no such file"),
        ):
            with self.assertRaisesRegex(InputError, words):
                images.read_image(folder / name)
        with self.assertRaisesRegex(InputError, "40x24 pixels are more than the limit"):
            images.read_image(folder / "large.png", max_pixels=900)


class WriteTest(testing.TestCase):
    @parameterized.parameters((".png", 0), (".jpg", 6), (".webp", 12))
    def test_there_and_back(self, ending, tolerance):
        path = images.write_image(self.tempdir() / "new" / f"x{ending}", gradient())
        error = np.abs(images.read_image(path).astype(int) - gradient())
        self.assertLessEqual(error.max(), tolerance)
        self.assertLen(list(path.parent.iterdir()), 1)

    def test_jpeg_keeps_its_colour_resolution(self):
        path = images.write_image(self.tempdir() / "x.jpg", gradient())
        with Image.open(path) as image:
            self.assertEqual([layer[1:3] for layer in image.layer], [(1, 1)] * 3)

    def test_unknown_ending(self):
        with self.assertRaisesRegex(InputError, "Cannot write images of type '.xyz'"):
            images.write_image(self.tempdir() / "x.xyz", gradient())

    def test_place_that_cannot_be_written(self):
        folder = self.tempdir()
        (folder / "file").write_text("x")
        with self.assertRaisesRegex(InputError, "file/new/x.json: cannot be written"):
            files.write_atomic(folder / "file" / "new" / "x.json", b"x")
        (folder / "sub").mkdir()
        with self.assertRaisesRegex(InputError, "cannot be written .Is a directory"):
            files.write_atomic(folder / "sub", b"x")
        self.assertCountEqual([p.name for p in folder.iterdir()], ["file", "sub"])

    def test_full_disk_names_the_final_file(self):
        folder = self.tempdir()
        files.write_atomic(folder / "x", b"before")
        full = OSError(errno.ENOSPC, "No space left on device")
        with mock.patch.object(pathlib.Path, "write_bytes", side_effect=full):
            for name in ("x", ".tmp-12-x", ".tmp-12-a/x", ".tmp-1-1234567-a/.tmp-3-x"):
                with self.assertRaisesRegex(
                    InputError, r"[^.]/(a/)?x: cannot be written \(No space left on"
                ) as caught:
                    files.write_atomic(folder / name, b"after")
                self.assertNotIn(".tmp", str(caught.exception))
        self.assertEqual((folder / "x").read_bytes(), b"before")

    def test_list_images(self):
        folder = self.tempdir()
        for name in ("b/2.PNG", "a.jpg", "b/1.webp", "c.txt", ".hidden/3.png"):
            path = folder / name
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(b"")
        found = [str(p.relative_to(folder)) for p in images.list_images(folder)]
        self.assertEqual(found, ["a.jpg", "b/1.webp", "b/2.PNG"])
        (folder / "b" / "empty").mkdir()
        with self.assertRaisesRegex(InputError, "no images in it"):
            images.list_images(folder / "b" / "empty")
        with self.assertRaisesRegex(InputError, "no such folder"):
            images.list_images(folder / "nowhere")

    def test_list_images_follows_links_once(self):
        folder = self.tempdir()
        for name in ("all/anna/1.png", "elsewhere/2.png"):
            images.write_image(folder / name, np.zeros((2, 3, 3), np.uint8))
        (folder / "all" / "berta").symlink_to(folder / "elsewhere")
        (folder / "all" / "anna" / "up").symlink_to(folder / "all")  # a circle
        found = images.list_images(folder / "all")
        names = [str(path.relative_to(folder / "all")) for path in found]
        self.assertEqual(names, ["anna/1.png", "berta/2.png"])

    def test_resize(self):
        flat = np.full((8, 8, 3), 7, np.uint8)
        self.assertIs(images.resize(flat, 8), flat)
        self.assertEqual(images.resize(flat, 5).shape, (5, 5, 3))
        self.assertEqual(images.resize(flat, 11).max(), 7)
