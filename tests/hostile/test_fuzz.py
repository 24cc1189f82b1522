"""Seeded hostile inputs: a few in every run, hundreds where `-m large` is asked for."""

import json
import os
import pathlib
import subprocess
import sys
import tempfile

import pytest
from absl.testing import parameterized

from tests import testing
from tests.hostile import harness, rules

ROOT = pathlib.Path(__file__).parents[2]
FEW = {"images": 12, "shards": 10, "signed": 5}
MANY = {"images": 500, "shards": 200, "clips": 150, "models": 300, "signed": 100}


def fuzz(*words, seconds=800):
    """Runs the fuzzer in a process of its own, which must not have used TensorFlow."""
    with tempfile.TemporaryDirectory() as folder:
        found = pathlib.Path(folder, "found.json")
        command = [sys.executable, "-m", "tests.hostile.fuzz", f"--json={found}"]
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        done = subprocess.run(
            [*command, *words],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            timeout=seconds,
        )
        assert found.exists(), done.stderr
        return json.loads(found.read_text())


@pytest.mark.slow
def test_a_few_of_every_kind():
    counts = ",".join(map(str, FEW.values()))
    found = fuzz(f"--kinds={','.join(FEW)}", f"--count={counts}")
    assert [result["tried"] for result in found] == list(FEW.values())
    assert [result["faults"] for result in found] == [{}] * len(FEW)
    # some are taken and some refused, else the damage would prove nothing
    statuses = {status for result in found for status in result["statuses"]}
    assert statuses == {"0", "1", "2"}


@pytest.mark.large
@pytest.mark.timeout(3600)
@pytest.mark.parametrize(
    "kind, count",
    [
        ("images", 500),
        ("models", 300),
        ("clips", 150),
        ("shards", 200),
        ("signed", 100),
    ],
)
def test_many(kind, count):
    (result,) = fuzz(f"--kinds={kind}", f"--count={count}", seconds=3600)
    assert result["tried"] == count
    assert result["faults"] == {}


@pytest.mark.large
class StartedTest(testing.TestCase):
    """A few inputs with really started programs, interpreter and all."""

    @parameterized.parameters(
        ("shards", "--data_dir={0}"),
        ("dataset_sharding", "--data_dir={0}", "--target_dir={1}"),
        ("convert", "{0}/bad.png", "{1}/made.keras"),
        ("verify", "{0}/bad.png"),
        ("swap_image", "--img_path={0}/bad.png", "--swap_source={0}/bad.png"),
        ("swap_video", "--vid_path={0}/bad.png", "--swap_source={0}/bad.png"),
    )
    def test_a_file_of_noise(self, command, *words):
        places = harness.Places(self.tempdir() / "case").make()
        bad = places.inputs / "bad.png"
        bad.write_bytes(bytes(range(256)) * 9)
        words = [word.format(places.inputs, places.output) for word in words]
        outcome = harness.run_started(command, words, places)
        self.assertEqual(rules.broken_rules(outcome), [])
        self.assertEqual(outcome.status, 1, outcome.stdout)
        self.assertLen(outcome.error.splitlines(), 1)
