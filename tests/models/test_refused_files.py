"""Tests of checkpoints, and of files that are refused."""

import functools
import json
import lzma
import pathlib
import shutil
import tempfile
import zipfile

import h5py
import keras
import numpy as np
import pytest
from absl.testing import parameterized

from facedancer import models
from facedancer.errors import InputError
from facedancer.models.families.facedancer.config import (
    DiscriminatorConfig,
    GeneratorConfig,
)
from facedancer.models.published import published_writer, reading
from tests import testing


def small(**changes):
    values = {
        "image_size": 16,
        "widths": (3, 5, 4),
        "up_types": ("affa", "no_skip", "concat"),
        "mapping_sizes": (7, 6),
        "identity_size": 9,
    }
    return GeneratorConfig(**{**values, **changes})


@functools.cache
def networks():
    """A generator and a discriminator that are only written and compared."""
    discriminator = DiscriminatorConfig(image_size=8, base_width=2)
    return models.build_generator(small()), models.build_discriminator(discriminator)


class CheckpointTest(testing.TestCase):
    def checkpoint(self, folder, model, stem, numbers):
        config, arrays = published_writer.describe(model, first=5)
        config |= {"keras_version": "2.10.0", "backend": "tensorflow"}
        (folder / f"{stem}.json").write_text(json.dumps(config))
        for number in numbers:
            with h5py.File(folder / f"{stem}_{number}.h5", "w") as file:
                shifted = {
                    layer: {name: array + number for name, array in values.items()}
                    for layer, values in arrays.items()
                }
                published_writer.write_weights(file, shifted)

    def setUp(self):
        super().setUp()
        self.folder = self.tempdir()
        self.generator, self.discriminator = networks()
        self.checkpoint(self.folder, self.generator, "gen", (2, 9, 10))
        self.checkpoint(self.folder, self.discriminator, "dis", (1, 3))

    def stem_bias(self, model):
        return float(model.get_layer("stem").get_weights()[1][0])

    def test_folder_and_description_mean_the_last_one(self):
        for path in (self.folder, self.folder / "gen.json"):
            self.assertEqual(self.stem_bias(models.load_generator(path)), 10.0)
        model = models.load_discriminator(self.folder)
        self.assertEqual(self.stem_bias(model), 3.0)

    def test_one_file_is_itself(self):
        model = models.load_generator(self.folder / "gen_2.h5")
        self.assertEqual(self.stem_bias(model), 2.0)
        self.assertEqual(model.config, self.generator.config)

    def test_weights_without_description(self):
        path = self.folder / "other" / "gen_2.h5"
        path.parent.mkdir()
        shutil.copy(self.folder / "gen_2.h5", path)
        with self.assertRaisesRegex(InputError, "weights only.*gen.json beside it"):
            models.load_generator(path)
        with self.assertRaisesRegex(InputError, "gen.json beside gen_.*no .json"):
            models.load_generator(path.parent)

    def test_description_without_weights(self):
        for path in self.folder.glob("gen_*.h5"):
            path.unlink()
        with self.assertRaisesRegex(InputError, "gen_<number>.h5 beside it"):
            models.load_generator(self.folder)

    def test_damaged_description(self):
        (self.folder / "gen.json").write_text('{"class_name": "Func')
        with self.assertRaisesRegex(InputError, "gen.json: its description is damaged"):
            models.load_generator(self.folder)

    def test_discriminator_for_generator(self):
        with self.assertRaisesRegex(InputError, "expected.*generator, found a discrim"):
            models.load_generator(self.folder / "dis_1.h5")


