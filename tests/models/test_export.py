"""Tests of `facedancer.models.export`: each runtime gives the output of Keras."""

import contextlib
import functools
import importlib.util
import io
import unittest
from unittest import mock

import keras
import numpy as np
import pytest
from absl.testing import parameterized

from facedancer import cli, models
from facedancer.errors import InputError
from facedancer.models import export, exports, saving
from facedancer.models.families.facedancer.config import GeneratorConfig
from tests import testing

BACKEND = keras.backend.backend()


@functools.cache
def small():
    """A generator, built once for all tests."""
    config = GeneratorConfig(
        image_size=16,
        base_width=3,
        up_types=("affa", "do_affa", "concat"),
        mapping_sizes=(5,),
        identity_size=4,
    )
    model = models.build_generator(config)
    rng = np.random.default_rng(4)
    model.set_weights([w + 0.1 * rng.normal(size=w.shape) for w in model.get_weights()])
    return model


class ExportTest(testing.TestCase):
    def setUp(self):
        super().setUp()
        self.folder = self.tempdir()

    @parameterized.parameters(("out.keras", False))
    def test_parity(self, name, fused):
        self.check_parity(name, fused)

    @parameterized.parameters(
        ("out.onnx", True),
        ("out.h5", False),
        ("out", False),
        ("out", True),
        ("out.tflite", True),
        ("out.xml", True),
    )
    @pytest.mark.slow
    def test_parity_of_the_others(self, name, fused):
        self.check_parity(name, fused)

    def check_parity(self, name, fused):
        path = self.folder / "made" / name
        missing = [
            package
            for package in exports.FORMATS.get(path.suffix, ("", ()))[1]
            if importlib.util.find_spec(package) is None
        ]
        if missing:
            raise unittest.SkipTest(f"{missing} not installed")
        if BACKEND != "tensorflow" and path.suffix in exports.FORMATS:
            raise unittest.SkipTest("exported by the TensorFlow backend")
        model = small()
        if fused:
            model = models.fuse(model)
        self.assertLess(exports.export(model, path), 2e-5)
        names = {name, "out.bin"} if path.suffix == ".xml" else {name}
        self.assertEqual({p.name for p in path.parent.iterdir()}, names)

    def test_difference_is_measured(self):
        other = small.__wrapped__()
        other.set_weights([2 * weight for weight in other.get_weights()])
        with mock.patch.object(keras.saving, "load_model", return_value=other):
            self.assertGreater(exports.export(small(), self.folder / "out.keras"), 0.1)

    def test_unknown_format(self):
        with self.assertRaisesRegex(InputError, "unknown format.*.onnx, .tflite, .xml"):
            exports.export(small(), self.folder / "model.pt")
        self.assertEqual(list(self.folder.iterdir()), [])

    def test_missing_package(self):
        formats = {".onnx": ("onnx", ("no_such_package_here",))}
        words = r"no_such_package_here not installed.*facedancer\[export\]"
        with mock.patch.dict(exports.FORMATS, formats):
            with self.assertRaisesRegex(InputError, words):
                exports.export(small(), self.folder / "model.onnx")

    def test_program(self):
        self.check_program(fused=True)

    @pytest.mark.slow
    def test_program_without_fusing(self):
        self.check_program(fused=False)

    def check_program(self, fused):
        source, path = self.folder / "in.keras", self.folder / "out.keras"
        saving.save(small(), source)
        words = [str(source), str(path), f"--fused={fused}"]
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            self.assertEqual(export.main(cli.parse(export.ExportSettings, words)), 0)
        self.assertIn(
            "out.keras: 0.2 MB, largest output difference 0.00e+00",
            printed.getvalue(),
        )
        again = type(models.load_generator(path)).__name__
        self.assertEqual(again, "FaceDancerFused" if fused else "FaceDancerGenerator")
