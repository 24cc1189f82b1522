"""Files whose names programs stumble over: odd bytes, colons, dashes, other locales."""

import json
import os
import pathlib
import subprocess
import sys
from unittest import mock

from absl.testing import parameterized

from facedancer import cli
from facedancer.dataset import dataset_sharding
from facedancer.dataset.folder_alignment import align_folder
from facedancer.dataset.jobs import report
from facedancer.dataset.photos import aligning
from facedancer.flags.command_line import at_home
from facedancer.imaging import images
from facedancer.networks.contract import IdentityInput, InputContract, SwapContract
from facedancer.storage import files
from facedancer.video_swap import swap_image, verify
from facedancer.video_swap.clips import clip_job
from facedancer.video_swap.media import pictures
from facedancer.video_swap.media.video_reader import VideoReader
from facedancer.video_swap.provenance import labels, signing
from facedancer.video_swap.swapping import networks
from tests import testing
from tests.hostile import images as hostile
from tests.video_swap import made

ROOT = pathlib.Path(__file__).parents[2]
NAMES = [os.fsdecode(name) for name in hostile.NAMES]


class NamesTest(testing.TestCase):
    def setUp(self):
        super().setUp()
        self.folder = self.tempdir()
        home = mock.patch.dict(os.environ, {"XDG_CONFIG_HOME": str(self.folder / "c")})
        home.start()
        self.addCleanup(home.stop)

    @parameterized.parameters(*NAMES)
    def test_swap_image(self, name):
        folder = self.folder / "photos\udce9"
        scene = made.scene((made.RED, 20, 20, 40))
        photo = images.write_image(folder / name, scene)
        output, told = folder / f"o_{name}", folder / f"{name}.json"
        loaded = networks.Networks(
            made.named(made.colour_engine),
            SwapContract(InputContract(64, "signed"), IdentityInput(size=3)),
            made.SquareDetector(),
            made.ColourEmbedder(),
            {"generator": "colours"},
        )
        words = [f"--img_path={photo}", f"--swap_source={photo}"]
        words += [f"--output={output}", f"--report={told}"]
        with mock.patch.object(networks, "load_networks", return_value=loaded):
            with mock.patch("builtins.print"):
                swap_image.main(cli.parse(swap_image.ImageSettings, words))
        self.assertTrue(signing.read(output).intact)
        self.assertEqual(json.loads(told.read_bytes())["input"], str(photo))
        self.assertTrue(verify.examine(str(output))["signed"])

    def test_crops_and_shards(self):
        photos = self.folder / "in\udce9"
        scene = made.scene((made.RED, 20, 20, 60), size_wh=(150, 140))
        for name in NAMES:
            images.write_image(photos / name, scene)
        settings = aligning.AlignSettings(
            str(photos), str(self.folder / "out\udce9"), im_size=32, image_format="png"
        )
        counts = align_folder(settings, made.SquareDetector())
        self.assertEqual(counts, {"done": len(NAMES)})
        found = report.read_report(settings.target_dir)
        self.assertCountEqual([entry["path"] for entry in found], NAMES)
        shards = dataset_sharding.ShardSettings(
            str(self.folder / "shards"), settings.target_dir, num_shards=2
        )
        manifests, broken = dataset_sharding.write_sets(shards)
        self.assertEqual(broken, [])
        self.assertEqual(manifests["faces_train"]["count"], len(NAMES))

    @parameterized.parameters(*NAMES)
    def test_clips(self, name):
        frames = made.moving_scenes(3)
        path = self.folder / pathlib.Path(name).with_suffix(".mp4").name
        made.write_clip(self.folder / "clip.mp4", frames)
        (self.folder / "clip.mp4").rename(path)
        self.assertLen(list(VideoReader(path)), 3)
        moving = self.folder / pathlib.Path(name).with_suffix(".gif").name
        pictures.write_animation(moving, [(frame, 100) for frame in frames])
        self.assertLen(list(pictures.PictureReader(moving)), 3)

    @parameterized.parameters("caf\udce9.mp4", "a:b.mkv", "-x.mov", "frames\udce9")
    def test_swapped_clip(self, name):
        clip = self.folder / pathlib.Path(name).with_suffix(".mp4").name
        made.write_clip(self.folder / "clip.mp4", made.moving_scenes(4))
        (self.folder / "clip.mp4").rename(clip)
        output = self.folder / "out\udce9" / name
        job = clip_job.ClipJob(clip, output)
        settings = labels.LabelSettings()
        found = clip_job.swap_clip(job, made.make_swapper(), labels.Labeller(settings))
        self.assertEqual(found["faces_swapped"], 4)
        self.assertTrue(output.exists())


class HomeTest(testing.TestCase):
    def test_behind_an_equals_sign(self):
        with mock.patch.dict(os.environ, {"HOME": "/home/anna"}):
            for word, expected in (
                ("--output=~/a.png", "--output=/home/anna/a.png"),
                ("--map=~/a.jpg=~/b.jpg", "--map=/home/anna/a.jpg=/home/anna/b.jpg"),
                ("--data_dir=~", "--data_dir=/home/anna"),
                ("--output=~a.png", "--output=~a.png"),
                ("--output=a~/b.png", "--output=a~/b.png"),
                ("~/a.png", "~/a.png"),
            ):
                self.assertEqual(at_home(word), expected)

    def test_letters(self):
        self.assertEqual(files.in_letters("caf\udce9.png"), "caf\\xe9.png")
        self.assertEqual(files.in_letters("漢 é"), "漢 é")


class LocaleTest(testing.TestCase):
    def test_a_program_without_a_locale(self):
        """`LANG=C` and no UTF-8 mode: names are bytes, and what is said is escaped."""
        folder = self.tempdir()
        for name in (b"caf\xe9.png", "漢字.png".encode()):
            (folder / os.fsdecode(name)).write_bytes(b"no image")
        environ = {k: v for k, v in os.environ.items() if not k.startswith("LC_")}
        environ |= {"LANG": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
        done = subprocess.run(
            [
                sys.executable,
                ROOT / "dataset" / "dataset_sharding.py",
                f"--data_dir={folder}",
                f"--target_dir={folder}/shards",
            ],
            env=environ | {"PYTHONPATH": str(ROOT)},
            capture_output=True,
        )
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertIn(b"none of its images can be read", done.stderr)
        self.assertNotIn(b"Traceback", done.stderr)
