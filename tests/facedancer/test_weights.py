"""Tests of `facedancer weights` and of where files are looked for."""

import contextlib
import io
import os
import shutil
from unittest import mock

from facedancer import arcface_model, list_weights
from facedancer.errors import InputError
from facedancer.inference import portable
from facedancer.list_weights import WeightsSettings
from facedancer.networks.contract import IdentityInput
from facedancer.storage import weights
from facedancer.video_swap.swapping import networks
from tests import testing


class WeightsTest(testing.TestCase):
    def run_program(self, *words):
        with contextlib.redirect_stdout(io.StringIO()) as said:
            status = list_weights.main(WeightsSettings(*words))
        return status, said.getvalue()

    def test_list(self):
        status, said = self.run_program("list")
        self.assertEqual(status, 0)
        for name, entry in weights.CATALOGUE.items():
            self.assertIn(f"{name}: {entry.kind}, Apache-2.0", said)
            self.assertIn(entry.portable_sha256, said)
        with self.assertRaisesRegex(InputError, "list takes no file. Received: a"):
            self.run_program("list", "a")

    def test_all_packaged_files_are_those_of_the_catalogue(self):
        status, said = self.run_program("verify")
        shipped = [
            path
            for path in weights.PACKAGED.iterdir()
            if path.suffix in (".keras", ".onnx", ".npz")
        ]
        self.assertEqual((status, len(said.splitlines())), (0, len(shipped)))
        for path in shipped:
            self.assertIn(f"{path}: as in the catalogue", said)

    def test_a_changed_and_a_missing_file(self):
        folder = self.tempdir()
        changed = folder / "mobilefacenet_112.onnx"
        changed.write_bytes(b"other")
        with mock.patch.object(weights, "_folders", lambda: [folder]):
            status, said = self.run_program("verify")
        self.assertEqual(status, 2)
        self.assertIn("mobilefacenet_112.keras: not there", said)
        self.assertRegex(said, f"{changed}: not the file of the catalogue. Expected")

    def test_a_file_of_any_name(self):
        path = self.tempdir() / "x.bin"
        shutil.copy(weights.find("detector"), path)
        status, said = self.run_program("verify", str(path))
        self.assertEqual(status, 0)
        self.assertIn("retinaface_mobilenet025.keras of retinaface_mobilenet025", said)
        path.write_bytes(b"other")
        with self.assertRaisesRegex(InputError, "none of the files of the catalogue"):
            self.run_program("verify", str(path))
        with self.assertRaisesRegex(ValueError, "must be one of list, verify, get"):
            self.run_program("fetch")

    def test_vectors_that_mean_the_same(self):
        entry = weights.CATALOGUE["mobilefacenet_112"]
        packaged = portable.find("encoder").name
        self.assertEqual(packaged, entry.encoders[0])
        before = entry.encoders[1]
        self.assertTrue(weights.same_vectors(before, packaged))
        self.assertTrue(weights.same_vectors("a@1", "a@1"))
        for one, other in (("a@1", "a@2"), (packaged, "mobilefacenet@0"), ("", "a@1")):
            self.assertFalse(weights.same_vectors(one, other))
        told = IdentityInput("vector", 128, before)
        encoder = arcface_model.load_embedder().encoder
        self.assertEqual(networks.check_encoder(told, encoder), ())
        (warning,) = networks.check_encoder(
            IdentityInput("vector", 128, "mobilefacenet@0"), encoder
        )
        self.assertIn("likeness may be worse", warning)

    def test_which_file_is_taken(self):
        """A folder of the user goes before the package, also with a .keras file."""
        folder = self.tempdir()
        with mock.patch.dict(os.environ, FACEDANCER_WEIGHTS=str(folder)):
            packaged = weights.find_portable("encoder")
            self.assertEqual(packaged.name, "mobilefacenet_112.onnx")
            own = folder / "mobilefacenet_112.keras"
            own.write_bytes(b"")
            self.assertEqual(weights.find_portable("encoder"), own)
            own.with_suffix(".onnx").write_bytes(b"")
            self.assertEqual(weights.find_portable("encoder"), own.with_suffix(".onnx"))
