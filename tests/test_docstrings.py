"""What docstrings put in backquotes exists: modules, their names, words of the code."""

import ast
import builtins
import functools
import re

import pytest

from tests.house import FILES, MAY_IMPORT, ROOT, nodes_of

FOLDERS = list(MAY_IMPORT)
DOTTED = re.compile(r"`([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+)`")
# Endings of file names, and packages of others.
ENDINGS = "py json jsonl csv npz h5 keras records part png jpg md txt outliers".split()
FOREIGN = (
    "keras tf tensorflow numpy np openvino cv2 jax av dataclasses body stage1".split()
)


def words_of(path):
    """Yields the docstrings of a file with their lines."""
    kinds = ast.Module | ast.ClassDef | ast.FunctionDef
    for node in nodes_of(path):
        if isinstance(node, kinds) and ast.get_docstring(node):
            yield getattr(node, "lineno", 1), ast.get_docstring(node)


@functools.cache
def modules():
    """Returns the files of the project by the last part of their names."""
    found = {}
    for path in FILES:
        name = path.parent.name if path.stem == "__init__" else path.stem
        found.setdefault(name, []).append(path)
    return found


@functools.cache
def names_in(path):
    """Returns all names that a file defines, takes or uses, and words it holds."""
    found = set(dir(builtins))
    for node in nodes_of(path):
        for field in ("name", "id", "attr", "arg", "asname"):
            value = getattr(node, field, None)
            if isinstance(value, str):
                found |= set(value.split("."))
    return found


def exists(path, dotted):
    """Whether a dotted name can be followed from a file."""
    if (ROOT / dotted.split(".")[0]).is_dir() and dotted.split(".")[0] in FOLDERS[1:]:
        dotted = f"facedancer.{dotted}"
    first, *rest = dotted.split(".")
    if first in FOREIGN or rest[0] == "X" or rest[-1] in ENDINGS:
        return True
    if first == "facedancer":
        places = [ROOT, ROOT / "facedancer"]
        for part in rest:
            here = [place / part for place in places]
            if any(p.is_dir() or p.with_suffix(".py").is_file() for p in here):
                places = here
                continue
            files = [p.with_suffix(".py") for p in places]
            files += [p / "__init__.py" for p in places]
            return any(part in names_in(f) for f in files if f.is_file())
        return True
    if first in modules():
        if any(set(rest) <= names_in(file) for file in modules()[first]):
            return True
    if first[0].isupper():
        return any({first, *rest} <= names_in(file) for file in FILES)
    return {first, *rest} <= names_in(path)


@pytest.mark.parametrize("folder", FOLDERS)
def test_dotted_names_exist(folder):
    wrong = [
        f"{path.relative_to(ROOT)}:{line}: there is no `{dotted}`"
        for path in FILES
        if path.is_relative_to(ROOT / folder)
        for line, text in words_of(path)
        for dotted in DOTTED.findall(text)
        if not exists(path, dotted)
    ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    "dotted, there",
    [
        ("facedancer.video_swap.engines.make", True),
        ("facedancer.engines", False),
        ("layer_ops.LayerParts", True),
        ("layer_ops.LayerPieces", False),
        ("swapper.no_such_function", False),
        ("report.json", True),
    ],
)
def test_the_test(dotted, there):
    assert exists(ROOT / "models" / "export.py", dotted) == there
