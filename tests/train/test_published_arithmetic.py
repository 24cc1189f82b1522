"""Losses and gradients recorded from the original trainer."""

import shutil

import keras
import numpy as np
import pytest
import tensorflow as tf
from absl.testing import parameterized

from facedancer.models import (
    build_discriminator,
    build_generator,
    load_discriminator,
    load_generator,
)
from facedancer.train.drivers.tensorflow_driver import TensorFlowDriver
from facedancer.train.frozen.frozen_networks import FrozenNetworks
from facedancer.train.frozen.teachers import View
from facedancer.train.objective import losses
from facedancer.train.step import divided_step, state
from facedancer.train.systems import facedancer, facedancer_recipes
from facedancer.train.systems.base import Phase
from tests import testing


class RecordedTeacher:
    """Gives recorded vectors in the order of the step: source, target, swapped."""

    shrink = 1.0
    encoder = None

    def __init__(self, *vectors):
        self.vectors = vectors
        self.calls = 0

    def __call__(self, image, view):
        self.calls += 1
        return [], tf.constant(self.vectors[(self.calls - 1) % len(self.vectors)])


class PublishedStepTest(testing.TestCase):
    """Adversarial + 5 reconstruction + cycle, and the discriminator with R1."""

    def setUp(self):
        super().setUp()
        folder = testing.shared("interop", "tf215")
        self.folder = self.tempdir()
        self.recorded = np.load(folder / "train_step.npz")
        self.generator = load_generator(folder / "gen_small_C.h5")
        self.discriminator = load_discriminator(folder / "disc_small.h5")
        for kind, name in (("gen", "gen_small_C"), ("dis", "disc_small")):
            # The gradients lie in a file of weights: beside the structure they load.
            shutil.copy(folder / f"{name}.ckpt" / f"{kind}.json", self.folder)
            shutil.copy(folder / f"train_{kind}_grads.h5", self.folder / f"{kind}_0.h5")
        self.g_grads = load_generator(self.folder / "gen_0.h5").get_weights()
        self.d_grads = load_discriminator(self.folder / "dis_0.h5").get_weights()

    def make_step(self, form, **changes):
        changes = {"identity": 0.0, "perceptual": 0.0, "ifsr": 0.0, **changes}
        recipe = facedancer_recipes.PUBLISHED.changed(**changes)
        z_s, z_t = self.recorded["z_s"], self.recorded["z_t"]
        frozen = FrozenNetworks(RecordedTeacher(z_s, z_t, z_t))
        system = facedancer.FaceDancer(recipe, frozen, batch_size=4)
        builders = {
            "generator": lambda: build_generator(self.generator.config, form),
            "discriminator": lambda: build_discriminator(
                self.discriminator.config, form
            ),
        }
        start = {"generator": self.generator, "discriminator": self.discriminator}
        new = state.build_state(system, builders, start=start)
        return divided_step.DividedStep(system, new, TensorFlowDriver())

    def batch(self):
        count = 4
        view = View(tf.ones(count), tf.zeros((count, 2)), tf.zeros(count))
        return {
            "target": tf.constant(self.recorded["target"]),
            "source": tf.constant(self.recorded["source"]),
            "same": tf.constant(self.recorded["flags"], tf.float32),
            "row": tf.range(count),
            "source_identity": tf.fill(count, -1),
            **vars(view),
        }

    @pytest.mark.slow
    def test_gradients(self):
        self.check_gradients("composed", shared=True)

    @parameterized.parameters(("composed", False), ("plain", True))
    @pytest.mark.slow
    def test_gradients_otherwise(self, form, shared):
        self.check_gradients(form, shared)

    def check_gradients(self, form, shared):
        train_step = self.make_step(form)
        self.assertTrue(train_step.shared)
        train_step.shared = shared
        phase = train_step.phase_of(0)
        self.assertTrue(phase.with_r1)
        gradients, sums = train_step.gradients(self.batch(), phase)
        g_grads, d_grads = gradients["g"], gradients["d"]
        values = train_step.report(sums, phase)
        d_loss = values["d_loss"] + 5.0 * values["r1"]
        np.testing.assert_allclose(values["g_loss"], self.recorded["grad_total"], 1e-5)
        np.testing.assert_allclose(d_loss, self.recorded["grad_dloss"], 1e-5)
        for found, wanted in ((g_grads, self.g_grads), (d_grads, self.d_grads)):
            self.assertLen(found, len(wanted))
            largest = max(np.abs(array).max() for array in wanted)
            for a, b in zip(found, wanted, strict=True):
                np.testing.assert_allclose(a, b, rtol=0, atol=1e-5 * largest)

    @pytest.mark.slow
    def test_each_network_runs_no_more_often_than_needed(self):
        train_step = self.make_step("plain")
        calls = {"generator": 0, "discriminator": 0}
        for name in calls:
            networks = train_step.state.networks
            networks[name] = _Counted(networks[name], calls, name)
        train_step.gradients(self.batch(), Phase(with_r1=False))
        self.assertEqual(calls, {"generator": 2, "discriminator": 1})
        self.assertEqual(train_step.system.frozen.teacher.calls, 3)


class _Counted:
    def __init__(self, model, calls, name):
        self.model, self.calls, self.name = model, calls, name

    def __call__(self, *args, **kwargs):
        self.calls[self.name] += 1
        return self.model(*args, **kwargs)

    def __getattr__(self, name):
        return getattr(self.model, name)


class RecordedReconstructionTest(testing.TestCase):
    @parameterized.parameters(
        (losses.absolute_difference, "fs_reconstruction_loss_l1"),
        (losses.squared_difference, "fs_reconstruction_loss"),
    )
    def test_value(self, difference, name):
        recorded = np.load(testing.shared("interop", "tf215", "train_step.npz"))
        flags = recorded["flags"].astype("float32")
        values = difference(recorded["l_true"], recorded["l_pred"])
        total = keras.ops.sum(flags * values)
        found = losses.published_reconstruction(total, flags.sum())
        np.testing.assert_allclose(found, recorded[name], rtol=1e-5)
