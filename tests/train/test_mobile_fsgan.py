"""MobileFSGAN: its losses against NumPy, its discriminators, a run from end to end."""

import json
import os
import pathlib
import tempfile

import cv2
import keras
import numpy as np
import pytest
from absl.testing import parameterized
from keras import ops

from facedancer.dataset.shards import records
from facedancer.models import load_generator
from facedancer.train.frozen.perceptual import Perceptual
from facedancer.train.frozen.teachers import whole_view
from facedancer.train.loop import checkpoints
from facedancer.train.step import divided_step, state
from facedancer.train.systems import mobile_fsgan
from facedancer.train.systems.base import Fed, Phase
from facedancer.train.systems.mobile_fsgan_recipes import CORRECTED, PUBLISHED
from tests import testing
from tests.train import mobile_tiny, tiny

SIZE, RECIPE = mobile_tiny.SIZE, mobile_tiny.RECIPE
PICTURES = ("swapped", "swapped_half", "swapped_quarter")


def values(system, seen, made):
    return tiny.values_of(system.terms, seen, made, len(seen["target"]))


def pictures(seed=1):
    draws = np.random.default_rng(seed)
    return {
        name: draws.uniform(-1, 1, (5, SIZE >> i, SIZE >> i, 3)).astype("float32")
        for i, name in enumerate(PICTURES)
    }


def border():
    mask = np.zeros((SIZE, SIZE))
    mask[:10] = mask[:, :5] = mask[:, 27:] = 1.0  # 80, 40 and 216 of 256
    return mask


class LossesTest(testing.TestCase):
    def measure(self, recipe):
        system = mobile_tiny.make_system(recipe)
        found = mobile_tiny.batch()
        seen = dict(system.see(found, Phase()))
        made = pictures()
        made["features"] = [
            system._maps(image) for image in (found["target"], made["swapped"])
        ]
        return system, found, seen, made

    def test_border(self):
        found = mobile_fsgan.border_mask(SIZE, SIZE)
        self.assert_close(found[0, :, :, 0], border(), atol=0)
        # The band that the original pulls to black.
        part = mobile_fsgan.border_mask(256, 256).mean()
        self.assertEqual(round(float(part), 3), 0.527)

    def test_corrected_reconstruction(self):
        """All of a known truth; else the border, which is the target's."""
        system, found, seen, made = self.measure(RECIPE)
        total = area = 0.0
        for row in range(5):
            wanted, mask = found["target"][row], border()
            if row < 3:
                wanted, mask = found["truth"][row], np.ones((SIZE, SIZE))
            squares = np.square(wanted - made["swapped"][row]).sum(-1)
            total += 0.5 * (squares * mask).sum()
            area += mask.sum()
        found = values(system, seen, made)["reconstruction"]
        self.assertAlmostEqual(found, total / area, places=4)

    def test_published_reconstruction(self):
        """The border of rows without truth is black; black pixels inside count not."""
        system, found, seen, made = self.measure(
            RECIPE.changed(border="black", real_pictures="mark")
        )
        total = area = 0.0
        for row in range(5):
            wanted = -np.ones((SIZE, SIZE, 3)) if row > 2 else found["truth"][row]
            mask = np.maximum(border(), wanted.sum(-1) > -2.999)
            squares = np.square(wanted - made["swapped"][row]).sum(-1)
            total += 0.5 * (squares * mask).sum()
            area += mask.sum()
        self.assertEqual(np.asarray(seen["compared"])[1, 21, 12, 0], 0.0)
        found = values(system, seen, made)["reconstruction"]
        self.assertAlmostEqual(found, total / area, places=4)

    def test_identity_is_a_mean_of_what_is_not_alike(self):
        system, found, seen, made = self.measure(RECIPE.changed(margin=0.5))
        encoder, teacher = system.frozen.teacher.encoder, system.frozen.teacher
        result = values(system, seen, made)
        for name in PICTURES:
            shown = [found["source"], made[name]]
            one, other = (
                np.asarray(encoder(teacher.prepare(image, whole_view(5))))
                for image in shown
            )
            cosine = (one * other).sum(1)
            cosine /= np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
            left = np.maximum(1.0 - cosine - 0.5, 0.0)
            wanted = left.sum() / max((left > 0).sum(), 1)
            ending = name.removeprefix("swapped")
            self.assertAlmostEqual(result[f"identity{ending}"], wanted, places=4)
        length = np.linalg.norm(np.asarray(seen["source_vector"]), axis=1)
        self.assert_close(length, np.ones(5), atol=1e-5)

    def test_perceptual_weights_of_five_maps(self):
        def features(image):
            return [image * (i + 1.0) for i in range(5)]

        system = mobile_tiny.make_system(RECIPE, Perceptual(features, relative=False))
        seen, made = system.see(mobile_tiny.batch(), Phase()), pictures()
        made["features"] = [features(seen["target"]), features(made["swapped"])]
        apart = np.abs(mobile_tiny.batch()["target"] - made["swapped"]).mean()
        wanted = apart * (0.6 * 2 + 0.8 * 3 + 1.0 * 4 + 1.2 * 5)
        self.assertAlmostEqual(values(system, seen, made)["perceptual"], wanted, 3)

    @parameterized.parameters(
        ({}, ["truth", "truth", "truth", "source", "source"]),
        ({"real_pictures": "mark"}, ["source", "target", "source", "source", "source"]),
    )
    def test_what_passes_for_real(self, changes, names):
        found = mobile_tiny.batch()
        seen = mobile_tiny.make_system(RECIPE.changed(**changes)).see(found, Phase())
        rows = [found[name][row] for row, name in enumerate(names)]
        self.assert_close(seen["real"], np.stack(rows), atol=0)
        wanted = np.stack(rows).reshape(5, 8, 4, 8, 4, 3).mean((2, 4))
        self.assert_close(seen["real_quarter"], wanted, atol=1e-5)

    def test_pairs_without_triplets(self):
        seen = mobile_tiny.make_system().see(mobile_tiny.batch(truth=False), Phase())
        known = np.asarray(seen["compared"])[:, 20, 16, 0]
        self.assert_close(known, np.array([1, 0, 0, 0, 0]), atol=0)
        self.assert_close(seen["real"], mobile_tiny.batch()["source"], atol=0)

    def test_published_weights(self):
        self.assertEqual(PUBLISHED.weights["adversarial"], 16.0)
        self.assertEqual(CORRECTED.weights["adversarial"], 1.0)
        self.assertEqual(CORRECTED.weights["adversarial_quarter"], 0.02)
        for name in ("identity", "identity_half", "identity_quarter"):
            self.assertEqual(PUBLISHED.weights[name], 20.0)
        self.assertEqual(PUBLISHED.weights["reconstruction"], 10.0)
        self.assertEqual(PUBLISHED.weights["perceptual"], 4.0)


