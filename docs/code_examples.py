"""Makes code of what docstrings give as examples, for the reference of the site.

In the source they are indented, without fences, as `help()` shows them best. mkdocs
loads this by `mkdocs.yml`.
"""

from __future__ import annotations

import re
import textwrap
from typing import Any

import griffe

_EXAMPLE = re.compile(r"^Example:\n((?:    .*(?:\n|\Z)|\n(?=    ))+)", re.MULTILINE)


def fenced(text: str) -> str:
    """Returns a docstring whose indented examples are blocks of Python.

    Args:
        text: The docstring, without the indentation of its place.
    """
    return _EXAMPLE.sub(_fence, text)


def _fence(found: re.Match) -> str:
    code = textwrap.dedent(found[1]).rstrip("\n")
    return "Example:\n" + textwrap.indent(f"```python\n{code}\n```\n", "    ")


class CodeExamples(griffe.Extension):
    """Changes the docstrings of all that is shown."""

    def on_object(self, *, obj: griffe.Object, **kwargs: Any) -> None:
        """Changes one.

        Args:
            obj: What it belongs to.
            kwargs: What else is known.
        """
        if obj.docstring is not None:
            obj.docstring.value = fenced(obj.docstring.value)
