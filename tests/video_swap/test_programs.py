"""Tests of the swapping programs with real, tiny, random networks."""

import errno
import functools
import json
import os
import pathlib
import subprocess
import sys
import tempfile
from unittest import mock

import pytest
from absl.testing import parameterized

from facedancer import cli
from facedancer.arcface_model import build_mobilefacenet
from facedancer.errors import InputError
from facedancer.imaging import images
from facedancer.networks.contract import IdentityInput
from facedancer.video_swap import (
    clip_swap,
    multi_face_single_source,
    options,
    swap_image,
)
from facedancer.video_swap.media import video_reader
from facedancer.video_swap.provenance import signing
from facedancer.video_swap.swapping import networks
from tests import testing
from tests.video_swap import made

ROOT = pathlib.Path(__file__).parents[2]


class ProgramTest(testing.TestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.networks = pathlib.Path(folder.name)
        cls.encoder = build_mobilefacenet(32, 32, width=0.125, blocks=(1, 1, 1))
        cls.encoder.save(cls.networks / "encoder.keras")
        generator = made.tiny_generator(cls.encoder.name_with_hash)
        generator.save(cls.networks / "generator.keras")
        # Of the same settings once: building and compiling them is dear.
        cls.load_networks = staticmethod(functools.cache(networks.load_networks))

    def setUp(self):
        super().setUp()
        self.folder = self.tempdir()
        home = mock.patch.dict(os.environ, {"XDG_CONFIG_HOME": str(self.folder / "c")})
        home.start()
        self.addCleanup(home.stop)
        detector = mock.patch.object(
            networks, "load_detector", lambda *args, **options: made.SquareDetector()
        )
        detector.start()
        self.addCleanup(detector.stop)
        load = mock.patch.object(networks, "load_networks", self.load_networks)
        load.start()
        self.addCleanup(load.stop)
        images.write_image(self.folder / "me.png", made.scene((made.RED, 30, 20, 50)))

    def flags_of(self, program, **values):
        values = {
            "facedancer_path": self.networks / "generator.keras",
            "arcface_path": self.networks / "encoder.keras",
            "swap_source": self.folder / "me.png",
            "engine": "keras",
        } | values
        record = {
            swap_image: swap_image.ImageSettings,
            multi_face_single_source: multi_face_single_source.VideoSettings,
        }[program]
        words = [f"--{name}={value}" for name, value in values.items() if value]
        return cli.parse(record, words)

    def run_program(self, program, **values):
        with mock.patch("builtins.print") as printed:
            status = program.main(self.flags_of(program, **values))
        return status, [str(call.args[0]) for call in printed.call_args_list]

    def test_video(self):
        clip = made.write_clip(self.folder / "clip.mp4", made.moving_scenes(10))
        output, report = self.folder / "o.mp4", self.folder / "r.json"
        status, lines = self.run_program(
            multi_face_single_source,
            vid_path=clip,
            output=output,
            report=report,
            preset="ultrafast",
        )
        self.assertEqual(status, 0)
        self.assertEqual(lines[-1], str(output))
        self.assertIn("10 faces in 10 of 10 frames swapped", " ".join(lines))
        self.assertLen(list(video_reader.VideoReader(output)), 10)
        self.assertTrue(signing.read(output).intact)
        stored = json.loads(report.read_text())
        self.assertEqual(stored["faces_swapped"], 10)
        self.assertEqual(stored["provenance"], "watermarked, signed")
        self.assertEqual(stored["networks"]["encoder"], self.encoder.name_with_hash)
        self.assertEqual(stored["networks"]["engine"], "keras f32")

    def test_image(self):
        photo = self.folder / "photo.png"
        images.write_image(photo, made.scene((made.RED, 20, 20, 40)))
        output = self.folder / "new" / "o.png"
        status, lines = self.run_program(
            swap_image, img_path=photo, output=output, compare="true"
        )
        self.assertEqual(status, 0)
        self.assertEqual(lines[-1], str(output))
        self.assertEqual(images.read_image(output).shape, (96, 320, 3))
        self.assertTrue(signing.read(output).intact)
        self.assertLen(list(output.parent.iterdir()), 1)

    @parameterized.parameters(
        ("a.mkv", "a_swapped.mkv"),
        ("b.MKV", "b_swapped.MKV"),
        ("c.mp4", "c_swapped.mp4"),
        ("d.avi", "d_swapped.mp4"),
        ("e.gif", "e_swapped.gif"),
        ("folder", "folder_swapped"),
    )
    def test_default_output(self, name, expected):
        path = self.folder / name
        if not path.suffix:
            path.mkdir()
        output = clip_swap.default_output(path)
        self.assertEqual(output, pathlib.Path("results") / expected)

    @pytest.mark.slow
    def test_full_disk(self):
        photo = images.write_image(
            self.folder / "photo.png", made.scene((made.RED, 20, 20, 40))
        )
        full = OSError(errno.ENOSPC, "No space left on device")
        with mock.patch.object(pathlib.Path, "write_bytes", side_effect=full):
            with self.assertRaisesRegex(InputError, "/o.png: cannot be written"):
                self.run_program(
                    swap_image, img_path=photo, output=self.folder / "o.png"
                )
        names = [path.name for path in self.folder.iterdir()]
        self.assertCountEqual(names, ["me.png", "photo.png", "c"])

    def test_image_without_a_face(self):
        photo = images.write_image(self.folder / "photo.png", made.scene())
        output = self.folder / "o.png"
        with self.assertRaisesRegex(InputError, "0 faces were found, none"):
            self.run_program(swap_image, img_path=photo, output=output)
        self.assertFalse(output.exists())

    @pytest.mark.slow
    def test_mapping_from_flags(self):
        clip = made.write_clip(
            self.folder / "clip.mp4", [made.scene((made.RED, 20, 20, 40))] * 3
        )
        me = self.folder / "me.png"
        parsed = self.flags_of(
            multi_face_single_source, vid_path=clip, map=f"{me}={me}", only=me
        )
        swapper, _ = options.make_swapper(parsed)
        names = [rule.name for rule in swapper.rules]
        self.assertEqual(names, [f"{me}={me}"] * 2)
        self.assertTrue(swapper.compares)

    @parameterized.parameters(
        ({"vid_path": "none.mp4"}, "--vid_path: none.mp4: no such file"),
        ({"swap_source": "none.png"}, "--swap_source: none.png: no such file"),
        ({"map": "oops"}, "--map must be REFERENCE=SOURCE. Received: oops"),
        ({"only": "none.png"}, "--only: none.png: no such file"),
        ({"codec": "nonsense"}, "--codec=nonsense .* does not work here"),
        ({"mask": "round"}, "--mask must be one of"),
        ({"facedancer_path": "none.keras"}, "none.keras"),
        ({"precision": "f8"}, "--precision must be one of f32, bf16, f16"),
        ({"device_id": 7}, "--device_id must be -1"),
    )
    def test_bad_flags(self, values, words):
        clip = made.write_clip(self.folder / "clip.mp4", made.moving_scenes(3))
        values = {"vid_path": clip, "output": self.folder / "o.mp4"} | values
        with self.assertRaisesRegex(InputError, words):
            self.run_program(multi_face_single_source, **values)
        self.assertFalse((self.folder / "o.mp4").exists())

    def test_source_must_be_given_and_output_not_be_the_input(self):
        clip = made.write_clip(self.folder / "clip.mp4", made.moving_scenes(3))
        with self.assertRaisesRegex(InputError, "Whose face .* Give --swap_source"):
            self.flags_of(multi_face_single_source, vid_path=clip, swap_source=None)
        with self.assertRaisesRegex(InputError, "must not be the input itself"):
            self.run_program(multi_face_single_source, vid_path=clip, output=clip)

    @parameterized.parameters("report", "output")
    def test_places_are_checked_before_the_work(self, name):
        photo = images.write_image(self.folder / "photo.png", made.scene())
        for place in (photo / "x.png", photo / "new" / "x.png", self.folder):
            values = {"output": self.folder / "o.png"} | {name: place}
            with mock.patch.object(networks, "load_networks") as loads:
                with self.assertRaisesRegex(
                    InputError, f"--{name} must be a file|type"
                ):
                    self.run_program(swap_image, img_path=photo, **values)
            loads.assert_not_called()

    def test_only_needs_a_source(self):
        me = self.folder / "me.png"
        values = {"vid_path": me, "map": f"{me}={me}", "only": me, "swap_source": None}
        with self.assertRaisesRegex(
            InputError, "--only says who gets .*me.png without"
        ):
            self.flags_of(multi_face_single_source, **values)

    def test_encoder_that_does_not_fit(self):
        check = networks.check_encoder

        def told(*args, **values):
            return made.tiny_generator(*args, **values).contract.identity

        name = self.encoder.name_with_hash
        self.assertEqual(check(told(name), self.encoder), ())
        self.assertEqual(check(told(), self.encoder), ())
        other_weights = told("mobilefacenet@00000000")
        self.assertRegex(check(other_weights, self.encoder)[0], "likeness may be worse")
        with self.assertRaisesRegex(InputError, "trained with the encoder arcface"):
            check(told("arcface@00000000"), self.encoder)
        with self.assertRaisesRegex(InputError, "vectors of 48 numbers"):
            check(told(identity_size=48), self.encoder)
        self.assertEqual(check(IdentityInput("label", 2), self.encoder), ())

    def test_exit_status_of_the_process(self):
        program = ROOT / "video_swap" / "multi_face_single_source.py"
        done = subprocess.run(
            [sys.executable, program, "--vid_path=none.mp4", "--swap_source=a.jpg"],
            capture_output=True,
            text=True,
        )
        self.assertEqual(done.returncode, 1)
        self.assertIn("Error: --vid_path: none.mp4: no such file", done.stderr)
        self.assertNotIn("Traceback", done.stderr)
