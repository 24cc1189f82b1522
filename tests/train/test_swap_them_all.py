"""Swap-them-all: what it is fed, its losses against NumPy, a step, a run."""

import dataclasses
import os
import pathlib
import tempfile

import keras
import numpy as np
import pytest
from keras import ops

from facedancer.arcface_model import build_mobilefacenet
from facedancer.face import face_maps
from facedancer.face.alignment import Alignment
from facedancer.models import load_generator
from facedancer.models.families.face_parser.config import FaceParserConfig
from facedancer.models.families.face_parser.network import FaceParserNetwork
from facedancer.models.families.swap_them_all.config import (
    PairDiscriminatorConfig,
    SemanticDiscriminatorConfig,
    SwapThemAllConfig,
)
from facedancer.train.frozen.face_parsing import OUTSIDE, FaceParsing
from facedancer.train.frozen.frozen_networks import FrozenNetworks
from facedancer.train.frozen.teachers import Teacher, tap_widths, whole_view
from facedancer.train.step import divided_step, state
from facedancer.train.step.adversarial import Judge, Shown, seen_by
from facedancer.train.systems import SYSTEMS
from facedancer.train.systems.base import Fed, Phase
from facedancer.train.systems.swap_them_all import terms as formulas
from facedancer.train.systems.swap_them_all.recipes import V2_LOSSES, WARPED
from facedancer.train.systems.swap_them_all.system import SwapThemAll, SwapThemAllV2
from tests import testing
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
    "discriminator": SemanticDiscriminatorConfig(SIZE, 2, tiny.VECTOR),
    "pair_discriminator": PairDiscriminatorConfig(SIZE, 2),
}


def make_system(recipe=V2_LOSSES, count=COUNT, system=SwapThemAll):
    keras.utils.set_random_seed(3)
    parsing = FaceParsing(FaceParserNetwork(SMALL), SIZE, Alignment())
    teacher = Teacher(tiny.encoder(), tiny.TAPS)
    frozen = FrozenNetworks(teacher, parsing=parsing)
    return system(recipe, frozen, count)


