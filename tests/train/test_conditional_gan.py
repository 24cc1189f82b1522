"""The conditional GAN: its losses against NumPy, its recipes, a run to a swap."""

import os

import keras
import numpy as np
import pytest

from facedancer.errors import InputError
from facedancer.face import face_maps
from facedancer.face.alignment import Alignment
from facedancer.models import load_generator
from facedancer.models.families.face_parser.config import FaceParserConfig
from facedancer.models.families.face_parser.network import FaceParserNetwork
from facedancer.networks.contract import IdentityInput, InputContract, SwapContract
from facedancer.train.frozen.face_parsing import FaceParsing
from facedancer.train.frozen.frozen_networks import FrozenNetworks
from facedancer.train.systems.base import Fed, Phase
from facedancer.train.systems.conditional_gan import formulas
from facedancer.train.systems.conditional_gan.recipes import (
    PUBLISHED,
    SAEHD_LIKE,
    SHUFFLED,
)
from facedancer.train.systems.conditional_gan.system import ConditionalGAN
from facedancer.video_swap import options
from tests import testing
from tests.train import tiny

ROWS, SIZE = 3, 40
PARSER = FaceParserConfig(16, 3, (4, 5, 6), (1, 1, 1), decoder=4, fine=3)


def windows(image, size):
    """Every window of a picture, `(places, size, size)`, and the weights of one."""
    place = np.arange(size) - (size - 1) / 2
    line = np.exp(-(place**2) / (2 * (1.5 * size / 11) ** 2))
    weights = np.outer(line, line) / np.outer(line, line).sum()
    found = np.lib.stride_tricks.sliding_window_view(image.astype(float), (size, size))
    return found.reshape(-1, size, size), weights


def ssim(first, second, size=11):
    """SSIM of two pictures, window by window."""
    values = []
    for channel in range(first.shape[-1]):
        one, weights = windows(first[..., channel], size)
        two, _ = windows(second[..., channel], size)
        for a, b in zip(one, two, strict=True):
            x, y = (weights * a).sum(), (weights * b).sum()
            xx = (weights * (a - x) ** 2).sum()
            yy = (weights * (b - y) ** 2).sum()
            xy = (weights * (a - x) * (b - y)).sum()
            luminance = (2 * x * y + 1e-4) / (x * x + y * y + 1e-4)
            values.append(luminance * (2 * xy + 9e-4) / (xx + yy + 9e-4))
    return np.mean(values)


def batch(seed=0):
    draws = np.random.default_rng(seed)
    names = ("photo", "distorted", "features")
    shape = (ROWS, SIZE, SIZE, 3)
    found = {name: draws.uniform(-1, 1, shape).astype("float32") for name in names}
    found["features"] = np.sign(found["features"])
    return found | {"label": np.array([2, 0, 1])}


def measure(recipe):
    """What is seen, what is made at random, and the values of the terms."""
    system = ConditionalGAN(recipe.changed(masks="landmarks"), FrozenNetworks(), ROWS)
    draws = np.random.default_rng(5)
    picture = draws.uniform(0, 1, (ROWS, SIZE, SIZE, 3)).astype("float32")
    alpha = draws.uniform(0, 1, (ROWS, SIZE, SIZE, 1)).astype("float32")

    def network(feeds, training):
        assert feeds[1].shape == (ROWS, 1)
        return [picture, alpha]

    seen = system.see(batch(), Phase())
    made = system.make({"generator": network}, seen, frozenset())
    values = tiny.values_of(system.terms, seen, made, ROWS)
    return seen, made, values, picture, alpha


