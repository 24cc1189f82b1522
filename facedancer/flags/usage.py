"""The text of `--help`: what a program does, its first flags, then all by heading."""

from __future__ import annotations

import dataclasses
import os
import pathlib
import select
import sys
import textwrap
from collections.abc import Iterator
from typing import NoReturn

from facedancer.flags.settings import Leaf, leaves

_WORDS = {"--help", "-help", "-h", "--helpfull", "--helpshort"}
UNHEARD = 141  # status of a program whose output nobody reads, as of SIGPIPE
_VALUES = {str: "TEXT", int: "N", float: "X"}
_WIDTH = 88
_COMMON = {
    "--config=FILE": "Settings of an earlier run, its config.json; flags go before it.",
    "--flagfile=FILE": "Flags from a file, one a line.",
    "--verbosity=N": "How much is logged: 1 more, -1 warnings only.",
    "--help": "This text.",
}


def is_wanted(words: list[str]) -> bool:
    """Returns whether a command line asks for help.

    Args:
        words: What follows the program's name.
    """
    before = words[: words.index("--")] if "--" in words else words
    return bool(_WORDS & set(before))


def show(words: str) -> NoReturn:
    """Prints a text and ends the process.

    Args:
        words: The text, with its last line's end.
    """
    try:
        sys.stdout.write(words)
        sys.stdout.flush()
    except BrokenPipeError:
        is_heard()
        sys.exit(UNHEARD)
    sys.exit(0)


def is_heard() -> bool:
    """Returns whether somebody reads what is printed; if not, the rest goes nowhere.

    After `facedancer weights list | head -1` nobody does, and nothing is wrong.
    """
    number = sys.stdout.fileno()
    reader = select.poll()
    reader.register(number, 0)
    if not reader.poll(0):
        return True
    with open(os.devnull, "w") as nothing:
        os.dup2(nothing.fileno(), number)
    return False


def text(program: str, doc: str | None, settings: type) -> str:
    """Returns the help of a program.

    Args:
        program: Path of its file.
        doc: Docstring of its module; the first paragraph says what it does.
        settings: The dataclass its flags come from.
    """
    found = list(leaves(settings))
    positional = [leaf.rule.word for leaf in found if leaf.rule.word]
    about = (doc or "").strip().split("\n\n")[0]
    call = [pathlib.Path(program).name, "[flags]", *positional]
    lines = [about, "", f"Usage: {' '.join(call)}"]
    first = [leaf for leaf in found if leaf.rule.essential]
    rest = [leaf for leaf in found if not leaf.rule.essential]
    if first and rest:
        lines += ["", "First of all:", *_described(first)]
    else:
        rest = found
    for heading in dict.fromkeys(leaf.heading for leaf in rest):
        group = [leaf for leaf in rest if leaf.heading == heading]
        lines += ["", f"{heading or 'Flags'}:", *_described(group)]
    lines += ["", "In all programs:"]
    for name, words in _COMMON.items():
        lines += [f"  {name}", *_wrapped(words)]
    return "\n".join(lines) + "\n"


def _described(group: list[Leaf]) -> Iterator[str]:
    for leaf in group:
        yield f"  {_form(leaf)}"
        yield from _wrapped(f"{leaf.help} {_facts(leaf)}".strip())


def _form(leaf: Leaf) -> str:
    """Returns how the flag is written, such as `--steps=N`."""
    if leaf.rule.word:
        return leaf.rule.word
    if leaf.kind is bool:
        return f"--[no]{leaf.name}"
    value = _VALUES[leaf.kind]
    if leaf.many and not leaf.rule.repeated:
        value = f"{value},{value}"
    return f"--{leaf.name}={value}"


def _facts(leaf: Leaf) -> str:
    """Returns choices, limits and default, in brackets."""
    rule, facts = leaf.rule, []
    if rule.choices:
        facts.append("of " * leaf.many + " | ".join(filter(None, rule.choices)))
    if rule.limits:
        facts.append(rule.limits.removeprefix("be ").replace("lie in", "in"))
    if rule.repeated:
        facts.append("may be repeated")
    if leaf.default is dataclasses.MISSING:
        facts.append("must be given")
    elif leaf.default not in (None, "", ()):
        facts.append(f"default {_shown(leaf.default)}")
    return f"[{'; '.join(facts)}]" if facts else ""


def _shown(default: object) -> str:
    if isinstance(default, tuple):
        return ",".join(map(str, default))
    return str(default).lower() if isinstance(default, bool) else str(default)


def _wrapped(words: str) -> list[str]:
    return textwrap.wrap(
        words, _WIDTH, initial_indent=" " * 6, subsequent_indent=" " * 6
    )
