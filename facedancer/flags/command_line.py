"""From the words of a command line to a record of settings."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import os
import re
from collections.abc import Callable, Iterator
from typing import Any

from absl import flags

from facedancer.errors import InputError
from facedancer.flags.settings import Leaf, did_you_mean, flat, from_flat, leaves

_MAX_CONFIG = 1 << 20  # letters of a file of settings; that of a training has 6,000
_BOOLEAN_WORDS = {"true": "true", "false": "false", "1": "true", "0": "false"}
_SEVERAL = {str: "words", int: "whole numbers", float: "numbers"}
_KINDS = {str: "text", int: "a whole number", float: "a number", bool: "true or false"}


def parse(settings: type, words: list[str]) -> Any:
    """Returns the record that a command line describes.

    Args:
        settings: The dataclass, see `define_from`.
        words: What follows the program's name.

    Raises:
        InputError: If a flag is unknown, missing or not allowed; or more words without
            a flag are given than the record has places for.
    """
    flag_values = flags.FlagValues()
    define_from(settings, flag_values)
    flag_values["verbosity"] = flags.FLAGS["verbosity"]  # absl's own
    words = [at_home(word) for word in with_config(words, flag_values)]
    words = join_booleans(words, flag_values)
    try:
        leftover = flag_values(["", *words])[1:]
    except flags.Error as error:
        raise InputError(_in_words(error, settings, flag_values)) from None
    _take_positional(leftover, settings, flag_values)
    return settings_from(settings, flag_values)


def _in_words(error: flags.Error, settings: type, flag_values: flags.FlagValues) -> str:
    """Returns the flag parser's complaint as a user may read it."""
    if isinstance(error, flags.UnrecognizedFlagError):
        name = error.flagname
        hint = did_you_mean(name, flag_values, "--") or "."
        return f"Unknown flag --{name}{hint} --help lists all flags"
    bad = re.match(r"flag --(\w+)=(.*?): ", str(error), re.S)
    if bad is None:
        return str(error)
    name = flag_values[bad[1]].name
    kind = next((leaf.kind for leaf in leaves(settings) if leaf.name == name), int)
    return f"--{bad[1]} must be {_KINDS[kind]}. Received: {bad[2]}"


def _take_positional(
    leftover: list[str], settings: type, flag_values: flags.FlagValues
) -> None:
    """Gives the words without a flag to the settings that take such, in order."""
    positional = [leaf for leaf in leaves(settings) if leaf.rule.word]
    free = [
        leaf for leaf in positional if flag_values[leaf.name].value == _absent(leaf)
    ]
    for leaf, word in zip(free, leftover, strict=False):
        flag_values[leaf.name].parse(word)
    if len(leftover) > len(free):
        raise InputError(f"Unexpected arguments: {' '.join(leftover[len(free) :])}")
    missing = free[len(leftover) :]
    if any(leaf.default is dataclasses.MISSING for leaf in missing):
        words = " ".join(leaf.rule.word for leaf in positional)
        raise InputError(
            f"Expected the arguments {words}. Received: {' '.join(leftover) or 'none'}"
        )


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


def at_home(word: str) -> str:
    """Returns a word in which `--flag=~/file` names the home folder.

    The shell puts it in for `--flag ~/file`, but not behind an equals sign.

    Args:
        word: Of a command line. A folder that is really called `~` stays meant.
    """
    if not word.startswith("-") or os.path.lexists("~"):
        return word
    home = os.path.expanduser("~")
    return re.sub(r"(?<=[=,])~(?=/|$)", lambda _: home, word)


def with_config(words: list[str], flag_values: flags.FlagValues) -> list[str]:
    """Puts the settings of `--config FILE` before the flags, which go before them.

    Args:
        words: What follows the program's name.
        flag_values: The defined flags.

    Returns:
        The words without `--config`.

    Raises:
        InputError: If the file is no JSON object, or a name in it is unknown.
    """
    kept: list[str] = []
    before: list[str] = []
    rest = iter(words)
    for word in rest:
        name, sign, path = word.partition("=")
        if name.lstrip("-") != "config" or not name.startswith("-"):
            kept.append(word)
            continue
        path = path if sign else next(rest, "")
        if not path:
            raise InputError("--config needs a file, the config.json of a run")
        before += _config_words(path, words, flag_values)
    return before + kept


