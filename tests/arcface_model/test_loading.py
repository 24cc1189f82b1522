"""Tests of `facedancer.arcface_model.loading`."""

import lzma
import pathlib
import shutil
import tempfile
from unittest import mock

import h5py
import keras
import numpy as np
import pytest
from absl.testing import parameterized

from facedancer import arcface_model
from facedancer.errors import InputError
from facedancer.networks import resnet50
from tests import testing

SMALL = {
    "mobilefacenet": lambda: arcface_model.build_mobilefacenet(
        12, 32, width=0.125, blocks=(1, 1, 1)
    ),
    "resnet50": lambda: arcface_model.build_resnet50(12, 32, width=8, dropout=0.25),
}


def randomize(model):
    """Gives every weight, statistics too, a value of its own."""
    random = np.random.default_rng(0)
    for weight in model.weights:
        weight.assign(random.uniform(0.1, 0.9, weight.shape))


class OwnFilesTest(testing.TestCase):
    @parameterized.parameters(*sorted(SMALL))
    def test_round_trip(self, kind):
        self.check_round_trip(kind, ".h5")

    @parameterized.parameters(*sorted(SMALL))
    @pytest.mark.slow
    def test_round_trip_in_the_other_form(self, kind):
        self.check_round_trip(kind, ".keras")

    def check_round_trip(self, kind, ending):
        encoder = SMALL[kind]()
        randomize(encoder)
        path = self.tempdir() / f"encoder{ending}"
        encoder.save(path)
        again = arcface_model.load_encoder(path)
        self.assertIs(type(again), type(encoder))
        self.assertEqual(again.get_config(), encoder.get_config())
        self.assertEqual(again.contract, encoder.contract)
        self.assertEqual(again.taps, encoder.taps)
        self.assertEqual(again.name_with_hash, encoder.name_with_hash)
        self.assert_close(again.get_weights(), encoder.get_weights(), 0, 0)

    def test_folded(self):
        encoder = arcface_model.fold(SMALL["mobilefacenet"]())
        path = self.tempdir() / "encoder.keras"
        encoder.save(path)
        again = arcface_model.load_encoder(path)
        self.assertEqual(again.name_with_hash, encoder.name_with_hash)
        self.assert_close(again.get_weights(), encoder.get_weights(), 0, 0)

    def test_the_name_of_the_file_decides_nothing(self):
        folder = self.tempdir()
        SMALL["mobilefacenet"]().save(folder / "encoder.keras")
        shutil.move(folder / "encoder.keras", folder / "encoder.h5")
        found = arcface_model.load_encoder(folder / "encoder.h5")
        self.assertEqual(found.architecture, "mobilefacenet")
        SMALL["mobilefacenet"]().save(folder / "other.h5")
        shutil.move(folder / "other.h5", folder / "other.keras")
        found = arcface_model.load_encoder(folder / "other.keras")
        self.assertEqual(found.architecture, "mobilefacenet")


