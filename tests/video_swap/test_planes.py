"""Tests of facedancer.video_swap.pixels: planes do what RGB does, and no more."""

import dataclasses
from fractions import Fraction

import av
import cv2
import numpy as np
from absl.testing import parameterized
from av.video.reformatter import ColorRange

from facedancer.face import alignment
from facedancer.imaging import sample_photos
from facedancer.retinaface import load_detector
from facedancer.video_swap.compositing import paste, pixel_aspect
from facedancer.video_swap.encode_settings import EncodeSettings
from facedancer.video_swap.media import upright, video_reader, video_writer
from facedancer.video_swap.pixels import planes
from facedancer.video_swap.pixels.picture import Rgb
from facedancer.video_swap.provenance import watermark
from tests import testing
from tests.video_swap import made

# Codes of limited range (ITU-R BT.601 and BT.709) of white, black and full red.
CODES = (
    (1, (235, 128, 128), (255, 255, 255)),
    (1, (16, 128, 128), (0, 0, 0)),
    (1, (63, 102, 240), (255, 0, 0)),
    (6, (81, 90, 240), (255, 0, 0)),
    (6, (145, 54, 34), (0, 255, 0)),
)
TURN = np.array([[0.3, 0.05, -20.0], [-0.05, 0.3, -4.0]])  # to a crop of 48 pixels


def of_codes(codes, height=64, width=96):
    """A picture of one colour."""
    parts = [np.full(height * width, codes[0])]
    parts += [np.full(height * width // 4, code) for code in codes[1:]]
    whole = np.concatenate(parts).astype(np.uint8)
    return whole.reshape(height * 3 // 2, width)


class PlanesTest(testing.TestCase):
    def portrait(self, **options):
        """A frame with the portrait, as it is read of a clip."""
        image = np.full((360, 640, 3), 110, np.uint8)
        face = sample_photos.read("collins")[:300, 80:380]
        image[20:320, 150:450] = face
        path = made.write_clip(self.tempdir() / "a.mp4", [image], **options)
        return next(iter(video_reader.VideoReader(path)))

    @parameterized.parameters(*CODES)
    def test_colours_by_the_book(self, matrix, codes, colour):
        picture = planes.Planes(of_codes(codes), matrix)
        window, _ = picture.window(TURN, 16)
        for image in (picture.image, picture.small((30, 20)), window):
            off = np.abs(image.astype(int) - colour)
            self.assertLessEqual(off.max(), 2)
        picture.paint(TURN, 16, lambda image: image.__setitem__(..., 128))
        self.assertLessEqual(np.abs(picture.window(TURN, 16)[0] - 128.0).max(), 1)
        anew = planes.Planes(picture.planes, matrix).image
        np.testing.assert_array_equal(picture.image, anew)

    @parameterized.parameters(1, 6)
    def test_what_is_seen_is_what_rgb_shows(self, matrix):
        picture = self.portrait(matrix=matrix).picture
        self.assertIsInstance(picture, planes.Planes)
        plain = Rgb(picture.image)
        small = np.abs(picture.small((160, 90)).astype(int) - plain.small((160, 90)))
        self.assertLess(small.mean(), 0.5)
        crops = [
            alignment.crop(window, matrix, 48).astype(int)
            for window, matrix in (picture.window(TURN, 48), plain.window(TURN, 48))
        ]
        self.assertLess(np.abs(crops[0] - crops[1]).mean(), 0.3)
        self.assertLess((np.abs(crops[0] - crops[1]) > 1).mean(), 0.01)

    def test_what_is_not_painted_stays_exactly(self):
        picture = self.portrait().picture
        before = picture.planes.copy()
        mask = np.zeros((48, 48), np.float32)
        mask[10:30, 12:40] = 1.0
        swapped = np.full((48, 48, 3), (200.0, 90.0, 40.0), np.float32)
        changed, plain = picture.copy(), Rgb(picture.image.copy())
        for one in (changed, plain):
            _, matrix = one.window(TURN, 48)
            one.paint(
                TURN, 48, lambda image, m=matrix: paste.paste(image, swapped, mask, m)
            )
        np.testing.assert_array_equal(picture.planes, before)
        off = np.abs(changed.image.astype(int) - plain.image)
        self.assertLess(off.mean(), 0.5)
        self.assertLess((off > 2).mean(), 0.01)  # the colours of its edge
        painted = (plain.image != picture.image).any(axis=2)
        self.assertGreater(painted.mean(), 0.01)
        luma = changed.planes[:360] != before[:360]
        self.assertFalse((luma & ~painted).any())
        blocks = painted.reshape(180, 2, 320, 2).any(axis=(1, 3))
        colours = (changed.planes[360:] != before[360:]).reshape(2, 180, 320)
        self.assertFalse((colours & ~blocks).any())

    def test_the_mark_is_that_of_rgb_and_leaves_the_colours(self):
        picture = self.portrait().picture
        plain = watermark.Marker(7).mark(Rgb(picture.image), 0)
        marked = watermark.Marker(7).mark(picture, 0)
        np.testing.assert_array_equal(marked.planes[360:], picture.planes[360:])
        self.assertLess(np.abs(marked.image.astype(int) - plain.image).mean(), 0.5)
        found = watermark.detect(marked.image)
        self.assertTrue(found.found)
        self.assertEqual(found.payload, 7)
        self.assertFalse(watermark.detect(picture.image).found)

    def test_faces_are_found_where_rgb_has_them(self):
        frame = self.portrait()
        large = cv2.resize(frame.image, (1280, 720))
        path = made.write_clip(self.tempdir() / "large.mp4", [large])
        picture = next(iter(video_reader.VideoReader(path))).picture
        detector = load_detector()
        (found,) = pixel_aspect.search(detector, [picture], 1.0)
        (plain,) = detector.detect_batch([picture.image])
        self.assertLen(found, 1)
        self.assertLess(np.abs(found.landmarks - plain.landmarks).max(), 0.3)

    def test_planes_are_encoded_as_they_are(self):
        frame = self.portrait()
        info = video_reader.ClipInfo(
            self.tempdir() / "a", (640, 360), Fraction(25), Fraction(1, 25)
        )
        path = self.tempdir() / "b.nut"
        encoder = video_writer.SegmentEncoder(
            path, info, video_reader.Colour(1, 1, 1), EncodeSettings(quality=0)
        )
        encoder.write(dataclasses.replace(frame, pts=0))
        encoder.close()
        after = next(iter(video_reader.VideoReader(path))).picture
        np.testing.assert_array_equal(after.planes, frame.picture.planes)

    @parameterized.parameters(
        {"full_range": True}, {"pix_fmt": "yuv444p"}, {"pix_fmt": "yuv422p"}
    )
    def test_other_formats_become_rgb(self, **options):
        self.assertIsInstance(self.portrait(**options).picture, Rgb)

    @parameterized.parameters((ColorRange.MPEG, planes.Planes), (ColorRange.JPEG, Rgb))
    def test_full_range_in_the_same_format_becomes_rgb(self, full, kind):
        frame = av.VideoFrame.from_ndarray(of_codes((60, 128, 128)), planes.FORMAT)
        frame.color_range = full
        base = Fraction(1, 25)
        info = video_reader.ClipInfo(self.tempdir(), (96, 64), Fraction(25), base)
        to_pictures = upright.ToPictures(info, video_reader.Colour(1, 1, 1))
        picture, _ = to_pictures(frame)
        self.assertIsInstance(picture, kind)
        grey = 60 if kind is Rgb else (60 - 16) * 255 / 219
        self.assertLessEqual(np.abs(picture.image - grey).max(), 1.5)
