"""Swap-them-all: what it is fed, its losses against NumPy, a step, a run."""

import os
import pathlib
import tempfile

import keras
import numpy as np
import pytest
from keras import ops

from facedancer import face_maps, testing
from facedancer.alignment import Alignment
from facedancer.arcface_model import build_mobilefacenet
from facedancer.models import load_generator
from facedancer.models.families.face_parser.config import FaceParserConfig
from facedancer.models.families.face_parser.network import FaceParserNetwork
from facedancer.models.families.swap_them_all.config import (
    SemanticDiscriminatorConfig,
    SwapThemAllConfig,
)
from facedancer.train.frozen.face_parsing import OUTSIDE, FaceParsing
from facedancer.train.frozen.frozen_networks import FrozenNetworks
from facedancer.train.frozen.teachers import Teacher, whole_view
from facedancer.train.step import divided_step, state
from facedancer.train.systems import SYSTEMS, swap_them_all
from facedancer.train.systems.base import Fed, Phase
from facedancer.train.systems.swap_them_all_recipes import V2_LOSSES
from tests.train import tiny

SIZE, COUNT = 64, 4
SMALL = FaceParserConfig(16, 3, (4, 5, 6), (1, 1, 1), decoder=4, fine=3)
STRUCTURES = {
    "generator": SwapThemAllConfig(
        image_size=SIZE,
        widths=(4, 4, 8, 8),
        spade_width=3,
        style_width=5,
        identity_size=tiny.VECTOR,
    ),
    "discriminator": SemanticDiscriminatorConfig(SIZE, 2),
}


def make_system(recipe=V2_LOSSES, count=COUNT):
    keras.utils.set_random_seed(3)
    parsing = FaceParsing(FaceParserNetwork(SMALL), SIZE, Alignment())
    teacher = Teacher(tiny.encoder(), tiny.TAPS)
    frozen = FrozenNetworks(teacher, parsing=parsing)
    return swap_them_all.SwapThemAll(recipe, frozen, count)


def batch():
    """Pairs: two of one person, two of others."""
    draws = np.random.default_rng(0)
    source, target = draws.uniform(-1, 1, (2, COUNT, SIZE, SIZE, 3)).astype("float32")
    return {"source": source, "target": target, "same": np.float32([1, 0, 1, 0])}