class PublishedTest(testing.TestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        packed = testing.shared("interop", "full", "arcface_res50_tf215.h5.xz")
        folder = cls.enterClassContext(tempfile.TemporaryDirectory())
        cls.path = pathlib.Path(folder) / packed.stem
        with lzma.open(packed) as source, open(cls.path, "wb") as file:
            shutil.copyfileobj(source, file)

    @pytest.mark.slow
    def test_outputs_and_taps_equal_the_recorded_ones(self):
        encoder = arcface_model.load_encoder(self.path)
        self.assertEqual(encoder.get_config()["dropout"], 0.5)
        self.assertEqual(encoder.contract.value_range, "unit")
        folder = testing.shared("interop", "full")
        recorded = np.load(folder / "arcface_res50_tf215_ifsr_taps.npz")
        outputs = arcface_model.tap_model(encoder)(recorded["x0"])
        self.assertEqual(set(recorded.files) - {"x0"}, set(encoder.taps))
        for name in encoder.taps:
            self.assert_close(outputs[name], recorded[name], 0, 3e-4)
        recorded = np.load(folder / "arcface_res50_tf215.npz")
        self.assert_close(encoder(recorded["x0"]), recorded["y0"], 0, 3e-4)

    @pytest.mark.slow
    def test_names_with_other_counters(self):
        """The head of a model made late in a process starts at `dense_5`."""
        path = self.path.with_name("renamed.h5")
        shutil.copy(self.path, path)
        with h5py.File(path, "r+") as file:
            head = file["model_weights"]["OutputLayer"]
            names = list(head.attrs["weight_names"])
            new = [_renamed(name) for name in names]
            for old, name in zip(names, new, strict=True):
                head.move(old, name)
            head.attrs["weight_names"] = new
        expected = arcface_model.load_encoder(self.path).name_with_hash
        found = arcface_model.load_encoder(path).name_with_hash
        self.assertEqual(found, expected)
        path.unlink()

    @pytest.mark.large
    def test_another_trunk_is_built_from_the_file(self):
        """As if ResNet50 were not known: every layer is read from the file."""
        recorded = np.load(
            testing.shared("interop", "full") / "arcface_res50_tf215.npz"
        )
        with mock.patch.object(resnet50, "LAYERS", 0):
            encoder = arcface_model.load_encoder(self.path)
        self.assertLen(encoder.get_config()["trunk"]["layers"], 175)
        self.assert_close(encoder(recorded["x0"]), recorded["y0"], 0, 3e-4)
        self.assertContainsSubset(
            ["conv4_block6_out", "conv2_block3_out"], encoder.taps
        )
        self.assertIs(arcface_model.fold(encoder), encoder)
        again = arcface_model.ArcFaceResNet50.from_config(encoder.get_config())
        self.assertEqual(again.count_params(), encoder.count_params())

    @pytest.mark.slow
    def test_a_layer_that_is_missing(self):
        path = self.path.with_name("missing.h5")
        shutil.copy(self.path, path)
        with h5py.File(path, "r+") as file:
            trunk = file["model_weights"]["resnet50"]
            names = [n for n in trunk.attrs["weight_names"] if "conv3_block1" not in n]
            trunk.attrs["weight_names"] = names
        with self.assertRaisesRegex(InputError, "do not fit .*conv3_block1"):
            arcface_model.load_encoder(path)
        path.unlink()


def _renamed(name):
    """`batch_normalization_1/gamma:0` -> `batch_normalization_10/gamma:0`."""
    layer, weight = name.split("/")
    base, _, counter = layer.rpartition("_")
    if not counter.isdigit():
        base, counter = layer, "0"
    return f"{base}_{int(counter) + 9}/{weight}"


class RefusedTest(testing.TestCase):
    def test_missing_and_folder(self):
        folder = self.tempdir()
        with self.assertRaisesRegex(InputError, "no such file"):
            arcface_model.load_encoder(folder / "none.h5")
        with self.assertRaisesRegex(InputError, "a folder, not a model file"):
            arcface_model.load_encoder(folder)

    def test_not_a_model(self):
        path = self.tempdir() / "encoder.h5"
        path.write_bytes(b"\x89HDF but no more")
        with self.assertRaisesRegex(InputError, "neither a .keras nor an .h5"):
            arcface_model.load_encoder(path)

    @parameterized.parameters(".keras", ".h5")
    def test_truncated(self, ending):
        path = self.tempdir() / f"encoder{ending}"
        SMALL["mobilefacenet"]().save(path)
        path.write_bytes(path.read_bytes()[:-1000])
        with self.assertRaises(InputError):
            arcface_model.load_encoder(path)

    def test_weights_alone(self):
        path = self.tempdir() / "encoder.weights.h5"
        SMALL["mobilefacenet"]().save_weights(path)
        with self.assertRaisesRegex(InputError, "weights without a model"):
            arcface_model.load_encoder(path)

    @parameterized.parameters(".keras", ".h5")
    def test_another_model(self, ending):
        path = self.tempdir() / f"other{ending}"
        keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)]).save(path)
        with self.assertRaisesRegex(
            InputError, "found a Sequential.*expected an ident"
        ):
            arcface_model.load_encoder(path)

    def test_published_discriminator(self):
        path = testing.shared("interop", "tf215", "disc_small.h5")
        with self.assertRaisesRegex(InputError, "found a .*expected an identity"):
            arcface_model.load_encoder(path)

    def test_weights_that_do_not_fit_the_configuration(self):
        path = self.tempdir() / "encoder.h5"
        SMALL["mobilefacenet"]().save(path)
        with h5py.File(path, "r+") as file:
            text = file.attrs["model_config"]
            changed = text.replace('"embedding_size": 12', '"embedding_size": 13')
            self.assertNotEqual(changed, text)
            file.attrs["model_config"] = changed
        with self.assertRaisesRegex(InputError, "does not fit MobileFaceNet"):
            arcface_model.load_encoder(path)
