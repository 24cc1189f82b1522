"""Tests of the program `models/convert.py` and of `facedancer.models.saving`."""

import contextlib
import dataclasses
import functools
import io
import pathlib
import subprocess
import sys
import tempfile
from unittest import mock

import h5py
import numpy as np
import pytest
from absl.testing import parameterized

from facedancer import cli, models
from facedancer.errors import InputError
from facedancer.models import architectures, choices, conversion, convert, saving
from facedancer.models.families.facedancer.config import (
    DiscriminatorConfig,
    GeneratorConfig,
)
from facedancer.models.published import published_writer
from tests import testing

ROOT = pathlib.Path(__file__).parents[2]


def test_help_lists_the_kinds_that_there_are():
    assert choices.KINDS == ("auto", *architectures.roles())


def small():
    config = GeneratorConfig(
        image_size=16,
        base_width=3,
        up_types=("affa", "d_affa", "do_affa"),
        mapping_sizes=(5,),
        identity_size=4,
        encoder="some@0",
        template="ffhq",
    )
    model = models.build_generator(config)
    rng = np.random.default_rng(4)
    model.set_weights([w + 0.1 * rng.normal(size=w.shape) for w in model.get_weights()])
    return model


@functools.cache
def written():
    """A network, and the published file of it: made once for all tests."""
    model = small()
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder, "published.h5")
        published_writer.save_published(model, path, first=4)
        return model, path.read_bytes()


