"""Tests of `facedancer weights get`, against a server of this machine."""

import dataclasses
import pathlib
import subprocess
import sys

import pytest

from facedancer.errors import InputError
from facedancer.storage import published_files
from tests.facedancer import hub


@pytest.fixture
def server():
    with hub.serving() as address:
        yield address


def fetch(address, folder, entry=hub.ENTRY):
    """Fetches in a process of its own: the hub.Hub's address is read at its import."""
    pytest.importorskip("huggingface_hub", reason="extra hub")
    home = folder / "home"
    home.mkdir(exist_ok=True)
    environment = {
        "PYTHONPATH": str(pathlib.Path(__file__).parents[2]),
        "PATH": "/usr/bin:/bin",
        "HOME": str(home),
        "HF_ENDPOINT": address,
        "FACEDANCER_WEIGHTS": str(folder / "weights"),
        "HF_HUB_ETAG_TIMEOUT": "5",
    }
    done = subprocess.run(
        [sys.executable, "-c", hub.getting(entry)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert not list(home.rglob("*")), "the home folder stays empty"
    return done


def test_a_file_is_fetched_checked_and_not_fetched_again(server, tmp_path):
    done = fetch(server, tmp_path)
    assert done.returncode == 0, done.stderr
    path = tmp_path / "weights" / "made.h5"
    assert path.read_bytes() == hub.CONTENT
    assert f"{path}: as in the catalogue, under CC-BY-4.0" in done.stdout
    assert [begin for _, begin in hub.Hub.asked] == [0]
    assert fetch(server, tmp_path).returncode == 0
    assert len(hub.Hub.asked) == 1


def test_a_file_in_a_folder_goes_into_a_folder(server, tmp_path):
    hub.Hub.file = "models/pack/made.onnx"
    entry = dataclasses.replace(hub.ENTRY, file=hub.Hub.file)
    done = fetch(server, tmp_path, entry)
    assert done.returncode == 0, done.stderr
    path = tmp_path / "weights" / "models" / "pack" / "made.onnx"
    assert path.read_bytes() == hub.CONTENT
    assert f"{path}: as in the catalogue" in done.stdout


def test_a_fetch_that_was_broken_off_goes_on(server, tmp_path):
    hub.Hub.broken = True  # its first answer
    done = fetch(server, tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "weights" / "made.h5").read_bytes() == hub.CONTENT
    assert [begin for _, begin in hub.Hub.asked] == [0, hub.CHUNK]


def test_another_file_is_refused(server, tmp_path):
    done = fetch(server, tmp_path, dataclasses.replace(hub.ENTRY, sha256="0" * 64))
    assert done.returncode == 1
    assert "not the file of the catalogue. Expected SHA-256 0000" in done.stderr


def test_what_is_not_there_is_one_line(server, tmp_path):
    done = fetch(server, tmp_path, dataclasses.replace(hub.ENTRY, file="other.h5"))
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("Error: somebody/made: other.h5 ")
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "name, accepted, words",
    [
        ("mad", "", "no published file mad. Did you mean made?"),
        ("made", "", "made is under CC-BY-4.0, see https.*--accept_licence=CC-BY-4.0"),
        ("made", "CC-BY-4.0", "FACEDANCER_WEIGHTS"),
        (
            "arcface_w600k_r50",
            "CC-BY-4.0",
            "under LicenseRef-InsightFace-non-commercial-research, see .* Received: CC",
        ),
        (
            "arcface_res50",
            "CC-BY-NC-SA-4.0",
            "SHA-256 of ArcFace-Res50.h5 are not known",
        ),
    ],
)
def test_refused(monkeypatch, name, accepted, words):
    monkeypatch.setitem(published_files.PUBLISHED, "made", hub.ENTRY)
    monkeypatch.delenv("FACEDANCER_WEIGHTS", raising=False)
    with pytest.raises(InputError, match=words):
        published_files.get(name, accepted)


def test_every_entry_is_pinned_whole_or_not_at_all():
    for name, entry in published_files.PUBLISHED.items():
        known = [bool(entry.repository), bool(entry.revision), bool(entry.sha256)]
        assert all(known) or not any(known[1:]), name
        lengths = len(entry.revision), len(entry.sha256)
        assert lengths == ((40, 64) if entry.is_pinned else (0, 0)), name
        assert set(entry.belongs) <= set(published_files.PUBLISHED), name
