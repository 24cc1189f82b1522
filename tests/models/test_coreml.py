"""Core ML packages: names, description, and what they compute, read back from disk."""

import dataclasses
import json
import pathlib
import tempfile

import numpy as np
import pytest

from facedancer.errors import InputError
from facedancer.inference import portable
from facedancer.models import coreml, coreml_program, exports, saving
from facedancer.models.families.mobile_fsgan.generator import MobileFSGANGenerator
from facedancer.networks.contract import IdentityInput, InputContract
from tests import testing
from tests.models.check_network import randomise, settle
from tests.models.test_mobile_fsgan import TINY


@pytest.mark.slow
class PackageTest(testing.TestCase):
    """One conversion in each precision for all of them."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.tools = pytest.importorskip("coremltools", reason="extra coreml")
        cls.folder = pathlib.Path(cls.enterClassContext(tempfile.TemporaryDirectory()))
        config = dataclasses.replace(TINY, bounded=True)  # 16 bits end at 65504
        cls.generator = randomise(MobileFSGANGenerator(config))
        settle(cls.generator, cls.generator.example_inputs(batch=3, seed=2))
        cls.paths, cls.apart = {}, {}
        for precision in coreml.PRECISIONS:
            path = cls.paths[precision] = cls.folder / f"{precision}.mlpackage"
            cls.apart[precision] = exports.export(cls.generator, path, precision)

    def read(self, precision="f32"):
        path = str(self.paths[precision])
        return self.tools.models.MLModel(path, skip_model_load=True)

    def test_it_says_what_it_is(self):
        model = self.read()
        facts = json.loads(model.user_defined_metadata[portable.KEY])
        self.assertEqual(facts["kind"], "generator")
        self.assertEqual(facts["precision"], "f32")
        contract = self.generator.contract
        self.assertEqual(InputContract(**facts["image"]), contract.image)
        self.assertEqual(IdentityInput(**facts["identity"]), contract.identity)
        self.assertEqual(tuple(facts["outputs"]), contract.outputs)

    def test_inputs_and_outputs(self):
        told = self.read().get_spec().description
        shapes = {
            one.name: tuple(one.type.multiArrayType.shape)
            for one in [*told.input, *told.output]
        }
        self.assertEqual(shapes["target"], (1, 32, 32, 3))
        self.assertEqual(shapes["identity"], (1, 5))
        self.assertEqual(
            [one.name for one in told.output],
            ["swapped", "swapped_half", "swapped_quarter"],
        )

    def test_it_computes_what_keras_does(self):
        self.assertLess(self.apart["f32"], 1e-5)
        self.assertBetween(self.apart["f16"], 1e-4, 0.1)
        feeds = self.generator.example_inputs(batch=1, seed=8)
        found = coreml_program.run(self.paths["f32"], feeds)
        # Neither the outputs' order nor the input is forgotten.
        self.assertLess(saving.difference(self.generator.named(feeds), found), 1e-5)
        other = coreml_program.run(
            self.paths["f32"], feeds | {"identity": -feeds["identity"]}
        )
        self.assertGreater(np.abs(found["swapped"] - other["swapped"]).max(), 1e-3)

    def test_half_of_the_bytes(self):
        sizes = {name: saving.bytes_of(path) for name, path in self.paths.items()}
        self.assertLess(sizes["f16"], sizes["f32"])
        weights = self.paths["f16"] / "Data/com.apple.CoreML/weights/weight.bin"
        count = self.generator.count_params()
        self.assertBetween(weights.stat().st_size, 1.5 * count, 4.0 * count)


def test_what_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(exports.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"coremltools not installed.*\[coreml\]"):
        exports.check(tmp_path / "a.mlpackage")
    with pytest.raises(
        InputError, match="--precision=int8 is for names that end in .t"
    ):
        exports.check(tmp_path / "a.mlpackage", "int8")
    with pytest.raises(InputError, match="f16 is for .* in .tflite or .mlpackage. Rec"):
        exports.check(tmp_path / "a.onnx", "f16")
    with pytest.raises(ValueError, match="`precision` must be one of f32, f16. Receiv"):
        coreml.convert(None, "int8")


def test_what_cannot_be_computed_is_said():
    assert "takes a Mac" in exports.words(None)
    assert exports.words(0.25) == "largest output difference 2.50e-01"
