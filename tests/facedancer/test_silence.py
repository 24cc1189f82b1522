"""Nothing is sent, and the home folder stays empty: by any process of any program."""

import ast
import pathlib
import shutil

import pytest
import skimage.data
from matplotlib import cbook

from facedancer.imaging import images
from facedancer.process import beam_runner
from facedancer.storage import weights
from tests import testing
from tests.facedancer import hub, recorder

pytest.importorskip("openvino")

# What the libraries do at their import and at their work, in the order of our programs.
LIBRARIES = """
import importlib.util
from facedancer.inference import portable
import keras, matplotlib.figure, matplotlib.font_manager, openvino, tensorflow as tf
network = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
call = tf.function(network, input_signature=[tf.TensorSpec((None, 4))])
openvino.convert_model(call.get_concrete_function())
network.export("network.xml", format="openvino", verbose=False)
if importlib.util.find_spec("onnxruntime"):
    import onnxruntime
    path = portable.find("detector").path
    onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
print("done")
"""
# As libraries send: from a child of their own, with all errors swallowed.
SENDING = """
import multiprocessing, pathlib, urllib.request

def send():
    try:
        urllib.request.urlopen("http://statistics.invalid/collect", timeout=1)
    except OSError:
        pass

(pathlib.Path.home() / "id").write_text("1")
child = multiprocessing.get_context("fork").Process(target=send)
child.start()
child.join()
"""
STAND_IN = """
import facedancer
from openvino.tools.ovc import telemetry_utils
print(telemetry_utils.tm.Telemetry.__module__)
"""