class ConvertTest(testing.TestCase):
    def setUp(self):
        super().setUp()
        self.folder = self.tempdir()
        self.published = self.folder / "published.h5"
        self.model, content = written()
        self.published.write_bytes(content)

    def run_main(self, *arguments):
        """Runs the program in this process; returns what it printed."""
        settings = cli.parse(convert.ConvertSettings, [*map(str, arguments)])
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            self.assertEqual(convert.main(settings), 0)
        return printed.getvalue()

    def test_published_to_ours(self):
        self.check_conversion("new/out.keras")

    @pytest.mark.slow
    def test_published_to_ours_in_h5(self):
        self.check_conversion("out.h5")

    def check_conversion(self, name):
        path = self.folder / name
        notes = ("--encoder=arcface@12", "--extrapolation=.3")
        printed = self.run_main(self.published, path, *notes)
        self.assertIn("generator, 16 px, ", printed)
        self.assertIn("fusions affa d_affa do_affa, mapping 5, identity 4", printed)
        self.assertIn(f"{self.model.count_params():,} parameters, 0.0", printed)
        self.assertIn(" G multiply-accumulates per example\n", printed)
        self.assertRegex(printed, r"^generator, .*\n.*difference \d\.\d\de-\d\d\n$")
        difference = float(printed.split("largest output difference ")[1])
        self.assertLess(difference, 1e-5)
        again = models.load_generator(path)
        self.assertEqual(again.config.encoder, "arcface@12")
        self.assertEqual(again.contract.identity.extrapolation, 0.3)
        for ours, theirs in zip(again.weights, self.model.weights, strict=True):
            np.testing.assert_array_equal(ours, theirs)
        self.assertEqual([p.name for p in path.parent.glob(".tmp*")], [])

    @pytest.mark.slow
    def test_ours_to_published(self):
        own, path = self.folder / "own.keras", self.folder / "back.h5"
        saving.save(self.model, own)
        self.run_main(own, path, "--layout=published")
        self.assertEqual(published_counts(path), published_counts(self.published))
        again = models.load_generator(path)
        for ours, theirs in zip(again.weights, self.model.weights, strict=True):
            np.testing.assert_array_equal(ours, theirs)

    @pytest.mark.slow
    def test_ours_keeps_what_it_says(self):
        own, path = self.folder / "own.h5", self.folder / "back.keras"
        saving.save(self.model, own)
        self.run_main(own, path)
        self.assertEqual(models.load_generator(path).config, self.model.config)

    @pytest.mark.slow
    def test_half_is_smaller_and_nearly_equal(self):
        whole, half = self.folder / "whole.keras", self.folder / "half.keras"
        conversion.convert(self.published, whole)
        again, difference = conversion.convert(self.published, half, half=True)
        self.assertLess(half.stat().st_size, 0.6 * whole.stat().st_size)
        self.assertBetween(difference, 1e-7, 2e-2)
        exact = models.load_generator(whole).get_weights()
        for rounded, weight in zip(again.get_weights(), exact, strict=True):
            np.testing.assert_allclose(rounded, weight, rtol=2**-11, atol=1e-7)
            np.testing.assert_array_equal(rounded, rounded.astype(np.float16))

    def test_the_mean_of_two_networks(self):
        """A quarter of the first, three of the second; the structure is the first's."""
        other, path = small(), self.folder / "mean.keras"
        other.set_weights([3.0 * w - 0.5 for w in other.get_weights()])
        saving.save(other, self.folder / "other.keras")
        words = (f"--average_with={self.folder / 'other.keras'}", "--average_share=.75")
        self.run_main(self.published, path, *words)
        found = models.load_generator(path).get_weights()
        pairs = zip(self.model.get_weights(), other.get_weights(), strict=True)
        for weight, (first, second) in zip(found, pairs, strict=True):
            np.testing.assert_allclose(
                weight, 0.25 * first + 0.75 * second, rtol=1e-6, atol=1e-7
            )

    def test_no_mean_of_networks_of_two_structures(self):
        config = dataclasses.replace(self.model.config, base_width=4)
        saving.save(models.build_generator(config), self.folder / "other.keras")
        with self.assertRaisesRegex(InputError, "two networks of one structure. Rec"):
            conversion.convert(
                self.published,
                self.folder / "mean.keras",
                average_with=self.folder / "other.keras",
            )
        self.assertFalse((self.folder / "mean.keras").exists())

    def test_half_is_for_keras_files(self):
        with self.assertRaisesRegex(InputError, "--half is for .keras files"):
            conversion.convert(self.published, self.folder / "half.h5", half=True)

    def test_discriminator(self):
        model = models.build_discriminator(
            DiscriminatorConfig(image_size=8, base_width=2)
        )
        source, path = self.folder / "dis.h5", self.folder / "dis.keras"
        published_writer.save_published(model, source)
        printed = self.run_main(source, path, "--kind=discriminator")
        self.assertIn("discriminator, 8 px, ", printed)
        self.assertEqual(models.load_discriminator(path).config, model.config)
        with self.assertRaisesRegex(InputError, "encoder is for generators"):
            self.run_main(source, path, "--encoder=x")

    def test_a_wrong_weight_shows_in_the_difference(self):
        """The printed figure is measured on the written file."""

        def broken(model, path, layout="native"):
            first = model.get_layer("stem")
            first.set_weights([2 * w for w in first.get_weights()])
            saving.check(path, layout)
            model.save(path)
            first.set_weights([w / 2 for w in first.get_weights()])

        with mock.patch.object(saving, "save", broken):
            _, difference = conversion.convert(
                self.published, self.folder / "out.keras"
            )
        self.assertGreater(difference, 1e-2)

    @parameterized.parameters(
        (("published.h5", "published.h5"), "is also the file to be read"),
        (("published.h5", "out.onnx"), "ends in .keras or .h5"),
        (("published.h5", "o.keras", "--layout=published"), "published for .h5"),
        (("none.h5", "none.h5"), "no such file"),
        (("published.h5", "o.keras", "--kind=discriminator"), "found a generator"),
        (("published.h5", "published.h5/o.keras"), "cannot be written"),
    )
    def test_refused(self, arguments, words):
        paths = [self.folder / name for name in arguments[:2]]
        with self.assertRaisesRegex(InputError, words):
            self.run_main(*paths, *arguments[2:])
        self.assertEqual([p.name for p in self.folder.iterdir()], ["published.h5"])

    @pytest.mark.large  # the same `main` runs above, without a new interpreter
    def test_program(self):
        program = [sys.executable, ROOT / "models" / "convert.py"]
        done = subprocess.run(
            [*program, self.published, self.folder / "out.keras"],
            capture_output=True,
            text=True,
            check=True,
        )
        self.assertRegex(done.stdout, r"^generator, .*\n.*difference \d\.\d\de-\d\d\n$")


def published_counts(path):
    with h5py.File(path) as file:
        group = file["model_weights"]
        return [len(group[name].attrs["weight_names"]) for name in group]


class InputsTest(testing.TestCase):
    def test_example_inputs_are_seeded(self):
        model = small()
        first, second = model.example_inputs(), model.example_inputs()
        self.assertEqual(list(first), ["target", "identity"])
        self.assert_close(list(first.values()), list(second.values()))
        self.assertEqual([a.shape for a in first.values()], [(2, 16, 16, 3), (2, 4)])
        other = model.example_inputs(seed=1)
        self.assertGreater(np.abs(first["target"] - other["target"]).max(), 0.1)
