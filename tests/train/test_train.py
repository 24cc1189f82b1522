"""The program: flags, refusals, a whole run, a killed run."""

import functools
import importlib.util
import json
import os
import pathlib
import signal
import subprocess
import sys
import time
from unittest import mock

import numpy as np
import pytest
from absl import flags
from absl.testing import parameterized

from facedancer.arcface_model import load_encoder
from facedancer.errors import InputError
from facedancer.flags import command_line, usage
from facedancer.flags.settings import flat, from_flat
from facedancer.models import load_generator
from facedancer.train import assembly, loading, train
from facedancer.train.config import TrainConfig
from facedancer.train.loop import checkpoints
from facedancer.train.systems.base import Fed
from tests import testing
from tests.train.program import ProgramTestCase, settings

PROGRAM = pathlib.Path(train.__file__)
ROOT = pathlib.Path(__file__).parents[2]


def structures(config, size=512, encoder=""):
    """Structures of generator and discriminator, without any file."""
    found = loading.structures_of(config, Fed(size, encoder))
    return found["generator"], found["discriminator"]


class FlagsTest(testing.TestCase):
    def test_the_flags_of_the_original_readme(self):
        names = (
            "data_dir eval_dir load export log_dir log_name chkp_dir batch_size "
            "image_size lr lr_decay r_lambda p_lambda i_lambda c_lambda ifsr_lambda "
            "ifsr_scale ifsr_margin ifsr_blocks p_blocks mapping_depth mapping_size "
            "up_types same_ratio shuffle device_id arcface_path eval_model_expface"
        ).split()
        flag_values = flags.FlagValues()
        command_line.define_from(TrainConfig, flag_values)
        self.assertContainsSubset(names, list(flag_values))

    def test_published_defaults(self):
        config = settings("--data_dir=x", "--arcface_path=y")
        recipe = config.training_recipe
        self.assertEqual(config.optimisation.batch_size, 10)
        self.assertEqual(recipe.optimisation.lr, 1e-4)
        self.assertFalse(config.output.export)
        generator, discriminator = structures(config, 512, "resnet50@0")
        self.assertEqual(generator.mapping_sizes, (512,) * 4)
        self.assertEqual((generator.image_size, generator.encoder), (256, "resnet50@0"))
        self.assertEqual(generator.output_activation, "linear")
        self.assertFalse(generator.normalise_identity)
        self.assertEqual(discriminator.stage_widths[0], 64)

    def test_lists_and_booleans_as_in_the_original_readme(self):
        config = settings(
            *("--load", "30", "--export", "True", "--shuffle", "False"),
            "--up_types=concat,concat,add",
            "--ifsr_margin=0.1,0.2",
            "--ifsr_blocks=a,b",
        )
        found = config.output.load, config.output.export, config.data.shuffle
        self.assertEqual(found, ("30", True, False))
        self.assertEqual(config.networks.up_types, ("concat", "concat", "add"))
        self.assertEqual(config.frozen.ifsr_margin, (0.1, 0.2))
        self.assertEqual(config.frozen.ifsr_blocks, ("a", "b"))

    def test_flags_override_the_recipe(self):
        config = settings(
            "--recipe=improved", "--i_lambda=3", "--adversarial=hinge", "--look=False"
        )
        recipe = config.training_recipe
        self.assertEqual(recipe.weights["identity"], 3.0)
        self.assertEqual(recipe.adversary.kind, "hinge")
        self.assertFalse(recipe.options.look)
        self.assertEqual(recipe.adversary.r1_every, 16)
        generator, _ = structures(config, 128)
        self.assertTrue(generator.normalise_identity)
        self.assertEqual(generator.output_activation, "tanh")
        config = settings("--perceptual=none")
        self.assertEqual(config.training_recipe.weights["perceptual"], 0.0)

    def test_a_narrower_generator(self):
        config = settings("--preset=facedancer_lite_64", "--base_width=8")
        generator, discriminator = structures(config, 128)
        self.assertEqual(generator.stage_widths, (8, 16, 32, 64, 128, 256))
        self.assertEqual(discriminator.base_width, 8)
        with self.assertRaisesRegex(InputError, "base_width=0"):
            structures(settings("--base_width=0"))

    @parameterized.parameters(
        ("--steps=0", "--steps must be at least 1. Received: 0"),
        ("--precision=float8", "--precision must be one of float32"),
        ("--strategy=tpu", "--strategy must be one of"),
        (
            "--recipe=best",
            "--recipe must be one of published, improved, fine_tuned. Received: best",
        ),
        ("--recipe=improvd", r"Received: improvd. Did you mean improved\?"),
        ("--export_formats=pb", "--export_formats must be one of onnx"),
        ("--system=facedance", r"--system must be one of .* Did you mean facedancer\?"),
        (
            "--backend=torch",
            "--backend must be one of tensorflow, jax. Received: torch",
        ),
        ("--adversarial=wgan", "--adversarial must be one of nonsaturating, hinge"),
        ("--i_lambda=-1", "--i_lambda must be at least 0. Received: -1.0"),
        ("--lr=0", "--lr must be greater than 0"),
        ("--r1_every=0", "--r1_every must be at least 1"),
        (
            "--weights=edges=1",
            "--system=facedancer has adversarial, adversarial_projected, chroma",
        ),
        ("--weights=cycle", "--weights must be NAME=VALUE. Received: cycle"),
        ("--weights=cycle=x", "`cycle` must be a number. Received: x"),
        ("--options=lok=true", r"--options: .* Received: lok. Did you mean look\?"),
        ("--real_images=both", "--real_images must be one of"),
        ("--ifsr_margin=much", "--ifsr_margin must be numbers with commas"),
    )
    def test_bad_values(self, word, message):
        with self.assertRaisesRegex(InputError, message):
            settings(word)

    def test_a_wrong_fusion_type(self):
        config = settings("--up_types=no_skip,affa2,concat", "--image_size=16")
        with self.assertRaisesRegex(InputError, "`up_types` must be 3 of no_skip"):
            structures(config, 8)

    def test_a_flat_config_of_before_the_groups(self):
        """Written by the program when its settings were one record of 90 fields."""
        path = pathlib.Path(__file__).with_name("config_before_groups.json")
        recorded = json.loads(path.read_text())
        config = settings(f"--config={path}")
        now = json.loads(config.to_json())
        self.assertEqual({name: now[name] for name in recorded}, recorded)
        self.assertEqual(config.networks.up_types[:2], ("no_skip", "affa"))
        self.assertEqual(config.data.triplet_ratio, (0.3, 0.2))
        recipe = config.training_recipe
        self.assertEqual(recipe.adversary.kind, "hinge")
        self.assertEqual(recipe.adversary.r1_every, 4)
        self.assertEqual(recipe.weights["identity"], 3.0)
        self.assertEqual(recipe.weights["truth"], recipe.weights["reconstruction"])
        self.assertFalse(recipe.options.look)

    def test_numbers_by_name(self):
        config = settings(
            *("--weights=cycle=0,truth=2", "--options=look=true"),
            *(
                "--options=cycle_every=4",
                "--triplets=x",
                "--structure=final_adain=false",
            ),
        )
        recipe = config.training_recipe
        self.assertEqual((recipe.weights["cycle"], recipe.weights["truth"]), (0, 2))
        self.assertEqual((recipe.options.look, recipe.options.cycle_every), (True, 4))
        self.assertFalse(structures(config)[0].final_adain)
        with self.assertRaisesRegex(InputError, "FaceDancer has no final"):
            structures(settings("--structure=final=1"))

    def test_help_needs_no_network_library(self):
        """In a process of its own: here Keras is long there."""
        code = (
            "import sys, runpy; sys.argv = ['train.py', '--help']\n"
            "try: runpy.run_module('facedancer.train.train', run_name='__main__')\n"
            "except SystemExit as end: assert not end.code\n"
            "heavy = {'keras', 'tensorflow', 'jax', 'torch'} & set(sys.modules)\n"
            "sys.exit(str(heavy) if heavy else 0)"
        )
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT
        )
        self.assertEqual(done.returncode, 0, done.stderr[-2000:])
        self.assertIn("First of all:\n  --data_dir=TEXT", done.stdout)


