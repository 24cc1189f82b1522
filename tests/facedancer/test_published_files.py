"""Tests of `facedancer weights get`, against a server of this machine."""

import dataclasses
import hashlib
import http.server
import pathlib
import re
import subprocess
import sys
import threading

import pytest

from facedancer import published_files
from facedancer.errors import InputError

CONTENT = bytes(range(256)) * 2**16
CHUNK = 10 * 2**20  # what the Hub's library writes at once
COMMIT = "0123456789abcdef0123456789abcdef01234567"
ENTRY = published_files.PublishedFile(
    "generator",
    "made.h5",
    "CC-BY-4.0",
    "https://example.invalid/made",
    repository="somebody/made",
    revision=COMMIT,
    sha256=hashlib.sha256(CONTENT).hexdigest(),
)


class Hub(http.server.BaseHTTPRequestHandler):
    """Answers as the Hub does, for one file."""

    asked: list = []
    broken = False  # ends its first answer in the middle

    def do_HEAD(self):
        self._answer(False)

    def do_GET(self):
        self._answer(True)

    def _answer(self, with_content):
        begin = int(
            (re.findall(r"bytes=(\d+)-", self.headers["Range"] or "") or [0])[0]
        )
        if with_content:
            Hub.asked.append((self.path, begin))
        if self.path != f"/somebody/made/resolve/{COMMIT}/made.h5":
            self.send_error(404)
            return
        self.send_response(206 if begin else 200)
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("ETag", '"made"')
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(len(CONTENT) - begin))
        if begin:
            span = f"bytes {begin}-{len(CONTENT) - 1}/{len(CONTENT)}"
            self.send_header("Content-Range", span)
        self.end_headers()
        if with_content:
            end = CHUNK + 50_000 if Hub.broken and not begin else len(CONTENT)
            self.wfile.write(CONTENT[begin:end])

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    Hub.asked, Hub.broken = [], False
    made = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    thread = threading.Thread(target=made.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{made.server_address[1]}"
    made.shutdown()
    thread.join()
    made.server_close()


def fetch(address, folder, entry=ENTRY):
    """Fetches in a process of its own: the Hub's address is read at its import."""
    pytest.importorskip("huggingface_hub", reason="extra hub")
    code = (
        "from facedancer import list_weights as program, published_files as p\n"
        f"p.PUBLISHED['made'] = p.{entry!r}\n"
        "from facedancer import cli, usage; import sys\n"
        "sys.argv = ['weights', 'get', 'made', '--accept_licence=CC-BY-4.0']\n"
        "cli.run(program.main, program.WeightsSettings)\n"
    )
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
        [sys.executable, "-c", code],
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
    assert path.read_bytes() == CONTENT
    assert f"{path}: as in the catalogue, under CC-BY-4.0" in done.stdout
    assert [begin for _, begin in Hub.asked] == [0]
    assert fetch(server, tmp_path).returncode == 0
    assert len(Hub.asked) == 1


def test_a_fetch_that_was_broken_off_goes_on(server, tmp_path):
    Hub.broken = True  # its first answer
    done = fetch(server, tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "weights" / "made.h5").read_bytes() == CONTENT
    assert [begin for _, begin in Hub.asked] == [0, CHUNK]


def test_another_file_is_refused(server, tmp_path):
    done = fetch(server, tmp_path, dataclasses.replace(ENTRY, sha256="0" * 64))
    assert done.returncode == 1
    assert "not the file of the catalogue. Expected SHA-256 0000" in done.stderr


def test_what_is_not_there_is_one_line(server, tmp_path):
    done = fetch(server, tmp_path, dataclasses.replace(ENTRY, file="other.h5"))
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
            "arcface_res50",
            "CC-BY-NC-SA-4.0",
            "SHA-256 of ArcFace-Res50.h5 are not known",
        ),
    ],
)
def test_refused(monkeypatch, name, accepted, words):
    monkeypatch.setitem(published_files.PUBLISHED, "made", ENTRY)
    monkeypatch.delenv("FACEDANCER_WEIGHTS", raising=False)
    with pytest.raises(InputError, match=words):
        published_files.get(name, accepted)


def test_every_entry_is_pinned_whole_or_not_at_all():
    for name, entry in published_files.PUBLISHED.items():
        known = [bool(entry.repository), bool(entry.revision), bool(entry.sha256)]
        assert all(known) or not any(known[1:]), name
        assert set(entry.belongs) <= set(published_files.PUBLISHED), name
