"""Tests of `video_writer` and `streams`: written, then read again."""

import contextlib
import dataclasses
import os
import pathlib
from fractions import Fraction
from unittest import mock

import av
import numpy as np
from absl.testing import parameterized

from facedancer.errors import InputError
from facedancer.video_swap.media import joining, video_reader, video_writer
from facedancer.video_swap.pixels.picture import Rgb
from tests import testing
from tests.video_swap import made
from tests.video_swap.test_video import chart, middles

FAST = video_writer.EncodeSettings(quality=4, preset="ultrafast", segment_frames=4)


def rewrite(source, output, settings=FAST, first=None, end=None, **reading):
    """Reads a clip and writes it again, in segments."""
    reader = video_reader.VideoReader(source, **reading)
    segments, encoder, last = [], None, None
    for frame in reader:
        if frame.index % settings.segment_frames == 0:
            if encoder:
                encoder.close()
            segments.append(pathlib.Path(f"{output}.{len(segments)}.nut"))
            encoder = video_writer.SegmentEncoder(
                segments[-1], reader.info, reader.output_colour, settings
            )
        encoder.write(frame)
        last = frame
    encoder.close()
    duration = last.duration * reader.info.time_base
    first = reader.beginning if first is None else first
    rest = joining.Rest(source, first, end, reader.offsets)
    return joining.join(segments, reader.info, rest, output, duration)


