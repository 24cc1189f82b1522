"""Tests of the small root modules: `Faces`, contracts, weights, console scripts."""

import importlib.util
import re
from unittest import mock

import numpy as np
from absl.testing import parameterized

from facedancer import programs
from facedancer.errors import InputError
from facedancer.face.faces import Faces
from facedancer.networks.contract import InputContract
from facedancer.storage import weights
from tests import testing


class FacesTest(testing.TestCase):
    def test_slices_and_areas(self):
        boxes = [[0, 0, 2, 3], [5, 5, 4, 9]]
        faces = Faces(boxes, np.zeros((2, 5, 2)), [0.9, 0.8])
        self.assertLen(faces, 2)
        self.assert_close(faces.areas, np.array([6.0, 0.0]))
        self.assertLen(faces[faces.scores > 0.85], 1)
        self.assertLen(Faces.empty(), 0)
        self.assertLen(Faces.empty().areas, 0)

    def test_refuses(self):
        with self.assertRaisesRegex(ValueError, r"`landmarks` must have shape \(1, 5"):
            Faces(np.zeros((1, 4)), np.zeros((1, 10)), [0.9])


class ContractTest(testing.TestCase):
    @parameterized.parameters(("unit", 0.2, 1.0), ("signed", -0.6, 1.0))
    def test_ranges(self, value_range, low, high):
        contract = InputContract(112, value_range)
        expected = np.array([low, high], np.float32)
        self.assert_close(contract.from_uint8(np.array([51, 255], np.uint8)), expected)
        self.assert_close(contract.from_unit(np.float32([0.2, 1.0])), expected)
        self.assert_close(contract.from_signed(np.float32([-0.6, 1.0])), expected)

    @parameterized.parameters((0, "unit", "`size`"), (112, "other", "`value_range`"))
    def test_refuses(self, size, value_range, words):
        with self.assertRaisesRegex(ValueError, words):
            InputContract(size, value_range)


class WeightsTest(testing.TestCase):
    def setUp(self):
        super().setUp()
        self.folder = self.tempdir()
        entry = weights.Weights(
            kind="encoder",
            file="small.keras",
            sha256="0" * 64,
            licence="Apache-2.0",
            trained_on="nothing",
            card="none",
            portable="small.onnx",
            portable_sha256="0" * 64,
        )
        self.entry = entry
        self.enter_context(mock.patch.dict(weights.CATALOGUE, {"x": entry}, clear=True))
        self.enter_context(
            mock.patch.dict("os.environ", FACEDANCER_WEIGHTS=str(self.folder))
        )

    def test_find(self):
        self.assertFalse(weights.available("encoder"))
        with self.assertRaisesRegex(InputError, "small.keras.*--arcface_path"):
            weights.find("encoder")
        (self.folder / "small.keras").write_bytes(b"1")
        self.assertEqual(weights.find("encoder"), self.folder / "small.keras")
        with self.assertRaisesRegex(InputError, "none in the catalogue"):
            weights.find("generator")
        with self.assertRaisesRegex(ValueError, "`kind` must be one of"):
            weights.find("hat")

    def test_verify(self):
        path = self.folder / "small.keras"
        path.write_bytes(b"1")
        with self.assertRaisesRegex(InputError, "Expected SHA-256 0000"):
            weights.verify(self.entry, path)


class CatalogueTest(testing.TestCase):
    def test_packaged_files_are_what_the_catalogue_says(self):
        for entry in weights.CATALOGUE.values():
            weights.verify(entry, weights.PACKAGED / entry.file)


class ProgramsTest(testing.TestCase):
    def test_every_console_script_has_its_program(self):
        root = testing.CHECKOUT
        scripts = re.findall(
            r"facedancer\.programs:(\w+)", (root / "setup.py").read_text()
        )
        programs = dict(
            re.findall(
                r'(\w+) = _program\(\s*"([\w.]+)"',
                (root / "facedancer" / "programs.py").read_text(),
            )
        )
        by_command = {"swap_many"}  # `facedancer swap` with patterns, and no other way
        self.assertSameElements({*scripts, *by_command}, programs)
        for module in programs.values():
            name = f"facedancer.{module}"
            self.assertIsNotNone(importlib.util.find_spec(name), name)

    def test_interrupted_while_importing(self):
        with (
            mock.patch("runpy.run_module", side_effect=KeyboardInterrupt),
            mock.patch("sys.stderr.write") as written,
            self.assertRaises(SystemExit) as caught,
        ):
            programs.verify()
        self.assertEqual(caught.exception.code, 130)
        written.assert_called_once_with("Interrupted.\n")
