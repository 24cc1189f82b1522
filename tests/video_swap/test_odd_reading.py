"""Tests of reading clips as other people's programs make them; see `hostile.clips`."""

from fractions import Fraction

import av
import numpy as np
from absl.testing import parameterized

from facedancer.errors import InputError
from facedancer.video_swap.media import (
    containers,
    decoding,
    upright,
    video_reader,
)
from tests import testing
from tests.hostile import clips
from tests.video_swap.made import JOINED, numbers, read


class AllFramesTest(testing.TestCase):
    def assert_times(self, reader, frames, expected):
        """Times after the first frame, in frames."""
        times = [(f.pts - frames[0].pts) * reader.info.time_base for f in frames]
        self.assertEqual([time * clips.RATE for time in times], list(expected))

    def test_avi_has_no_times_of_display(self):
        path = clips.reordered_avi(self.tempdir() / "a.avi")
        reader, frames = read(path)
        self.assertEqual(numbers(frames), list(range(24)))
        self.assert_times(reader, frames, range(24))
        self.assertEqual((reader.origin, reader.damage), (0, []))
        self.assertIn("24 pictures had no time of display", " ".join(reader.notes))

    @parameterized.named_parameters(
        ("repeats", 0, 0), ("jumps_back", 1000, 3), ("jumps_ahead", 3, 7000)
    )
    def test_joined_recordings(self, first, second):
        folder = self.tempdir()
        path = clips.joined_ts(
            folder / "a.ts",
            [{"start": first}, {"start": second, "numbers": range(50, 62)}],
            folder,
        )
        reader, frames = read(path)
        self.assertEqual(numbers(frames), [*range(12), *range(50, 62)])
        self.assert_times(reader, frames, range(24))
        self.assertLen(reader.offsets, 2)
        self.assertIn(JOINED, " ".join(reader.notes))
        self.assertEmpty(reader.damage)

    def test_a_pause_is_no_jump(self):
        pts = [0, 1, 2, 600, 601, 602]  # 24 s of one picture
        path = clips.write(self.tempdir() / "a.mkv", range(6), pts=pts)
        reader, frames = read(path)
        self.assert_times(reader, frames, pts)
        self.assertEqual((reader.offsets, reader.notes), ((0,), []))

    def test_times_that_repeat(self):
        path = clips.write(
            self.tempdir() / "a.mkv",
            range(6),
            pts=[0, 1, 1, 2, 3, 4],
            options={"bf": "0"},
        )
        reader, frames = read(path)
        self.assertEqual(numbers(frames), list(range(6)))
        self.assert_times(reader, frames, [0, 1, 1.5, 2, 3, 4])
        self.assertIn("1 pictures had a time that had passed", " ".join(reader.notes))

    @parameterized.named_parameters(("larger", (96, 72)), ("wider", (128, 48)))
    def test_size_changes(self, size):
        folder = self.tempdir()
        path = clips.joined_ts(
            folder / "a.ts",
            [
                {"picture": clips.faced},
                {"numbers": range(50, 62), "size_wh": size, "picture": clips.faced},
            ],
            folder,
        )
        reader, frames = read(path)
        self.assertEqual({frame.image.shape for frame in frames}, {(48, 64, 3)})
        text = "12 pictures of another size were scaled to 64x48"
        self.assertIn(text, " ".join(reader.notes))
        bars = size == (128, 48)
        last = frames[-1].image
        inner = last[12:36] if bars else last
        self.assertEqual(clips.number_of(inner), 61)
        red = np.ptp(last.astype(int), axis=2) > 90
        rows, columns = np.flatnonzero(red.any(axis=1)), np.flatnonzero(red.any(axis=0))
        # Its square stays a square: 20 pixels of 48 rows, of 24 between bars.
        side = 10 if bars else 20
        self.assertAlmostEqual(np.ptp(rows) + 1, side, delta=2)
        self.assertAlmostEqual(np.ptp(columns) + 1, side, delta=2)
        if bars:
            self.assertLess(last[:10].max(), 20)

    def test_lost_packets_are_damage(self):
        folder = self.tempdir()
        path = clips.write(folder / "a.mp4", range(24), options={"bf": "0", "g": "30"})
        lost = folder / "b.mkv"
        with av.open(str(path)) as given, av.open(str(lost), "w") as made:
            stream = made.add_stream_from_template(given.streams.video[0], opaque=True)
            for count, packet in enumerate(given.demux(video=0)):
                if packet.size:
                    packet.stream = stream
                    if count == 10:  # cut so short that the decoder gives nothing
                        times = packet.pts, packet.dts
                        packet = av.Packet(bytes(packet)[:4] + b"\xff")
                        packet.stream, packet.time_base = stream, Fraction(1, 12800)
                        packet.pts, packet.dts = times
                    made.mux(packet)
        reader, frames = read(lost)
        self.assertLess(len(frames), 24)
        start, end = reader.damage[0]
        self.assertLessEqual(start, Fraction(10, 25))
        self.assertGreater(end, Fraction(10, 25))

    def test_damaged_first_picture_is_damage(self):
        """MPEG-4 of which the first picture, a key frame, is cut short."""
        folder = self.tempdir()
        path = clips.write(folder / "a.mp4", codec="mpeg4", options={})
        with av.open(str(path)) as container:
            packet = next(container.demux(video=0))
            place, size = packet.pos, packet.size
        data = bytearray(path.read_bytes())
        data[place : place + size] = b"\xff" * size
        path.write_bytes(data)
        reader, frames = read(path)
        self.assertLen(frames, 11)
        self.assertLen(reader.damage, 1)  # threads tell of it some frames late
        self.assertLess(reader.damage[0][0], Fraction(1, 4))

    def test_damage_has_a_length(self):
        damage = decoding.Damage(Fraction(1, 100), 4)
        damage.origin = 50
        for first, end in ((250, 250), (150, 154), (160, 160)):
            damage.add(first, end)
        hundredths = [[int(100 * t) for t in one] for one in damage.stretches]
        self.assertEqual(hundredths, [[100, 114], [200, 204]])

    def test_recording_that_begins_between_key_frames(self):
        folder = self.tempdir()
        options = {"bf": "0", "g": "12", "x264-params": "repeat-headers=1"}
        path = clips.write(folder / "a.ts", range(24), options=options, format="mpegts")
        cut = folder / "b.ts"
        with av.open(str(path)) as given, av.open(str(cut), "w") as made:
            stream = made.add_stream_from_template(given.streams.video[0], opaque=True)
            for count, packet in enumerate(given.demux(video=0)):
                if packet.size and count >= 8:
                    packet.stream = stream
                    made.mux(packet)
        reader, frames = read(cut)
        self.assertEqual(numbers(frames)[-12:], list(range(12, 24)))
        left_out = 16 - len(frames)
        self.assertIn(
            f"{left_out} pictures before the first whole one", reader.notes[0]
        )