class StructureTest(tiny.EagerTestCase):
    def test_each_discriminator_has_its_size(self):
        made = mobile_fsgan.MobileFSGAN.structures(
            "mobile_fsgan_lite_128", {"width": 8}, Fed(16, "e#1", "arcface", 0.9), {}
        )
        self.assertEqual([one.image_size for one in made.values()], [128, 128, 64, 32])
        self.assertEqual(made["generator"].width, 8)
        self.assertEqual(made["generator"].contract.identity.encoder, "e#1")
        self.assertEqual(made["generator"].shrink, 0.9)

    @pytest.mark.slow
    def test_a_step_moves_all_four_networks(self):
        driver = tiny.tensorflow_driver()
        system = mobile_tiny.make_system()
        keras.utils.set_random_seed(1)
        new = state.build_state(system, system.builders(mobile_tiny.structures()))
        step = divided_step.DividedStep(system, new, driver)
        before = {name: net.get_weights() for name, net in new.networks.items()}
        (found,) = tiny.run(step, [mobile_tiny.batch()])
        for name, network in new.networks.items():
            moved = [
                float(ops.max(ops.abs(new - old)))
                for new, old in zip(network.weights, before[name], strict=True)
            ]
            self.assertTrue(all(one > 0.0 for one in moved), name)
        weights = system.recipe.weights
        total = sum(weight * found[name] for name, weight in weights.items())
        self.assertAlmostEqual(found["g_loss"], total, places=3)
        for name in ("d_fake", "d_real_half", "d_loss_quarter"):
            self.assertIn(name, found)


def write_triplets(folder):
    draws = np.random.default_rng(7)

    def example(number):
        images = draws.integers(0, 255, (3, SIZE, SIZE, 3), dtype=np.uint8)
        roles = ("source", "target", "truth")
        found = {
            name: cv2.imencode(".png", image)[1].tobytes()
            for name, image in zip(roles, images, strict=True)
        }
        return records.encode_example(found | {"path": f"{number}.png"})

    path = folder / "edited_train_00000-of-00001.records"
    records.write_records(path, (example(number) for number in range(6)))
    return str(folder / "edited_train_*.records")


@pytest.mark.large  # minutes: four networks are traced
class RunTest(testing.TestCase):
    """Two steps on pairs and triplets, a third after a restart, an export, a swap."""

    def test_from_shards_to_a_file(self):
        with tempfile.TemporaryDirectory() as name:
            folder = pathlib.Path(name)
            self.addCleanup(os.chdir, os.getcwd())
            os.chdir(folder)
            keras.utils.set_random_seed(2)
            encoder = tiny.small_mobilefacenet()
            encoder.save(folder / "encoder.keras")
            words = [
                "--system=mobile_fsgan",
                "--preset=mobile_fsgan_lite_64",
                "--structure=blocks=[1,1,1]",
                "--structure=width=4",
                "--structure=base_width=2",
                f"--data_dir={tiny.write_shards(folder)}",
                f"--triplets={write_triplets(folder)}",
                "--arcface_path=encoder.keras",
                "--perceptual=none",
                "--batch_size=4",
                "--save_every=1",
                "--log_dir=logs",
            ]
            (path,) = tiny.train_and_export(words)
            saved = checkpoints.Checkpoints("logs/facedancer/checkpoints")
            arrays, record = checkpoints.read(saved.path(3))
            self.assertEqual(record["system"], "mobile_fsgan")
            self.assertEqual(record["discriminator_quarter"]["image_size"], 16)
            self.assertEqual(record["generator"]["blocks"], [1, 1, 1])
            self.assertIn("average_generator/0000", arrays)
            lines = pathlib.Path("logs/facedancer/metrics.jsonl").read_text()
            logged = json.loads(lines.splitlines()[-1])
            self.assertIn("adversarial_half", logged)
            generator = load_generator(path)
            self.assertEqual(generator.contract.outputs, PICTURES)
            feeds = generator.example_inputs(2)
            self.assertEqual(generator.named(feeds)["swapped"].shape, (2, 64, 64, 3))
