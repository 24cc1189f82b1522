"""What all programs share: flags from settings, one clear line on failure.

A program file ends in

    if __name__ == "__main__":
        cli.run(main, define_flags)

where `define_flags(flag_values)` defines its flags and `main(flag_values)` returns
the exit status: 0 or None done, 2 finished but some inputs failed (`PARTIAL`). An
`InputError` ends the program with status 1 and its text as one line, and so does what
the system says of files (`OSError`: a full disk, a folder that vanished). Ctrl-C ends
it with 130, SIGTERM with 143, SIGHUP with 129, all with the same clean-up.
"""

from __future__ import annotations

import dataclasses
import inspect
import os
import re
import sys
from collections.abc import Callable

from absl import app, flags

from facedancer import files, stopping
from facedancer.errors import InputError

DONE, FAILED, PARTIAL = 0, 1, 2

_BOOLEAN_WORDS = {"true": "true", "false": "false", "1": "true", "0": "false"}


def run(
    main: Callable[..., int | None],
    define_flags: Callable[[flags.FlagValues], None],
    positional: tuple[str, ...] = (),
) -> None:
    """Runs a program and ends the process with its exit status.

    Args:
        main: Takes the parsed flags, then one string for each of `positional`; returns
            the exit status.
        define_flags: Defines the program's flags on the `FlagValues` it is given.
        positional: Names of the arguments without a flag, all of them required.
    """
    known = set(flags.FLAGS)
    define_flags(flags.FLAGS)
    for name in set(flags.FLAGS) - known:  # else `--help` would leave them out
        flags.FLAGS.register_key_flag_for_module(sys.argv[0], flags.FLAGS[name])

    def guarded(leftover):
        return guard(lambda: main(flags.FLAGS, *take_positional(leftover, positional)))

    app.run(guarded, argv=join_booleans(sys.argv, flags.FLAGS))


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
            return _failed(_one_line(error))
        except OSError as error:
            if stopping.is_interrupt(error):
                raise
            return _failed(files.in_words(error))
    _say(stopping.word())
    return stopping.status()


def _failed(text):
    _say(f"Error: {text}")
    return FAILED


def _say(line):
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

    def __enter__(self):
        return self

    def __exit__(self, kind, error, traceback):
        return stopping.is_interrupt(error)


def _one_line(error: InputError) -> str:
    return re.sub(r"\s+", " ", str(error))


def take_positional(argv: list[str], names: tuple[str, ...]) -> list[str]:
    """Returns the arguments without a flag.

    Args:
        argv: What the flag parser left over, the program's name first.
        names: Names of the expected arguments.

    Raises:
        InputError: If there are more or fewer.
    """
    found = argv[1 : len(names) + 1]
    refuse_leftover([argv[0], *argv[len(names) + 1 :]])
    if len(found) < len(names):
        raise InputError(
            f"Expected the arguments {' '.join(names)}. Received: "
            f"{' '.join(found) or 'none'}"
        )
    return found


def refuse_leftover(argv: list[str]) -> None:
    """Refuses arguments that are no flags, which are mostly typing errors.

    Args:
        argv: What the flag parser left over, the program's name first.

    Raises:
        InputError: If anything follows the name.
    """
    if len(argv) > 1:
        raise InputError(f"Unexpected arguments: {' '.join(argv[1:])}")


def join_booleans(argv: list[str], flag_values: flags.FlagValues) -> list[str]:
    """Joins `--shuffle False` to `--shuffle=false`.

    absl takes a boolean flag without a value as true and leaves `False` over; the
    original README writes booleans in two words.

    Args:
        argv: The arguments of the command line.
        flag_values: The defined flags.
    """
    joined: list[str] = []
    for word in argv:
        value = _BOOLEAN_WORDS.get(word.lower())
        name = joined[-1].lstrip("-") if joined else ""
        if (
            value is not None
            and joined[-1:]
            and joined[-1].startswith("-")
            and name in flag_values
            and flag_values[name].boolean
        ):
            joined[-1] = f"--{name}={value}"
        else:
            joined.append(word)
    return joined


def define_from(settings: type, flag_values: flags.FlagValues) -> None:
    """Defines one flag per field of a dataclass: same name, default and text.

    Args:
        settings: A dataclass whose docstring has a Google style `Attributes:`
            section. Fields are `str`, `int`, `float`, `bool`, one of them `| None`,
            or `tuple[str, ...]` and the like, given with commas. A field without a
            default is a required flag.
        flag_values: Where the flags are defined.
    """
    texts = _attribute_texts(settings)
    for field in dataclasses.fields(settings):
        needed = (
            field.default is dataclasses.MISSING
            and field.default_factory is dataclasses.MISSING
        )
        kind = _type_name(field).removesuffix(" | None")
        default = None if needed else field.default
        define = _DEFINE["tuple" if kind.startswith("tuple[") else kind]
        if isinstance(default, tuple):
            default = [str(value) for value in default]
        define(
            field.name,
            default,
            texts[field.name],
            flag_values=flag_values,
            required=needed,
        )


def settings_from(settings: type, flag_values: flags.FlagValues):
    """Returns the dataclass that the parsed flags describe.

    Args:
        settings: The dataclass that was given to `define_from`.
        flag_values: Parsed flags.

    Raises:
        InputError: If the dataclass refuses a value.
    """
    values = {}
    for field in dataclasses.fields(settings):
        value = flag_values[field.name].value
        if _type_name(field).startswith("tuple[") and value is not None:
            value = _tuple_of(field, value)
        values[field.name] = value
    try:
        return settings(**values)
    except ValueError as error:
        raise InputError(str(error)) from None


def _tuple_of(field: dataclasses.Field, words: list[str]) -> tuple:
    kind = {"str": str, "int": int, "float": float}[_type_name(field)[6:].split(",")[0]]
    try:
        return tuple(kind(word) for word in words)
    except ValueError:
        raise InputError(
            f"--{field.name} must be {kind.__name__} values with commas between. "
            f"Received: {','.join(words)}"
        ) from None


def _type_name(field: dataclasses.Field) -> str:
    """Returns the annotation as it is written, also without deferred annotations."""
    return field.type.__name__ if type(field.type) is type else str(field.type)


_DEFINE = {
    "str": flags.DEFINE_string,
    "int": flags.DEFINE_integer,
    "float": flags.DEFINE_float,
    "bool": flags.DEFINE_boolean,
    "tuple": flags.DEFINE_list,
}


def _attribute_texts(settings: type) -> dict[str, str]:
    """Returns the text of each field in the `Attributes:` section."""
    section = inspect.cleandoc(settings.__doc__).split("Attributes:\n")[1]
    section = re.split(r"\n(?=\S)", section)[0]  # up to the next section
    found = re.findall(r"^    (\w+): (.*(?:\n(?:     .*|\s*$))*)", section, re.M)
    return {name: re.sub(r"\s+", " ", text).strip() for name, text in found}