class ContainerTest(testing.TestCase):
    @parameterized.product(
        kind=("ffconcat", "m3u8", "sdp", "mpd"), name=("a.mp4", "a.m3u8", "a.mkv")
    )
    def test_lists_of_files_are_refused(self, kind, name):
        folder = self.tempdir()
        clips.write(folder / "other.mp4")
        path = clips.playlist(folder / name, "other.mp4", kind)
        with self.assertRaisesRegex(InputError, "not a video that can be read"):
            video_reader.VideoReader(path)

    def test_a_pattern_is_no_clip(self):
        folder = self.tempdir()
        for number in range(3):
            clips.write(
                folder / f"{number}.png", [number], codec="png", pix_fmt="rgb24"
            )
        path = folder / "%d.png"
        path.write_bytes((folder / "1.png").read_bytes())
        with self.assertRaisesRegex(InputError, "not a video that can be read"):
            video_reader.VideoReader(path)

    def test_names_are_no_addresses(self):
        folder = self.tempdir()
        for name in ("12:30 take.mp4", "concat:a|b.mp4", "%03d.mp4", "~.mp4", "-i.mp4"):
            path = clips.write(folder / "a.mp4").rename(folder / name)
            self.assertLen(read(path)[1], 12)

    def test_the_default_picture(self):
        for default, first in ((0, 0), (1, 100)):
            path = clips.two_pictures(self.tempdir() / "a.mkv", default)
            reader, frames = read(path)
            self.assertEqual(numbers(frames), list(range(first, first + 12)))
            self.assertEmpty(reader.damage)
            self.assertIn(f"stream {default} is its picture, of 2", reader.notes[0])

    def test_a_cover_is_no_picture(self):
        path = clips.with_cover(self.tempdir() / "a.mp4")
        self.assertEqual(numbers(read(path)[1]), list(range(12)))

    def test_ffmpegs_own_words(self):
        with containers.reasons() as logs:
            try:
                av.open(str(self.tempdir() / "a.mp4"), "r", format="nonsense")
            except ValueError as error:
                self.assertEqual(containers.why(error, logs), str(error))
        self.assertIsNone(av.logging.get_level())