class SilenceTest(testing.TestCase):
    def check(self, words, processes=1):
        """Runs Python and returns its output, after a look at what else it did."""
        folder = self.tempdir()
        found = recorder.record(folder, words)
        self.assertEqual(found.status, 0, found.output)
        self.assertEqual(found.sent, ())
        self.assertEqual(found.left, ())
        self.assertGreaterEqual(len(found.processes), processes)
        config = folder / "config"
        kept = [path.name for path in config.iterdir()] if config.is_dir() else []
        self.assertIn(kept, ([], ["facedancer"]))  # the key that signs
        return found.output

    @pytest.mark.slow
    def test_libraries(self):
        output = self.check(["-c", LIBRARIES])
        self.assertIn("done", output)
        self.assertNotIn("MPLCONFIGDIR", output)

    def test_the_recorder_sees_what_would_be_sent(self):
        found = recorder.record(self.tempdir(), ["-c", SENDING])
        self.assertEqual(found.status, 0, found.output)
        self.assertIn("statistics.invalid", " ".join(found.sent))
        self.assertEqual(found.left, ("id",))

    def test_openvino_takes_its_stand_in_that_sends_nothing(self):
        output = self.check(["-c", STAND_IN])
        self.assertIn("telemetry_stub", output)

    @pytest.mark.slow
    def test_settings_of_the_user_are_read(self):
        folder = self.tempdir()
        (folder / ".keras").mkdir()
        (folder / ".keras" / "keras.json").write_text('{"epsilon": 0.5}')
        given = {"HOME": str(folder), "KERAS_BACKEND": "numpy"}  # quick to import
        program = "import facedancer, keras; print(keras.config.epsilon())"
        words = f"import os; os.environ.update({given!r}); {program}"
        self.assertTrue(self.check(["-c", words]).strip().endswith("0.5"))

    def photos(self):
        folder = self.tempdir()
        source = images.read_image(cbook.get_sample_data("grace_hopper.jpg", False))
        target = skimage.data.astronaut()[:300, 80:380]
        return (
            images.write_image(folder / "source.jpg", source),
            images.write_image(folder / "target.jpg", target),
        )

    def test_swap_of_a_photo(self):
        source, target = self.photos()
        swapped = target.with_name("swapped.png")
        self.check(
            [
                "-m",
                "facedancer.video_swap.swap_image",
                f"--img_path={target}",
                f"--swap_source={source}",
                f"--output={swapped}",
            ]
        )
        self.assertTrue(swapped.is_file())

    @pytest.mark.slow
    def test_python_and_the_one_command(self):
        source, target = self.photos()
        folder = target.parent
        code = (
            "from facedancer import Swapper\n"
            f"swapper = Swapper(); photo = {str(target)!r}\n"
            f"me = swapper.identity({str(source)!r})\n"
            f"swapper.swap(photo, source=me).save({str(folder / 'a.png')!r})\n"
            "print(len(swapper.faces(photo)))\n"
        )
        self.assertEndsWith(self.check(["-c", code]).strip(), "1")
        words = ["-s", source, "-t", target, "-o", folder / "b.png"]
        self.check(["-m", "facedancer", "swap", *words])
        self.assertTrue((folder / "a.png").is_file() and (folder / "b.png").is_file())

    def test_weights_get_asks_the_hub_alone(self):
        """Without a hash nobody is asked; else the Hub, here one of this machine."""
        found = recorder.record(
            self.tempdir(), ["-m", "facedancer", "weights", "get", "arcface_res50"]
        )
        self.assertEqual((found.status, found.sent, found.left), (1, (), ()))
        self.assertIn("are not known here", found.output)
        pytest.importorskip("huggingface_hub", reason="extra hub")
        with hub.serving() as address:
            folder = str(self.tempdir() / "weights")
            given = {"HF_ENDPOINT": address, "FACEDANCER_WEIGHTS": folder}
            code = f"import os; os.environ.update({given!r})\n{hub.getting()}"
            self.assertIn("as in the catalogue", self.check(["-c", code]))
            self.assertLen(hub.Hub.asked, 1)

    @pytest.mark.large
    @pytest.mark.timeout(1800)
    def test_a_batch(self):
        """By patterns, and by Beam's runner that stays in the process."""
        source, target = self.photos()
        folder = target.parent
        shutil.copy(target, folder / "target_too.jpg")
        words = ["swap", "-s", source, "-t", folder / "target*.jpg", "-o"]
        self.check(["-m", "facedancer", *words, folder / "a" / "{target}.png"])
        self.assertLen(list((folder / "a").glob("*.png")), 2)
        if not beam_runner.installed():
            pytest.skip("the extra beam is not installed")
        words += [folder / "b" / "{target}.png", "--runner=FnApiRunner"]
        self.check(["-m", "facedancer", *words])
        self.assertLen(list((folder / "b").glob("*.png")), 2)

    @pytest.mark.large
    def test_demo(self):
        words = ["-m", "facedancer.video_swap.demo", "--seconds=0.2"]
        self.check(words, processes=2)

    @pytest.mark.large
    @pytest.mark.timeout(1800)
    def test_training_and_measuring(self):
        """Aligns, shards, trains, exports and measures, on real photos."""
        people = sorted(testing.shared("faces", "lfw").iterdir())[:12]
        folder = self.tempdir()
        for person in people:
            shutil.copytree(person, folder / "photos" / person.name)
        run = lambda name, *words: self.check(["-m", f"facedancer.{name}", *words])  # noqa: E731
        run(
            "dataset.crop_align",
            f"--data_dir={folder / 'photos'}",
            f"--target_dir={folder / 'aligned'}",
            "--im_size=112",
            "--min_size=64",
        )
        run(
            "dataset.dataset_sharding",
            f"--data_dir={folder / 'aligned'}",
            f"--target_dir={folder / 'shards'}",
            "--data_name=lfw",
            "--num_shards=2",
        )
        train = (
            f"--data_dir={folder / 'shards' / 'lfw_train*.records'}",
            f"--log_dir={folder / 'runs'}",
            f"--arcface_path={weights.find('encoder')}",
            "--log_name=silent",
            "--preset=facedancer_lite_64",
            "--perceptual=encoder",
            "--batch_size=4",
            "--steps=4",
            "--sample_every=2",
            "--save_every=4",
        )
        run("train.train", *train)
        run(
            "train.train",
            *train,
            "--load=latest",
            "--export=True",
            "--export_formats=openvino",
        )
        run(
            "evaluation.evaluate",
            f"--data_dir={folder / 'photos'}",
            f"--out={folder / 'report'}",
            "--pairs=4",
            "--allow_same_judge",
        )
        self.assertTrue((folder / "report" / "index.html").is_file())

    def test_openvino_is_imported_behind_the_project(self):
        """Else it is imported before it is silenced (the package's own files are)."""
        for path in recorder.ROOT.rglob("*.py"):
            text = path.read_text()
            if "openvino" not in text and "nncf" not in text:
                continue  # reading all as Python is dear
            names = list(_imports(path))
            asked = [n for n in names if n.split(".")[0] in ("openvino", "nncf")]
            if asked and path.relative_to(recorder.ROOT).parts[0] != "facedancer":
                first = min(names.index(name) for name in asked)
                before = [n for n in names[:first] if n.split(".")[0] == "facedancer"]
                self.assertTrue(before, f"{path} imports {asked[0]} first")


def _imports(path: pathlib.Path):
    """Yields the names of imported modules in the order of the lines."""
    nodes = [
        node
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Import | ast.ImportFrom)
    ]
    for node in sorted(nodes, key=lambda node: node.lineno):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        else:
            yield node.module or ""
