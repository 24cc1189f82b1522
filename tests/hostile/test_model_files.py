"""Model files that are damaged or attack: one line each, nothing else."""

import dataclasses
import json
import pathlib
import re
import struct
from collections.abc import Callable

import h5py
import keras
import numpy as np
import pytest
from absl.testing import parameterized

from facedancer import arcface_model, models, retinaface
from facedancer.arcface_model import onnx_network
from facedancer.errors import InputError
from facedancer.models.published import published_writer
from facedancer.networks import foreign
from facedancer.retinaface.network import RetinaFace
from facedancer.storage import untrusted
from tests import testing
from tests.hostile import model_files

SMALL_GENERATOR = models.GeneratorConfig(
    image_size=16, stages=2, widths=(3, 5, 4), mapping_sizes=(7,), identity_size=9
)


@dataclasses.dataclass(frozen=True)
class Kind:
    """A kind of model file: what saves a small one, and what loads it."""

    name: str
    save: Callable[[pathlib.Path], None]
    load: Callable[[pathlib.Path], object]


def save_encoder(path):
    arcface_model.build_mobilefacenet(12, 32, width=0.125, blocks=(1, 1, 1)).save(path)


def save_detector(path):
    RetinaFace(width=2, channels=4).save(path)


def save_generator(path):
    models.build_generator(SMALL_GENERATOR).save(path)


def save_published(path):
    published_writer.save_published(models.build_generator(SMALL_GENERATOR), path)


def save_description(path):
    """Writes `gen.json`, and the weights it belongs to beside it."""
    model = models.build_generator(SMALL_GENERATOR)
    config, arrays = published_writer.describe(model, first=5)
    path.write_text(json.dumps(config))
    with h5py.File(path.with_name(f"{path.stem}_1.h5"), "w") as file:
        published_writer.write_weights(file, arrays)


def save_foreign(path):
    image = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(4, 3, activation="relu", padding="same")(image)
    x = keras.layers.Rescaling(2.0)(keras.layers.BatchNormalization()(x))
    x = keras.layers.Conv2D(19, 1, kernel_initializer="he_normal")(x)
    keras.Model(image, x).save(path)


def save_onnx(path):
    onnx = pytest.importorskip("onnx")
    from tests.arcface_model import test_onnx_encoder

    onnx.save(test_onnx_encoder.make_model(), path)


def save_npz(path):
    folder = testing.shared("models", "detection")
    path.write_bytes((folder / "retinaface_mobilenet025.npz").read_bytes())


KINDS = (
    Kind("encoder.keras", save_encoder, arcface_model.load_encoder),
    Kind("encoder.h5", save_encoder, arcface_model.load_encoder),
    Kind("detector.keras", save_detector, retinaface.load_detector),
    Kind("detector.npz", save_npz, retinaface.load_detector),
    Kind("generator.keras", save_generator, models.load_generator),
    Kind("published.h5", save_published, models.load_generator),
    Kind("gen.json", save_description, models.load_generator),
    Kind("parser.keras", save_foreign, foreign.load_network),
    Kind("parser.h5", save_foreign, foreign.load_network),
    Kind("encoder.onnx", save_onnx, onnx_network.load_onnx_encoder),
)
QUICK = ("gen.json", "parser.keras", "encoder.onnx")


class DamagedTest(testing.TestCase):
    """Damage by seeds: what is not as it was ends in one line that names the file."""

    def check(self, kind, seeds):
        path = self.tempdir() / kind.name
        kind.save(path)
        data = path.read_bytes()
        refused = 0
        for seed in seeds:
            random = np.random.default_rng([len(kind.name), seed])
            path.write_bytes(model_files.DAMAGES[path.suffix](data, random))
            try:
                kind.load(path)  # damage in a number of the weights is not seen
            except InputError as error:
                text = str(error)
                self.assertTrue(text.startswith(str(path.parent)), f"{seed}: {text}")
                self.assertNotIn("\n", text, f"seed {seed}")
                refused += 1
        self.assertGreater(refused, 0)

    @parameterized.named_parameters((k.name, k) for k in KINDS if k.name in QUICK)
    def test_some(self, kind):
        self.check(kind, range(6))

    @parameterized.named_parameters((kind.name, kind) for kind in KINDS)
    @pytest.mark.large
    @pytest.mark.timeout(1800)
    def test_many(self, kind):
        self.check(kind, range(100, 130))


