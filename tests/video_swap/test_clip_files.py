"""Tests of facedancer.video_swap.clip_files: whole clips, with parts made for it."""

import dataclasses
import pathlib
from fractions import Fraction
from unittest import mock

import numpy as np
from absl.testing import parameterized

from facedancer import testing
from facedancer.errors import InputError
from facedancer.video_swap import (
    clip_files,
    clip_swap,
    identities,
    pictures,
    segments,
    video,
    video_writer,
)
from tests.video_swap import made

ENCODE = video_writer.EncodeSettings(quality=4, preset="ultrafast", segment_frames=8)


def job_of(path, output, **clip):
    return clip_files.ClipJob(
        pathlib.Path(path),
        pathlib.Path(output),
        clip_files.ClipSettings(**clip),
        encode=ENCODE,
    )


def images_of(path):
    return [frame.image for frame in video.VideoReader(path)]


def colour_at(image, left, top):
    """The mean colour of a few pixels."""
    return image[top - 3 : top + 4, left - 3 : left + 4].mean(axis=(0, 1))


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
        return clip_files.swap_clip(
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
        reader = video.VideoReader(self.output)
        seconds = [frame.pts * reader.info.time_base for frame in reader]
        self.assertEqual(seconds, [Fraction(time, 12800) for time in self.pts])
        self.assertEqual(made.sound_digests(self.output), made.sound_digests(self.path))

    def test_compare_shows_both(self):
        job = dataclasses.replace(
            job_of(self.path, self.output),
            stages=clip_swap.StageSettings(compare=True),
        )
        clip_files.swap_clip(job, made.make_swapper(), made.unlabelled())
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
            clip_files.swap_clip(
                job_of(path, self.output), made.make_swapper(), made.unlabelled()
            )
        self.assertFalse(self.output.parent.exists(), "a folder was left")

    def test_nothing_found_leaves_nothing_to_go_on_with(self):
        path = made.write_clip(self.folder / "c.mp4", [made.scene()] * 20)
        job = job_of(path, self.output, resume=True)
        with self.assertRaisesRegex(InputError, "no face was found"):
            clip_files.swap_clip(job, made.make_swapper(), made.unlabelled())
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

    def test_folder_that_cannot_be_made(self):
        (self.folder / "out").write_text("a file")
        with self.assertRaisesRegex(InputError, "out: cannot be made"):
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

        clip_files.swap_clip(
            job_of(path, self.output),
            made.make_swapper(engine=looks),
            made.unlabelled(),
        )
        middle = crops[0][8:-8, 8:-8] * 127.5 + 127.5
        self.assertLess(np.abs(middle - made.RED).mean(), 12.0)
        self.assert_close(
            colour_at(images_of(self.output)[1], 40, 40), np.array(made.BLUE), atol=25
        )
        self.assertEqual(video.VideoReader(self.output).info.aspect, 2)

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
        done = []

        def counts(targets, vectors):
            done.append(len(targets))
            return made.colour_engine(targets, vectors)

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
        done = []

        def counts(targets, vectors):
            done.append(len(targets))
            return made.colour_engine(targets, vectors)

        job = dataclasses.replace(
            job_of(self.path, self.output, resume=True), describe="other networks"
        )
        clip_files.swap_clip(job, made.make_swapper(engine=counts), made.unlabelled())
        self.assertEqual(sum(done), 20, "segments of another run were taken over")

    @parameterized.parameters("nothing", "part")
    def test_interrupted(self, leaves):
        write = segments.SegmentSink.write

        def interrupts(sink, step):
            if step.frame.index == 17:
                raise KeyboardInterrupt
            write(sink, step)

        with mock.patch.object(segments.SegmentSink, "write", interrupts):
            if leaves == "nothing":
                with self.assertRaises(KeyboardInterrupt):
                    self.swap(interrupted=leaves)
                self.assertFalse(self.output.exists())
            else:
                report = self.swap(interrupted=leaves)
                self.assertTrue(report["interrupted"])
                self.assertLen(images_of(self.output), 16)
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
        reader = video.VideoReader(self.path)
        frames = [
            dataclasses.replace(frame, damaged=4 <= frame.index < 7) for frame in reader
        ]
        swapper = made.make_swapper()
        steps = list(
            clip_swap.steps(
                iter(frames), swapper, clip_swap.StageSettings(), lambda image, i: image
            )
        )
        self.assertEqual(
            [len(step.jobs) for step in steps], [1] * 4 + [0] * 3 + [1] * 13
        )
        np.testing.assert_array_equal(steps[5].image, frames[5].image)
        self.assertNotEmpty(data)


class PicturesTest(testing.TestCase):
    def write(self, name, durations=(70, 130, 200, 50)):
        path = self.tempdir() / name
        frames = zip(made.moving_scenes(len(durations)), durations, strict=True)
        pictures.write_animation(path, frames)
        return path

    @parameterized.parameters(
        ("a.gif", "b.gif"), ("a.webp", "b.webp"), ("a.gif", "b.webp")
    )
    def test_animations_keep_their_timing(self, given, wanted):
        path = self.write(given)
        output = path.with_name(wanted)
        report = clip_files.swap_clip(
            job_of(path, output), made.make_swapper(), made.unlabelled()
        )
        reader = pictures.PictureReader(output)
        found = list(reader)
        self.assertEqual([frame.pts for frame in found], [0, 70, 200, 400])
        self.assertEqual(found[-1].duration, 50)
        self.assertEqual(report["faces_swapped"], 4)
        self.assert_close(
            colour_at(found[1].image, 32, 40), np.array(made.BLUE, float), atol=40
        )

    def test_animation_to_video(self):
        path = self.write("a.gif")
        output = path.with_name("b.mp4")
        clip_files.swap_clip(
            job_of(path, output), made.make_swapper(), made.unlabelled()
        )
        reader = video.VideoReader(output)
        times = [float(f.pts * reader.info.time_base) for f in reader]
        self.assert_close(np.array(times), np.array([0, 0.07, 0.2, 0.4]), atol=1e-3)

    def test_folder_of_images(self):
        folder = self.tempdir() / "in"
        for i, image in enumerate(made.moving_scenes(3)):
            clip_files.images.write_image(folder / f"shot_{i}.png", image)
        output = folder.with_name("out")
        clip_files.swap_clip(
            job_of(folder, output), made.make_swapper(), made.unlabelled()
        )
        names = sorted(path.name for path in output.iterdir())
        self.assertEqual(names, ["shot_0.png", "shot_1.png", "shot_2.png"])
        image = clip_files.images.read_image(output / "shot_2.png")
        self.assert_close(colour_at(image, 34, 40), np.array(made.BLUE, float), atol=3)
        np.testing.assert_array_equal(image[70:], made.scene()[70:])
        with self.assertRaisesRegex(InputError, "exists already"):
            clip_files.swap_clip(
                job_of(folder, output), made.make_swapper(), made.unlabelled()
            )

    def test_images_of_two_sizes_are_refused(self):
        folder = self.tempdir() / "in"
        clip_files.images.write_image(folder / "a.png", made.scene())
        clip_files.images.write_image(folder / "b.png", made.scene(size_wh=(90, 50)))
        with self.assertRaisesRegex(InputError, "must have one size, here 160x96"):
            list(pictures.PictureReader(folder))


class ClipSettingsTest(parameterized.TestCase):
    @parameterized.parameters(
        ({"sample_rate": 0}, "sample_rate must be at least 1"),
        ({"length": -1.0}, "length must not be negative"),
        ({"hdr": "maybe"}, "hdr must be one of refuse, convert"),
        ({"interrupted": "all"}, "interrupted must be one of"),
    )
    def test_wrong_values(self, values, words):
        with self.assertRaisesRegex(ValueError, words):
            clip_files.ClipSettings(**values)
