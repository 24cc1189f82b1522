"""LiteRT files: what they say of themselves, three precisions, swaps, bad input."""

import pathlib
import subprocess
import sys
import tempfile

import numpy as np
import pytest

from facedancer.errors import InputError
from facedancer.imaging import sample_photos
from facedancer.inference import portable, runtimes
from facedancer.models import exports, litert
from facedancer.models.export import ExportSettings
from facedancer.video_swap.engines import make
from facedancer.video_swap.swapping import networks
from tests import testing
from tests.video_swap import made

pytest.importorskip("ai_edge_litert")


@pytest.mark.slow
class FilesTest(testing.TestCase):
    """One conversion for all of them: it takes seconds."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.folder = pathlib.Path(cls.enterClassContext(tempfile.TemporaryDirectory()))
        cls.generator = made.tiny_generator()
        cls.path = cls.folder / "tiny.tflite"
        cls.apart = exports.export(cls.generator, cls.path)

    def feeds(self, count=3):
        return self.generator.example_inputs(batch=count)

    def test_the_file_says_what_it_is(self):
        file = portable.read(self.path, "generator")
        self.assertEqual(file.contract, self.generator.contract)
        self.assertEqual(file.facts["precision"], "f32")
        self.assertTrue(portable.is_litert(self.path))
        self.assertLess(self.apart, 1e-4)

    def test_the_engine_gives_what_keras_gives(self):
        engine = make.make_engine(portable.read(self.path))  # auto
        self.assertEqual((engine.name, engine.precision), ("litert", "f32"))
        found, expected = engine(self.feeds()), self.generator.named(self.feeds())
        self.assertEqual(list(found), ["swapped"])
        self.assert_close(found["swapped"], np.asarray(expected["swapped"]), atol=1e-4)

    def test_no_tensorflow_is_imported(self):
        program = (
            "import sys; from facedancer.inference import portable\n"
            "from facedancer.video_swap.engines import make\n"
            "import numpy as np\n"
            "file = portable.read(sys.argv[1]); engine = make.make_engine(file)\n"
            "told, size = file.contract.identity, file.contract.image.size\n"
            "feeds = {'target': np.zeros((1, size, size, 3), 'float32'),\n"
            "         'identity': np.ones((1, told.size), 'float32')}\n"
            "print(engine(feeds)['swapped'].shape)\n"
            "assert not {'tensorflow', 'keras'} & set(sys.modules)\n"
        )
        done = subprocess.run(
            [sys.executable, "-c", program, str(self.path)],
            capture_output=True,
            text=True,
            timeout=120,
        )
        self.assertEqual(done.returncode, 0, done.stderr[-2000:])
        size = self.generator.contract.image.size
        self.assertIn(f"(1, {size}, {size}, 3)", done.stdout)

    def test_other_engines_and_precisions_are_refused(self):
        file = portable.read(self.path)
        with self.assertRaisesRegex(InputError, "is for --engine=litert. Received: -"):
            make.make_engine(file, "openvino")
        with self.assertRaisesRegex(InputError, "computes in f32. Leave out"):
            make.make_engine(file, "litert", "int8")
        with self.assertRaisesRegex(InputError, "--precision must be one of f32, f16"):
            make.make_engine(file, "litert", "bf16")
        with self.assertRaisesRegex(InputError, "no output alpha; it gives swapped"):
            make.make_engine(file, "litert", outputs=("swapped", "alpha"))
        with self.assertRaisesRegex(InputError, "LiteRT does not read ONNX files"):
            make.make_engine(portable.find("generator"), "litert")

    def test_bad_files(self):
        network = self.path.read_bytes()
        for name, data, words in (
            ("empty", b"", "no ONNX or LiteRT file: it is empty"),
            ("other", b"PK" * 40, "not a LiteRT file, or a damaged one"),
            (
                "bare",
                network[: network.index(b"PK\x03\x04")],
                "does not say what it is",
            ),
            ("cut", network[:40] + network[-400:], "damaged|cannot read|description"),
        ):
            path = self.folder / f"{name}.tflite"
            path.write_bytes(data)
            with self.subTest(name), self.assertRaisesRegex(InputError, words):
                make.make_engine(portable.read(path))
        with self.assertRaisesRegex(InputError, "expected the network of a encoder"):
            portable.read(self.path, "encoder")

    def test_the_swapping_programs_take_it(self):
        """Without --engine too, and they say what computes."""
        path, found = networks._generator(str(self.path), "litert")
        self.assertEqual(path, self.path)
        self.assertEqual(found.contract, self.generator.contract)

    def test_same_bytes(self):
        again = self.folder / "again.tflite"
        data = self.path.read_bytes()
        network = data[: data.index(b"PK\x03\x04")]
        facts = portable.read(self.path).facts | {"kind": "generator"}
        portable.write_litert(again, network, facts)
        self.assertEqual(again.read_bytes(), data)


@pytest.mark.large  # each is a conversion
class PrecisionTest(testing.TestCase):
    def test_smaller_files(self):
        generator, sizes, apart = made.tiny_generator(), [], []
        folder = self.tempdir()
        contract = generator.contract
        faces = sample_photos.example_faces(contract.image.size)[:3]
        feeds = generator.example_inputs(batch=3)
        feeds["target"] = contract.image.from_uint8(faces)
        expected = np.asarray(generator.named(feeds)["swapped"])
        for precision in litert.PRECISIONS:
            path = folder / f"{precision}.tflite"
            exports.export(generator, path, precision)
            file = portable.read(path, "generator")
            self.assertEqual(file.facts["precision"], precision)
            found = runtimes.LiteRTRuntime(file)(feeds)["swapped"]
            sizes.append(path.stat().st_size)
            apart.append(np.abs(found - expected).mean())
        self.assertGreater(sizes[0], sizes[1])
        self.assertGreater(sizes[0], sizes[2])
        self.assertLess(apart[0], 1e-5)
        self.assertLess(apart[1], 1e-2)
        self.assertBetween(apart[2], 1e-6, 0.1)


def test_precision_is_for_litert(tmp_path):
    with pytest.raises(
        InputError, match="--precision=int8 is for names that end in .tfl"
    ):
        exports.check(tmp_path / "a.onnx", "int8")
    with pytest.raises(ValueError, match="precision"):
        ExportSettings("a.keras", "b.tflite", precision="f8")