def _pointed_at(data: bytes, short: int, long: int) -> bytes:
    """Lets what names texts of the length `short` name the one of the length `long`.

    HDF5 names a text by its length, the address of a collection and a number in it.
    """

    def names(length):
        for found in re.finditer(re.escape(struct.pack("<I", length)), data):
            entry = data[found.start() : found.start() + 16]
            if len(entry) == 16:
                address = struct.unpack("<IQI", entry)[1]
                if data[address : address + 4] == b"GCOL":
                    yield found.start(), entry

    (entry,) = {entry for _, entry in names(long)}
    changed = bytearray(data)
    for at, _ in list(names(short)):
        changed[at : at + 16] = entry
    return bytes(changed)


class Hdf5Test(testing.TestCase):
    """An `.h5` file that names other files, or claims more than it has."""

    WORDS = {
        "external_link": "kernel:0 in .* is a link to another file",
        "soft_link": "kernel:0 in .* is a link by name|out in / is a link to another",
        "virtual": "kernel:0 is a virtual array",
        "external_storage": "kernel:0 is stored in another file",
        "gzip_bomb": "claims to hold 2,1",
        "terabytes": "claims 8,796,093,022,208 bytes and has 0",
        "wide_chunk": "claims to hold 2,1",
        "plugin_filter": r"packed with the filters \[32000\]",
        "many_texts": "is a list of 100,000 texts",
    }

    def attacked(self, attack):
        path = self.tempdir() / "weights.h5"
        with h5py.File(path, "w", libver="latest") as file:
            file["dense/kernel:0"] = np.zeros((3, 5), "f4")
            attack(file, "dense/kernel:0", path.with_name("elsewhere"))
        return path

    @parameterized.parameters(*WORDS)
    def test_refused(self, name):
        path = self.attacked(model_files.H5_ATTACKS[name])
        with self.assertRaisesRegex(InputError, f"^{path}: .*{self.WORDS[name]}"):
            with untrusted.open_h5(path):
                self.fail("the file was opened")

    def test_a_list_whose_entries_all_name_one_long_text(self):
        """A file of 2 MB took 12 GB: each entry is read for itself."""
        path = self.tempdir() / "weights.h5"
        texts, long = [f"layer{i:04}" for i in range(3000)], "x" * 2_000_003
        with h5py.File(path, "w") as file:
            names = file.create_group("model_weights").attrs
            names.create("layer_names", texts, dtype=h5py.string_dtype())
        with untrusted.open_h5(path) as file:
            self.assertEqual(list(file["model_weights"].attrs["layer_names"]), texts)
        with h5py.File(path, "a") as file:
            file.attrs["model_config"] = long
        path.write_bytes(_pointed_at(path.read_bytes(), len("layer0000"), len(long)))
        with self.assertRaisesRegex(InputError, f"^{path}: .* claims to hold 6,0"):
            with untrusted.open_h5(path):
                self.fail("the file was opened")

    def test_every_attack_is_tried(self):
        self.assertEqual(set(self.WORDS), set(model_files.H5_ATTACKS))

    def test_what_the_attacks_would_do(self):
        """h5py follows them all: the numbers of other files would be weights."""
        for name in ("external_link", "soft_link", "virtual", "external_storage"):
            path = self.attacked(model_files.H5_ATTACKS[name])
            with h5py.File(path) as file:
                self.assertEqual(file["dense/kernel:0"][0, 0], 1.0, name)

    def test_groups_that_hold_each_other(self):
        def tie(file, name, _):
            file["dense/again"] = file["/"]

        with untrusted.open_h5(self.attacked(tie)) as file:
            self.assertEqual(untrusted.count_numbers(file), 15)

    def test_packed_weights_are_read(self):
        def pack(file, name, _):
            file.create_dataset("x", data=np.arange(5.0), compression="gzip",
                                shuffle=True, fletcher32=True)  # fmt: skip

        with untrusted.open_h5(self.attacked(pack)) as file:
            self.assert_close(file["x"][...], np.arange(5.0))

    @parameterized.parameters("external_storage", "gzip_bomb")
    def test_published_file(self, name):
        path = self.tempdir() / "published.h5"
        save_published(path)
        with h5py.File(path, "a") as file:
            array = model_files.arrays_of(file)[0]
            model_files.H5_ATTACKS[name](file, array, path.with_name("elsewhere"))
        with self.assertRaisesRegex(InputError, "stored in another|claims to hold"):
            models.load_generator(path)


