"""Tests of whole swaps of clips as other people's programs make them."""

import dataclasses
import pathlib
from fractions import Fraction
from unittest import mock

import av
import numpy as np
from absl.testing import parameterized

from facedancer.errors import InputError
from facedancer.video_swap.clips import clip_job, plan, segments
from facedancer.video_swap.media import joining, streams, video_reader, video_writer
from tests import testing
from tests.hostile import clips
from tests.video_swap import made

ENCODE = video_writer.EncodeSettings(quality=4, preset="ultrafast", segment_frames=8)
FACED = {"picture": clips.faced}
CLICKING = {"sound": "aac", "clicks": (0.2, 0.4), **FACED}


def shown(path):
    """`(number, seconds)` of each picture, and the seconds of each click."""
    with av.open(str(path)) as container:
        pictures = [
            (
                clips.number_of(frame.to_ndarray(format="rgb24")),
                float(frame.pts * frame.time_base),
            )
            for frame in container.decode(video=0)
        ]
        sounds = bool(container.streams.audio)
    return pictures, clips.click_times(path) if sounds else []


class Swapping(testing.TestCase):
    """Swaps clips with parts made for it."""

    def setUp(self):
        super().setUp()
        self.folder = self.tempdir()

    def job(self, path, name, codec="libx264", **clip):
        return clip_job.ClipJob(
            pathlib.Path(path),
            self.folder / "out" / name,
            clip_job.ClipSettings(**clip),
            encode=dataclasses.replace(ENCODE, codec=codec),
        )

    def swap(self, path, name="b.mp4", codec="libx264", swapper=None, **clip):
        job = self.job(path, name, codec, **clip)
        plan.check_output(job, clip_job.open_reader(job))
        swapper = swapper or made.make_swapper()
        return job.output, clip_job.swap_clip(job, swapper, made.unlabelled())

    def assert_shown(self, path, numbers, clicks=(), limit=0.002):
        """The right pictures at the right times; clicks after the first of them."""
        pictures, heard = shown(path)
        self.assertEqual([number for number, _ in pictures], list(numbers))
        first = pictures[0][1]
        self.assertBetween(first, 0, 0.05)
        times = np.array([seconds - first for _, seconds in pictures])
        self.assert_close(times, np.arange(len(times)) / clips.RATE, atol=limit)
        self.assertLen(heard, len(clicks))
        self.assert_close(np.array(heard) - first, np.array(clicks), atol=0.012)