class JoinTest(testing.TestCase):
    @parameterized.product(
        ending=("mp4", "mkv", "mov"), preset=("ultrafast", "veryfast")
    )
    def test_times_and_pictures_are_kept(self, ending, preset):
        pts = [0, 512, 1024, 3000, 3100, 9000, 9100, 9200, 9300, 20000, 20512]
        frames = made.moving_scenes(len(pts))
        folder = self.tempdir()
        path = made.write_clip(folder / "a.mp4", frames, pts)
        output = folder / f"b.{ending}"
        settings = video_writer.EncodeSettings(
            quality=4, preset=preset, segment_frames=4
        )
        rewrite(path, output, settings)
        reader = video_reader.VideoReader(output)
        found = list(reader)
        seconds = [(f.pts - found[0].pts) * reader.info.time_base for f in found]
        expected = [Fraction(t, 12800) for t in pts]
        limit = Fraction(1, 1900) if ending == "mkv" else 0  # Matroska counts ms
        for a, b in zip(seconds, expected, strict=True):
            self.assertLessEqual(abs(a - b), limit)
        for frame, image in zip(found, frames, strict=True):
            self.assertLess(np.abs(frame.image.astype(int) - image).mean(), 3.0)

    def test_all_sound_is_copied_bit_for_bit(self):
        folder = self.tempdir()
        path = made.write_clip(folder / "a.mp4", made.moving_scenes(9), tracks=2)
        notes = rewrite(path, folder / "b.mp4")
        digests = made.sound_digests(path)
        self.assertEqual(made.sound_digests(folder / "b.mp4"), digests)
        self.assertLen({digest for digest, _ in digests}, 2)
        self.assertEqual([language for _, language in digests], ["eng", "deu"])
        self.assertLen([note for note in notes if "copied" in note], 2)

    def test_sound_that_does_not_fit_is_encoded_and_said(self):
        folder = self.tempdir()
        path = made.write_clip(
            folder / "a.mkv", made.moving_scenes(9), audio="pcm_s16le"
        )
        notes = rewrite(path, folder / "b.mp4")
        self.assertIn("encoded to aac", " ".join(notes))
        with av.open(str(folder / "b.mp4")) as container:
            self.assertEqual(container.streams.audio[0].codec_context.name, "aac")
            length = sum(f.samples for f in container.decode(audio=0)) / 16000
        self.assertAlmostEqual(length, 0.36, delta=0.15)

    def test_part_has_its_sound(self):
        folder = self.tempdir()
        path = made.write_clip(folder / "a.mp4", made.moving_scenes(50))
        rewrite(path, folder / "b.mp4", FAST, Fraction(1), Fraction(3, 2))
        with av.open(str(folder / "b.mp4")) as container:
            packets = [p for p in container.demux(audio=0) if p.size]
        seconds = [float(p.pts * p.time_base) for p in packets]
        self.assertBetween(seconds[0], -0.07, 0.07)
        self.assertBetween(seconds[-1], 0.36, 0.51)

    def test_chapters_and_tags_are_copied(self):
        folder = self.tempdir()
        path = made.write_clip(folder / "a.mkv", made.moving_scenes(25))
        with_chapters = folder / "c.mkv"
        with av.open(str(path)) as given, av.open(str(with_chapters), "w") as out:
            out.metadata["title"] = "A title"
            stream = out.add_stream_from_template(given.streams.video[0])
            base = Fraction(1, 1000)
            names = ("one", "two")
            out.set_chapters(
                [
                    {
                        "id": i,
                        "start": 400 * i,
                        "end": 400 * i + 400,
                        "time_base": base,
                        "metadata": {"title": name},
                    }
                    for i, name in enumerate(names)
                ]
            )
            for packet in given.demux(video=0):
                if packet.size:
                    packet.stream = stream
                    out.mux(packet)
        notes = rewrite(with_chapters, folder / "b.mkv")
        self.assertIn("2 chapters: copied", notes)
        with av.open(str(folder / "b.mkv")) as container:
            chapters = container.chapters()
            self.assertEqual(container.metadata["title"], "A title")
        self.assertEqual([c["metadata"]["title"] for c in chapters], ["one", "two"])
        starts = [float(c["start"] * c["time_base"]) for c in chapters]
        self.assertEqual(starts, [0.0, 0.4])

    def write_subtitled(self, folder, frames, text, tracks=0):
        """Writes a Matroska clip with sound and one track of subtitles."""
        path = made.write_clip(
            folder / "a.mp4", made.moving_scenes(frames), tracks=tracks
        )
        words, both = folder / "a.srt", folder / "both.mkv"
        words.write_text(text)
        with contextlib.ExitStack() as stack:
            out = stack.enter_context(av.open(str(both), "w"))
            given = [stack.enter_context(av.open(str(name))) for name in (path, words)]
            made_of = [
                {one.index: out.add_stream_from_template(one) for one in source.streams}
                for source in given
            ]
            for source, streams in zip(given, made_of, strict=True):
                for packet in source.demux():
                    if packet.size and packet.pts >= 0:
                        packet.stream = streams[packet.stream_index]
                        out.mux(packet)
        return both

    def test_subtitles_are_copied_where_they_fit(self):
        folder = self.tempdir()
        both = self.write_subtitled(
            folder, 25, "1\n00:00:00,200 --> 00:00:00,600\nHello there\n"
        )
        notes = rewrite(both, folder / "b.mkv")
        self.assertRegex(notes[0], "subtitle stream 1 .subrip.: copied")
        with av.open(str(folder / "b.mkv")) as container:
            packets = [p for p in container.demux(subtitles=0) if p.size]
        self.assertEqual([bytes(p) for p in packets], [b"Hello there"])
        self.assertAlmostEqual(float(packets[0].pts * packets[0].time_base), 0.2)
        notes = rewrite(both, folder / "b.mp4")
        self.assertRegex(notes[0], "subrip.: left out, mp4 cannot hold it")

    def test_cut_to_matroska_moves_nothing(self):
        folder = self.tempdir()
        text = (
            "1\n00:00:00,100 --> 00:00:00,300\nOver\n\n"
            "2\n00:00:00,200 --> 00:00:00,800\nGoes on\n\n"
            "3\n00:00:00,500 --> 00:00:00,900\nLater\n"
        )
        both = self.write_subtitled(folder, 40, text, tracks=1)
        output = folder / "b.mkv"
        rewrite(both, output, first=Fraction(2, 5), start=0.4)
        found = {
            kind: self.times(output, kind) for kind in ("video", "audio", "subtitle")
        }
        self.assertEqual(found["video"][:2], [(0.0, 0.04), (0.04, 0.04)])
        self.assertEqual(found["subtitle"], [(0.0, 0.4), (0.1, 0.4)])
        # Sound blocks of 64 ms: the seventh begins at 0.384, the eighth at 0.448.
        self.assertEqual(found["audio"][0][0], 0.048)

    def test_sound_before_zero_delays_no_matroska(self):
        folder = self.tempdir()
        path = made.write_clip(folder / "a.mp4", made.moving_scenes(5))
        self.assertEqual(self.times(path, "audio")[0][0], -0.064)
        rewrite(path, folder / "b.mkv")
        for kind in ("video", "audio"):
            self.assertEqual(self.times(folder / "b.mkv", kind)[0][0], 0.0)

    def times(self, path, kind):
        """Start and length of the packets of the first such track, in seconds."""
        with av.open(str(path)) as container:
            stream = next(one for one in container.streams if one.type == kind)
            return [
                (float(p.pts * p.time_base), float(p.duration * p.time_base))
                for p in container.demux(stream)
                if p.size
            ]

    def test_webm(self):
        folder = self.tempdir()
        path = made.write_clip(folder / "a.mp4", made.moving_scenes(6))
        settings = video_writer.EncodeSettings(codec="libvpx-vp9", segment_frames=4)
        notes = rewrite(path, folder / "b.webm", settings)
        self.assertRegex(notes[0], "encoded to libopus, webm cannot hold it")
        self.assertLen(list(video_reader.VideoReader(folder / "b.webm")), 6)
        with av.open(str(folder / "b.webm")) as container:
            length = sum(f.samples for f in container.decode(audio=0)) / 48000
        self.assertAlmostEqual(length, 0.24, delta=0.15)

    def test_unwritable_output_is_one_clear_error(self):
        folder = self.tempdir()
        path = made.write_clip(folder / "a.mp4", made.moving_scenes(5))
        with self.assertRaisesRegex(InputError, "b.xyz: cannot be written"):
            rewrite(path, folder / "b.xyz")