def _config_words(
    path: str, words: list[str], flag_values: flags.FlagValues
) -> Iterator[str]:
    """Yields the flags of a config file, repeated ones only if no other is given."""
    given = {word.lstrip("-").split("=")[0] for word in words if word[:1] == "-"}
    for name, value in _read_config(path).items():
        if name not in flag_values:
            raise InputError(
                f"{path}: unknown setting {name}{did_you_mean(name, flag_values)}"
            )
        flag = flag_values[name]
        if value is None:
            continue
        if isinstance(flag, flags.MultiFlag):
            if flag.name not in given:
                yield from (f"--{name}={one}" for one in value)
        elif isinstance(value, list):
            row = io.StringIO()
            csv.writer(row, lineterminator="").writerow(value)
            yield f"--{name}={row.getvalue()}"
        else:
            yield f"--{name}={json.dumps(value) if flag.boolean else value}"


def _read_config(path: str) -> dict[str, Any]:
    try:
        with open(path, encoding="utf-8") as file:
            text = file.read(_MAX_CONFIG + 1)
        if len(text) > _MAX_CONFIG:
            raise ValueError(f"it is longer than {_MAX_CONFIG:,} letters")
        if "\\u0000" in text:
            raise ValueError("no setting holds the letter NUL")
        found = json.loads(text)
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"--config: {path} cannot be read: {error}") from None
    if not isinstance(found, dict):
        raise InputError(f"--config: {path} must hold a JSON object of settings")
    return flat(found)


def define_from(settings: type, flag_values: flags.FlagValues) -> None:
    """Defines one flag per field of a dataclass: same name, default and text.

    Args:
        settings: A dataclass whose docstring has a Google style `Attributes:`
            section. Fields are `str`, `int`, `float`, `bool`, one of them `| None`,
            `tuple[str, ...]` and the like, given with commas; or such a dataclass.
            A field without a default must be given. See `facedancer.flags.settings`.
        flag_values: Where the flags are defined.
    """
    for leaf in leaves(settings):
        default = _absent(leaf)
        _definer(leaf)(leaf.name, default, leaf.help, flag_values=flag_values)
        for alias in leaf.rule.aliases:
            flags.DEFINE_alias(alias, leaf.name, flag_values=flag_values)


def _absent(leaf: Leaf) -> Any:
    """Returns what the flag of a setting is worth where it is not given."""
    if leaf.default is dataclasses.MISSING:
        return None
    if isinstance(leaf.default, tuple):
        return [str(value) for value in leaf.default]
    return leaf.default


def _definer(leaf: Leaf) -> Callable[..., Any]:
    if leaf.rule.repeated:
        return flags.DEFINE_multi_string
    if leaf.many:
        return flags.DEFINE_list
    definers: dict[type, Callable[..., Any]] = {
        str: flags.DEFINE_string,
        int: flags.DEFINE_integer,
        float: flags.DEFINE_float,
        bool: flags.DEFINE_boolean,
    }
    return definers[leaf.kind]


def settings_from(settings: type, flag_values: flags.FlagValues) -> Any:
    """Returns the dataclass that the parsed flags describe.

    Args:
        settings: The dataclass that was given to `define_from`.
        flag_values: Parsed flags.

    Raises:
        InputError: If a flag is missing, or the dataclass refuses a value.
    """
    values = {}
    for leaf in leaves(settings):
        value = flag_values[leaf.name].value
        if value is None and leaf.default is dataclasses.MISSING:
            raise InputError(f"--{leaf.name} must be given: {leaf.help}")
        if leaf.many and value is not None:
            value = _tuple_of(leaf, value)
        values[leaf.name] = value
    try:
        return from_flat(settings, values)
    except ValueError as error:
        raise InputError(_with_flags(str(error), settings)) from None


def _with_flags(message: str, settings: type) -> str:
    """Writes `--steps` where a record's message says `steps` in backquotes."""
    names = {leaf.path[-1]: leaf.name for leaf in leaves(settings)}
    return re.sub(
        r"`(\w+)`",
        lambda found: f"--{names[found[1]]}" if found[1] in names else found[0],
        message,
    )


def _tuple_of(leaf: Leaf, words: list[str]) -> tuple:
    try:
        return tuple(leaf.kind(word) for word in words)
    except ValueError:
        raise InputError(
            f"--{leaf.name} must be {_SEVERAL[leaf.kind]} with commas between. "
            f"Received: {','.join(words)}"
        ) from None