class LossesTest(testing.TestCase):
    def test_ssim_against_numpy(self):
        draws = np.random.default_rng(1)
        first = draws.uniform(0, 1, (2, 14, 17, 3)).astype("float32")
        second = np.clip(first + draws.normal(0, 0.1, first.shape), 0, 1)
        second = second.astype("float32")
        for size in (11, 5):
            found = formulas.dissimilarity(first, second, size)
            wanted = [
                (1 - ssim(*pair, size)) / 2 for pair in zip(first, second, strict=True)
            ]
            self.assert_close(found, np.array(wanted), atol=2e-5)
        self.assert_close(formulas.dissimilarity(first, first), np.zeros(2), atol=1e-6)
        # Flat pictures by hand: nothing but the luminance is left.
        flat = np.full((1, 12, 12, 1), 0.2, "float32")
        wanted = (1 - (2 * 0.2 * 0.6 + 1e-4) / (0.04 + 0.36 + 1e-4)) / 2
        found = formulas.dissimilarity(flat, flat * 3)
        self.assertAlmostEqual(float(found[0]), wanted, places=4)

    def test_masks_by_hand(self):
        mask = np.zeros((1, 40, 40, 1), "float32")
        mask[:, :, :20] = 1.0
        soft = np.asarray(formulas.soft_mask(mask, 1 / 20))[0, 20, :, 0]
        line = formulas.gaussian(3, 2.0)  # size 2 of the side, made odd
        self.assertAlmostEqual(soft[19], line[0] + line[1], places=5)
        self.assertAlmostEqual(soft[20], line[0], places=5)
        self.assertEqual(soft[10], 1.0)
        self.assert_close(formulas.soft_mask(mask, 0.0), mask, atol=0)
        found = formulas.saturated(np.array([0.0, 0.25, 0.5, 0.9], "float32"))
        self.assert_close(found, np.array([0.0, 0.5, 1.0, 1.0], "float32"))
        sides = [formulas.window_of(512, part) for part in (0.0, 1 / 11.6, 1 / 23.2)]
        self.assertEqual(sides, [11, 45, 23])

    def test_published(self):
        seen, made, values, picture, alpha = measure(PUBLISHED)
        mask, photo = np.asarray(seen["mask"]), np.asarray(seen["photo"])
        wanted = photo * (1 - mask) + picture * mask
        self.assert_close(made["composite"], wanted, atol=1e-6)
        wanted = [(1 - ssim(*pair)) / 2 for pair in zip(photo, wanted, strict=True)]
        self.assertAlmostEqual(values["similarity"], np.mean(wanted), places=4)
        hard = (batch()["features"][..., :1] + 1) / 2
        self.assertAlmostEqual(values["mask"], np.square(hard - alpha).mean(), places=4)
        self.assertEqual(np.asarray(seen["label"]).tolist(), [[2], [0], [1]])
        weights = PUBLISHED.weights
        self.assertEqual(
            (weights["similarity"] / 2, weights["adversarial"]), (100, 0.05)
        )
        self.assertEqual(PUBLISHED.optimisation.lr, 1e-5)

    def test_saehd_like(self):
        seen, _, values, picture, _ = measure(SAEHD_LIKE)
        mask = 2 * np.minimum(np.asarray(seen["mask"]), 0.5)
        photo = np.asarray(seen["photo"])
        apart = mask * (photo - picture)
        self.assertAlmostEqual(values["difference"], np.square(apart).mean(), places=4)
        pairs = list(zip(mask * photo, mask * picture, strict=True))
        found = [np.mean([ssim(*pair, size) for pair in pairs]) for size in (3, 3)]
        self.assertAlmostEqual(values["similarity"], (1 - np.mean(found)) / 2, places=4)
        features = (batch()["features"] + 1) / 2
        parts = features[..., 1:].max(-1, keepdims=True)
        wanted = (parts * np.abs(photo - picture)).mean()
        self.assertAlmostEqual(values["eyes_mouth"], wanted, places=5)
        numbers = [SAEHD_LIKE.weights[name] for name in ("similarity", "difference")]
        self.assertEqual((*numbers, SAEHD_LIKE.weights["eyes_mouth"]), (10, 10, 300))
        self.assertEqual(SAEHD_LIKE.pairs.distortion, "warp")

    def test_masks_of_the_parser(self):
        """Face where both say so; where the parser sees none, all of the outline."""
        keras.utils.set_random_seed(3)
        parsing = FaceParsing(FaceParserNetwork(PARSER), SIZE, Alignment())
        system = ConditionalGAN(PUBLISHED, FrozenNetworks(parsing=parsing), ROWS)
        self.assertEqual(system.needs_frozen(PUBLISHED), {"parsing"})
        told = PUBLISHED.changed(masks="landmarks")
        self.assertEqual(system.needs_frozen(told), frozenset())
        classes = np.zeros((ROWS, 16, 16), "int32")
        classes[0, :, 4:] = face_maps.FACE[0]
        classes[1, :3, :3] = face_maps.FACE[-1]
        parsing.classes = lambda image: classes
        drawn = batch()
        drawn["features"][..., 0] = 1.0
        found = np.asarray(system.see(drawn, Phase())["face"])
        line = face_maps.resizing(SIZE, 16) @ (np.arange(16) >= 4)
        for row in range(SIZE):
            self.assert_close(found[0, row, :, 0], line, atol=1e-5)
        self.assert_close(found[1:], np.ones((2, SIZE, SIZE, 1)), atol=0)
        drawn["features"][..., 0] = -1.0
        self.assertEqual(np.abs(system.see(drawn, Phase())["face"]).max(), 0.0)
        with self.assertRaisesRegex(ValueError, "needs a frozen `parsing`"):
            ConditionalGAN(PUBLISHED, FrozenNetworks(), ROWS).see(drawn, Phase())

    def test_the_judge_sees_composite_and_label(self):
        (one,) = ConditionalGAN(SHUFFLED, FrozenNetworks(), 2).adversaries
        self.assertEqual((one.real, one.fake), ("photo", "composite"))
        self.assertEqual((one.condition, one.kind), (("label",), "lsgan"))
        self.assertEqual(SHUFFLED.pairs.balance, "identity")


