"""Tests of `facedancer.inference.openvino_core`."""

import pathlib
import subprocess
import sys
from concurrent import futures

import numpy as np
import pytest

from facedancer.inference import openvino_core
from tests import testing

openvino = pytest.importorskip("openvino")
opset = pytest.importorskip("openvino.opset13")
ROOT = pathlib.Path(openvino_core.__file__).resolve().parents[1]

# Networks are made and let go, then Ctrl-C is pressed.
PROGRAM = """
import signal
import numpy as np
from facedancer.inference import openvino_core
import openvino
from openvino import opset13 as ops

def network():
    given = ops.parameter([1], np.float32)
    return {make_core}.compile_model(openvino.Model([ops.exp(given)], [given]), "CPU")

signal.signal(signal.SIGINT, lambda number, frame: print("pressed"))
first = network()
second = network()
del first
del second
signal.raise_signal(signal.SIGINT)
"""

# The converter of other formats, before and after it is called for nothing it reads.
CONVERTER = """
import sys
from facedancer.inference import openvino_core
openvino_core.core()
print("openvino.tools.ovc" in sys.modules)
import openvino
try:
    openvino.convert_model("nothing.onnx")
except openvino.tools.ovc.error.Error as error:
    print(type(error).__module__.split(".")[0], "openvino.tools.ovc" in sys.modules)
"""


class CoreTest(testing.TestCase):
    def pressed(self, make_core):
        """Returns the status and words of a process in which Ctrl-C is pressed."""
        program = PROGRAM.format(make_core=make_core)
        done = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True
        )
        return done.returncode, done.stdout.strip()

    def test_ctrl_c_after_networks_ended(self):
        found = self.pressed("openvino_core.core()")
        self.assertEqual(found, (0, "pressed"))

    def test_the_converter_is_imported_by_its_call(self):
        done = subprocess.run(
            [sys.executable, "-c", CONVERTER], capture_output=True, text=True
        )
        self.assertEqual(done.stdout.split(), ["False", "openvino", "True"])

    def test_threads_share_a_network(self):
        given = opset.parameter([1, 3], np.float32)
        network = openvino.Model([opset.multiply(given, np.float32(2))], [given])
        runs = openvino_core.SideBySide(network)

        def ask(number):
            rows = np.full((5, 3), number, np.float32)
            return all((runs({0: rows})[0] == 2 * number).all() for _ in range(40))

        with futures.ThreadPoolExecutor(4) as pool:
            self.assertTrue(all(pool.map(ask, range(8))))

    def test_no_other_core_is_made(self):
        makes = {
            path.name
            for path in ROOT.rglob("*.py")
            if "tests" not in path.parts and "openvino.Core(" in path.read_text()
        }
        self.assertEqual(makes, {"openvino_core.py"})