class PictureTest(testing.TestCase):
    @parameterized.named_parameters(
        ("bt709", 1, "yuv420p", False),
        ("bt601", 6, "yuv420p", True),
        ("yuv444p", 1, "yuv444p", False),
    )
    def test_colours_survive(self, matrix, pixel_format, full_range):
        folder, image = self.tempdir(), chart()
        path = made.write_clip(
            folder / "a.mp4", [image] * 3, matrix=matrix, full_range=full_range
        )
        settings = video_writer.EncodeSettings(
            quality=1, preset="ultrafast", pixel_format=pixel_format
        )
        rewrite(path, folder / "b.mp4", settings)
        before = next(iter(video_reader.VideoReader(path)))
        reader = video_reader.VideoReader(folder / "b.mp4")
        self.assertEqual(reader.colour, video_reader.Colour(matrix, matrix, 1))
        after = next(iter(reader))
        error = np.abs(middles(after.image) - middles(before.image))
        self.assertLess(error.max(), 2.0)

    @parameterized.parameters("libsvtav1", "libx265", "libvpx-vp9")
    def test_other_codecs(self, codec):
        folder, frames = self.tempdir(), made.moving_scenes(6)
        path = made.write_clip(folder / "a.mp4", frames)
        settings = dataclasses.replace(FAST, codec=codec)
        rewrite(path, folder / "b.mp4", settings)
        found = list(video_reader.VideoReader(folder / "b.mp4"))
        self.assertLen(found, 6)
        for frame, image in zip(found, frames, strict=True):
            self.assertLess(np.abs(frame.image.astype(int) - image).mean(), 3.0)

    def test_an_encoder_takes_no_priority(self):
        """SVT-AV1 makes threads of root real-time ones, this one among them."""
        folder = self.tempdir()
        path = made.write_clip(folder / "a.mp4", made.moving_scenes(3))
        before = os.sched_getscheduler(0)
        rewrite(path, folder / "b.mp4", dataclasses.replace(FAST, codec="libsvtav1"))
        found = {
            os.sched_getscheduler(int(thread))
            for thread in os.listdir("/proc/self/task")
        }
        self.assertEqual(found, {before})

    def test_rate_that_cannot_be_meant(self):
        path = self.tempdir() / "a.nut"
        settings = dataclasses.replace(FAST, codec="libsvtav1")
        info = video_reader.ClipInfo(path, (160, 96), Fraction(1000), Fraction(1, 1000))
        encoder = video_writer.SegmentEncoder(
            path, info, video_reader.Colour(1, 1, 1), settings
        )
        for i, image in enumerate(made.moving_scenes(3)):
            encoder.write(video_reader.Frame(i, Rgb(image), 40 * i, 40))
        encoder.close()
        reader = video_reader.VideoReader(path)
        times = [float(frame.pts * reader.info.time_base) for frame in reader]
        self.assert_close(np.diff(times), np.array([0.04, 0.04]))

    def test_decoding_times_that_an_encoder_made_up(self):
        """What libx265 does to a segment of one frame, now and then."""
        path = self.tempdir() / "a.nut"
        info = video_reader.ClipInfo(path, (160, 96), Fraction(25), Fraction(1, 25))
        colour = video_reader.Colour(1, 1, 1)
        encoder = video_writer.SegmentEncoder(path, info, colour, FAST)
        write = encoder._mux

        def mistaken(packets):
            packets = list(packets)
            for packet in packets:
                packet.dts = 1 << 60
            write(packets)

        with mock.patch.object(encoder, "_mux", mistaken):
            for i, image in enumerate(made.moving_scenes(3)):
                encoder.write(video_reader.Frame(i, Rgb(image), i, 1))
            encoder.close()
        reader = video_reader.VideoReader(path)
        seconds = [frame.pts * reader.info.time_base for frame in reader]
        self.assertEqual(np.diff(seconds).tolist(), [Fraction(1, 25)] * 2)

    def test_odd_sizes_are_filled_up(self):
        image = made.scene((made.RED, 20, 20, 40), size_wh=(161, 97))
        folder = self.tempdir()
        path = made.write_clip(folder / "a.mkv", [image] * 3, pix_fmt="yuv444p")
        rewrite(path, folder / "b.mp4")
        found = next(iter(video_reader.VideoReader(folder / "b.mp4"))).image
        self.assertEqual(found.shape, (98, 162, 3))
        self.assertLess(np.abs(found[:97, :161].astype(int) - image).mean(), 3.0)
        self.assertLess(np.abs(found[97, :161].astype(int) - image[96]).mean(), 6.0)

    def test_shape_of_pixels_is_kept(self):
        folder = self.tempdir()
        path = made.write_clip(
            folder / "a.mp4", made.moving_scenes(3), aspect=Fraction(15, 16)
        )
        rewrite(path, folder / "b.mp4")
        info = video_reader.VideoReader(folder / "b.mp4").info
        self.assertEqual(info.aspect, Fraction(15, 16))

    def test_settings_are_checked(self):
        for values, words in (
            ({"quality": 99}, "`quality` must lie"),
            ({"segment_frames": 0}, "segment_frames. must be at least 1"),
        ):
            with self.assertRaisesRegex(ValueError, words):
                video_writer.EncodeSettings(**values)

    @parameterized.parameters(
        ("a.webm", "libx264", "a.webm cannot hold libx264. Give --codec=libvpx-vp9"),
        ("a.xyz", "libx264", "a.xyz: unknown kind of file"),
        ("a.wav", "libx264", "cannot hold libx264. Use .mp4 or .mkv"),
    )
    def test_wrong_container_is_refused_early(self, name, codec, words):
        settings = video_writer.EncodeSettings(codec=codec)
        with self.assertRaisesRegex(InputError, words):
            video_writer.check_container(name, settings)
        video_writer.check_container("a.mp4", settings)

    def test_unknown_encoder_is_refused(self):
        video_writer.check_encoder(video_writer.EncodeSettings())
        for wrong in (
            {"codec": "nonsense"},
            {"preset": "warp"},
            {"pixel_format": "gray"},
            {"pixel_format": "nonsense"},
        ):
            settings = video_writer.EncodeSettings(**wrong)
            with self.assertRaisesRegex(InputError, "does not work here.*libx264"):
                video_writer.check_encoder(settings)