class TermsTest(testing.TestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.system, cls.batch = make_system(), batch()
        cls.drawn = {
            "hiding": np.float32([0, 5, 9, 23]),
            "own": np.float32([1, 1, 0, 0]),
        }
        cls.seen = cls.system.see(cls.batch | cls.drawn, Phase())
        image = np.random.default_rng(1).uniform(-1, 1, (COUNT, SIZE, SIZE, 3))
        cls.made = {"swapped": image.astype("float32")}
        cls.made["vector"] = cls.system._seen_by_teacher(cls.made["swapped"])[1]
        shown = cls.batch["target"], cls.made["swapped"]
        cls.made["features"] = [cls.system._maps(image) for image in shown]

    def vectors(self, image):
        teacher = self.system.frozen.teacher
        found = np.asarray(teacher.encoder(teacher.prepare(image, whole_view(COUNT))))
        return found / np.linalg.norm(found, axis=1, keepdims=True)

    def test_what_the_generator_is_fed(self):
        parser = self.system.frozen.parsing
        target = self.batch["target"]
        classes = np.asarray(parser.classes(target))
        area = face_maps.face_area(Alignment().landmarks(16), 16)
        for row, (cells, cubic) in enumerate(((4, 0), (6, 1), (8, 1), (15, 1))):
            expected = face_maps.hidden(
                target[row : row + 1],
                classes[row : row + 1],
                area,
                face_maps.coarsening(SIZE, cells, bool(cubic)),
            )
            found = self.seen["masked_target"][row]
            self.assert_close(found, expected[0], atol=1e-4)
        line = face_maps.nose_line(Alignment().landmarks(SIZE), SIZE)
        expected = face_maps.coloured_parts(classes, line, SIZE)
        self.assert_close(self.seen["semantic_mask"], expected, atol=1e-5)
        self.assertBetween(expected.min(), 0.0, 1.0)
        outside = np.isin(classes, OUTSIDE).astype(float)
        self.assert_close(
            np.asarray(self.seen["outside"])[..., 0].mean((1, 2)),
            outside.mean((1, 2)),
            atol=1e-3,
        )

    def test_whose_vector_it_is_told(self):
        """Of one person the mix of both photos, of two the source's."""
        source, target = (self.vectors(self.batch[n]) for n in ("source", "target"))
        expected = np.stack([target[0], source[1], source[2], source[3]])
        self.assert_close(self.seen["identity"], expected, atol=1e-4)

    def test_losses_against_numpy(self):
        target, swapped = self.batch["target"], self.made["swapped"]
        away = np.abs(target - swapped)
        each = away.mean((1, 2, 3))
        source, own, found = (
            self.vectors(image) for image in (self.batch["source"], target, swapped)
        )
        to_source = 1 - (source * found).sum(1)
        to_target = 1 - (own * found).sum(1)
        parts = [
            np.asarray(ops.softmax(self.system.frozen.parsing.scores(image)))
            for image in (target, swapped)
        ]
        identity = np.maximum(to_source - [0.3, 0.25, 0.3, 0.25], 0)
        relative = np.maximum(to_source - to_target + 0.5, 0)
        features = 0.0
        for before, after in zip(*self.made["features"], strict=True):
            before, after = np.asarray(before), np.asarray(after)
            size = np.abs(before).reshape(COUNT, -1).mean(1) + 1e-6
            features += np.abs(before - after).reshape(COUNT, -1).mean(1) / size
        expected = {
            "reconstruction": each[[0, 2]].mean(),
            "trace": each[[1, 3]].mean(),
            "identity": identity[[0, 2]].mean() + identity[[1, 3]].mean(),
            "relative": relative[[1, 3]].mean(),
            "perceptual": features[[0, 2]].mean(),
            "outside": (away * np.asarray(self.seen["outside"])).mean(),
            "semantic": np.abs(parts[0] - parts[1]).mean(),
        }
        values = tiny.values_of(self.system.terms, self.seen, self.made, COUNT)
        self.assertEqual(set(values), set(expected))
        for name, value in expected.items():
            self.assertAlmostEqual(values[name], float(value), 4, name)
        self.assertEqual(
            V2_LOSSES.weights,
            {
                "adversarial": 0.1,
                "reconstruction": 1.0,
                "trace": 0.001,
                "identity": 0.1,
                "relative": 0.3,
                "perceptual": 0.01,
                "outside": 0.3,
                "semantic": 0.02,
            },
        )

    def test_self_pairs(self):
        seen = self.system.see(self.batch | self.drawn, Phase(self_pairs=True))
        self.assert_close(seen["reference"], self.batch["target"], atol=0)
        self.assert_close(seen["same"], np.ones(COUNT), atol=0)

    def test_draws(self):
        random = np.random.default_rng(0)
        drawn = self.system.draws(random, 500, Phase())
        self.assertEqual((drawn["hiding"].min(), drawn["hiding"].max()), (0, 23))
        self.assertBetween(drawn["own"].mean(), 0.4, 0.6)


class SystemTest(testing.TestCase):
    @pytest.mark.slow
    def test_a_step_moves_both_networks(self):
        driver, system = tiny.tensorflow_driver(), make_system()
        new = state.build_state(system, system.builders(STRUCTURES))
        step = divided_step.DividedStep(system, new, driver)
        before = {name: net.get_weights() for name, net in new.networks.items()}
        (found,) = tiny.run(step, [batch()])
        for name, network in new.networks.items():
            moved = [
                float(np.abs(after - old).max())
                for after, old in zip(network.get_weights(), before[name], strict=True)
            ]
            self.assertGreater(np.mean(np.array(moved) > 0), 0.95, name)
        weights = system.recipe.weights
        total = sum(weight * found[name] for name, weight in weights.items())
        self.assertAlmostEqual(found["g_loss"], total, places=3)

    def test_each_system_trains_its_version(self):
        first, second = (SYSTEMS[n] for n in ("swap_them_all", "swap_them_all_v2"))
        made = second.structures(
            "swap_them_all_v2_lite_64", {"use_nwg": True}, Fed(16, "e@1"), {}
        )
        self.assertEqual(made["generator"].contract.identity.encoder, "e@1")
        self.assertTrue(made["generator"].use_nwg)
        with self.assertRaisesRegex(ValueError, "of version 1. Received: version 2"):
            first.structures("swap_them_all_v2_lite_64", {}, Fed(), {})


@pytest.mark.large  # minutes: the networks are traced
class RunTest(testing.TestCase):
    def test_from_shards_to_a_file(self):
        with tempfile.TemporaryDirectory() as name:
            folder = pathlib.Path(name)
            self.addCleanup(os.chdir, os.getcwd())
            os.chdir(folder)
            encoder = build_mobilefacenet(tiny.VECTOR, image_size=32, width=0.125)
            encoder.save(folder / "encoder.keras")
            words = [
                "--system=swap_them_all_v2",
                "--preset=swap_them_all_v2_lite_64",
                "--structure=widths=[4,4,8,8]",
                "--structure=spade_width=3",
                f"--data_dir={tiny.write_shards(folder)}",
                "--arcface_path=encoder.keras",
                "--batch_size=4",
                "--save_every=1",
            ]
            (path,) = tiny.train_and_export(words, (1, 2))
            generator = load_generator(path)
            self.assertEqual(generator.contract.inputs, swap_them_all._FEEDS)