class LabelTest(testing.TestCase):
    """A swap is a change of label, by number or by name."""

    def rules(self, contract, **given):
        return options.make_rules(options.PeopleSettings(**given), None, contract)

    def test_names(self):
        image, names = InputContract(16, "unit"), ("ann", "ben", "cid")
        told = IdentityInput("label", 3, names=names)
        contract = SwapContract(image, told, ("target", "label"))
        for word, number in (("ben", 1), ("2", 2)):
            (rule,) = self.rules(contract, label=word)
            self.assertEqual((rule.source, rule.name), (number, word))
        with self.assertRaisesRegex(InputError, "a name: ann, ben, cid. Received: bem"):
            self.rules(contract, label="bem")
        with self.assertRaisesRegex(ValueError, "give one of them. Received: ann, 1"):
            self.rules(contract, label="ann", swap_source=("1",))
        with self.assertRaisesRegex(InputError, "--label is for generators"):
            self.rules(SwapContract(image), label="ann")
        one = SwapContract(image, IdentityInput("none", 0, names=("ann",)), ("target",))
        for word in ("own", "ann"):
            self.assertEqual(self.rules(one, label=word)[0].source, 0)

    def test_names_that_do_not_fit(self):
        for kind, size, names in (("label", 3, ("a", "b")), ("vector", 3, ("a",))):
            with self.assertRaisesRegex(ValueError, "`names` must be"):
                IdentityInput(kind, size, names=names)

    def test_people_of_the_shards_are_the_structure(self):
        fed = Fed(people=("ann", "ben", "cid"))
        found = ConditionalGAN.structures("conditional_gan_lite_64", {}, fed, {})
        self.assertEqual(found["discriminator"].people, fed.people)
        self.assertEqual(ConditionalGAN.contract_of(found).identity.size, 3)


@pytest.mark.large  # a minute: two networks are traced
class RunTest(testing.TestCase):
    """Two steps, a third after a restart, an export that knows the names."""

    def test_from_shards_to_a_file(self):
        folder = self.tempdir()
        self.addCleanup(os.chdir, os.getcwd())
        os.chdir(folder)
        words = [
            "--system=conditional_gan",
            "--preset=conditional_gan_lite_64",
            "--structure=encoder_width=2",
            "--structure=decoder_width=1",
            "--options=distortion=warp",
            f"--data_dir={tiny.write_shards(folder, people=3)}",
            "--batch_size=2",
            "--save_every=1",
            "--log_dir=logs",
        ]
        (path,) = tiny.train_and_export(words)
        generator = load_generator(path)
        self.assertEqual(generator.contract.identity.names, ("0", "1", "2"))
        made = generator.named(generator.example_inputs(2))
        self.assertEqual(made["swapped"].shape, (2, 64, 64, 3))