class RunTest(ProgramTestCase):
    @mock.patch.object(loading, "load_encoder", functools.cache(load_encoder))
    def test_refusals(self):
        for words, message in (
            (("--data_dir=",), "--data_dir must be given"),
            ((f"--data_dir={self.folder}/none_*",), "none_"),
            (("--arcface_path=none.keras",), "none.keras"),
            (("--ifsr_blocks=conv9", "--ifsr_margin=0.1"), "no such IFSR blocks"),
            (("--ifsr_margin=0.1,0.2",), "one margin per block"),
            (("--accumulation=3",), "multiple of replicas times accumulation"),
            (("--load=7",), "no checkpoint '7'. There are none"),
            (("--export=True",), "no checkpoint 'latest'"),
            (("--i2_lambda=1",), "give --second_arcface_path"),
            ((f"--second_arcface_path={self.encoder}",), "needs a weight: give --i2"),
            (("--p_blocks=conv1",), "--p_blocks and --legacy_perceptual belong"),
            (("--legacy_perceptual",), "--p_blocks and --legacy_perceptual belong"),
            (("--up_types=affa",), "`up_types` must be 2 or more of"),
            (("--perceptual=none.h5",), "--perceptual must be vgg16, encoder, none or"),
            (("--image_size=18",), "must be a multiple of"),
            (("--init_generator=none.h5",), "none.h5"),
            (("--projector_path=x.npz",), "needs --projected_lambda.*: x.npz and 0"),
            (("--xla", "--precision=mixed_bfloat16"), "compiles no bfloat16 training"),
            (("--device_id=1", "--devices=GPU:9"), "--devices must be of"),
        ):
            with self.assertRaisesRegex(InputError, message):
                train.main(settings(*self.words(*words)))
        self.assertFalse((self.folder / "runs").exists())

    def test_missing_export_package_stops_before_a_checkpoint_is_read(self):
        words = self.words("--export=True", "--export_formats=onnx,litert")
        find = importlib.util.find_spec
        absent = lambda name: None if name == "ai_edge_litert" else find(name)  # noqa: E731
        with mock.patch.object(importlib.util, "find_spec", absent):
            with self.assertRaisesRegex(InputError, "ai_edge_litert not installed"):
                train.main(settings(*words))

    def test_config_of_a_run_comes_back_as_flags(self):
        words = ("--i_lambda=3", "--up_types=affa,concat", "--noflip", "--ema=0.5")
        first = settings(*self.words(*words, "--ifsr_margin=0.25,0.5"))
        assembly.write_settings(first)
        path = first.output.folder / "config.json"
        self.assertEqual(settings(f"--config={path}"), first)
        again = settings(f"--config={path}", "--i_lambda=4")
        self.assertEqual(again, from_flat(TrainConfig, flat(first) | {"i_lambda": 4.0}))

    def test_help_puts_ten_flags_first(self):
        first, _, rest = usage.text("train.py", None, TrainConfig).partition("Data:")
        self.assertEqual(first.count("\n  --"), 10)
        self.assertIn("the recipe decides:\n  --max_minutes=X\n", rest)
        self.assertIn("\nValidation:\n  --eval_dir=TEXT\n", rest)
        kinds = "[nonsaturating | hinge | bounded_hinge | lsgan | relativistic | "
        self.assertIn(kinds + "relativistic_lsgan | none]", " ".join(rest.split()))

    def test_other_settings_are_told(self):
        first = settings(*self.words("--i_lambda=3"))
        assembly.write_settings(first)
        with self.assertNoLogs("absl", "WARNING"):
            assembly.write_settings(first)
        with self.assertLogs("absl", "WARNING") as logs:
            assembly.write_settings(settings(*self.words("--i_lambda=4", "--steps=9")))
        self.assertLen(logs.output, 2)
        self.assertIn("another --i_lambda: 4.0, before 3.0", " ".join(logs.output))

    def test_train_and_export(self):
        words = self.words(
            *("--a_lambda=0", "--c_lambda=0", "--ema=0.9", "--steps=2"),
            f"--eval_dir={self.pattern}",
        )
        self.assertEqual(train.main(settings(*words)), 0)
        run = self.folder / "runs" / "facedancer"
        names = sorted(path.name for path in run.iterdir())
        expected = (
            "checkpoints config.json curves.png metrics.jsonl samples tensorboard"
        )
        self.assertEqual(names, expected.split())
        self.assertEqual(
            sorted(path.name for path in (run / "samples").iterdir()),
            ["masks_00000002.png", "swaps_00000002.png"],
        )
        with self.assertRaisesRegex(InputError, "Choose another --log_name"):
            train.main(settings(*words, "--resume=False"))
        status = train.main(
            settings(f"--log_dir={self.folder / 'runs'}", "--load=2", "--export=True")
        )
        self.assertEqual(status, 0)
        for ending in ("keras", "h5"):
            path = pathlib.Path("exports", "facedancer", f"facedancer_2.{ending}")
            config = load_generator(path).config
            self.assertStartsWith(config.encoder, "mobilefacenet@")
            self.assertEqual((config.image_size, config.identity_size), (16, 8))

    @pytest.mark.large
    @pytest.mark.timeout(1200)
    def test_killed_and_restarted_equals_undisturbed(self):
        def start(name, **options):
            words = self.words("--steps=6", "--save_every=1", "--keep=9", "--ema=0.9")
            words += ("--look", "--flip", "--jitter=per_image", f"--log_name={name}")
            words += ("--c_lambda=0", "--p_lambda=0", "--r1_gamma=0")
            process = subprocess.Popen([sys.executable, PROGRAM, *words], **options)
            self.addCleanup(process.kill)
            return process

        self.assertEqual(start("whole").wait(timeout=500), 0)
        saved = checkpoints.Checkpoints(self.folder / "runs/killed/checkpoints", 9)
        for minimum in (1, 3):
            process = start("killed")
            deadline = time.time() + 400
            while not saved.steps() or saved.steps()[-1] < minimum:
                self.assertLess(time.time(), deadline)
                self.assertIsNone(process.poll())
                time.sleep(0.05)
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
            self.assertLess(saved.steps()[-1], 6)
        self.assertEqual(start("killed").wait(timeout=500), 0)
        whole = checkpoints.Checkpoints(self.folder / "runs/whole/checkpoints", 9)
        expected, found = (checkpoints.read(c.path(6))[0] for c in (whole, saved))
        self.assertEqual(set(found), set(expected))
        for name, array in expected.items():
            np.testing.assert_array_equal(found[name], array, err_msg=name)