def batch():
    """Pairs: two of one person, two of others."""
    draws = np.random.default_rng(0)
    names = ("source", "target", "another")
    found = draws.uniform(-1, 1, (3, COUNT, SIZE, SIZE, 3)).astype("float32")
    return dict(zip(names, found, strict=True)) | {"same": np.float32([1, 0, 1, 0])}


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
        cycled = np.random.default_rng(2).uniform(-1, 1, image.shape)
        cls.made["cycled"] = cycled.astype("float32")
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
            found = self.seen["shown"][row]
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

    def test_what_each_version_sees_of_a_target(self):
        """Version 2 sees a face that is swapped, but none that is rebuilt."""
        target = self.batch["target"]
        clear = make_system(system=SwapThemAllV2)
        seen = clear.see(self.batch | self.drawn, Phase())
        self.assert_close(np.asarray(seen["shown"])[[1, 3]], target[[1, 3]], atol=0)
        hidden = np.asarray(seen["hidden"])[[0, 2]]
        self.assert_close(np.asarray(seen["shown"])[[0, 2]], hidden, atol=0)
        moves = np.zeros((COUNT, 5, 5, 2), "float32")
        moves[0, ..., 1] = 3 / SIZE  # each pixel is taken three to the right
        seen = make_system(WARPED).see(
            self.batch | self.drawn | {"moves": moves}, Phase()
        )
        shown = np.asarray(seen["shown"])
        self.assert_close(shown[0, :, :-3], target[0, :, 3:], atol=1e-5)
        self.assert_close(shown[1:], target[1:], atol=1e-5)
        for recipe, system, sees in (
            (V2_LOSSES, SwapThemAll, "masked_target"),
            (V2_LOSSES, SwapThemAllV2, "target"),
            (WARPED, SwapThemAll, "target"),
            (V2_LOSSES.changed(shown="hidden"), SwapThemAllV2, "masked_target"),
        ):
            told = system.settled(recipe, frozenset(), False).structure
            self.assertEqual(told, {"sees": sees})

    def test_warps_by_hand(self):
        image = np.random.default_rng(4).uniform(-1, 1, (2, 17, 17, 3))
        moves = np.zeros((2, 5, 5, 2), "float32")
        moves[1, 1, 2] = 2 / 17, -1 / 17  # the point at row 4, column 8
        found = np.asarray(formulas.warped(image.astype("float32"), moves))
        self.assert_close(found[0], image[0], atol=1e-6)
        # Two rows on, and there half of the column's move is left.
        there = 0.5 * (image[1, 6, 7] + image[1, 6, 8])
        self.assert_close(found[1, 4, 8], there, atol=1e-5)
        self.assert_close(found[1, 0], image[1, 0], atol=1e-6)
        between = 0.375 * image[1, 5, 5] + 0.625 * image[1, 5, 6]  # moves of a half
        self.assert_close(found[1, 4, 6], between, atol=1e-5)
        drawn = formulas.draw_moves(np.random.default_rng(0), 400, 1 / 16)
        self.assertAlmostEqual(float(drawn.std()), 1 / 16, places=3)

    def test_whose_vector_it_is_told(self):
        """Of one person the mix of both photos, of two the source's."""
        source, target, another = (
            self.vectors(self.batch[n]) for n in ("source", "target", "another")
        )
        expected = np.stack([target[0], source[1], another[2], source[3]])
        self.assert_close(self.seen["identity"], expected, atol=1e-4)
        self.assert_close(
            self.seen["source_vector"],
            np.stack([another[0], source[1], another[2], source[3]]),
            atol=1e-4,
        )
        pictures = np.asarray(self.seen["reference"])
        self.assert_close(pictures[0], self.batch["another"][0], atol=0)
        self.assert_close(pictures[1], self.batch["source"][1], atol=0)

    def test_what_discriminators_pay(self):
        """By hand: mixtures, hidden faces and vectors; three kinds of pairs."""
        seen, picture = self.seen, self.made["swapped"]
        first, second = self.system.adversaries
        rng = np.random.default_rng(6)
        masks = np.asarray(seen["semantic_mask"])
        head = rng.normal(size=(6, 1 + tiny.VECTOR)).astype("float32")

        def by_mean(feeds, training):
            image = feeds if not isinstance(feeds, list) else feeds[0]
            parts = (
                feeds[:2] if isinstance(feeds, list) and len(feeds) == 2 else [image]
            )
            means = ops.concatenate([ops.mean(x, axis=(1, 2)) for x in parts], -1)
            found = ops.matmul(means, head)
            return [found[:, :1], found[:, 1:]] if len(parts) == 2 else found[:, :1]

        by_mean.trainable_variables = []
        driver = tiny.tensorflow_driver()

        def logits(image):
            means = np.concatenate([np.asarray(x).mean((1, 2)) for x in image], -1)
            return means @ head

        share = np.float32([0.3] * COUNT)
        shown = Shown(fake=picture, fraction=share, **seen_by(first, seen))
        sums = Judge(driver, by_mean, first, COUNT)(shown, ops.ones(()), False).sums
        target, hidden = self.batch["target"], seen["hidden"]
        mixed = 0.3 * target + 0.7 * picture
        real, fake = logits([target, masks]), logits([picture, masks])
        mixtures = np.square(logits([mixed, masks])[:, 0] - 0.3)
        decoys = np.square(logits([hidden, masks])[:, 0])
        wanted = np.sum(0.5 * mixtures + 0.5 * decoys)
        self.assertAlmostEqual(float(sums["d_fake"]), wanted, places=3)
        self.assertAlmostEqual(float(sums["d_real"]), 0.5 * mixtures.sum(), places=3)
        own = np.asarray(seen["target_vector"])
        wanted = np.square(real[:, 1:] - own).mean(1).sum()
        self.assertAlmostEqual(float(sums["d_told"]), wanted, places=4)
        told = fake[:, 1:] / np.linalg.norm(fake[:, 1:], axis=1, keepdims=True)
        away = 1 - (told * np.asarray(seen["source_vector"])).sum(1)
        wanted = (
            np.square(fake[:, 0] - 1).sum() + np.maximum(away - 0.3, 0)[[1, 3]].sum()
        )
        self.assertAlmostEqual(float(sums["adversarial"]), wanted, places=3)

        source, another = self.batch["source"], self.batch["another"]
        pair = np.concatenate([picture, np.asarray(seen["reference"])], -1)
        shown = Shown(fake=ops.convert_to_tensor(pair), **seen_by(second, seen))
        judge = Judge(driver, by_mean, second, COUNT)
        sums = judge(shown, ops.ones(()), False).sums
        made = np.square(logits([pair])[:, 0])
        wrong = np.square(logits([source, target])[:, 0])[[1, 3]]
        wanted = 2 / 3 * made.sum() + 2 / 3 * wrong.sum()
        self.assertAlmostEqual(float(sums["d_fake_pairs"]), wanted, places=3)
        wanted = np.square(logits([target, another])[:, 0] - 1).sum()
        self.assertAlmostEqual(float(sums["d_real_pairs"]), wanted, places=3)

    def test_pairs_beside_what_the_teacher_sees(self):
        pair = np.concatenate([self.batch["target"], self.batch["another"]], -1)
        image, *maps = self.system._beside_maps(pair)
        self.assert_close(image, pair, atol=0)
        config = PairDiscriminatorConfig(
            SIZE, tap_widths=tap_widths(tiny.encoder(), tiny.TAPS)
        )
        shapes = [one.shape[1:] for one in maps]
        self.assertEqual(tuple(map(tuple, shapes)), config.map_shapes)
        found = np.asarray(self.system._maps(self.batch["another"])[config.chosen[0]])
        half = config.map_shapes[0][2] // 2
        self.assertAlmostEqual(
            float(np.asarray(maps[0])[..., half:].mean()), float(found.mean()), places=3
        )

    def test_losses_against_numpy(self):
        target, swapped = self.batch["target"], self.made["swapped"]
        away = np.abs(target - swapped)
        each = away.mean((1, 2, 3))
        source, own, found = (
            self.vectors(image)
            for image in (np.asarray(self.seen["reference"]), target, swapped)
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
            "cycle": np.abs(target - self.made["cycled"])
            .mean((1, 2, 3))[[1, 3]]
            .mean(),
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
                "adversarial_pairs": 0.1,
                "reconstruction": 1.0,
                "trace": 0.001,
                "identity": 0.1,
                "relative": 0.3,
                "perceptual": 0.01,
                "cycle": 0.5,
                "outside": 0.3,
                "semantic": 0.02,
            },
        )

    def test_self_pairs(self):
        seen = self.system.see(self.batch | self.drawn, Phase(self_pairs=True))
        self.assert_close(seen["reference"], self.batch["target"], atol=0)
        self.assert_close(seen["identity"], seen["target_vector"], atol=1e-6)
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
        widths = tap_widths(system.frozen.teacher.encoder, tiny.TAPS)
        told = dataclasses.replace(STRUCTURES["pair_discriminator"], tap_widths=widths)
        structures = STRUCTURES | {"pair_discriminator": told}
        new = state.build_state(system, system.builders(structures))
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
        self.assertEqual(made["discriminator"].vector_size, 16)
        known = {"discriminator": SemanticDiscriminatorConfig(SIZE, 2, 5)}
        with self.assertRaisesRegex(ValueError, "tells vectors of 5, .* is told 16"):
            first.structures("swap_them_all_lite_64", {}, Fed(16, "e@1"), known)
        known = {"generator": STRUCTURES["generator"]}
        with self.assertRaisesRegex(
            ValueError, "see the masked_target.*for the target"
        ):
            first.structures("swap_them_all_lite_64", {"sees": "target"}, Fed(), known)
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
            wanted = ("target", "semantic_mask", "reference", "identity")
            self.assertEqual(generator.contract.inputs, wanted)
