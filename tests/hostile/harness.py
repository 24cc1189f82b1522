"""Runs a program on hostile input in a process of its own, and says what it broke.

The rule for every program and every input: the right result, or one clear line on
stderr and a right exit status. Nothing in an input is run, nothing is written outside
the program's own folder, nothing is left over, and memory and time stay within limits.

Starting Python with TensorFlow takes seconds, so a process that has imported everything
forks one child a case. The child runs the program from its flags to its exit status,
with its own streams, home, temporary and working folder; only the start of the
interpreter is shared. `run_started` starts a real process instead.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import pathlib
import resource
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence

import matplotlib.font_manager  # noqa: F401  lists the fonts once, not in each case

from facedancer import cli, programs

# What Python reports before it starts a process or talks to a network.
_RUNS = ("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.spawn")
_TALKS = ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname")
_FORKS = ("os.fork", "os.forkpty")


@dataclasses.dataclass(frozen=True)
class Limits:
    """What a case may take.

    Attributes:
        seconds: Of wall time; a busy machine needs some.
        megabytes: Resident memory beyond that of the process that forks.
        address_megabytes: Address space beyond that of the process that forks; asking
            for more is a `MemoryError`.
    """

    seconds: float = 60.0
    megabytes: int = 1000
    address_megabytes: int = 6000


LIMITS = Limits()


@dataclasses.dataclass(frozen=True)
class Places:
    """The folders of one case.

    Attributes:
        root: Holds the others.
    """

    root: pathlib.Path

    @property
    def inputs(self) -> pathlib.Path:
        """What the program reads; it must stay as it is."""
        return self.root / "in"

    @property
    def output(self) -> pathlib.Path:
        """Where the program may write."""
        return self.root / "out"

    @property
    def empty(self) -> tuple[pathlib.Path, ...]:
        """Home, temporary and working folder, which must stay empty."""
        return tuple(self.root / name for name in ("home", "tmp", "cwd"))

    def make(self) -> Places:
        """Makes the folders and returns itself."""
        for folder in (self.inputs, self.output, *self.empty):
            folder.mkdir(parents=True, exist_ok=True)
        return self

    def environment(self) -> dict[str, str]:
        """Returns the variables that point a program at these folders."""
        home, temporary, _ = self.empty
        return {
            "HOME": str(home),
            "TMPDIR": str(temporary),
            "XDG_CONFIG_HOME": str(self.root.parent / "config"),
            "XDG_CACHE_HOME": str(home / "cache"),
        }


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What became of a case.

    Attributes:
        status: The exit status; minus the signal's number for a process that died.
        stdout: What it printed.
        stderr: What it complained of.
        seconds: Wall time.
        megabytes: Resident memory beyond that of the process that forked.
        events: Processes it started and machines it looked for.
        strays: Files it left or changed where it must not.
        late: Whether it was stopped for taking too long.
        survivors: Processes of it that outlived it.
    """

    status: int
    stdout: str
    stderr: str
    seconds: float
    megabytes: float
    events: tuple[str, ...]
    strays: tuple[str, ...]
    late: bool
    survivors: int

    @property
    def error(self) -> str:
        """The line that says what is wrong, "" if there is none."""
        lines = [
            line for line in self.stderr.splitlines() if line.startswith("Error: ")
        ]
        return lines[-1] if lines else ""


def listing(*folders: pathlib.Path) -> dict[str, str]:
    """Returns what lies below some folders: a digest by path, "" for a folder.

    Args:
        *folders: The folders.
    """
    found = {}
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            digest = ""
            if path.is_file() and not path.is_symlink():
                digest = hashlib.sha256(path.read_bytes()).hexdigest()
            found[str(path)] = digest
    return found


def _changed(before, after):
    """Returns the paths that came, went or have another content."""
    paths = before.keys() | after.keys()
    changed = sorted(p for p in paths if before.get(p) != after.get(p))
    # TensorFlow removes these at the interpreter's end, which a forked child has not
    return tuple(p for p in changed if "__autograph_generated_file" not in p)


def run(
    program: Callable[[], object],
    places: Places,
    limits: Limits = LIMITS,
    told: tuple[float, int] | None = None,
) -> Outcome:
    """Returns what became of a program that ran in a forked child.

    Args:
        program: Runs it to its end; it ends by returning or by `SystemExit`.
        places: Its folders, made already.
        limits: What it may take.
        told: After how many seconds which signal is sent, None for none.
    """
    watched = (places.inputs, *places.empty)
    before = listing(*watched)
    log = [tempfile.TemporaryFile() for _ in range(3)]
    start = time.monotonic()
    child = os.fork()
    if child == 0:
        _be_the_program(program, places, limits, [file.fileno() for file in log])
    status, used, late = _wait(child, limits.seconds, told)
    survivors = _end_group(child)
    seconds = time.monotonic() - start
    texts = []
    for file in log:
        file.seek(0)
        texts.append(file.read().decode(errors="replace"))
        file.close()
    strays = _changed(before, listing(*watched))
    first, *events = texts[2].splitlines() or ["0"]
    return Outcome(
        status,
        texts[0],
        texts[1],
        seconds,
        max(0.0, used.ru_maxrss / 1024 - int(first) / 2**20),
        tuple(events),
        strays,
        late,
        survivors,
    )


