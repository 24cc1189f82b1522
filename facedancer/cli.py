"""What all programs share: flags from settings, one clear line on failure.

A program is a record of settings (`facedancer.flags.settings`) and a function:

    def main(settings: Settings) -> int: ...

    if __name__ == "__main__":
        cli.run(main, Settings)

`main` returns the exit status: 0 or None done, 2 finished but some inputs failed
(`PARTIAL`). An `InputError` ends the program with status 1 and its text as one line,
and so does what the system says of files (`OSError`: a full disk, a folder that
vanished). Ctrl-C ends it with 130, SIGTERM with 143, SIGHUP with 129, all with the same
clean-up.
"""

from __future__ import annotations

import io
import os
import pathlib
import re
import sys
import types
from collections.abc import Callable
from typing import Any, Self

from absl import app

from facedancer.errors import InputError
from facedancer.flags import usage
from facedancer.flags.command_line import parse
from facedancer.process import stopping
from facedancer.storage import files

DONE, FAILED, PARTIAL = 0, 1, 2


def run(main: Callable[[Any], int | None], settings: type) -> None:
    """Runs a program and ends the process with its exit status.

    Args:
        main: Takes a record of the settings; returns the exit status.
        settings: The dataclass, see `command_line.define_from`.
    """
    for stream in (sys.stdout, sys.stderr):
        # Names of files may hold what the terminal has no letters for.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    leave_own_folder(sys.path)
    if usage.is_wanted(sys.argv[1:]):
        doc = main.__globals__["__doc__"]
        usage.show(usage.text(sys.argv[0], doc, settings))

    def guarded(_: list[str]) -> int | None:
        return guard(lambda: main(parse(settings, sys.argv[1:])))

    app.run(guarded, argv=sys.argv[:1])


def leave_own_folder(path: list[str]) -> None:
    """Takes the folder of a program that is run by its file off the search path.

    Python puts it first, and other libraries would find our modules for theirs there:
    TensorFlow asks for one that is called `litert`.

    Args:
        path: `sys.path`; it is changed.
    """
    if path and path[0] and pathlib.Path(path[0], "__init__.py").is_file():
        del path[0]


def guard(work: Callable[[], int | None]) -> int | None:
    """Does the work of a program and returns its exit status.

    Args:
        work: Returns the exit status; see above for what becomes of its errors.
    """
    with _UntilStopped():
        stopping.listen()
        try:
            status = work()
            sys.stdout.flush()  # what cannot be said is a failure too
            return status
        except InputError as error:
            if stopping.is_interrupt(error):
                raise
            return _failed(_one_line(error))
        except OSError as error:
            if stopping.is_interrupt(error):
                raise
            if isinstance(error, BrokenPipeError) and not usage.is_heard():
                return usage.UNHEARD
            return _failed(files.in_print(files.in_words(error)))
    _say(stopping.word())
    return stopping.status()


def _failed(text: str) -> int:
    _say(f"Error: {text}")
    return FAILED


def _say(line: str) -> None:
    """Writes to the error output, and spares the end what output cannot be written."""
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is sys.stderr:
                print(line, file=stream)
            stream.flush()
        except OSError:
            with open(os.devnull, "w") as nothing:
                os.dup2(nothing.fileno(), stream.fileno())


class _UntilStopped:
    """A block that ends quietly when told to; what follows it is then reached."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: types.TracebackType | None,
    ) -> bool:
        return stopping.is_interrupt(error)


def _one_line(error: InputError) -> str:
    return files.in_print(re.sub(r"\s+", " ", str(error)))
