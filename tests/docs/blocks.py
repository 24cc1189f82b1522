"""The code blocks of README and docs, and the marks that say how they are run.

A block that says `bash` or `python` is run, in the order of its page, in one folder a
page. An HTML comment on the line before it may say more, in parts after semicolons:

    <!-- run: minutes -->                    only by `pytest -m large`
    <!-- run: needs GPU -->                  never here
    <!-- run: brings w600k_mbf.onnx -->      only where that file is to be had
    <!-- run: "--steps 9000" as "--steps 4" --> shortened
    <!-- run: never, it installs -->         with the reason

Anything else that is to be looked at only is a block of another language (`text`).
"""

from __future__ import annotations

import dataclasses
import pathlib
import re

ROOT = pathlib.Path(__file__).parents[2]
RUN = ("bash", "python")
SHOWN = ("text", "json", "yaml")
_MARK = re.compile(r"<!-- run: (?P<says>.+) -->")
_SHORTER = re.compile(r'"(?P<long>.+)" as "(?P<short>.*)"')


@dataclasses.dataclass(frozen=True)
class Block:
    """A code block of a page.

    Attributes:
        page: The file.
        line: Where it begins, from 1.
        language: Empty for an indented one.
        code: Its lines, as printed.
        long: Whether it takes minutes.
        never: Why it is not run; empty: it is.
        brings: Files that the reader brings.
        shorter: Words that are replaced, and by what.
    """

    page: pathlib.Path
    line: int
    language: str
    code: str
    long: bool = False
    never: str = ""
    brings: tuple[str, ...] = ()
    shorter: tuple[tuple[str, str], ...] = ()

    @property
    def place(self) -> str:
        """Page and line."""
        return f"{self.page.relative_to(ROOT)}:{self.line}"

    @property
    def runs(self) -> bool:
        """Whether it is run at all."""
        return self.language in RUN and not self.never

    def shortened(self) -> str:
        """The code that is run.

        Raises:
            ValueError: If what is to be replaced is not there.
        """
        code = self.code
        for words, others in self.shorter:
            if words not in code:
                raise ValueError(f"{self.place} does not say {words}")
            code = code.replace(words, others)
        return code


def pages() -> list[pathlib.Path]:
    """Returns README and all pages of the docs."""
    return [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def blocks_of(page: pathlib.Path) -> list[Block]:
    """Returns the code blocks of a page in their order.

    Args:
        page: A Markdown file.
    """
    lines, found, at = page.read_text().splitlines(), [], 0
    while at < len(lines):
        line = lines[at]
        fence = re.match(r"( *)(```+)(\w*)", line)
        if fence:
            end = at + 1
            while lines[end].strip() != fence[2]:
                end += 1
            code = "\n".join(one[len(fence[1]) :] for one in lines[at + 1 : end])
            found.append(_block(page, at, fence[3] or "none", code, lines[at - 1]))
            at = end
        elif line.startswith("    ") and not lines[at - 1].strip():
            if not _in_list(lines, at):
                found.append(_block(page, at, "", line[4:], ""))
        at += 1
    return found


def _in_list(lines: list[str], at: int) -> bool:
    """Whether an indented line goes on with a list above it."""
    for line in reversed(lines[:at]):
        if line.strip() and not line.startswith(" "):
            return bool(re.match(r"[-*]|\d+\.|!!!|\?\?\?|::: ", line))
    return False


def _block(page: pathlib.Path, at: int, language: str, code: str, before: str) -> Block:
    block = Block(page, at + 1, language, code + "\n")
    mark = _MARK.search(before)
    for part in mark["says"].split("; ") if mark else ():
        shorter = _SHORTER.fullmatch(part)
        word, _, rest = part.partition(" ")
        if shorter:
            pairs = (*block.shorter, (shorter["long"], shorter["short"]))
            block = dataclasses.replace(block, shorter=pairs)
        elif part == "minutes":
            block = dataclasses.replace(block, long=True)
        elif word in ("never,", "needs") and rest:
            block = dataclasses.replace(block, never=rest)
        elif word == "brings" and rest:
            block = dataclasses.replace(block, brings=(*block.brings, rest))
        else:
            raise ValueError(f"{block.place}: unknown mark {part!r}")
    return block
