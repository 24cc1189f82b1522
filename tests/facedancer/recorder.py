"""Runs programs with an eye on what they send and what they leave behind."""

from __future__ import annotations

import dataclasses
import os
import pathlib
import subprocess
import sys
from collections.abc import Sequence

ROOT = pathlib.Path(__file__).parents[2]
# Python runs this at the start of every process, also of those that a library starts;
# forked ones keep the hook. It notes what would leave the machine, and stops it.
_SITECUSTOMIZE = """
import os, sys

LOCAL = ("127.0.0.1", "::1", "localhost", "", None)

def note(*words):
    with open(os.environ["RECORDED"], "a") as file:
        file.write(" ".join(map(str, (os.getpid(), *words))) + "\\n")

def watch(event, args):
    if event in ("socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr"):
        host = args[0]
    elif event in ("socket.connect", "socket.sendto", "socket.sendmsg"):
        address = args[1]
        host = address[0] if isinstance(address, tuple) else None  # else AF_UNIX
    else:
        return
    if host not in LOCAL:
        note("sent", event, host)
        raise OSError(f"{event} to {host} is stopped")

note("started", *sys.argv)
sys.addaudithook(watch)
"""


@dataclasses.dataclass(frozen=True)
class Recorded:
    """What a program did.

    Attributes:
        status: Its exit status.
        output: What it wrote to stdout and stderr.
        processes: Numbers of the processes that Python started.
        sent: Look-ups and connections that would have left the machine.
        left: Files and folders in the home folder.
    """

    status: int
    output: str
    processes: tuple[str, ...]
    sent: tuple[str, ...]
    left: tuple[str, ...]


def record(folder: pathlib.Path, words: Sequence[object]) -> Recorded:
    """Returns what Python did with some arguments, in an empty home folder.

    The folder of the signing key, which the README names, lies beside the home.

    Args:
        folder: An empty folder.
        words: Arguments for Python, as `-m`, `facedancer.video_swap.demo`.
    """
    done = subprocess.run(
        [sys.executable, *map(str, words)],
        env=environment(folder),
        cwd=folder / "work",
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return look(folder, done.returncode, done.stdout)


def environment(folder: pathlib.Path) -> dict[str, str]:
    """Returns the environment of programs that are recorded, with an empty home.

    Args:
        folder: An empty folder; `work` in it is to be worked in.
    """
    hook, home = folder / "hook", folder / "home"
    for made in (hook, home, folder / "work"):
        made.mkdir(parents=True)
    (hook / "sitecustomize.py").write_text(_SITECUSTOMIZE)
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("XDG_", "KERAS_HOME", "MPLCONFIGDIR"))
    }
    return kept | {
        "HOME": str(home),
        "PYTHONPATH": os.pathsep.join([str(hook), str(ROOT)]),
        "RECORDED": str(folder / "log"),
        "XDG_CONFIG_HOME": str(folder / "config"),
    }


def look(folder: pathlib.Path, status: int, output: str) -> Recorded:
    """Returns what was recorded up to now.

    Args:
        folder: That of `environment`.
        status: Exit status of the program.
        output: What it wrote.
    """
    home, log = folder / "home", folder / "log"
    lines = [line.split(" ", 2) for line in log.read_text().splitlines()]
    return Recorded(
        status,
        output,
        tuple(number for number, what, _ in lines if what == "started"),
        tuple(text for _, what, text in lines if what == "sent"),
        tuple(sorted(str(path.relative_to(home)) for path in home.rglob("*"))),
    )
