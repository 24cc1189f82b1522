"""Tests of the watermark: what it lives through, and that nobody sees it."""

import io
import tracemalloc
from unittest import mock

import av
import cv2
import numpy as np
import skimage.data
from absl.testing import parameterized

from facedancer.video_swap.pixels.picture import Rgb
from facedancer.video_swap.provenance import watermark
from tests import testing

PAYLOAD = 0xC0FFEE42


def jpeg(image, quality):
    return cv2.imdecode(cv2.imencode(".jpg", image, [1, quality])[1], cv2.IMREAD_COLOR)


def h264(image, crf):
    """The third of five equal frames after H.264."""
    image = np.ascontiguousarray(image[: len(image) // 2 * 2])
    data = io.BytesIO()
    with av.open(data, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.height, stream.width = image.shape[:2]
        stream.pix_fmt, stream.options = "yuv420p", {"crf": str(crf)}
        for _ in range(5):
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    data.seek(0)
    with av.open(data) as container:
        return [f.to_ndarray(format="rgb24") for f in container.decode(video=0)][2]


class WatermarkTest(testing.TestCase):
    def photos(self):
        return skimage.data.astronaut(), skimage.data.chelsea()[:, :450]

    @parameterized.named_parameters(
        ("untouched", lambda image: image),
        ("jpeg_75", lambda image: jpeg(image, 75)),
        ("h264_crf_28", lambda image: h264(image, 28)),
        ("half_size", lambda image: cv2.resize(image, None, fx=0.5, fy=0.5)),
    )
    def test_mark_survives(self, attack):
        for photo in self.photos():
            marked = watermark.embed(photo, PAYLOAD)
            self.assertGreater(cv2.PSNR(photo, marked), 36.0)
            found = watermark.detect(attack(marked))
            self.assertTrue(found.found, found)
            self.assertEqual(found.payload, PAYLOAD)

    @parameterized.named_parameters(
        ("mirrored", lambda image: image[:, ::-1]),
        ("cropped", lambda image: image[26:-26, 26:-26]),
        ("border", lambda image: np.pad(image, ((6, 6), (6, 6), (0, 0)))),
    )
    def test_what_undoes_it(self, attack):
        """The docstring says so; what is mended here is to be said there."""
        marked = watermark.embed(self.photos()[0], PAYLOAD)
        self.assertFalse(watermark.detect(np.ascontiguousarray(attack(marked))).found)

    def test_anyone_can_put_in_another_payload(self):
        marked = watermark.embed(self.photos()[0], PAYLOAD)
        found = watermark.detect(watermark.embed(marked, 0x12345678))
        self.assertTrue(found.found)
        self.assertNotEqual(found.payload, PAYLOAD)

    def test_no_mark_is_seen_where_there_is_none(self):
        scores = [watermark.detect(photo).score for photo in self.photos()]
        random = np.random.default_rng(0)
        for _ in range(30):
            noise = random.integers(0, 255, (12, 20, 3)).astype(np.uint8)
            scores.append(watermark.detect(cv2.resize(noise, (320, 192))).score)
        self.assertLess(max(scores), 4.0)
        self.assertBetween(np.std(scores), 0.3, 1.5)

    def test_other_key_sees_nothing(self):
        marked = watermark.embed(self.photos()[0], PAYLOAD, key="one")
        self.assertTrue(watermark.detect(marked, key="one").found)
        self.assertFalse(watermark.detect(marked, key="two").found)

    def test_mark_of_one_frame_fits_the_next(self):
        photo = self.photos()[0]
        marker = watermark.Marker(PAYLOAD)
        marker(photo, 0)
        moved = np.roll(photo, 3, axis=1)
        found = watermark.detect(marker(moved, 1))
        self.assertTrue(found.found)
        self.assertEqual(found.payload, PAYLOAD)

    @parameterized.parameters((300, 500), (700, 513), (257, 1100))
    def test_strips_give_what_the_whole_gives(self, height, width):
        photo = cv2.resize(self.photos()[0], (width, height))
        picture = Rgb(photo)
        change = watermark.difference(picture, PAYLOAD)
        whole = picture.brighter(picture.brightness(change)).image
        strips = photo.copy()
        watermark.add_in_strips(strips, change)
        off = np.abs(strips.astype(int) - whole)
        self.assertLessEqual(off.max(), 1)  # rounding
        self.assertLess((off > 0).mean(), 0.01)
        self.assertEqual(watermark.detect(strips).payload, PAYLOAD)

    def test_a_large_picture_is_marked_in_little_memory(self):
        """Floats of its size took 2.5 GB for 14000 x 14000."""
        photo = cv2.resize(self.photos()[0], (4200, 3800))
        peaks = []
        for large in (1 << 26, 1 << 20):
            with mock.patch.object(watermark, "_LARGE", large):
                marker = watermark.Marker(PAYLOAD)
                marker(photo[:600, :600].copy(), 0)  # what it computes once
                tracemalloc.start()
                marked = marker(photo.copy(), 0)
                peaks.append(tracemalloc.get_traced_memory()[1] / photo.nbytes)
                tracemalloc.stop()
                self.assertTrue(watermark.detect(marked).found)
        self.assertGreater(peaks[0], 3)
        self.assertLess(peaks[1], 2.5)  # of which 1 is the copy here

    def test_plain_areas_are_hardly_changed(self):
        photo = self.photos()[0].copy()
        photo[:, :200], photo[:, 200:260] = 20, 190  # a suit, a wall, an edge between
        change = np.abs(watermark.embed(photo, PAYLOAD).astype(int) - photo)
        self.assertLessEqual(change[:, :240].max(), 3)
        self.assertLess(change[:, :240].mean(), 0.5)
        self.assertGreater(change[:, 300:].mean(), 2 * change[:, :240].mean())

    def test_stripes_are_no_texture(self):
        photo = self.photos()[0].copy()
        photo[:, :240] = 128 + 60 * np.sign(np.sin(np.arange(240) / 2))[:, None]
        change = np.abs(watermark.embed(photo, PAYLOAD).astype(int) - photo)
        self.assertLess(change[:, :210].mean(), 1.0)
        self.assertLess(change[:, :210].max(), 6)

    def test_frames_tell_more_than_one(self):
        random, marker = np.random.default_rng(0), watermark.Marker(PAYLOAD)
        photo, values = self.photos()[0], []
        for index in range(6):
            moved = marker(np.roll(photo, 5 * index, axis=1), index).astype(float)
            noisy = moved + random.normal(0, 25, photo.shape)
            values.append(watermark.values_of(noisy.clip(0, 255).astype(np.uint8)))
        one = watermark.read_values(values[0]).score
        self.assertGreater(watermark.read_values(np.mean(values, axis=0)).score, one)
