"""faceswap-GAN: its losses against NumPy, its schedule, a run from shards to a swap."""

import os
import pathlib

import keras
import numpy as np
import pytest
from absl.testing import parameterized
from keras import ops

from facedancer import cli
from facedancer.errors import InputError
from facedancer.models import load_generator
from facedancer.train import train
from facedancer.train.config import TrainConfig
from facedancer.train.objective import adversary
from facedancer.train.objective.recipes import Stage
from facedancer.train.step import divided_step, state
from facedancer.train.systems.base import Fed, Phase
from facedancer.train.systems.faceswap_gan import recipes
from facedancer.train.systems.faceswap_gan import terms as formulas
from facedancer.train.systems.faceswap_gan.recipes import CORRECTED, PUBLISHED
from facedancer.train.systems.faceswap_gan.system import FaceswapGAN
from facedancer.video_swap.engines import make
from facedancer.video_swap.swapping import identities, swapper
from tests import testing
from tests.train import faceswap_tiny, tiny
from tests.video_swap import made

SIDES = faceswap_tiny.SIDES
ROWS, SMALL = 3, 16


def seen_and_made(seed=0):
    """Random tensors of both people; one smaller picture of half the side."""
    draws = np.random.default_rng(seed)

    def image(channels, low=-1.0, side=SMALL):
        return draws.uniform(low, 1, (ROWS, side, side, channels)).astype("float32")

    seen = {"margin": np.float32(0.4)}
    made_of = {"kernels": np.float32(7.0)}
    for side in SIDES:
        seen |= {f"photo{side}": image(3), f"eyes{side}": image(1, 0.0)}
        made_of |= {f"raw{side}": image(3), f"alpha{side}": image(1, 0.0)}
        made_of[f"small{side}"] = [image(3, side=SMALL // 2)]
        made_of |= {f"again{side}": image(3), f"again_alpha{side}": image(1, 0.0)}
        made_of[f"other_alpha{side}"] = image(1, 0.0)
        made_of[f"judged{side}"] = draws.normal(size=ROWS).astype("float32")
        seen[f"maps{side}"] = [image(4, side=k) for k in (8, 4, 2, 3)]
        made_of[f"maps{side}"] = [image(4, side=k) for k in (8, 4, 2, 3)]
    return seen, made_of


def by_numpy(seen, found, side):
    """What each term should be for one person, written down anew."""
    photo, raw, alpha = (
        a.astype(float)
        for a in (seen[f"photo{side}"], found[f"raw{side}"], found[f"alpha{side}"])
    )
    eyes, apart = seen[f"eyes{side}"].astype(float), np.abs(photo - raw)
    half = photo.reshape(ROWS, 8, 2, 8, 2, 3).mean((2, 4))
    edges = [np.abs(np.diff(photo, axis=k) - np.diff(raw, axis=k)) for k in (1, 2)]
    normed = []
    for one in (seen[f"maps{side}"], found[f"maps{side}"]):
        normed.append(
            [
                (m - m.mean((1, 2, 3), keepdims=True))
                / (m.std((1, 2, 3), keepdims=True) + 1e-3)
                for m in one
            ]
        )
    maps = [np.square(a - b).mean() for a, b in zip(*normed, strict=True)]
    probability = 1 / (1 + np.exp(-found[f"judged{side}"].astype(float)))
    right = probability if side == "_a" else 1 - probability
    return {
        "reconstruction": apart.mean() + np.abs(half - found[f"small{side}"][0]).mean(),
        "eyes": (eyes * apart).mean(),
        "edges": edges[0].mean() + edges[1].mean(),
        "eye_edges": (eyes[:, 1:] * edges[0]).mean()
        + (eyes[:, :, 1:] * edges[1]).mean(),
        "perceptual": np.dot(maps, [0.1, 0.3, 0.1, 0.01]),
        "alpha_sparsity": alpha.mean(),
        "alpha_hinge": np.maximum(0, 0.4 - alpha).mean(),
        "alpha_variation": sum(np.abs(np.diff(alpha, axis=k)).mean() for k in (1, 2)),
        "cycle": np.abs(photo - found[f"again{side}"]).mean(),
        "cycle_alpha": np.abs(
            found[f"other_alpha{side}"] - found[f"again_alpha{side}"]
        ).mean(),
        "domain": -np.log(right).mean(),
    }


class LossesTest(testing.TestCase):
    def test_against_numpy(self):
        seen, found = seen_and_made()
        both = [by_numpy(seen, found, side) for side in SIDES]
        wanted = {name: both[0][name] + both[1][name] for name in both[0]}
        wanted["weight_decay"] = 7.0
        values = tiny.values_of(formulas.TERMS, seen, found, ROWS)
        self.assertEqual(set(values), set(wanted))
        for name, value in values.items():
            self.assertAlmostEqual(value, wanted[name], places=4, msg=name)

    def test_by_hand(self):
        alpha = np.zeros((1, 2, 2, 1), "float32")
        alpha[0, 0, 0] = 1.0  # one step down of two, one across of two
        self.assertEqual(float(formulas.variation(alpha)[0]), 0.5 + 0.5)
        one = np.array([[-1.0, 1.0]], "float32").reshape(1, 1, 2, 1)
        self.assertAlmostEqual(float(formulas.map_distance(one, 5 * one)[0]), 0.0, 5)
        self.assertAlmostEqual(float(formulas.map_distance(one, -one)[0]), 4.0, 1)

    def test_relativistic_least_squares_by_hand(self):
        """The mean over the rows, place by place; both halves are paid."""
        fake = np.array([[0.0, 1.0], [2.0, 3.0]], "float32")
        real = np.array([[1.0, 1.0], [3.0, 1.0]], "float32")
        # Means: fake (1, 2), real (2, 1).
        found = adversary.generator_loss("relativistic_lsgan", fake, real)
        rows = [
            [((0 - 2 - 1) ** 2 + (1 - 1 + 1) ** 2) / 2, (1 + (1 - 2 + 1) ** 2) / 2],
            [((2 - 2 - 1) ** 2 + (3 - 1 + 1) ** 2) / 2, ((3 - 1 - 1) ** 2 + 0) / 2],
        ]
        self.assert_close(found, np.mean(rows, axis=1))
        parts = adversary.discriminator_loss("relativistic_lsgan", fake, real)
        rows = [[(0 - 2 + 1) ** 2, (1 - 1 + 1) ** 2], [1, (3 - 1 + 1) ** 2]]
        self.assert_close(parts[0], np.mean(rows, axis=1) / 2)
        rows = [[(1 - 1 - 1) ** 2, (1 - 2 - 1) ** 2], [(3 - 1 - 1) ** 2, 4]]
        self.assert_close(parts[1], np.mean(rows, axis=1) / 2)

    def test_the_critic_learns_what_the_encoder_hides(self):
        import tensorflow as tf

        code, weight = tf.constant([[1.0, 2.0]]), tf.constant([[3.0], [-1.0]])
        with tf.GradientTape() as tape:
            tape.watch([code, weight])
            seen = formulas.reversed_gradient(code)
            loss = tf.reduce_sum(seen @ weight)
        self.assertEqual(seen.numpy().tolist(), [[1.0, 2.0]])
        at_code, at_weight = tape.gradient(loss, [code, weight])
        self.assertEqual(at_code.numpy().tolist(), [[-3.0, 1.0]])
        self.assertEqual(at_weight.numpy().ravel().tolist(), [1.0, 2.0])


class RecipeTest(testing.TestCase):
    def test_published_schedule(self):
        """Each switch 150 steps early, from the table of the original."""
        stages = PUBLISHED.all_stages()
        starts = [0, 7850, 11850, 15850, 19850, 26517, 31850, 35850]
        self.assertEqual([one.start for one in stages], starts)
        for number, (name, margin, rate) in enumerate(
            [
                ("alpha_sparsity", None, 1.0),
                ("alpha_sparsity", None, 1.0),
                ("alpha_hinge", 0.5, 1.0),
                ("alpha_hinge", 0.2, 1.0),
                ("alpha_hinge", 0.4, 1.0),
                ("alpha_sparsity", None, 0.3),
                ("alpha_hinge", 0.1, 0.3),
                ("alpha_sparsity", None, 0.1),
            ]
        ):
            weights = PUBLISHED.weights_in(number)
            self.assertEqual("perceptual" in weights, number > 0)
            both = {"alpha_sparsity", "alpha_hinge"}
            self.assertEqual(both & set(weights), {name})
            if margin is not None:
                self.assertEqual(PUBLISHED.options_in(number).alpha_margin, margin)
            rates = PUBLISHED.learning_rate(starts[number], 40_000) / 1e-4
            self.assertAlmostEqual(rates, rate)
        exchanged = [one.exchange for one in stages]
        self.assertEqual(exchanged[6], (("decoder_a", "decoder_b"),))
        self.assertEqual([len(one) for one in exchanged], [0] * 6 + [1, 0])
        reset = [one.reset_optimizers for one in stages]
        self.assertEqual(reset, [False] + [True] * 7)
        self.assertFalse(any(one.reset_optimizers for one in CORRECTED.stages))

    def parse(self, *words):
        words = ("--system=faceswap_gan", *words)
        return cli.parse(TrainConfig, list(words)).training_recipe

    def test_a_shorter_schedule(self):
        found = self.parse("--options=total=800", "--recipe=published")
        self.assertEqual([one.start for one in found.stages][-3:], [530, 637, 717])
        self.assertTrue(found.stages[1].reset_optimizers)
        self.assertEqual(len(recipes.schedule(4, False)), 5)  # some fall together
        self.assertEqual(self.parse("--options=total=0").all_stages(), (Stage(0),))
        off = self.parse("--weights=perceptual=0")
        self.assertFalse(off.ever("perceptual"))
        self.assertEqual(FaceswapGAN.needs_frozen(off), frozenset())

    def test_numbers_that_do_not_fit(self):
        for words, message in (
            (("--options=mixup=0.4", "--adversarial=hinge"), "mixup is for --adv"),
            (("--options=alpha_margin=2",), "alpha_margin.*Received: 2"),
            (("--options=part_swap=-1",), "part_swap.*Received: -1"),
            (("--i_lambda=1",), "--i_lambda has no meaning for --system=faceswap_gan"),
            (("--options=labels=1",), "Received: labels"),
        ):
            with self.assertRaisesRegex(ValueError, message):
                self.parse(*words)

    def test_adversaries(self):
        found = faceswap_tiny.make_system(CORRECTED).adversaries
        self.assertEqual({one.mixup for one in found}, {0.2})
        players = {one.name: (one.player, one.fake, one.condition) for one in found}
        wanted = ("d_b", "raw_b", ("distorted_b",))
        self.assertEqual(players["adversarial_raw_b"], wanted)
        changed = CORRECTED.changed(kind="relativistic_lsgan")
        found = faceswap_tiny.make_system(changed).adversaries
        kinds = [(one.name, one.kind, one.mixup) for one in found if "_a" in one.name]
        self.assertEqual(
            kinds,
            [
                ("adversarial_a", "lsgan", 0.0),
                ("adversarial_raw_a", "relativistic_lsgan", 0.0),
            ],
        )


class StepTest(testing.TestCase):
    """The gradients of one step of tiny networks, everything at work; not traced."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.system = faceswap_tiny.make_system()
        keras.utils.set_random_seed(1)
        builders = cls.system.builders(faceswap_tiny.structures())
        new = state.build_state(cls.system, builders)
        driver = tiny.tensorflow_driver()
        cls.step = divided_step.DividedStep(cls.system, new, driver, seed=5)
        cls.draws = cls.step.draws(0, Phase())
        cls.batch = cls.step.share(faceswap_tiny.batch(), cls.draws)
        cls.gradients, sums = cls.step.gradients(cls.batch, Phase())
        cls.values = cls.step.report(sums, Phase())

    def test_all_networks_learn(self):
        players = {"g": ("encoder", "decoder_a", "decoder_b", "critic")}
        players |= {f"d{side}": (f"discriminator{side}",) for side in SIDES}
        self.assertEqual(self.step.state.players, players)
        for player, found in self.gradients.items():
            variables = self.step.state.variables_of(player)
            for variable, gradient in zip(variables, found, strict=True):
                largest = float(ops.max(ops.abs(gradient)))
                self.assertGreater(largest, 0.0, (player, variable.path))

    def test_the_sum_of_the_log(self):
        weights, values = faceswap_tiny.RECIPE.weights_in(0), self.values
        total = sum(weight * values[name] for name, weight in weights.items())
        self.assertAlmostEqual(float(values["g_loss"] / total), 1.0, places=4)
        kernels = [
            np.square(weight).sum()
            for name in ("encoder", "decoder_a", "decoder_b")
            for weight in self.step.state.networks[name].get_weights()
            if weight.ndim == 4
        ]
        decay = float(values["weight_decay"]) / sum(kernels)
        self.assertAlmostEqual(decay, 1.0, places=4)
        decays = [one.weight_decay for one in self.system.adversaries]
        self.assertEqual(decays, [weights["weight_decay"], 0.0] * 2)

    def test_what_is_made(self):
        """Composite and cycle, of networks called one by one."""
        batch = {name: np.asarray(value) for name, value in self.batch.items()}
        seen = self.system.see(batch, Phase())
        networks = self.step.state.networks
        found = self.system.make(networks, seen, frozenset({"cycle", "codes"}))
        encoder = networks["encoder"]
        for side, other in (("_a", "_b"), ("_b", "_a")):
            distorted = batch[f"distorted{side}"]
            alpha, raw = networks[f"decoder{side}"](encoder(distorted)[0])
            alpha, raw = np.asarray(alpha), np.asarray(raw)
            wanted = alpha * raw + (1 - alpha) * distorted
            self.assert_close(found[f"swapped{side}"], wanted, atol=1e-5)
            there = networks[f"decoder{other}"](encoder(distorted)[0])
            back = networks[f"decoder{side}"](encoder(there[1])[0])
            self.assert_close(found[f"other_alpha{side}"], there[0], atol=1e-5)
            self.assert_close(found[f"again{side}"], back[1], atol=1e-5)
            logits = networks["critic"](encoder(distorted)[1])[:, 0]
            self.assert_close(found[f"judged{side}"], logits, atol=1e-5)
        self.assert_close(seen["eyes_a"], (batch["features_a"][..., 1:2] + 1) / 2)

    def test_draws(self):
        found = self.step.draws(3, Phase())
        self.assertEqual(len(set(found["blend"])), 1)
        self.assertEqual(found["mixup_discriminator_a"].shape, (2,))
        keep = [self.step.draws(k, Phase())["keep"] for k in range(300)]
        self.assertAlmostEqual(np.mean(keep), 0.7, delta=0.07)

    def test_decoders_change_places(self):
        recipe = faceswap_tiny.RECIPE.changed(stages=recipes.schedule(40, False))
        new = self.step.state
        old = [new.networks[f"decoder{side}"].get_weights() for side in SIDES]
        (stage,) = (one for one in recipe.stages if one.exchange)
        moments = [np.array(v) for v in new.optimizers["g"].variables]
        new.begin(stage)
        for side, wanted in zip(SIDES, reversed(old), strict=True):
            found = new.networks[f"decoder{side}"].get_weights()
            for one, other in zip(found, wanted, strict=True):
                self.assert_close(one, other, atol=0)
        for one, other in zip(new.optimizers["g"].variables, moments, strict=True):
            self.assert_close(one, other, atol=0)
        new.begin(stage)  # back


class StructureTest(testing.TestCase):
    @parameterized.parameters(({},), ({"latent": 9},))
    def test_the_critic_fits_the_code(self, changes):
        fed = Fed(people=("anna", "ben"))
        found = FaceswapGAN.structures("faceswap_gan_lite_128", changes, fed, {})
        latent = changes.get("latent", 2048)
        self.assertEqual(
            (found["critic"].latent, found["encoder"].latent), (latent,) * 2
        )
        contract = FaceswapGAN.contract_of(found)
        self.assertEqual(contract.identity.names, ("ben",))


@pytest.mark.large  # a minute: five networks are traced
class RunTest(testing.TestCase):
    """Two steps, a third after a restart, both people exported, a swap by alpha."""

    def test_from_shards_to_a_swap(self):
        folder = self.tempdir()
        self.addCleanup(os.chdir, os.getcwd())
        os.chdir(folder)
        words = [
            "--system=faceswap_gan",
            "--preset=faceswap_gan_lite_64",
            "--structure=width=16",
            "--structure=latent=8",
            "--structure=attention=0",
            "--structure=d_base_width=2",
            "--options=total=3",
            "--weights=perceptual=0",
            f"--data_dir={tiny.write_shards(folder, people=2)}",
            "--batch_size=2",
            "--save_every=1",
            "--log_dir=logs",
        ]
        found = [path.name for path in tiny.train_and_export(words)]
        self.assertEqual(found, ["facedancer_3_0.keras", "facedancer_3_1.keras"])
        for name in found:
            generator = load_generator(pathlib.Path("exports/facedancer", name))
            rules = [identities.Rule("own", None, 0)]
            parts = (made.SquareDetector(), made.ColourEmbedder(), rules)
            engine = make.make_engine(generator, "keras")
            swap = swapper.FaceSwapper(engine, generator.contract, *parts)
            image = made.scene((made.RED, 20, 30, 48))
            changed = np.abs(swap.swap_frame(image).image.astype(int) - image)
            self.assertGreater(changed[35:70, 25:60].mean(), 5)
        with self.assertRaisesRegex(InputError, "--triplets has no meaning"):
            train.main(cli.parse(TrainConfig, [*words, "--triplets=x", "--steps=4"]))
