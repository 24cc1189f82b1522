"""Clips that lost pictures or failed at the end without a reason: found by trying."""

from fractions import Fraction

import av
import numpy as np
import pytest
from absl.testing import parameterized
from PIL import Image, features

from facedancer.video_swap.clips import clip_job
from facedancer.video_swap.media import containers, pictures, video_reader
from tests import testing
from tests.hostile import clips
from tests.video_swap import made


class ClipTest(testing.TestCase):
    def swapped(self, path, name="o.mp4"):
        """Swaps a clip of `clips.faced` pictures; returns the output and the report."""
        output = self.tempdir() / "out" / name
        job = clip_job.ClipJob(path, output)
        return output, clip_job.swap_clip(job, made.make_swapper(), made.unlabelled())

    @parameterized.parameters(
        Fraction(30000, 1001), Fraction(24000, 1001), Fraction(999, 40), Fraction(7)
    )
    def test_rates_of_which_an_hour_is_no_whole_number(self, rate):
        """The first picture stood 4 ms before 0, and an edit list hid it."""
        path = self.tempdir() / "a.avi"
        frames = [clips.faced(number) for number in range(12)]
        with av.open(str(path), "w") as container:
            stream = container.add_stream("mpeg4", rate=rate)
            stream.width, stream.height = clips.SIZE_WH
            stream.options = {"b": "4M"}
            for number, image in enumerate(frames):
                frame = clips.planes(image, "yuv420p")
                frame.pts, frame.time_base = number, 1 / rate
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
        for name in ("o.mp4", "o.mov", "o.mkv"):
            output, _ = self.swapped(path, name)
            self.assertEqual(clips.decoded(output), list(range(12)), name)
            with av.open(str(output)) as container:
                times = [f.pts * f.time_base for f in container.decode(video=0)]
            self.assertEqual(times[0], 0)
            self.assertAlmostEqual(float(times[-1]), float(11 / rate), delta=0.002)

    @parameterized.parameters(".mkv", ".webm")
    def test_a_cut_file_is_damaged(self, ending):
        """FFmpeg reads what is there, and says nothing."""
        codec = "libvpx" if ending == ".webm" else "libx264"
        options = {"b": "2M"} if ending == ".webm" else {"g": "2"}
        path = clips.write(
            self.tempdir() / f"a{ending}", picture=clips.faced, codec=codec,
            options=options,
        )  # fmt: skip
        self.assertFalse(containers.is_cut(path))
        reader = video_reader.VideoReader(path)
        self.assertLen(list(reader), 12)
        self.assertEqual(reader.damage, [])
        data = path.read_bytes()
        cut = path.with_name(f"cut{ending}")
        cut.write_bytes(data[: len(data) * 6 // 10])
        reader = video_reader.VideoReader(cut)
        self.assertLess(len(list(reader)), 12)
        self.assertLen(reader.damage, 1)

    def test_files_of_no_said_length_are_not_cut(self):
        path = self.tempdir() / "a.mkv"
        clips.write(path, container_options={"live": "1"})
        self.assertFalse(containers.is_cut(path))
        for data in (b"", b"\x1aE\xdf\xa3", b"\x1aE\xdf\xa3\x80\x18S\x80g", b"x" * 300):
            path.write_bytes(data)
            self.assertFalse(containers.is_cut(path))

    @parameterized.parameters("o.mp4", "o.gif")
    @pytest.mark.skipif(not features.check("avif"), reason="Pillow without AVIF")
    def test_animated_avif(self, name):
        """FFmpeg takes its first picture for all of it."""
        path = self.tempdir() / "a.avif"
        shown = [Image.fromarray(clips.faced(number)) for number in range(6)]
        shown[0].save(path, save_all=True, append_images=shown[1:], duration=70)
        output, report = self.swapped(path, name)
        self.assertEqual(report["faces_swapped"], 6)
        found = clips.decoded(output)
        self.assertEqual(found, list(range(6)))

    def test_vorbis_in_ogg(self):
        """Its last packet lasts 2**32 less a bit, which MP4 refused after all work."""
        path = self.tempdir() / "a.ogv"
        with av.open(str(path), "w", format="ogg") as container:
            picture = container.add_stream("libvpx", rate=25)
            picture.width, picture.height = clips.SIZE_WH
            sound = container.add_stream("vorbis", rate=44100, options={"strict": "-2"})
            sound.layout = "stereo"
            for number in range(4):
                frame = clips.planes(clips.faced(number), "yuv420p")
                frame.pts = number
                container.mux(picture.encode(frame))
            clips._write_sound(container, sound, 0.19, (), 0)
            container.mux(picture.encode(None))
        with av.open(str(path)) as container:
            lengths = [packet.duration for packet in container.demux(audio=0)]
        self.assertGreater(max(lengths), 1 << 31)  # else this would prove nothing
        for name in ("o.mp4", "o.mkv"):
            output, report = self.swapped(path, name)
            self.assertEqual(report["streams"], ["audio stream 1 (vorbis): copied"])
            with av.open(str(output)) as container:
                self.assertLess(container.duration, 10**6)
                self.assertLen(list(container.decode(video=0)), 4)


class AnimationTest(testing.TestCase):
    @parameterized.parameters(("a.gif", 655_350), ("a.webp", 16_777_215))
    def test_pictures_that_are_shown_for_hours(self, name, longest):
        """Pillow's OverflowError came after all the work."""
        path = self.tempdir() / name
        frames = [(np.full((8, 9, 3), 60 * n, np.uint8), 40) for n in range(3)]
        frames[1] = frames[1][0], 20_000_000
        self.assertEqual(pictures.write_animation(path, frames), longest - 20_000_000)
        with Image.open(path) as image:
            found = []
            for number in range(3):
                image.seek(number)
                image.load()
                found.append(image.info["duration"])
        self.assertEqual(found, [40, longest, 40])
