"""Tests of pseudo targets: who is swapped, what is known of them, whose truth it is."""

import dataclasses

import keras
import numpy as np
import pytest
from keras import ops

from facedancer.errors import InputError
from facedancer.models import build_generator
from facedancer.models.families.conditional_gan.config import ConditionalConfig
from facedancer.models.families.conditional_gan.generator import ConditionalGenerator
from facedancer.train.frozen import proxy
from facedancer.train.frozen.frozen_networks import FrozenNetworks
from facedancer.train.frozen.teachers import Teacher
from facedancer.train.objective import losses
from facedancer.train.step import divided_step, state
from facedancer.train.systems import facedancer
from facedancer.train.systems.base import Phase
from tests import testing
from tests.train import tiny

RECIPE = tiny.QUICK.changed(same_person_ratio=0.5, truth=5.0)


def make_proxy(people=3, **changes):
    keras.utils.set_random_seed(5)
    config = dataclasses.replace(tiny.GENERATOR, **changes)
    vectors = np.random.default_rng(1).normal(size=(people, tiny.VECTOR))
    return proxy.Proxy(build_generator(config), vectors.astype("float32"))


def batch(count=6):
    """Rows: the same photo, two photos of one person, others."""
    found = tiny.batch(count)
    found["same"] = np.array([1, 0, 0, 0, 0, 0], "float32")
    found["target_identity"] = np.array([1, 2, 3, 4, 5, 6])
    found["source_identity"] = np.array([1, 2, 3, 9, 9, 9])
    found["row"] = np.arange(count, dtype="int32")
    return found


def see(recipe=RECIPE, maker=None, **draws):
    made = make_proxy() if maker is None else maker
    frozen = FrozenNetworks(Teacher(tiny.encoder(), tiny.TAPS), (0.01,) * 2, proxy=made)
    system = facedancer.FaceDancer(recipe, frozen, 6)
    found = batch()
    drawn = system.draws(np.random.default_rng(0), 6, Phase())
    drawn |= {name: np.full(6, value, "float32") for name, value in draws.items()}
    return found, system.see({**found, **drawn}, Phase()), system


class ProxyTest(testing.TestCase):
    def test_pairs_of_one_person_get_another_face(self):
        found, seen, _ = see(proxy_chosen=0.0)
        self.assert_close(seen["known"], np.array([0, 1, 1, 0, 0, 0], "float32"))
        self.assert_close(seen["same"], np.array([1, 0, 0, 0, 0, 0], "float32"))
        target = ops.convert_to_numpy(seen["target"])
        for row in (0, 3, 4, 5):
            np.testing.assert_array_equal(target[row], found["target"][row])
        for row in (1, 2):
            self.assertGreater(np.abs(target[row] - found["target"][row]).mean(), 0.01)
        self.assert_close(seen["reference"], found["target"])
        self.assert_close(seen["source"], found["source"])

    def test_the_truth_is_the_photo(self):
        found, seen, system = see(proxy_chosen=0.0)
        term = next(one for one in system.terms if one.name == "truth")
        swapped = np.random.default_rng(2).uniform(-1, 1, found["target"].shape)
        sums = term.sums(seen, {"swapped": swapped.astype("float32")})
        expected = (
            np.abs(found["target"][1:3] - swapped[1:3]).mean(axis=(1, 2, 3)).sum()
        )
        self.assert_close(sums["truth"], expected, rtol=1e-5)
        self.assert_close(sums["known"], 2.0)

    def test_share(self):
        _, seen, _ = see(RECIPE.changed(proxy_ratio=0.4), proxy_chosen=0.5)
        self.assert_close(seen["known"], np.zeros(6))
        _, seen, _ = see(RECIPE.changed(proxy_ratio=0.6), proxy_chosen=0.5)
        self.assert_close(seen["known"], np.array([0, 1, 1, 0, 0, 0], "float32"))

    def test_none_in_the_warm_up(self):
        found, _, system = see()
        drawn = system.draws(np.random.default_rng(0), 6, Phase())
        seen = system.see({**found, **drawn}, Phase(self_pairs=True))
        self.assert_close(seen["target"], found["target"])

    def test_outside_the_face_it_is_the_photo(self):
        maker = make_proxy()
        image = tiny.batch(2)["target"]
        drawn = maker.draws(np.random.default_rng(0), 2)
        outside = ops.convert_to_numpy(losses.face_ellipse(tiny.SIZE, tiny.SIZE))
        made = maker(image, np.ones((2, tiny.VECTOR), "float32"), drawn, outside)
        corner = outside[0, ..., 0] == 1.0
        self.assertTrue(corner.any() and not corner.all())
        self.assert_close(ops.convert_to_numpy(made)[:, corner], image[:, corner])

    def test_identity_by_hand(self):
        """Strength 0.5 of the way is 0.7 + 0.3 = 1: the other person, whole."""
        maker = make_proxy()
        drawn = {"proxy_person": np.array([0.5], "float32")}
        drawn["proxy_strength"] = np.array([0.5], "float32")
        own = np.random.default_rng(3).normal(size=(1, tiny.VECTOR)).astype("float32")
        found = maker._somebody(own, drawn)
        self.assert_close(found, maker.vectors[1:2], rtol=1e-4, atol=1e-5)

    def test_another_size(self):
        maker = make_proxy(image_size=32)
        image = tiny.batch(2)["target"]
        drawn = maker.draws(np.random.default_rng(0), 2)
        made = maker(image, np.ones((2, tiny.VECTOR), "float32"), drawn, 0.0)
        self.assertEqual(tuple(made.shape), image.shape)

    def test_refusals(self):
        maker = make_proxy()
        with pytest.raises(InputError, match="trained with the encoder unknown"):
            proxy.check(maker.generator, "tiny@1", 1.0)
        known = make_proxy(encoder="tiny@1", shrink=0.8)
        with pytest.raises(InputError, match="crops of --shrink_factor=0.8, these"):
            proxy.check(known.generator, "tiny@1", 1.0)
        proxy.check(known.generator, "tiny@1", 0.8)
        with pytest.raises(ValueError, match="vectors of 8 numbers"):
            proxy.Proxy(maker.generator, np.zeros((3, 5), "float32"))
        other = ConditionalGenerator(ConditionalConfig(64, 4, 4, 4, 0, label_size=3))
        with pytest.raises(InputError, match="ConditionalGenerator, .* target, label$"):
            proxy.check(other, "tiny@1", 0.8)


class StepTest(tiny.EagerTestCase):
    @pytest.mark.slow
    def test_a_step_with_pseudo_targets(self):
        """Its term is reported, and the proxy does not move."""
        driver = tiny.tensorflow_driver()
        with driver.scope():
            system = tiny.make_system(RECIPE, 6)
            frozen = dataclasses.replace(system.frozen, proxy=make_proxy())
            system = facedancer.FaceDancer(RECIPE, frozen, 6)
            new = state.build_state(system, tiny.builders(), "float32")
            step = divided_step.DividedStep(system, new, driver)
        before = [np.array(w) for w in frozen.proxy.generator.weights]
        found = {name: value for name, value in batch().items() if name != "row"}
        values = tiny.run(step, [found, found])
        assert values[1]["truth"] > 0.0 and np.isfinite(values[1]["g_loss"])
        for weight, old in zip(frozen.proxy.generator.weights, before, strict=True):
            np.testing.assert_array_equal(np.array(weight), old)
