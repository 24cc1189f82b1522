"""IFSR: distances, hinges, margins and their files."""

import json

import numpy as np
import pytest
from absl.testing import parameterized

from facedancer.arcface_model import build_mobilefacenet, build_resnet50
from facedancer.errors import InputError
from facedancer.train.objective import ifsr
from tests import testing


class HingeTest(testing.TestCase):
    def test_published_margins_equal_the_recorded_ones(self):
        recorded = np.load(testing.shared("interop", "tf215", "train_step.npz"))
        known = ifsr.known_margins("resnet50@00000000")
        self.assertLen(known.taps, 11)
        # Recorded already scaled by 1.2.
        self.assert_close(1.2 * np.array(known.values), recorded["margin"], rtol=1e-4)

    @pytest.mark.slow
    def test_every_known_tap_is_in_its_encoder(self):
        for build in (build_mobilefacenet, build_resnet50):
            encoder = build(embedding_size=4, image_size=32)
            known = ifsr.known_margins(f"{encoder.architecture}@0")
            names = {layer.name for layer in encoder.layers}
            self.assertContainsSubset(known.taps, names)

    def test_distances_equal_numpy(self):
        random = np.random.default_rng(0)
        maps = [random.normal(size=(2, 3, 4, 5)).astype("f4") for _ in range(4)]
        found = np.asarray(ifsr.distances(maps[:2], maps[2:]))
        self.assertEqual(found.shape, (2, 2))
        for tap in range(2):
            for row in range(2):
                a, b = maps[tap][row].ravel(), maps[tap + 2][row].ravel()
                cosine = a @ b / np.linalg.norm(a) / np.linalg.norm(b)
                self.assertAlmostEqual(found[row, tap], 1.0 - cosine, places=5)

    def test_hinge_by_hand(self):
        margins = (0.1, 0.2)
        self.assertAlmostEqual(float(ifsr.hinge(np.array([0.5, 0.1]), margins)), 0.38)
        rows = np.array([[0.5, 0.1], [0.0, 0.44]], "f4")
        self.assert_close(ifsr.hinge(rows, margins), np.array([0.38, 0.20], "f4"))
        # The mean of the rows is within the margins more often than the rows are.
        self.assertAlmostEqual(float(ifsr.hinge(rows.mean(0), margins)), 0.16, places=6)
        self.assertAlmostEqual(
            float(ifsr.hinge(np.array([0.5, 0.1]), margins, scale=1.0)), 0.4
        )


class MarginsTest(testing.TestCase):
    def test_file_round_trip(self):
        path = self.tempdir() / "margins.json"
        margins = ifsr.Margins("resnet50@0123abcd", ("a", "b"), (0.1, 0.25))
        ifsr.write_margins(path, margins, {"pairs": 7})
        self.assertEqual(ifsr.read_margins(path, "resnet50@0123abcd"), margins)
        self.assertEqual(json.loads(path.read_text())["pairs"], 7)

    @parameterized.parameters("resnet50@ffffffff", "mobilefacenet@0123abcd")
    def test_margins_of_another_encoder_are_refused(self, other):
        path = self.tempdir() / "margins.json"
        margins = ifsr.Margins("resnet50@0123abcd", ("a",), (0.1,))
        ifsr.write_margins(path, margins, {})
        with self.assertRaisesRegex(InputError, f"the training uses '{other}'"):
            ifsr.read_margins(path, other)

    @parameterized.parameters(
        ("not json", "not a margins file"),
        ("[]", "not a margins file"),
        ('{"encoder": "x"}', "not a margins file"),
        ('{"encoder": "x", "margins": {}}', "one margin per block"),
        ('{"encoder": "x", "margins": {"a": 3.0}}', r"must lie in \[0, 2\]"),
    )
    def test_bad_files(self, text, words):
        path = self.tempdir() / "margins.json"
        path.write_text(text)
        with self.assertRaisesRegex(InputError, words):
            ifsr.read_margins(path, "x")

    def test_missing_file(self):
        with self.assertRaisesRegex(InputError, "No such file"):
            ifsr.read_margins(self.tempdir() / "none.json", "x")

    def test_unknown_encoder(self):
        with self.assertRaisesRegex(InputError, "calibrate_margins"):
            ifsr.known_margins("strange@00000000")
