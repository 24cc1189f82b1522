"""A second system of test code alone: trained, resumed, exported, swapped with."""

import json
import os
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
import pytest

from facedancer import cli
from facedancer.errors import InputError
from facedancer.face import alignment
from facedancer.models import load_generator
from facedancer.networks.contract import IdentityInput, InputContract, SwapContract
from facedancer.train import train
from facedancer.train.config import TrainConfig
from facedancer.train.loop import checkpoints
from facedancer.video_swap import options
from facedancer.video_swap.engines import make
from facedancer.video_swap.swapping import identities, swapper
from tests import testing
from tests.train import second_system, tiny
from tests.video_swap import made

ROOT = pathlib.Path(__file__).parents[2]


def parse(*words):
    return cli.parse(TrainConfig, ["--system=plum", *words])


@pytest.mark.slow
class SecondSystemTest(testing.TestCase):
    """Two steps with TensorFlow, a third after a restart, a fourth with JAX."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.folder = pathlib.Path(cls.enterClassContext(tempfile.TemporaryDirectory()))
        cls.enterClassContext(second_system.registered())
        cls.addClassCleanup(os.chdir, os.getcwd())
        os.chdir(cls.folder)
        pattern = tiny.write_shards(cls.folder)
        cls.words = [f"--data_dir={pattern}", "--log_dir=runs", "--batch_size=4"]
        cls.words += ["--save_every=1", "--keep=9", "--weights=difference=2"]
        judge = f"--eval_arcface_path={tiny.write_encoder(cls.folder)}"
        measured = (f"--eval_dir={pattern}", judge, "--eval_pairs=4")
        for steps, more in ((2, ()), (3, measured)):
            assert train.main(parse(*cls.words, *more, f"--steps={steps}")) == 0
        cls.saved = checkpoints.Checkpoints("runs/facedancer/checkpoints")

    def read(self, step):
        return checkpoints.read(self.saved.path(step))

    def test_steps_and_checkpoints(self):
        self.assertEqual(self.saved.steps(), [1, 2, 3])
        arrays, record = self.read(3)
        self.assertEqual(record["system"], "plum")
        self.assertEqual(record["generator"]["people"], 4)
        before = self.read(2)[0]
        self.assertEqual(set(before), set(arrays))
        for part in ("generator", "discriminator"):
            moved = [
                np.abs(arrays[k] - before[k]).max()
                for k in arrays
                if k.startswith(part)
            ]
            self.assertGreater(max(moved), 0.0)
        lines = pathlib.Path("runs/facedancer/metrics.jsonl").read_text().splitlines()
        trained = [one for one in map(json.loads, lines) if one["kind"] == "train"]
        values = trained[-1]
        total = 2 * values["difference"] + 0.1 * values["adversarial"]
        self.assertAlmostEqual(values["g_loss"], total, places=5)
        samples = sorted(
            p.name for p in pathlib.Path("runs/facedancer/samples").iterdir()
        )
        self.assertEqual(samples, ["swaps_00000002.png", "swaps_00000003.png"])

    def test_it_is_validated_by_its_labels(self):
        lines = pathlib.Path("runs/facedancer/metrics.jsonl").read_text().splitlines()
        (found,) = (one for one in map(json.loads, lines) if one["kind"] == "eval")
        self.assertEqual(found["step"], 3)
        names = {"cosine_to_source", "cosine_to_target", "closer_to_source", "change"}
        self.assertLessEqual(names, set(found))
        self.assertGreater(found["change"], 0.0)
        # It cannot be told to show the target's own person.
        self.assertNotIn("self_reconstruction", found)

    @pytest.mark.slow
    def test_the_other_driver_goes_on(self):
        folder = self.tempdir()
        code = (
            f"import sys; sys.path.insert(0, {str(ROOT)!r})\n"
            "sys.modules['tensorflow'] = None  # cannot be imported\n"
            "from tests.train import second_system\n"
            "from facedancer import cli\n"
            "from facedancer.train import train\n"
            "from facedancer.train.config import TrainConfig\n"
            "with second_system.registered():\n"
            "    status = train.main(cli.parse(TrainConfig, sys.argv[1:]))\n"
            "sys.exit(status)\n"
        )
        words = ["--system=plum", *self.words, "--steps=4", f"--log_name={folder.name}"]
        run = self.folder / "runs" / folder.name / "checkpoints"
        run.mkdir(parents=True)
        first = self.saved.path(3)
        (run / first.name).write_bytes(first.read_bytes())
        done = subprocess.run(
            [sys.executable, "-c", code, *words],
            env={**os.environ, "KERAS_BACKEND": "jax"},
            capture_output=True,
            text=True,
        )
        self.assertEqual(done.returncode, 0, done.stderr[-3000:])
        arrays, record = checkpoints.read(run / "step_00000004.npz")
        self.assertEqual((record["step"], record["system"]), (4, "plum"))
        self.assertEqual(set(arrays), set(self.read(3)[0]))

    @pytest.mark.slow
    def test_export_and_swap_by_names(self):
        self.assertEqual(train.main(parse(*self.words, "--load=3", "--export")), 0)
        path = pathlib.Path("exports/facedancer/facedancer_3.keras")
        generator = load_generator(path)
        self.assertEqual(generator.contract.inputs, ("masked_target", "label"))
        trained = [
            w for k, w in sorted(self.read(3)[0].items()) if k[:10] == "generator/"
        ]
        self.assert_close(generator.get_weights(), trained)
        rules = [identities.Rule("3", None, 3)]
        parts = (made.SquareDetector(), made.ColourEmbedder(), rules)
        engine = make.make_engine(generator, "keras")
        with self.assertRaisesRegex(InputError, "leave out --parsing_path=none"):
            swapper.FaceSwapper(engine, generator.contract, *parts)
        swap = swapper.FaceSwapper(
            engine, generator.contract, *parts, parser=made.AllSkin()
        )
        image = made.scene((made.RED, 20, 30, 48))
        result = swap.swap_frame(image)
        self.assertEqual(result.rules, [0])
        changed = np.abs(result.image.astype(int) - image).max(axis=2)
        self.assertGreater(changed[35:70, 25:60].mean(), 5)
        self.assertEqual(changed[:20].max(), 0)

    def test_refusals(self):
        for words, message in (
            (("--up_types=affa,concat",), "networks of plum have no up_types"),
            (("--i_lambda=1",), "--i_lambda has no meaning for --system=plum"),
            (("--recipe=published",), "--recipe must be one of plain"),
            (("--preset=large",), "--preset must be one of small"),
            (("--weights=edges=1",), "has adversarial, difference. Received: edges"),
            (("--eval_dir=x",), "--eval_dir needs an encoder"),
        ):
            with self.assertRaisesRegex(InputError, message):
                more = [*self.words, "--steps=1", "--log_name=refused", *words]
                if words[0] == "--eval_dir=x":
                    more[-1] = self.words[0].replace("data_dir", "eval_dir")
                train.main(parse(*more))


class FedTest(testing.TestCase):
    """What swappers are fed besides target and vector."""

    def rules(self, words, contract=None):
        people = options.PeopleSettings(swap_source=words)
        contract = contract or second_system.PlumConfig().contract
        return options.make_rules(people, None, contract)

    def test_a_generator_that_knows_one_person(self):
        image = InputContract(16, "signed")
        contract = SwapContract(image, IdentityInput("none", 0), ("target",))
        (rule,) = self.rules(("own",), contract)
        self.assertEqual((rule.source, rule.picture), (0, None))
        with self.assertRaisesRegex(
            InputError, "takes no photo as source.* must be own. Rec.*me.jpg"
        ):
            self.rules(("me.jpg",), contract)
        with self.assertRaisesRegex(InputError, "--strength is for generators that"):
            parts = made.SquareDetector(), made.ColourEmbedder(), [rule]
            strong = swapper.SwapSettings(strength=1.5)
            swapper.FaceSwapper(None, contract, *parts, strong)

    def test_a_number_as_source(self):
        (rule,) = self.rules(("3",))
        self.assertEqual((rule.source, rule.reference, rule.picture), (3, None, None))
        for words in (("4",), ("me.jpg",), ("1", "2")):
            with self.assertRaisesRegex(InputError, "must be a number below 4"):
                self.rules(words)

    def check(self, source, words, kind="vector", inputs=("identity",), picture=None):
        """Whether a source is refused, in these words; empty: it is not."""
        told = {"vector": 8, "label": 3, "none": 0}[kind]
        contract = SwapContract(
            InputContract(16, "signed"), IdentityInput(kind, told), ("target", *inputs)
        )
        rules = [
            identities.Rule("kept", np.ones(9), None),
            identities.Rule("me.jpg", None, source, picture),
        ]
        if not words:
            swapper.feeds.check_sources(contract, rules)
            return
        with self.assertRaisesRegex(InputError, words):
            swapper.feeds.check_sources(contract, rules)

    def test_sources_of_another_form(self):
        vector, seven = np.ones(8, "float32"), np.ones(7, "float32")
        self.check(vector, "")
        self.check(seven, "vectors of 8 numbers. Received for me.jpg: a vector of 7")
        self.check(vector[None], r"vectors of 8 .* an array \(1, 8\)")
        self.check(2, "vectors of 8 numbers. Received for me.jpg: the number 2")
        self.check(2, "", "label", ("label",))
        self.check(3, "3 people, numbered from 0. Received.* 3$", "label", ("label",))
        self.check(-1, "knows 3 people", "label", ("label",))
        self.check(vector, "knows certain people .* of 8", "label", ("label",))
        self.check(vector, "knows certain people .* of 8", "none", ())
        self.check(0, "", "none", ())
        looks = ("identity", "reference")
        self.check(vector, "no photo", inputs=looks)
        self.check(vector, "", inputs=looks, picture=np.zeros((16, 16, 3), np.uint8))

    def test_label_for_a_generator_of_vectors(self):
        contract = SwapContract(InputContract(16, "signed"), IdentityInput("vector", 8))
        people = options.PeopleSettings(label="anna")
        with self.assertRaisesRegex(InputError, "takes photos: give --swap_source. Re"):
            options.make_rules(people, None, contract)

    def test_the_landmarks_decide_what_is_hidden(self):
        contract = second_system.PlumConfig(64).contract
        landmarks = alignment.template(64)
        noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
        crop = swapper.Crop(
            noise,
            np.eye(2, 3),
            landmarks,
            2,
            np.zeros((0, 5, 2)),
            classes=made.AllSkin().classes([noise])[0],
        )
        found = swapper.feeds.make([crop], contract, 1)
        self.assertEqual(found["label"].tolist(), [[2]])
        masked = found["masked_target"][0]
        self.assert_close(masked[2, 2], noise[2, 2] / 127.5 - 1.0, atol=0.02)
        self.assertLess(masked[30:50, 20:44].std(), 0.1)
        self.assertGreater(noise[30:50, 20:44].std() / 127.5, 0.5)