class RefusedTest(testing.TestCase):
    """A file that does not fit is refused with what was found and expected."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.model = models.build_generator(small())
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "model.h5"
            published_writer.save_published(cls.model, path)
            cls.data = path.read_bytes()

    def setUp(self):
        super().setUp()
        self.folder = self.tempdir()
        self.path = self.folder / "model.h5"
        self.path.write_bytes(self.data)

    def refused(self, path, words, load=models.load_generator):
        with self.assertRaisesRegex(InputError, words) as caught:
            load(path)
        self.assertIn(str(path), str(caught.exception))

    def test_missing(self):
        self.refused(self.folder / "none.h5", "no such file")

    def test_empty_folder(self):
        folder = self.folder / "empty"
        folder.mkdir()
        self.refused(folder, "found no .json file")

    def test_no_model_file(self):
        path = self.folder / "photo.h5"
        path.write_bytes(b"\xff\xd8\xff\xe0 some photo")
        self.refused(path, "found a file that starts with")
        path.write_bytes(b"")
        self.refused(path, "it is empty")

    @parameterized.parameters(100, 3000, 0.5, 0.99)
    def test_truncated(self, length):
        data = self.path.read_bytes()
        length = length if length > 1 else int(length * len(data))
        self.path.write_bytes(data[:length])
        self.refused(self.path, "damaged or truncated")

    def test_truncated_archive(self):
        path = self.folder / "model.keras"
        self.model.save(path)
        data = path.read_bytes()
        path.write_bytes(data[: len(data) // 2])
        self.refused(path, "damaged")

    def test_archive_with_other_weights(self):
        path, other = self.folder / "model.keras", self.folder / "other.keras"
        self.model.save(path)
        models.build_generator(small(widths=(3, 6, 4))).save(other)
        mixed = self.folder / "mixed.keras"
        with zipfile.ZipFile(mixed, "w") as target:
            for name, source in (("config.json", path), ("model.weights.h5", other)):
                with zipfile.ZipFile(source) as archive:
                    target.writestr(name, archive.read(name))
        self.refused(mixed, "damaged or do not fit")

    def test_archive_of_another_program(self):
        objects = reading.PUBLISHED_OBJECTS
        self.path.write_bytes(self.data)
        foreign = keras.saving.load_model(self.path, objects, compile=False)
        path = self.folder / "foreign.keras"
        foreign.save(path)
        self.refused(path, "found a generator in a .keras archive.*Save it as .h5")

    @parameterized.parameters(".keras", ".h5")
    def test_another_kind(self, ending):
        path = self.folder / f"dis{ending}"
        config = DiscriminatorConfig(image_size=8, base_width=2)
        models.build_discriminator(config).save(path)
        self.refused(
            path, "expected a FaceDancer or .*generator, found a FaceDancer disc"
        )
        own = self.folder / f"gen{ending}"
        self.model.save(own)
        self.refused(own, "expected.*discriminator.*found", models.load_discriminator)

    def test_published_generator_for_discriminator(self):
        self.refused(
            self.path,
            "expected.*FaceDancer.* discriminator, found a generator.*16x16x3 and 9",
            models.load_discriminator,
        )

    def test_face_encoder(self):
        backbone = keras.Sequential(
            [keras.Input((8, 8, 3)), keras.layers.GlobalAveragePooling2D()],
            name="resnet50",
        )
        image = keras.Input((8, 8, 3))
        path = self.folder / "arcface.h5"
        keras.Model(image, keras.layers.Dense(4)(backbone(image))).save(path)
        self.refused(path, "expected a FaceDancer or .*generator, found a model.*8x8x3")

    @parameterized.parameters("arcface_res50_tf215", "retinaface_res50_tf210")
    @pytest.mark.large
    def test_recorded_files_of_another_kind(self, name):
        path = self.folder / "other.h5"
        packed = testing.shared("interop", "full", f"{name}.h5.xz")
        with lzma.open(packed) as source, path.open("wb") as target:
            shutil.copyfileobj(source, target)
        kind = "face encoder" if "arcface" in name else "face detector"
        self.refused(path, f"expected a FaceDancer or .*generator, found a {kind}")

    def test_weights_file_of_keras_3(self):
        path = self.folder / "model.weights.h5"
        self.model.save_weights(path)
        self.refused(path, "weights only")

    def rewrite(self, change):
        """Changes the description in the file."""
        with h5py.File(self.path, "a") as file:
            config = json.loads(file.attrs["model_config"])
            layers = {layer["name"]: layer for layer in config["config"]["layers"]}
            change(config, layers)
            file.attrs["model_config"] = json.dumps(config).encode()

    @parameterized.parameters(
        ("leaky_re_lu_3", "alpha", 0.1, "alpha=0.1, expected 0.2"),
        ("instance_normalization", "epsilon", 1e-5, "epsilon=1e-05, expected 0.001"),
        ("up_sampling2d", "interpolation", "nearest", "'nearest', expected 'bilinear'"),
        ("conv2d_2", "strides", [2, 2], r"strides=\[2, 2\], expected \[1, 1\]"),
        ("conv2d_2", "use_bias", False, "use_bias=False, expected True"),
        ("dense", "activation", "relu", "activation='relu', expected 'linear'"),
        ("average_pooling2d", "pool_size", [3, 3], r"expected \[2, 2\]"),
        ("input_1", "batch_input_shape", [None, None, None, 3], "has no fixed size"),
        ("input_1", "batch_input_shape", [None, 16, 20, 3], r"expected \(size, size"),
        ("conv2d", "filters", 6, r"decoder has the widths \[3, 5, 4\], expected"),
    )
    def test_other_settings(self, layer, setting, value, words):
        self.rewrite(lambda _, layers: layers[layer]["config"].update({setting: value}))
        self.refused(self.path, words)

    @parameterized.parameters(
        ("rescaling", "scale", 2.0, "scale=2.0, expected 3.0"),
        ("rescaling", "offset", 1.0, "offset=1.0, expected 0.0"),
    )
    def test_other_length_of_identities(self, layer, setting, value, words):
        model = models.build_generator(small(normalise_identity=True))
        published_writer.save_published(model, self.path)
        self.rewrite(lambda _, layers: layers[layer]["config"].update({setting: value}))
        self.refused(self.path, words)

    def test_unknown_layer(self):
        self.rewrite(lambda _, layers: layers["add"].update(class_name="Maximum"))
        self.refused(self.path, "is a Maximum, expected")

    def test_layer_without_description(self):
        self.rewrite(lambda config, _: config["config"]["layers"].pop(3))
        self.refused(self.path, "without a description")

    def test_damaged_description(self):
        self.rewrite(lambda config, _: config["config"]["layers"].append({}))
        self.refused(self.path, "damaged")

    def test_no_functional_model(self):
        self.rewrite(lambda config, _: config.update(config=[]))
        self.refused(self.path, "expected a functional model")

    def test_missing_and_additional_weights(self):
        with h5py.File(self.path, "a") as file:
            group = file["model_weights"]
            names = group.attrs["layer_names"].astype(str).tolist()
            names.remove("dense_1")
            group.attrs["layer_names"] = [name.encode() for name in names]
        self.refused(self.path, r"'dense_1' \(mapping1\) have the shapes \[\]")
        with h5py.File(self.path, "a") as file:
            group = file["model_weights"]
            sub = group.create_group("dense_9")
            sub["kernel:0"] = np.zeros((2, 2), "float32")
            sub.attrs["weight_names"] = [b"kernel:0"]
            group.attrs["layer_names"] = [
                n.encode() for n in [*names, "dense_1", "dense_9"]
            ]
        self.refused(self.path, "weights of unknown layers: dense_9")

    def test_nothing_is_executed(self):
        """A class or a function that a file names is not looked up."""

        def poison(config, layers):
            layers["add"]["class_name"] = "Lambda"
            layers["add"]["config"]["function"] = ["import os; os.abort()", None, None]
            layers["add"]["module"] = "os"

        self.rewrite(poison)
        self.refused(self.path, "is a Lambda, expected")