class OddClipTest(Swapping):
    @parameterized.parameters("mp4", "mkv")
    def test_reordered_avi(self, ending):
        path = clips.write(
            self.folder / "a.avi",
            range(24),
            options={"bf": "3", "b-pyramid": "normal", "b_strategy": "0"},
            sound="ac3",
            clicks=(0.2, 0.6),
            **FACED,
        )
        output, report = self.swap(path, f"b.{ending}")
        self.assert_shown(output, range(24), (0.2, 0.6))
        self.assertEqual(report["faces_swapped"], 24)

    @parameterized.product(
        start=(0, 3, 70000), sized=((64, 48), (96, 72)), ending=("mp4", "webm")
    )
    def test_joined_recordings(self, start, sized, ending):
        parts = [
            {"start": 1000, "seconds": 0.6, **CLICKING},
            {"start": start, "numbers": range(50, 62), "size_wh": sized, **CLICKING},
            {"start": 500, "numbers": range(80, 92), **CLICKING},
        ]
        path = clips.joined_ts(self.folder / "a.ts", parts, self.folder)
        codec = "libvpx-vp9" if ending == "webm" else "libx264"
        output, report = self.swap(path, f"b.{ending}", codec)
        self.assert_shown(
            output,
            [*range(12), *range(50, 62), *range(80, 92)],
            [0.2, 0.4, 0.68, 0.88, 1.16, 1.36],
        )
        self.assertEqual((report["faces_swapped"], report["damage"]), (36, []))
        self.assertIn("its clock jumps (2x)", " ".join(report["notes"]))

    @parameterized.product(start=("1.4", "50000"), ending=("mp4", "mkv", "mov"))
    def test_clocks_of_broadcasts(self, start, ending):
        path = clips.write(self.folder / "a.ts", start=Fraction(start), **CLICKING)
        output, _ = self.swap(path, f"b.{ending}")
        self.assert_shown(output, range(12), (0.2, 0.4))
        with av.open(str(output)) as container:
            self.assertEqual(container.start_time, 0)
        output, _ = self.swap(path, f"c.{ending}", start=0.2, length=0.16)
        pictures, heard = shown(output)
        self.assertEqual([number for number, _ in pictures], [5, 6, 7, 8])
        if ending != "mkv":  # without edit lists sound begins at a whole packet
            self.assert_close(np.array(heard[0]), np.array(0.0), atol=0.02)

    @parameterized.product(given=("mov", "mp4", "mkv"), ending=("mov", "mp4", "mkv"))
    def test_timecode(self, given, ending):
        path = clips.with_timecode(self.folder / f"a.{given}", **FACED)
        output, report = self.swap(path, f"b.{ending}", start=0.2)
        self.assertEqual(report["streams"], ["timecode 01:00:00:05: kept"])
        self.assert_shown(output, range(5, 12))
        with av.open(str(output)) as container:
            tags = {
                k.lower(): v for k, v in container.streams.video[0].metadata.items()
            }
        self.assertEqual(tags["timecode"], "01:00:00:05")

    def test_timecode_that_cannot_be_kept_is_said(self):
        path = clips.with_timecode(self.folder / "a.mkv", rate=17, **FACED)
        output, report = self.swap(path)
        self.assertIn("timecode 01:00:00:00: left out", report["streams"][0])
        path = clips.with_timecode(self.folder / "c.mov", **FACED)
        output, report = self.swap(path, "d.mov", sample_rate=2)
        self.assertIn("not every picture is used", report["streams"][0])
        self.assertEqual([n for n, _ in shown(output)[0]], [0, 2, 4, 6, 8, 10])

    @parameterized.parameters(
        ("b.mp4", "libx264", True),
        ("b.mkv", "libx264", True),
        ("b.mp4", "libvpx-vp9", True),
        ("b.webm", "libvpx-vp9", False),
    )
    def test_aspect(self, name, codec, kept):
        plain = clips.write(self.folder / "plain.nut", **FACED)

        def change(stream):
            stream.codec_context.sample_aspect_ratio = Fraction(3, 4)

        path = clips.remux(plain, self.folder / "a.mp4", change)
        output, report = self.swap(path, name, codec)
        aspect = video_reader.VideoReader(output).info.aspect
        self.assertEqual(aspect, Fraction(3, 4) if kept else 1)
        self.assertEqual("pixels of 3/4: neither" in str(report["streams"]), not kept)

    @parameterized.parameters(
        ("192k", {"sound_rate": 192000}, "mp4", 96000, 1),
        ("6k", {"sound_rate": 6000}, "mp4", 7350, 1),
        ("surround", {"layout": "5.1"}, "mp4", 48000, 6),
        ("side", {"layout": "5.1(side)"}, "mp4", 48000, 6),
        ("opus", {"layout": "5.1(side)"}, "webm", 48000, 6),
        ("mono", {"layout": "mono", "sound_rate": 6000}, "webm", 48000, 1),
    )
    def test_sound_keeps_its_channels(self, _, values, ending, rate, channels):
        values = {"sound": "pcm_s16le", "clicks": (0.2,), **values, **FACED}
        path = clips.write(self.folder / "a.mkv", **values)
        codec = "libvpx-vp9" if ending == "webm" else "libx264"
        output, report = self.swap(path, f"b.{ending}", codec)
        with av.open(str(output)) as container:
            track = container.streams.audio[0]
            self.assertEqual((track.rate, track.channels), (rate, channels))
            wave = np.concatenate(
                [clips.av_floats(frame) for frame in container.decode(track)], axis=1
            )
        self.assert_shown(output, range(12), (0.2,))
        loudest = np.abs(wave).max(axis=1)
        # The click is in all channels; that for low tones keeps none of a high one.
        self.assertGreaterEqual((loudest > 0.3).sum(), channels - (channels == 6))
        if values.get("sound_rate", 48000) != rate and ending == "mp4":
            self.assertIn(f"became {rate}", report["streams"][0])

    def test_sound_with_a_hole_stays_in_step(self):
        """Encoded sound that pauses: what comes after it is not drawn forward."""
        parts = [
            {"seconds": 0.3, "numbers": range(25), **CLICKING, "clicks": (0.2,)},
            {"numbers": range(50, 62), **CLICKING},
        ]
        path = clips.joined_ts(self.folder / "a.ts", parts, self.folder)
        output, _ = self.swap(path, "b.webm", "libvpx-vp9")
        self.assert_shown(output, [*range(25), *range(50, 62)], (0.2, 1.2, 1.4))

    @parameterized.parameters("libx264", "mpeg2video")
    def test_fields_stay_marked(self, codec):
        for top in (True, False):
            path = clips.interlaced(self.folder / "a.ts", codec, top, **FACED)
            first = video_reader.VideoReader(path).info.fields
            output, report = self.swap(path)
            self.assertEqual(video_reader.VideoReader(output).info.fields, first)
            self.assertIn(f"({first} first): kept as they are and marked", str(report))
            self.assert_shown(output, range(12))
            output, report = self.swap(path, deinterlace=True)
            self.assertEqual(video_reader.VideoReader(output).info.fields, "")
            self.assertIn("12 pictures of two fields were made whole", report["notes"])
            self.assert_shown(output, range(12))
        _, report = self.swap(path, codec="libx265")
        self.assertIn("but libx265 cannot mark it so", str(report["notes"]))

    def test_fields_of_an_odd_height(self):
        """480 or 576 lines halve evenly, the 486 of NTSC and 50 do not."""
        path = clips.interlaced(
            self.folder / "a.ts", "mpeg2video", size_wh=(64, 50), **FACED
        )
        output, report = self.swap(path)
        reader = video_reader.VideoReader(output)
        self.assertEqual(
            (reader.info.size_wh, reader.info.fields), ((64, 52), "bottom")
        )
        self.assertIn("filled up to 64x52: each of two fields", report["notes"][0])
        self.assertLen(list(reader), 12)
        output, _ = self.swap(path, deinterlace=True)
        self.assertEqual(video_reader.VideoReader(output).info.size_wh, (64, 50))

    @parameterized.parameters(
        ("qtrle", "mov", "qtrle", "mov"),
        ("prores_ks", "mov", "prores_ks", "mov"),
        ("libvpx-vp9", "webm", "libvpx-vp9", "webm"),
        ("libvpx", "webm", "libvpx", "webm"),
        ("libvpx-vp9", "webm", "prores_ks", "mov"),
        ("qtrle", "mov", "libx264", "mp4"),
    )
    def test_alpha(self, kind, given, codec, ending):
        plain = clips.see_through

        def see(number, size_wh=clips.SIZE_WH):
            image = plain(number, size_wh)
            image[26:46, 6:26] = (220, 30, 30, 255)
            return image

        path = self.folder / f"a.{given}"
        with mock.patch.object(clips, "see_through", see):
            clips.with_alpha(path, kind)
        output, report = self.swap(path, f"b.{ending}", codec)
        reader = video_reader.VideoReader(output)
        frames = list(reader)
        kept = ending != "mp4"
        self.assertEqual(reader.info.alpha, kept)
        self.assertIn("stays so" if kept else "became white", str(report["notes"]))
        self.assertEqual(report["faces_swapped"], 12)
        self.assert_shown(output, range(12))
        for frame in frames:
            self.assertGreater(frame.image[30:44, 36:].min(), 245, "hidden green")
            blue = frame.image[34:39, 14:19].mean(axis=(0, 1))
            self.assert_close(blue, np.array(made.BLUE, float), atol=15)
            if kept:
                self.assertLess(frame.alpha[30:44, 36:].max(), 5)
                self.assertGreater(frame.alpha[:20].min(), 250)

    def test_alpha_is_kept_beside_the_target(self):
        path = clips.with_alpha(self.folder / "a.mov", "qtrle")
        job = dataclasses.replace(self.job(path, "b.mov", "qtrle"))
        stages = dataclasses.replace(job.stages, compare=True, min_track=1)
        job = dataclasses.replace(job, stages=stages)

        class Everywhere(made.SquareDetector):
            def _search(self, image):
                face = made.scene((made.RED, 10, 10, 30), size_wh=clips.SIZE_WH)
                return super()._search(face)

        swapper = made.make_swapper(detector=Everywhere())
        clip_job.swap_clip(job, swapper, made.unlabelled())
        frame = next(iter(video_reader.VideoReader(job.output)))
        self.assertEqual(frame.alpha.shape, (48, 128))
        np.testing.assert_array_equal(frame.alpha[:, :64], frame.alpha[:, 64:])

    def test_colours_of_rgb_codecs_are_exact(self):
        path = clips.write(
            self.folder / "a.mov", codec="qtrle", pix_fmt="rgb24", options={}, **FACED
        )
        output, _ = self.swap(path, "b.mov", "qtrle")
        before = list(video_reader.VideoReader(path))
        after = list(video_reader.VideoReader(output))
        for one, other in zip(before, after, strict=True):
            np.testing.assert_array_equal(one.image[:22], other.image[:22])

    def test_what_is_not_the_picture(self):
        for path in (
            clips.two_pictures(self.folder / "two.mkv", 1, (range(12), range(12))),
            clips.with_cover(self.folder / "cover.mp4", **FACED),
        ):
            reader = video_reader.VideoReader(path)
            self.assertIn("is its picture, of 2 that it has", reader.notes[0])
        _, report = self.swap(path)
        self.assertIn("video stream 1 (mjpeg): left out", report["streams"][0])


