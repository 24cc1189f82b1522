"""The notebook runs from its first cell to its last, and sends nothing."""

import json

import pytest

from tests.docs import blocks
from tests.facedancer import recorder

NOTEBOOK = blocks.ROOT / "docs" / "first_steps.ipynb"
# In a process of its own, which is recorded with all that it starts.
RUN = """
import sys
import nbclient, nbformat
notebook = nbformat.read(sys.argv[1], as_version=4)
nbclient.NotebookClient(notebook, timeout=3000, kernel_name="python3").execute()
nbformat.write(notebook, "done.ipynb")
"""


def test_no_results_are_kept_in_it():
    for cell in json.loads(NOTEBOOK.read_text())["cells"]:
        assert not cell.get("outputs") and not cell.get("execution_count")


@pytest.mark.large
@pytest.mark.timeout(3600)
def test_notebook(tmp_path):
    pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    folder = tmp_path / "run"
    found = recorder.record(folder, ["-c", RUN, NOTEBOOK])
    assert found.status == 0, found.output[-4000:]
    assert [line for line in found.sent if "127.0.0.1" not in line] == []
    done = json.loads((folder / "work" / "done.ipynb").read_text())
    outputs = [one for cell in done["cells"] for one in cell.get("outputs", ())]
    shown = [one for one in outputs if "image/png" in one.get("data", {})]
    assert len(shown) == 2  # the swap and a sample of the training
    assert "facedancer_latest.keras" in json.dumps(outputs)
