"""Programs in processes of their own: ended at a moment, on full disks, watched."""

import contextlib
import dataclasses
import os
import pathlib
import random
import resource
import shutil
import signal
import subprocess
import sys
import time

import pytest

ROOT = pathlib.Path(__file__).parents[2]
LEFT = (".tmp-", ".lock", ".parts")  # in names of what no run may leave for ever


@dataclasses.dataclass
class Ended:
    """How a program ended.

    Attributes:
        status: Its exit status, `-number` if a signal killed it.
        out: What it printed.
        err: What it said of errors.
        seconds: How long it ran.
    """

    status: int
    out: str
    err: str
    seconds: float

    @property
    def one_line(self):
        """Whether it ended well, or said one clear line and no trace."""
        if self.status in (0, 2, 130, 143):
            return "Traceback" not in self.err
        errors = [x for x in self.err.splitlines() if x.startswith("Error: ")]
        return self.status == 1 and len(errors) == 1 and "Traceback" not in self.err


def start(program, *words, limit=None, **options):
    """Begins a program in a session of its own.

    Args:
        program: Its path below the checkout, or a module with that file.
        *words: Its flags.
        limit: Largest file it may write, in bytes.
        **options: Of `subprocess.Popen`.
    """
    path = getattr(program, "__file__", None) or ROOT / program

    def confine():
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))

    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
    options["env"] = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "TF_CPP_MIN_LOG_LEVEL": "2",
        **options.get("env", {}),
    }
    return subprocess.Popen(
        [sys.executable, str(path), *map(str, words)],
        text=True,
        start_new_session=True,
        preexec_fn=None if limit is None else confine,
        **options,
    )


def wait(process, timeout=900):
    """Waits for a program's end; one that takes too long is killed with all it began.

    Args:
        process: From `start`.
        timeout: Seconds.

    Returns:
        An `Ended`.
    """
    began = time.monotonic()
    try:
        out, err = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        raise
    return Ended(process.returncode, out or "", err or "", time.monotonic() - began)


def run(program, *words, timeout=900, **options):
    """Runs a program to its end; see `start` and `wait`."""
    return wait(start(program, *words, **options), timeout)


def end_when(process, ready, number=signal.SIGKILL, group=False, timeout=900):
    """Sends a signal once something has happened; returns how the program ended.

    Args:
        process: From `start`.
        ready: Called without arguments until it returns true.
        number: The signal.
        group: Whether all processes of the program get it, as from a terminal.
        timeout: Seconds.
    """
    deadline = time.monotonic() + timeout
    while process.poll() is None and not ready() and time.monotonic() < deadline:
        time.sleep(0.002)
    if process.poll() is None:
        (os.killpg if group else os.kill)(process.pid, number)
    return wait(process, timeout)


def end_after(process, seconds, number=signal.SIGKILL, group=False):
    """Sends a signal after some seconds; see `end_when`."""
    until = time.monotonic() + seconds
    return end_when(process, lambda: time.monotonic() > until, number, group)


def moments(seed, count, longest, shortest=0.0):
    """Returns `count` seeded times in seconds, one in each equal part of the range."""
    draw = random.Random(seed)
    part = (longest - shortest) / count
    return [shortest + part * (i + draw.random()) for i in range(count)]


def still_running(process):
    """Returns the processes of a program's session that have outlived it."""
    found = []
    for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            words = stat.read_text().rpartition(")")[2].split()
            if int(words[3]) == process.pid and words[0] not in "ZX":
                found.append(int(stat.parent.name))
    return found


def all_ended(process, seconds=10.0):
    """Waits until nothing of a program's session runs; returns whether that came."""
    deadline = time.monotonic() + seconds
    while still_running(process):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def content(folder):
    """Returns the bytes of each file below a folder by its path, hidden ones too."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(pathlib.Path(folder).rglob("*"))
        if path.is_file()
    }


def left_over(folder):
    """Returns the temporary files, locks and parts of clips below a folder."""
    names = (path.relative_to(folder) for path in pathlib.Path(folder).rglob("*"))
    return sorted(
        str(name) for name in names if any(part in name.name for part in LEFT)
    )


@contextlib.contextmanager
def small_disk(folder, size, options="rw"):
    """Mounts a disk of some bytes on a new folder; skips where that is not allowed.

    Args:
        folder: The folder; it is made.
        size: Bytes.
        options: Further options, `ro` for one that can only be read.
    """
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True)
    words = ["mount", "-t", "tmpfs", "-o", f"size={size},{options}", "tmpfs", folder]
    if (
        shutil.which("mount") is None
        or subprocess.run(words, capture_output=True, check=False).returncode
    ):
        pytest.skip("a disk cannot be mounted here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", folder], check=True)