class ShapeTest(testing.TestCase):
    @parameterized.product(
        a=(-1, 1), b=(-1, 1), swapped=(False, True), ending=("mp4", "mov")
    )
    def test_all_orientations(self, a, b, swapped, ending):
        """Truth by hand: where the corner goes that is dark in what is stored."""

        def corner(number, size_wh):
            image = np.full((size_wh[1], size_wh[0], 3), 200, np.uint8)
            image[:16, :24] = 20
            return image

        values = (0, a, b, 0) if swapped else (a, 0, 0, b)
        path = clips.oriented(
            self.tempdir() / f"a.{ending}",
            clips.display_matrix(*values),
            picture=corner,
            numbers=range(3),
        )
        reader, frames = read(path)
        height, width = (64, 48) if swapped else (48, 64)
        self.assertEqual(reader.info.size_wh, (width, height))
        image = frames[0].image[..., 0]
        self.assertEqual(image.shape, (height, width))
        # Shown x is a x + c y, y is b x + d y: a factor of -1 puts it at the far end.
        to_x, to_y = (b, a) if swapped else (a, b)
        left = 3 if to_x > 0 else width - 4
        top = 3 if to_y > 0 else height - 4
        self.assertLess(image[top, left], 60)
        others = [image[y, x] for y in (3, height - 4) for x in (3, width - 4)]
        self.assertEqual(sum(int(value) > 150 for value in others), 3)

    @parameterized.parameters("mp4", "mov")
    def test_aspect_that_only_the_file_knows(self, ending):
        folder = self.tempdir()
        path = clips.aspect_in_container(
            folder / f"a.{ending}", Fraction(16, 11), folder
        )
        self.assertEqual(read(path)[0].info.aspect, Fraction(16, 11))

    @parameterized.parameters(
        ("qtrle", "mov"),
        ("prores_ks", "mov"),
        ("libvpx", "webm"),
        ("libvpx-vp9", "webm"),
    )
    def test_alpha(self, kind, ending):
        path = clips.with_alpha(self.tempdir() / f"a.{ending}", kind)
        reader, frames = read(path)
        self.assertTrue(reader.info.alpha)
        self.assertEqual(numbers(frames), list(range(12)))
        for frame in frames:
            self.assertEqual(frame.alpha.shape, (48, 64))
            self.assertLess(frame.alpha[28:, 36:].max(), 4)
            self.assertGreater(frame.alpha[:20].min(), 251)
            # The hidden green is never seen.
            self.assertGreater(frame.image[28:, 36:].min(), 250)

    def test_white_paper_and_back(self):
        random = np.random.default_rng(0)
        image = random.integers(0, 256, (5, 7, 4), dtype=np.uint8)
        image[0, :, 3], image[1, :, 3] = 0, 255
        shown = upright.on_white(image)
        share = image[..., 3:] / 255
        self.assert_close(shown, image[..., :3] * share + 255 * (1 - share), atol=0.51)
        back = upright.off_white(shown, image[..., 3])
        np.testing.assert_array_equal(back[1], image[1])
        np.testing.assert_array_equal(back[0, :, :3], np.full((7, 3), 255))
        self.assert_close(upright.on_white(back), shown, atol=1)

    @parameterized.product(top_first=(True, False), codec=("libx264",))
    def test_two_fields(self, top_first, codec):
        path = clips.interlaced(self.tempdir() / "a.ts", codec, top_first)
        reader, frames = read(path)
        self.assertEqual(reader.info.fields, "top" if top_first else "bottom")
        self.assertEqual(numbers(frames), list(range(12)))
        reader, frames = read(path, deinterlace=True)
        self.assertEqual((reader.info.fields, len(frames)), ("", 12))
        self.assertEqual(numbers(frames), list(range(12)))
        self.assertIn("12 pictures of two fields were made whole", reader.notes)

    def test_fields_are_parted(self):
        """A bar that moves between the fields: a comb that deinterlacing removes."""

        def moving(number, size_wh):
            image = np.full((size_wh[1], size_wh[0], 3), 40, np.uint8)
            image[::2, 4 * number : 4 * number + 8] = 220
            image[1::2, 4 * number + 2 : 4 * number + 10] = 220
            return image

        path = clips.interlaced(self.tempdir() / "a.mkv", picture=moving)

        def comb(frame):
            rows = frame.image[..., 0].astype(int)
            return np.abs(rows[1:-1] * 2 - rows[:-2] - rows[2:]).mean()

        kept = [comb(frame) for frame in read(path)[1]]
        whole = [comb(frame) for frame in read(path, deinterlace=True)[1]]
        self.assertLess(np.mean(whole[2:-2]), np.mean(kept[2:-2]) / 4)

    def test_deinterlacing_what_is_whole_changes_nothing(self):
        path = clips.write(self.tempdir() / "a.mp4")
        reader, frames = read(path, deinterlace=True)
        for one, other in zip(frames, read(path)[1], strict=True):
            np.testing.assert_array_equal(one.image, other.image)
            self.assertEqual((one.pts, one.duration), (other.pts, other.duration))
        self.assertIn("--deinterlace changed nothing", reader.notes[0])