class FailingTest(Swapping):
    def test_refused_before_the_first_frame(self):
        path = clips.write(
            self.folder / "a.mov",
            **{**CLICKING, "sound": "pcm_alaw", "sound_rate": 8000},
        )
        with (
            mock.patch.object(streams, "_fits", lambda stream, made: True),
            mock.patch.object(clip_job, "swap_clip") as never,
            self.assertRaisesRegex(InputError, "/b.mp4: cannot be written .*pcm_alaw"),
        ):
            self.swap(path)
        never.assert_not_called()
        output, _ = self.swap(path)  # by itself it is encoded
        self.assert_shown(output, range(12), (0.2, 0.4))

    def test_codec_that_cannot_hold_the_size(self):
        path = clips.write(self.folder / "a.mkv", size_wh=(8, 8))
        job = self.job(path, "b.mp4", "libx265")
        with self.assertRaisesRegex(InputError, "libx265 cannot encode 8x8 here"):
            plan.check_output(job, clip_job.open_reader(job))

    def test_failing_at_the_end_keeps_the_work(self):
        path = clips.write(self.folder / "a.mp4", range(24), **CLICKING)
        write = joining._Joining.write

        def fails(joining_, given, made_, limit):
            write(joining_, given, made_, limit)
            raise av.error.OSError(28, "No space left on device")

        job = self.job(path, "b.mp4")
        with mock.patch.object(joining._Joining, "write", fails):
            with self.assertRaisesRegex(
                InputError,
                r"/b\.mp4: cannot be written \(No space left.*--resume goes on",
            ):
                clip_job.swap_clip(job, made.make_swapper(), made.unlabelled())
        self.assertFalse(job.output.exists())
        self.assertTrue(segments.parts_folder(job.output).is_dir())
        done = []

        def counts(targets, vectors):
            done.append(len(targets))
            return made.colour_engine(targets, vectors)

        again = self.job(path, "b.mp4", resume=True)
        swapper = made.make_swapper(engine=counts)
        report = clip_job.swap_clip(again, swapper, made.unlabelled())
        self.assertEqual((sum(done), report["faces_swapped"]), (0, 24))
        self.assert_shown(job.output, range(24), (0.2, 0.4))
        self.assertEqual([p.name for p in job.output.parent.iterdir()], ["b.mp4"])
