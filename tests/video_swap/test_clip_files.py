"""Tests of `video_swap.clips.clip_job`: whole clips, with parts made for it."""

import contextlib
import dataclasses
import pathlib
import signal
from fractions import Fraction
from unittest import mock

import av
import numpy as np
from absl.testing import parameterized

from facedancer.errors import InputError
from facedancer.video_swap.clips import clip_job, clip_stages, segments
from facedancer.video_swap.media import joining, video_reader, video_writer
from facedancer.video_swap.swapping import identities
from tests import testing
from tests.video_swap import made

ENCODE = video_writer.EncodeSettings(quality=4, preset="ultrafast", segment_frames=8)


def job_of(path, output, **clip):
    return clip_job.ClipJob(
        pathlib.Path(path),
        pathlib.Path(output),
        clip_job.ClipSettings(**clip),
        encode=ENCODE,
    )


def images_of(path):
    return [frame.image for frame in video_reader.VideoReader(path)]


def colour_at(image, left, top):
    """The mean colour of a few pixels."""
    return image[top - 3 : top + 4, left - 3 : left + 4].mean(axis=(0, 1))


def counting_engine():
    """Returns an engine and the list in which it notes the size of each batch."""
    done = []

    def counts(targets, vectors):
        done.append(len(targets))
        return made.colour_engine(targets, vectors)

    return counts, done