class ArchiveTest(testing.TestCase):
    def write(self, data):
        path = self.tempdir() / "file.npz"
        path.write_bytes(data)
        return path

    def test_arrays(self):
        arrays = {"a/b": np.arange(6.0).reshape(2, 3), "c": np.array([b"x"])}
        path = self.tempdir() / "arrays.npz"
        np.savez_compressed(path, **arrays)
        found = untrusted.load_arrays(path)
        self.assertEqual(set(found), set(arrays))
        self.assert_close(found["a/b"], arrays["a/b"])

    @parameterized.parameters(
        ((1 << 43,), r"a.npy claims \(8796093022208,\) float32, holds 12 bytes"),
        ((-1, -3), "a.npy is no array of numbers"),
        ((4,), "holds 12 bytes"),
    )
    def test_claims(self, shape, words):
        data = model_files.npz(a=model_files.npy(np.zeros(3, "f4"), shape))
        with self.assertRaisesRegex(InputError, words):
            untrusted.load_arrays(self.write(data))

    def test_objects(self):
        path = self.tempdir() / "objects.npz"
        np.savez(path, a=np.array([{}], object))
        with self.assertRaisesRegex(InputError, "a.npy is no array of numbers or text"):
            untrusted.load_arrays(path)

    def test_zip_bomb(self):
        zeros = np.zeros(untrusted.MIN_LIMIT // 4 + 1, "f4")
        path = self.write(model_files.npz(a=model_files.npy(zeros)))
        self.assertLess(path.stat().st_size, 300_000)
        with self.assertRaisesRegex(InputError, "claims to hold 268,4"):
            untrusted.load_arrays(path)

    def test_description_of_any_length(self):
        path = self.tempdir() / "long.keras"
        save_foreign(path)
        data = model_files.rewrite_archive(
            path.read_bytes(), "config.json", lambda text: text + b" " * (17 << 20)
        )
        path.write_bytes(data)
        with self.assertRaisesRegex(InputError, "config.json has 17,8.* bytes"):
            foreign.load_network(path)

    def test_description_that_nests_for_ever(self):
        path = self.write(b"")
        with self.assertRaisesRegex(InputError, "its description is damaged"):
            untrusted.parse_json('{"a":' + "[" * 100_000, path)

    def test_networks_of_terabytes(self):
        path = self.tempdir() / "encoder.keras"
        save_encoder(path)

        def widen(config):
            config["config"]["width"] = 1e4
            return config

        path.write_bytes(model_files.with_config(path.read_bytes(), widen))
        with self.assertRaisesRegex(InputError, r"network of \d{2,3},.* and holds 26,"):
            arcface_model.load_encoder(path)


class OneDoorTest(testing.TestCase):
    """Every file of others is opened where it is not trusted."""

    HOMES = {
        r"np\.load\(": (),
        r"h5py\.File\([^)\n]*\"r\"": ("facedancer/storage/untrusted.py",),
        r"h5py\.File\([^,\n]*\)": (),
        r"zipfile\.ZipFile\(path": (
            "facedancer/storage/untrusted.py",
            "facedancer/storage/writing.py",
        ),
        r"saving\.load_model\(\w": (
            "facedancer/networks/foreign.py",
            "models/exports.py",  # what it just wrote
        ),
        r"getattr\((keras\.)?layers": ("facedancer/networks/layer_lists.py",),
        r"urlopen|get_file\(": (),
    }

    def test_homes(self):
        root = pathlib.Path(__file__).parents[2]
        for path in root.rglob("*.py"):
            name = path.relative_to(root).as_posix()
            if name.startswith(("tests/", "benchmarks/")):
                continue
            code = re.sub(r" *#.*", "", path.read_text())
            for pattern, homes in self.HOMES.items():
                if re.search(pattern, code):
                    self.assertIn(name, homes, pattern)
