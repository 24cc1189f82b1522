"""Tests of facedancer.video_swap.media.video_reader and hdr."""

import struct
from fractions import Fraction

import av
import numpy as np
from absl.testing import parameterized

from facedancer.errors import InputError
from facedancer.video_swap.media import hdr, video_reader
from tests import testing
from tests.video_swap import made


def chart(matrix_height=96):
    """Patches of 16 pixels in known colours."""
    random = np.random.default_rng(3)
    patches = random.integers(0, 256, (matrix_height // 16, 10, 3), dtype=np.uint8)
    return np.repeat(np.repeat(patches, 16, axis=0), 16, axis=1)


def middles(image):
    """Mean colour of the middle of each patch."""
    height, width = image.shape[:2]
    parts = image.reshape(height // 16, 16, width // 16, 16, 3)
    return parts[:, 5:11, :, 5:11].mean(axis=(1, 3))


class VideoReaderTest(testing.TestCase):
    def test_times_of_a_variable_rate_are_kept(self):
        pts = [0, 512, 1024, 3000, 3001, 9000]
        frames = made.moving_scenes(6)
        path = made.write_clip(self.tempdir() / "a.mp4", frames, pts)
        reader = video_reader.VideoReader(path)
        found = list(reader)
        self.assertEqual([f.pts for f in found], pts)
        self.assertEqual(reader.info.time_base, Fraction(1, 12800))
        self.assertEqual(reader.info.size_wh, (160, 96))
        self.assertEqual([f.index for f in found], list(range(6)))
        for frame, image in zip(found, frames, strict=True):
            self.assertLess(np.abs(frame.image.astype(int) - image).mean(), 2.0)

    def test_part_of_a_clip(self):
        path = made.write_clip(self.tempdir() / "a.mp4", made.moving_scenes(25))
        reader = video_reader.VideoReader(path, start=0.2, length=0.4, every=3)
        found = list(reader)
        # 0.20 s to 0.59 s are frames 5 to 14; every third of them.
        self.assertEqual([f.pts // 512 for f in found], [5, 8, 11, 14])
        self.assertEqual([f.duration for f in found], [1536] * 4)

    def test_part_without_a_frame_is_refused(self):
        path = made.write_clip(self.tempdir() / "a.mp4", made.moving_scenes(25))
        for part, words in (
            ({"start": 100}, r"--start=100 lies after the last frame .0\.96 s."),
            ({"start": 0.41, "length": 0.02}, "no frame begins in the 0.02 s after "),
        ):
            with self.assertRaisesRegex(InputError, words):
                list(video_reader.VideoReader(path, **part))

    def test_times_of_a_raw_stream_are_made_up(self):
        folder, frames = self.tempdir(), made.moving_scenes(8)
        path = made.write_clip(folder / "a.mp4", frames, tracks=0)
        raw = folder / "a.h264"
        with av.open(str(path)) as given, av.open(str(raw), "w") as out:
            stream = out.add_stream_from_template(given.streams.video[0], opaque=True)
            for packet in given.demux(video=0):
                if packet.size:
                    packet.stream = stream
                    out.mux(packet)
        reader = video_reader.VideoReader(raw)
        found = list(reader)
        seconds = [frame.pts * reader.info.time_base for frame in found]
        self.assertEqual(seconds, [Fraction(i, 25) for i in range(8)])
        for frame, image in zip(found, frames, strict=True):
            self.assertLess(np.abs(frame.image.astype(int) - image).mean(), 2.0)

    @parameterized.named_parameters(
        ("bt709", 1, False), ("bt601", 6, False), ("full_range", 1, True)
    )
    def test_colours_are_right(self, matrix, full_range):
        image = chart()
        path = made.write_clip(
            self.tempdir() / "a.mp4", [image] * 2, matrix=matrix, full_range=full_range
        )
        reader = video_reader.VideoReader(path)
        self.assertEqual(reader.colour.matrix, matrix)
        frame = next(iter(reader))
        error = np.abs(middles(frame.image) - middles(image))
        self.assertLess(error.max(), 3.0)
        self.assertLess(error.mean(), 1.2)

    def test_unspecified_colours_follow_the_height(self):
        self.assertEqual(
            video_reader.colour_of(2, 2, 2, 480), video_reader.Colour(6, 6, 6)
        )
        self.assertEqual(
            video_reader.colour_of(2, 2, 2, 720), video_reader.Colour(1, 1, 1)
        )
        self.assertEqual(
            video_reader.colour_of(1, 9, 2, 480), video_reader.Colour(1, 9, 1)
        )

    @parameterized.named_parameters(
        # The matrix of the track header maps stored x, y to shown ones: a b / c d.
        ("clockwise", (0, 1, -1, 0), -1),
        ("half", (-1, 0, 0, -1), 2),
        ("counterclockwise", (0, -1, 1, 0), 1),
    )
    def test_rotation_of_the_track_header(self, matrix, turns):
        image = made.scene((made.RED, 10, 10, 30), (made.GREEN, 110, 50, 40))
        path = made.write_clip(self.tempdir() / "a.mp4", [image] * 3, tracks=0)

        def packed(a, b, c, d):
            one = 1 << 16
            return struct.pack(
                ">9i", a * one, b * one, 0, c * one, d * one, 0, 0, 0, 1 << 30
            )

        data = path.read_bytes()
        start = data.index(packed(1, 0, 0, 1), data.index(b"tkhd"))
        path.write_bytes(data[:start] + packed(*matrix) + data[start + 36 :])
        reader = video_reader.VideoReader(path)
        shown = np.rot90(image, turns)
        self.assertEqual(reader.info.size_wh, (shown.shape[1], shown.shape[0]))
        found = next(iter(reader)).image
        self.assertLess(np.abs(found.astype(int) - shown).mean(), 3.0)

    def test_rotated_clip_is_upright(self):
        stored = testing.shared("faces", "video", "rotated_display90.mp4")
        upright = testing.shared("faces", "video", "fsgan_abe_720p.mp4")
        rotated = next(iter(video_reader.VideoReader(stored)))
        original = next(iter(video_reader.VideoReader(upright)))
        self.assertEqual(rotated.image.shape, (540, 960, 3))
        small = original.image.reshape(180, 4, 320, 4, 3).mean(axis=(1, 3))
        turned = rotated.image.reshape(180, 3, 320, 3, 3).mean(axis=(1, 3))
        self.assertLess(np.abs(small - turned).mean(), 4.0)

    def test_corrupt_bytes_are_noted_with_their_time(self):
        frames = [made.scene((made.RED, 10 + i, 20, 40)) for i in range(60)]
        noise = np.random.default_rng(0)
        frames = [
            np.clip(f + noise.integers(-20, 20, f.shape), 0, 255).astype(np.uint8)
            for f in frames
        ]
        path = made.write_clip(self.tempdir() / "a.mp4", frames, tracks=0)
        data = bytearray(path.read_bytes())
        middle = len(data) // 2
        data[middle : middle + 3000] = bytes(3000)
        path.write_bytes(data)
        reader = video_reader.VideoReader(path)
        found = list(reader)
        self.assertGreater(len(found), 40)
        self.assertNotEmpty(reader.damage)
        start, end = reader.damage[0]
        self.assertBetween(float(start), 0.8, 1.6)
        self.assertGreaterEqual(end, start)

    def test_truncated_clip_is_noted(self):
        path = made.write_clip(
            self.tempdir() / "a.mp4", made.moving_scenes(60), tracks=0
        )
        with av.open(str(path)) as given:  # the index in front, as on the web
            fast = path.with_name("b.mp4")
            with av.open(str(fast), "w", options={"movflags": "faststart"}) as out:
                stream = out.add_stream_from_template(given.streams.video[0])
                for packet in given.demux(video=0):
                    if packet.size:
                        packet.stream = stream
                        out.mux(packet)
        data = fast.read_bytes()
        fast.write_bytes(data[: len(data) * 2 // 3])
        reader = video_reader.VideoReader(fast)
        count = len(list(reader))
        self.assertBetween(count, 5, 59)
        self.assertNotEmpty(reader.damage)
        self.assertAlmostEqual(float(reader.damage[-1][1]), 2.4, delta=0.1)

    def test_bad_files_are_refused(self):
        folder = self.tempdir()
        empty = folder / "empty.mp4"
        empty.write_bytes(b"")
        text = folder / "text.mp4"
        text.write_text("no video")
        sound = folder / "sound.m4a"
        with av.open(str(sound), "w") as container:
            stream = container.add_stream("aac", rate=16000)
            made._write_sound(container, stream, 0.5, 440.0)
        for path, words in (
            (folder / "none.mp4", "no such file"),
            (empty, "not a video that can be read"),
            (text, "not a video that can be read"),
            (sound, "no video stream in it, only audio"),
        ):
            with self.assertRaisesRegex(InputError, words):
                video_reader.VideoReader(path)


class HdrTest(testing.TestCase):
    def write(self):
        grey = np.full((96, 160, 3), 128, np.uint8)
        return made.write_clip(
            self.tempdir() / "a.mp4",
            [grey] * 3,
            matrix=9,
            transfer=16,
            pix_fmt="yuv420p10le",
        )

    def test_refused_by_default(self):
        with self.assertRaisesRegex(InputError, "HDR .PQ. .* Give --hdr=convert"):
            video_reader.VideoReader(self.write())

    def test_converted(self):
        reader = video_reader.VideoReader(self.write(), hdr_mode="convert")
        self.assertEqual(reader.output_colour, video_reader.Colour(1, 1, 1))
        image = next(iter(reader)).image
        # PQ 0.502 is 94 cd/m2 by hand (ST 2084), 0.463 of 203: 255 * 0.463^(1/2.4).
        self.assertLess(np.abs(image.astype(int) - 185).max(), 5)

    def test_curves(self):
        self.assertAlmostEqual(float(hdr.light_from_pq(np.array(1.0))), 10000.0)
        self.assertAlmostEqual(float(hdr.light_from_hlg(np.array(1.0))), 1000, delta=1)
        # BT.2408: diffuse white of 203 cd/m2 is PQ 0.58 and HLG 0.75.
        self.assertAlmostEqual(float(hdr.light_from_pq(np.array(0.58))), 203, delta=4)
        self.assertAlmostEqual(float(hdr.light_from_hlg(np.array(0.75))), 203, delta=4)

    def test_roll_off_is_smooth_and_bounded(self):
        light = np.array([0.0, 0.5, 0.75, 0.76, 5.0, 50.0])
        out = hdr.roll_off(light)
        self.assert_close(out[:3], light[:3])
        self.assertAlmostEqual(out[3], 0.76, delta=1e-3)
        self.assertLess(out[-1], 1.0)
        self.assertGreater(out[-1], out[-2])
