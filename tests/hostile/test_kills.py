"""Programs that are killed in the middle: all of them where `-m large` is asked for."""

import os
import pathlib
import subprocess
import sys

import pytest

from tests.hostile import kills

ROOT = pathlib.Path(__file__).parents[2]


@pytest.mark.large
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", kills.PROGRAMS)
def test_killed_at_fifteen_moments(name):
    words = [f"--programs={name}", "--moments=15"]
    done = subprocess.run(
        [sys.executable, "-m", "tests.hostile.kills", *words],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"| {name} | 15 |" in done.stdout
