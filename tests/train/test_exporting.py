"""What an export holds: the averaged generator, in files that load again."""

import dataclasses

import numpy as np
import pytest

from facedancer.errors import InputError
from facedancer.models import load_generator
from facedancer.train import exporting
from facedancer.train.step import state
from facedancer.train.systems.facedancer import FaceDancer
from tests import testing
from tests.train import tiny


class ExportTest(testing.TestCase):
    def make_arrays(self, **changes):
        system = tiny.make_system(tiny.EVERYTHING.changed(adversarial=0.0, **changes))
        made = state.build_state(system, tiny.builders())
        for weight in made.networks["generator"].trainable_weights:
            weight.assign(weight * 1.5)
        return made, made.to_arrays()

    def swapper(self, arrays, config=tiny.GENERATOR):
        record = {"generator": config.to_dict()}
        return exporting.trained_swappers(FaceDancer, record, arrays)[""]

    def outputs(self, model):
        random = np.random.default_rng(0)
        target = random.uniform(-1, 1, (2, 16, 16, 3)).astype("f4")
        vector = random.normal(size=(2, tiny.VECTOR)).astype("f4")
        return np.asarray(model([target, vector]))

    @pytest.mark.slow
    def test_the_average_is_exported_where_there_is_one(self):
        made, arrays = self.make_arrays()
        found = self.outputs(self.swapper(arrays))
        self.assert_close(found, self.outputs(made.averages["generator"]), atol=5e-5)
        made, arrays = self.make_arrays(ema=0.0)
        found = self.outputs(self.swapper(arrays))
        self.assert_close(found, self.outputs(made.networks["generator"]), atol=5e-5)

    @pytest.mark.slow
    def test_files_load_again(self):
        made, arrays = self.make_arrays()
        folder = self.tempdir() / "exports" / "run"
        generator = self.swapper(arrays)
        written = exporting.export(generator, folder, "facedancer_30")
        names = [path.name for path, _ in written]
        self.assertEqual(names, ["facedancer_30.keras", "facedancer_30.h5"])
        expected = self.outputs(made.averages["generator"])
        for path, difference in written:
            self.assertLess(difference, 1e-5)
            loaded = load_generator(path)
            self.assert_close(self.outputs(loaded), expected, atol=5e-5)
            self.assertEqual(loaded.config, tiny.GENERATOR)
        self.assertLen(list(folder.iterdir()), 2)

    def test_other_structure(self):
        _, arrays = self.make_arrays()
        other = dataclasses.replace(tiny.GENERATOR, mapping_sizes=(8, 8))
        with self.assertRaisesRegex(InputError, "does not hold the generator"):
            self.swapper(arrays, other)