class SwapClipTest(testing.TestCase):
    def setUp(self):
        super().setUp()
        self.folder = self.tempdir()
        self.pts = [600 * i + (i % 3) * 100 for i in range(20)]
        self.path = made.write_clip(
            self.folder / "a.mp4", made.moving_scenes(20), self.pts, tracks=2
        )
        self.output = self.folder / "out" / "b.mp4"

    def swap(self, swapper=None, **clip):
        return clip_job.swap_clip(
            job_of(self.path, self.output, **clip),
            swapper or made.make_swapper(),
            made.unlabelled(),
        )

    def left_behind(self):
        """What lies in the output's folder beside the output."""
        return sorted(p.name for p in self.output.parent.glob("*") if p != self.output)

    def test_faces_change_and_the_rest_stays(self):
        report = self.swap()
        before, after = images_of(self.path), images_of(self.output)
        self.assertLen(after, 20)
        for i, (target, swapped) in enumerate(zip(before, after, strict=True)):
            middle = 10 + 2 * i + 20
            self.assert_close(
                colour_at(swapped, middle, 40), np.array(made.BLUE, float), atol=12
            )
            far = np.abs(target.astype(int) - swapped)[70:]
            self.assertLess(far.mean(), 2.0)
        self.assertEqual(
            [report[k] for k in ("frames", "faces_found", "faces_swapped")], [20] * 3
        )
        self.assertEqual(report["swapped_by_rule"], {"blue": 20})
        self.assertEqual(report["damage"], [])
        self.assertEmpty(self.left_behind())

    def test_times_and_sound_are_kept(self):
        self.swap()
        reader = video_reader.VideoReader(self.output)
        seconds = [frame.pts * reader.info.time_base for frame in reader]
        self.assertEqual(seconds, [Fraction(time, 12800) for time in self.pts])
        self.assertEqual(made.sound_digests(self.output), made.sound_digests(self.path))

    def test_compare_shows_both(self):
        job = dataclasses.replace(
            job_of(self.path, self.output),
            stages=clip_stages.StageSettings(compare=True),
        )
        clip_job.swap_clip(job, made.make_swapper(), made.unlabelled())
        image = images_of(self.output)[0]
        self.assertEqual(image.shape, (96, 320, 3))
        for left, colour in ((30, made.RED), (190, made.BLUE)):
            self.assert_close(
                colour_at(image, left, 40), np.array(colour, float), atol=14
            )

    def test_odd_size_is_filled_up_and_said(self):
        frames = [made.scene((made.RED, 20, 20, 40), size_wh=(161, 97))] * 3
        self.path = made.write_clip(self.folder / "c.mkv", frames, pix_fmt="yuv444p")
        report = self.swap()
        self.assertStartsWith(report["notes"][0], "161x97 was filled up to 162x98")
        self.assertEqual(images_of(self.output)[0].shape, (98, 162, 3))

    def test_gaps_are_filled(self):
        missed = made.BlinkingDetector({7, 8, 9})
        report = self.swap(made.make_swapper(detector=missed))
        self.assertEqual(report["gaps_filled"], 3)
        self.assertEqual(report["faces_swapped"], 20)
        image = images_of(self.output)[8]
        self.assert_close(colour_at(image, 46, 40), np.array(made.BLUE, float), atol=12)

    def test_no_face_leaves_nothing(self):
        path = made.write_clip(self.folder / "c.mp4", [made.scene()] * 5)
        with self.assertRaisesRegex(InputError, "no face was found in 5 frames"):
            clip_job.swap_clip(
                job_of(path, self.output), made.make_swapper(), made.unlabelled()
            )
        self.assertFalse(self.output.parent.exists(), "a folder was left")

    def test_nothing_found_leaves_nothing_to_go_on_with(self):
        path = made.write_clip(self.folder / "c.mp4", [made.scene()] * 20)
        job = job_of(path, self.output, resume=True)
        with self.assertRaisesRegex(InputError, "no face was found"):
            clip_job.swap_clip(job, made.make_swapper(), made.unlabelled())
        self.assertFalse(self.output.parent.exists(), "a folder was left")

    def test_failure_before_a_segment_is_finished_leaves_nothing(self):
        def fails(targets, vectors):
            raise InputError("the generator fails")

        with self.assertRaisesRegex(InputError, "the generator fails"):
            self.swap(made.make_swapper(engine=fails), resume=True)
        self.assertFalse(self.output.parent.exists(), "a folder was left")

    def test_a_folder_that_was_there_stays(self):
        self.output.parent.mkdir()
        self.test_error_in_a_stage_ends_the_run_and_leaves_nothing()
        self.assertTrue(self.output.parent.exists())

    def test_start_behind_the_end(self):
        for name in ("b.mp4", "b.gif", "frames"):
            self.output = self.folder / "out" / name
            with self.assertRaisesRegex(InputError, "--start=100 lies after the last"):
                self.swap(start=100)
            self.assertFalse(self.output.parent.exists(), "something was left")

    def test_folder_that_cannot_be_made(self):
        (self.folder / "out").write_text("a file")
        with self.assertRaisesRegex(InputError, "out: cannot be written"):
            self.swap()

    def test_pixels_that_are_not_square(self):
        frames = [made.scene() for _ in range(4)]
        for frame in frames:
            frame[20:60, 30:50] = made.RED  # shown, a square of 40 pixels
        path = made.write_clip(self.folder / "wide.mp4", frames, aspect=Fraction(2))
        crops = []

        def looks(targets, vectors):
            crops.extend(targets)
            return made.colour_engine(targets, vectors)

        clip_job.swap_clip(
            job_of(path, self.output),
            made.make_swapper(engine=looks),
            made.unlabelled(),
        )
        middle = crops[0][8:-8, 8:-8] * 127.5 + 127.5
        self.assertLess(np.abs(middle - made.RED).mean(), 12.0)
        self.assert_close(
            colour_at(images_of(self.output)[1], 40, 40), np.array(made.BLUE), atol=25
        )
        self.assertEqual(video_reader.VideoReader(self.output).info.aspect, 2)

    def test_nobody_to_swap_leaves_nothing(self):
        rule = identities.Rule(
            "green", made.identity_of(made.GREEN), made.identity_of(made.BLUE)
        )
        with self.assertRaisesRegex(InputError, "20 faces were found, but none"):
            self.swap(made.make_swapper([rule]))
        self.assertFalse(self.output.exists())

    def test_error_in_a_stage_ends_the_run_and_leaves_nothing(self):
        def fails(targets, vectors):
            raise InputError("the generator fails")

        with self.assertRaisesRegex(InputError, "the generator fails"):
            self.swap(made.make_swapper(engine=fails))
        self.assertFalse(self.output.exists())
        self.assertEmpty(self.left_behind())

    def test_killed_run_goes_on_with_equal_result(self):
        calls = []

        def dies(targets, vectors):
            calls.append(len(targets))
            if sum(calls) > 12:
                raise SystemExit  # as sudden as a test can be
            return made.colour_engine(targets, vectors)

        self.swap()
        whole = self.output.read_bytes()
        self.output.unlink()
        with self.assertRaises(SystemExit):
            self.swap(made.make_swapper(engine=dies), resume=True)
        parts = segments.parts_folder(self.output)
        self.assertEqual(
            [p.name for p in sorted(parts.glob("*.nut"))], ["segment_00000.nut"]
        )
        counts, done = counting_engine()
        report = self.swap(made.make_swapper(engine=counts), resume=True)
        self.assertEqual(sum(done), 12, "the first segment was made again")
        self.assertEqual(report["faces_swapped"], 20)
        self.assertEqual(self.output.read_bytes(), whole)
        self.assertEmpty(self.left_behind())

    def test_other_settings_start_anew(self):
        calls = []

        def dies(targets, vectors):
            calls.append(len(targets))
            if sum(calls) > 12:
                raise SystemExit
            return made.colour_engine(targets, vectors)

        with self.assertRaises(SystemExit):
            self.swap(made.make_swapper(engine=dies), resume=True)
        counts, done = counting_engine()
        job = dataclasses.replace(
            job_of(self.path, self.output, resume=True), describe="other networks"
        )
        clip_job.swap_clip(job, made.make_swapper(engine=counts), made.unlabelled())
        self.assertEqual(sum(done), 20, "segments of another run were taken over")

    @contextlib.contextmanager
    def interrupted_at(self, index):
        """Presses Ctrl-C while a frame is written."""
        write = segments.SegmentSink.write

        def interrupts(sink, step):
            if step.frame.index == index:
                signal.raise_signal(signal.SIGINT)
            write(sink, step)

        before = signal.getsignal(signal.SIGINT)
        with mock.patch.object(segments.SegmentSink, "write", interrupts):
            yield
        self.assertIs(signal.getsignal(signal.SIGINT), before)

    def test_interrupted_leaves_nothing(self):
        with self.interrupted_at(17), self.assertRaises(KeyboardInterrupt):
            self.swap()
        self.assertFalse(self.output.parent.exists(), "something was left")

    @parameterized.named_parameters(("first_segment", 3), ("third_segment", 17))
    def test_interrupted_leaves_a_part(self, index):
        with self.interrupted_at(index):
            report = self.swap(interrupted="part")
        self.assertTrue(report["interrupted"])
        self.assertEqual(report["frames"], index + 1)
        self.assertLen(images_of(self.output), index + 1)
        self.assertEmpty(self.left_behind())

    def test_sound_of_a_part_ends_with_it(self):
        with self.interrupted_at(3):
            self.swap(interrupted="part")
        with av.open(str(self.output)) as container:
            last = [p for p in container.demux(audio=0) if p.size][-1]
        # The fourth picture ends when the fifth begins.
        self.assertLess(last.pts * last.time_base, Fraction(self.pts[4], 12800))

    def test_uninterrupted_part_is_the_whole(self):
        self.path = made.write_clip(
            self.folder / "c.mp4", made.moving_scenes(5), longer=0.5
        )
        report = self.swap(interrupted="part")
        self.assertNotIn("interrupted", report)
        self.assertEqual(made.sound_digests(self.output), made.sound_digests(self.path))

    def test_second_interruption_leaves_nothing(self):
        def impatient(*arguments):
            signal.raise_signal(signal.SIGINT)

        with (
            self.interrupted_at(17),
            mock.patch.object(joining, "join", impatient),
            self.assertRaises(KeyboardInterrupt),
        ):
            self.swap(interrupted="part")
        self.assertFalse(self.output.parent.exists(), "something was left")

    def test_interrupted_run_goes_on_with_equal_result(self):
        self.swap()
        whole = self.output.read_bytes()
        self.output.unlink()
        with self.interrupted_at(17):
            self.swap(interrupted="part", resume=True)
        self.assertLen(images_of(self.output), 18)
        counts, done = counting_engine()
        report = self.swap(made.make_swapper(engine=counts), resume=True)
        self.assertEqual(sum(done), 4, "other than the last segment was made again")
        self.assertEqual(report["faces_swapped"], 20)
        self.assertEqual(self.output.read_bytes(), whole)
        self.assertEmpty(self.left_behind())

    def test_full_disk_is_one_error(self):
        def full(encoder, frame):
            raise OSError(28, "No space left on device")

        with mock.patch.object(video_writer.SegmentEncoder, "write", full):
            with self.assertRaisesRegex(InputError, "No space left on device"):
                self.swap()
        self.assertFalse(self.output.exists())
        self.assertEmpty(self.left_behind())

    def test_damaged_stretch_passes_through(self):
        data = bytearray(self.path.read_bytes())
        reader = video_reader.VideoReader(self.path)
        frames = [
            dataclasses.replace(frame, damaged=4 <= frame.index < 7) for frame in reader
        ]
        swapper = made.make_swapper()
        steps = list(
            clip_stages.steps(
                iter(frames),
                swapper,
                clip_stages.StageSettings(),
                lambda image, i: image,
            )
        )
        self.assertEqual(
            [len(step.jobs) for step in steps], [1] * 4 + [0] * 3 + [1] * 13
        )
        np.testing.assert_array_equal(steps[5].finished.image, frames[5].image)
        self.assertNotEmpty(data)


class ClipSettingsTest(parameterized.TestCase):
    @parameterized.parameters(
        ({"sample_rate": 0}, "`sample_rate` must be at least 1"),
        ({"length": -1.0}, "`length` must be at least 0"),
        ({"hdr": "maybe"}, "`hdr` must be one of refuse, convert"),
        ({"interrupted": "all"}, "`interrupted` must be one of"),
    )
    def test_wrong_values(self, values, words):
        with self.assertRaisesRegex(ValueError, words):
            clip_job.ClipSettings(**values)