def answer_of(question: Callable[[], object], seconds: float = 60.0):
    """Returns what a function gives in a forked child, None if that dies or hangs.

    For looking at hostile files with libraries that may not survive them.

    Args:
        question: Returns something for JSON.
        seconds: What it may take.
    """
    with tempfile.TemporaryFile() as file:
        child = os.fork()
        if child == 0:
            status = 1
            try:
                os.write(file.fileno(), json.dumps(question()).encode())
                status = 0
            except BaseException as error:  # noqa: B036  what Python does at its end
                sys.excepthook(type(error), error, error.__traceback__)
            finally:
                os._exit(status)
        status, _, _ = _wait(child, seconds)
        file.seek(0)
        return json.loads(file.read()) if status == 0 else None


def _be_the_program(program, places, limits, files):
    """Never returns: becomes the case and exits with its status."""
    os.setsid()
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(files[0], 1)
    os.dup2(files[1], 2)
    sys.stdout = os.fdopen(1, "w", buffering=1, closefd=False)
    sys.stderr = os.fdopen(2, "w", buffering=1, closefd=False)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(
            number,
            signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL,
        )
    os.environ.update(places.environment())
    tempfile.tempdir = None  # is looked up again
    os.chdir(places.empty[2])
    size, resident = _memory()
    os.write(files[2], f"{resident}\n".encode())
    top = size + limits.address_megabytes * 2**20
    resource.setrlimit(resource.RLIMIT_AS, (top, top))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    sys.addaudithook(_Watch(files[2]))
    status = 70
    try:
        program()
        status = 0
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else (0 if not end.code else 1)
    except BaseException as error:  # noqa: B036  what Python does at its end
        sys.excepthook(type(error), error, error.__traceback__)
        status = 1
    finally:
        threading._shutdown()  # what the interpreter does at its end
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


class _Watch:
    """Writes down each process that is started and each machine that is looked for."""

    def __init__(self, log):
        self.log = log

    def __call__(self, event, arguments):
        if event in _RUNS or event in _TALKS or event in _FORKS:
            os.write(self.log, f"{event} {arguments!r}"[:300].encode() + b"\n")


def _memory():
    """Returns the bytes of address space and of resident memory of this process."""
    words = pathlib.Path("/proc/self/statm").read_text().split()
    return tuple(int(word) * os.sysconf("SC_PAGE_SIZE") for word in words[:2])


def _wait(child, seconds, told=None):
    start = time.monotonic()
    end, late = start + seconds, False
    while True:
        if told and time.monotonic() > start + told[0]:
            os.kill(child, told[1])
            told = None
        done, status, used = os.wait4(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status), used, late
        if time.monotonic() > end:
            late, end = True, end + 3600
            os.kill(child, signal.SIGKILL)
        time.sleep(0.003)


def _end_group(leader):
    """Returns how many processes of a group are left, and ends them."""
    left = 0
    for entry in pathlib.Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[2]) == leader and fields[0] != "Z":
                left += 1
                os.kill(int(entry.name), signal.SIGKILL)
    return left


def program(command: str, words: Sequence[object]) -> Callable[[], None]:
    """Returns a function that runs a program as its command does.

    Args:
        command: Such as `crop_align`, for `facedancer-crop-align`.
        words: Its arguments.
    """

    def start():
        sys.argv = [command, *map(str, words)]
        getattr(programs, command)()

    return start


def library(work: Callable[[], int | None]) -> Callable[[], None]:
    """Returns a function that runs library code as programs run theirs.

    Args:
        work: Returns the exit status.
    """
    return lambda: sys.exit(cli.guard(work))


def run_started(
    command: str, words: Sequence[object], places: Places, limits: Limits = LIMITS
) -> Outcome:
    """Returns what became of a program that was started as a user starts it.

    The processes it starts are seen only where they outlive it.

    Args:
        command: See `program`.
        words: Its arguments.
        places: Its folders, made already.
        limits: What it may take.
    """
    watched = (places.inputs, *places.empty)
    before, start, late = listing(*watched), time.monotonic(), False
    code = f"from facedancer import programs; programs.{command}()"
    child = subprocess.Popen(
        [sys.executable, "-c", code, *map(str, words)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=os.environ | places.environment() | {"TF_CPP_MIN_LOG_LEVEL": "2"},
        cwd=places.empty[2],
        start_new_session=True,
    )
    try:
        texts = child.communicate(timeout=limits.seconds)
    except subprocess.TimeoutExpired:
        late = True
        child.kill()
        texts = child.communicate()
    out, err = (text.decode(errors="replace") for text in texts)
    survivors = _end_group(child.pid)
    strays = _changed(before, listing(*watched))
    seconds = time.monotonic() - start
    return Outcome(
        child.returncode, out, err, seconds, 0.0, (), strays, late, survivors
    )
