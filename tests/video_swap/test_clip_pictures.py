"""Tests of facedancer.video_swap.clips.clip_job: GIF, WebP and folders, in and out."""

import contextlib
import io
import signal
from fractions import Fraction
from unittest import mock

import numpy as np
from absl.testing import parameterized
from PIL import Image, ImageSequence

from facedancer import cli
from facedancer.errors import InputError
from facedancer.imaging import images
from facedancer.video_swap import multi_face_single_source
from facedancer.video_swap.clips import clip_job, segments
from facedancer.video_swap.media import pictures, video_reader
from facedancer.video_swap.provenance import signing
from tests import testing
from tests.video_swap import made
from tests.video_swap.test_clip_files import colour_at, job_of


class ClipPicturesTest(testing.TestCase):
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
        report = clip_job.swap_clip(
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
        clip_job.swap_clip(job_of(path, output), made.make_swapper(), made.unlabelled())
        reader = video_reader.VideoReader(output)
        times = [float(f.pts * reader.info.time_base) for f in reader]
        self.assert_close(np.array(times), np.array([0, 0.07, 0.2, 0.4]), atol=1e-3)

    def test_folder_of_images(self):
        folder = self.tempdir() / "in"
        for i, image in enumerate(made.moving_scenes(3)):
            images.write_image(folder / f"shot_{i}.png", image)
        output = folder.with_name("out")
        clip_job.swap_clip(
            job_of(folder, output), made.make_swapper(), made.unlabelled()
        )
        names = sorted(path.name for path in output.iterdir())
        self.assertEqual(names, ["shot_0.png", "shot_1.png", "shot_2.png"])
        image = images.read_image(output / "shot_2.png")
        self.assert_close(colour_at(image, 34, 40), np.array(made.BLUE, float), atol=3)
        np.testing.assert_array_equal(image[70:], made.scene()[70:])
        with self.assertRaisesRegex(InputError, "exists already"):
            clip_job.swap_clip(
                job_of(folder, output), made.make_swapper(), made.unlabelled()
            )

    def swap(self, path, name, **clip):
        output = path.with_name(name)
        job = job_of(path, output, **clip)
        return output, clip_job.swap_clip(job, made.make_swapper(), made.unlabelled())

    def write_folder(self, names):
        folder = self.tempdir() / "in"
        for name, image in zip(names, made.moving_scenes(len(names)), strict=True):
            images.write_image(folder / name, image)
        return folder

    def test_part_of_a_folder_keeps_its_names(self):
        folder = self.write_folder([f"{i:02d}.png" for i in range(12)])
        output, _ = self.swap(folder, "out", start=0.2, length=0.2, sample_rate=2)
        names = sorted(path.name for path in output.iterdir())
        self.assertEqual(names, ["05.png", "07.png", "09.png"])
        image = images.read_image(output / "07.png")
        self.assert_close(colour_at(image, 44, 40), np.array(made.BLUE, float), atol=3)
        np.testing.assert_array_equal(image[:, :24], made.scene()[:, :24])

    def test_folders_in_a_folder_stay_apart(self):
        folder = self.write_folder(["x/1.jpg", "x/2.jpg", "y/1.jpg"])
        output, _ = self.swap(folder, "out")
        found = sorted(p.relative_to(output).as_posix() for p in output.rglob("*.png"))
        self.assertEqual(found, ["x/1.png", "x/2.png", "y/1.png"])

    def test_images_share_one_parent(self):
        folder = self.write_folder(["a.png", "b.png", "c.png"])
        labeller = made.unlabelled()
        with mock.patch.object(labeller, "sign", return_value="signed") as sign:
            clip_job.swap_clip(
                job_of(folder, folder.with_name("out")), made.make_swapper(), labeller
            )
        parents = [call.args[1] for call in sign.call_args_list]
        self.assertLen(parents, 3)
        self.assertIsInstance(parents[0], signing.Parent)
        self.assertLen(set(parents), 1)

    def test_names_that_would_become_one_are_refused(self):
        folder = self.write_folder(["a.jpg", "a.png", "b.png"])
        with self.assertRaisesRegex(
            InputError, "a.jpg and a.png would both become a.png. Rename one"
        ):
            self.swap(folder, "out")
        self.assertFalse(folder.with_name("out").exists())
        self.swap(folder, "out.mp4")

    @parameterized.parameters("b.gif", "b.webp", "frames")
    def test_interrupted_leaves_a_part(self, name):
        path = self.write("a.gif", (70, 130, 200, 50, 70, 80))
        noted = segments.entry_of

        def interrupts(step):
            if step.frame.index == 2:
                signal.raise_signal(signal.SIGINT)
            return noted(step)

        with mock.patch.object(segments, "entry_of", interrupts):
            with self.assertRaises(KeyboardInterrupt):
                self.swap(path, name)
            self.assertEqual(list(path.parent.iterdir()), [path])
            output, report = self.swap(path, name, interrupted="part")
        self.assertTrue(report["interrupted"])
        self.assertEqual(report["frames"], 3)
        found = list(pictures.PictureReader(output))
        self.assertLen(found, 3)
        if name != "frames":
            self.assertEqual([frame.pts for frame in found], [0, 70, 200])
            self.assertEqual(found[-1].duration, 200)

    @parameterized.parameters("b.gif", "b.webp", "frames")
    def test_resume_is_refused(self, name):
        path = self.write("a.gif")
        with self.assertRaisesRegex(InputError, "--resume works for videos only"):
            self.swap(path, name, resume=True)

    def test_damage_is_reported(self):
        path = self.write("a.gif", (70, 130, 200, 50, 70, 80))
        data = path.read_bytes()
        path.write_bytes(data[: len(data) * 2 // 3])
        output, report = self.swap(path, "b.gif")
        times = [0, 0.07, 0.2, 0.4, 0.45]
        end = times[len(list(pictures.PictureReader(output)))]
        self.assertEqual(report["damage"], [[end, end]])
        self.assertRegex(report["notes"][0], f"a.gif: damaged after {end:.2f} s")
        with contextlib.redirect_stderr(io.StringIO()) as told:
            self.assertEqual(
                multi_face_single_source.print_summary(report), cli.PARTIAL
            )
            self.assertEqual(told.getvalue(), "")
            report["damage"] = [[0.2, 0.4]]
            self.assertEqual(
                multi_face_single_source.print_summary(report), cli.PARTIAL
            )
        self.assertRegex(told.getvalue(), "from 0.20 s to 0.40 s: passed through as it")

    @parameterized.parameters(
        # 30 frames/s: the n-th begins at n * 33.3 ms. The last is shown for 40 ms.
        (30, [30, 40, 30, 30, 40, 30, 30, 40, 40], []),
        # 60 frames/s are more than a GIF can show: 320 instead of 15 * 16.7 + 40 ms.
        (60, [20] * 16, ["b.gif: runs 30 ms longer than the input"]),
    )
    def test_video_to_gif_keeps_time(self, rate, expected, notes):
        path = made.write_clip(
            self.tempdir() / "a.mp4",
            made.moving_scenes(len(expected)),
            list(range(len(expected))),
            Fraction(1, rate),
        )
        output, report = self.swap(path, "b.gif")
        with Image.open(output) as animation:
            found = [f.info["duration"] for f in ImageSequence.Iterator(animation)]
        self.assertEqual(found, expected)
        self.assertEqual([note.split(",")[0] for note in report["notes"]], notes)
