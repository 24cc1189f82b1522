"""Margins from triples: by hand, from folders, by the program."""

import functools
import json
import pathlib
import tempfile
from unittest import mock

import numpy as np
import pytest

from facedancer import cli
from facedancer.arcface_model import load_encoder
from facedancer.errors import InputError
from facedancer.imaging import images
from facedancer.models import build_generator
from facedancer.train import calibrate_margins
from facedancer.train.frozen.teachers import Teacher
from facedancer.train.objective import ifsr
from facedancer.train.validation import calibrating, calibration
from tests import testing
from tests.train import tiny


class CalibrationTest(testing.TestCase):
    def test_margins_and_summary_by_hand(self):
        values = {
            "target_swapped": np.array([[0.1, 0.2], [0.3, 0.4]]),
            "target_source": np.array([[0.5, 0.3], [0.7, 0.5]]),
        }
        distances = calibration.Distances(("a", "b"), values)
        margins = distances.margins("tiny@0")
        np.testing.assert_allclose(margins.values, [0.2, 0.3])
        summary = distances.summary()
        self.assertAlmostEqual(summary["mean_target_source"]["a"], 0.6)
        self.assertEqual(summary["equal_error"]["a"], {"threshold": 0.3, "rate": 0.0})
        self.assertEqual(summary["equal_error"]["b"]["rate"], 0.5)

    def test_equal_targets_are_at_distance_zero(self):
        image = tiny.batch(3)["target"]
        source = tiny.batch(3)["source"]
        teacher = Teacher(tiny.encoder(), tiny.TAPS)
        found = calibration.measure(teacher, [(image, image, source)] * 2)
        self.assertEqual(found.values["target_swapped"].shape, (6, 2))
        np.testing.assert_allclose(found.values["target_swapped"], 0.0, atol=1e-5)
        np.testing.assert_allclose(
            found.values["target_source"], found.values["swapped_source"], atol=1e-5
        )
        self.assertGreater(found.values["target_source"][1].min(), 1e-3)

    def test_nothing_to_measure(self):
        with self.assertRaisesRegex(InputError, "no pair of target and swapped"):
            calibration.measure(Teacher(tiny.encoder(), tiny.TAPS), [])


class ProgramTest(testing.TestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        folder = pathlib.Path(cls.enterClassContext(tempfile.TemporaryDirectory()))
        cls.encoder = tiny.write_encoder(folder)
        read_once = functools.cache(load_encoder)
        cls.enterClassContext(mock.patch.object(calibrating, "load_encoder", read_once))

    def setUp(self):
        super().setUp()
        self.folder = self.tempdir()

    def run_program(self, *words):
        words = [
            f"--arcface_path={self.encoder}",
            f"--output={self.folder / 'margins.json'}",
            *words,
        ]
        return calibrate_margins.main(
            cli.parse(calibrate_margins.CalibrationConfig, words)
        )

    def check_output(self, pairs, name):
        record = json.loads((self.folder / "margins.json").read_text())
        self.assertEqual(record["pairs"], pairs)
        margins = ifsr.read_margins(self.folder / "margins.json", record["encoder"])
        self.assertStartsWith(margins.encoder, name)
        self.assertLen(margins.values, 2)
        picture = images.read_image(self.folder / "margins.png")
        self.assertGreater(len(np.unique(picture)), 20)

    def write_pairs(self, *parts):
        random = np.random.default_rng(0)
        for part in parts:
            for number in range(3):
                image = random.integers(0, 255, (40, 40, 3), dtype=np.uint8)
                images.write_image(self.folder / "p" / part / f"{number}.png", image)

    @pytest.mark.slow
    def test_from_a_folder(self):
        self.write_pairs("target", "swapped", "source")
        self.assertEqual(self.run_program(f"--pairs_dir={self.folder / 'p'}"), 0)
        self.check_output(3, "mobilefacenet@")

    @pytest.mark.slow
    def test_from_a_generator_and_shards(self):
        build_generator(tiny.GENERATOR).save(self.folder / "generator.keras")
        pattern = tiny.write_shards(self.folder, count=6)
        status = self.run_program(
            f"--facedancer_path={self.folder / 'generator.keras'}",
            f"--data_dir={pattern}",
            "--count=4",
        )
        self.assertEqual(status, 0)
        self.check_output(4, "mobilefacenet@")

    def test_refusals(self):
        with self.assertRaisesRegex(InputError, "Give either --facedancer_path and"):
            self.run_program()
        with self.assertRaisesRegex(InputError, "swapped: no such folder"):
            self.write_pairs("target")
            self.run_program(f"--pairs_dir={self.folder / 'p'}")
        with self.assertRaisesRegex(InputError, "Unknown taps"):
            self.write_pairs("target", "swapped")
            self.run_program(f"--pairs_dir={self.folder / 'p'}", "--blocks=nothing")
