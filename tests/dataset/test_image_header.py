"""Tests of what is known about an image without decoding it."""

from absl.testing import parameterized
from PIL import Image

from facedancer.dataset.photos import image_header
from facedancer.errors import InputError
from facedancer.imaging import images
from tests import testing
from tests.dataset import fixtures


class ImageHeaderTest(testing.TestCase):
    @parameterized.parameters("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF")
    def test_format_and_size(self, name):
        path = self.tempdir() / "image"
        Image.fromarray(fixtures.photo(size=(30, 41), boxes=())).save(path, name)
        found = image_header.format_and_size(path.read_bytes())
        self.assertEqual(found, (name.lower(), 30, 41))
        self.assertEqual(image_header.check_file(path), path.stat().st_size)

    def test_jpeg_with_a_long_head(self):
        """The size stands behind 60,000 bytes of EXIF data."""
        path = self.tempdir() / "image.jpg"
        image = Image.fromarray(fixtures.photo(size=(30, 41), boxes=()))
        image.save(path, exif=b"Exif\0\0" + b"\1" * 60000, progressive=True)
        found = image_header.format_and_size(path.read_bytes())
        self.assertEqual(found, ("jpeg", 30, 41))

    @parameterized.parameters(".jpg", ".png")
    def test_cut_off(self, ending):
        path = self.tempdir() / f"image{ending}"
        images.write_image(path, fixtures.photo())
        whole = path.read_bytes()
        path.write_bytes(whole[: len(whole) // 2])
        with self.assertRaisesRegex(InputError, "damaged image"):
            image_header.check_file(path)
        path.write_bytes(whole + b"\0\0trailer")  # some cameras add bytes
        self.assertEqual(image_header.check_file(path), len(whole) + 9)

    def test_no_image(self):
        with self.assertRaisesRegex(InputError, "its header is cut off"):
            image_header.format_and_size(b"GIF8nothing")
        with self.assertRaisesRegex(InputError, "not an image"):
            image_header.format_and_size(b"nothing")
        with self.assertRaisesRegex(InputError, "No such file"):
            image_header.check_file("/no/where.jpg")
