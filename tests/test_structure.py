"""Tests of the shape of the code base: who imports whom, names, docstrings."""

import ast
import doctest
import importlib
import pathlib
import sys

import keras
import numpy as np
import pytest

ROOT = pathlib.Path(__file__).parents[1]
# Who may import whom. "facedancer" stands for the modules in that folder.
MAY_IMPORT = {
    "facedancer": set(),
    "retinaface": {"facedancer"},
    "arcface_model": {"facedancer"},
    "models": {"facedancer"},
    "dataset": {"facedancer", "retinaface"},
    "train": {"facedancer", "dataset", "models", "arcface_model"},
    "video_swap": {"facedancer", "models", "retinaface", "arcface_model"},
    "evaluation": {
        "facedancer",
        "dataset",
        "models",
        "arcface_model",
        "retinaface",
        "video_swap",
    },
}
NO_TENSORFLOW = {"facedancer", "models", "retinaface", "arcface_model", "evaluation"}
# TensorFlow also stands in the engines of `video_swap/`, and nowhere else there.
ENGINES = {"video_swap/engines.py"}
FILES = [path for name in MAY_IMPORT for path in sorted((ROOT / name).rglob("*.py"))]
IDS = [str(path.relative_to(ROOT)) for path in FILES]


def imports(path):
    """Yields `(line, dotted name)` for every import in a file."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                yield node.lineno, f"{'.' * node.level}{node.module}.{alias.name}"


@pytest.mark.parametrize("path", FILES, ids=IDS)
def test_imports(path):
    folder = path.relative_to(ROOT).parts[0]
    for line, name in imports(path):
        place = f"{path.relative_to(ROOT)}:{line} imports `{name}`"
        first, *rest = name.split(".")
        assert first, f"{place}: write the full name, `facedancer...`"
        assert first not in set(MAY_IMPORT) - {"facedancer"}, (
            f"{place}: write `facedancer.{name}`; the bare name loads a second copy"
        )
        swaps = folder == "video_swap" and str(path.relative_to(ROOT)) not in ENGINES
        assert not (folder in NO_TENSORFLOW or swaps) or first != "tensorflow", (
            f"{place}: {folder}/ uses keras.ops or NumPy"
        )
        if first == "facedancer" and rest:
            target = rest[0] if rest[0] in MAY_IMPORT else "facedancer"
            assert target == folder or target in MAY_IMPORT[folder], (
                f"{place}: {folder}/ may import {sorted(MAY_IMPORT[folder])}"
            )


@pytest.mark.parametrize("path", FILES, ids=IDS)
def test_file_name_hides_no_module(path):
    """`python dataset/crop_align.py` puts `dataset/` in front of `sys.path`."""
    used = {name.split(".")[0] for p in FILES for _, name in imports(p)}
    hidden = (set(sys.stdlib_module_names) | used) - {"facedancer", "__future__"}
    assert path.stem not in hidden, f"{path.name} would hide the module {path.stem}"


@pytest.mark.parametrize("path", FILES, ids=IDS)
def test_docstrings(path):
    tree = ast.parse(path.read_text())
    assert ast.get_docstring(tree), f"{path}: no module docstring"
    for node in ast.walk(tree):
        if not isinstance(node, ast.ClassDef | ast.FunctionDef):
            continue
        text = ast.get_docstring(node) or ""
        place = f"{path.relative_to(ROOT)}:{node.lineno} {node.name}"
        if isinstance(node, ast.FunctionDef) and "\nArgs:\n" in text:
            section = text.split("\nArgs:\n")[1].split("\n\n")[0].splitlines()
            named = [
                s.strip().split(":")[0].lstrip("*")
                for s in section
                if s.startswith("    ") and s[4] != " "
            ]
            args = node.args.posonlyargs + node.args.args + node.args.kwonlyargs
            args += [node.args.vararg] if node.args.vararg else []
            real = [a.arg for a in args if a.arg not in ("self", "cls")]
            assert named == real, f"{place}: Args says {named}, signature {real}"
        for line in ast.walk(node):
            if isinstance(line, ast.ExceptHandler):
                broad = line.type is None or getattr(line.type, "id", "") in (
                    "Exception",
                    "BaseException",
                )
                assert not broad, f"{place}:{line.lineno}: name the exception"


@pytest.mark.parametrize("path", FILES, ids=IDS)
def test_imports_and_examples_run(path):
    """All modules load in one process, so no two define the same flag on import."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    parts = [part for part in parts if part not in ("facedancer", "__init__")]
    module = importlib.import_module(".".join(["facedancer", *parts]))
    result = doctest.testmod(module, extraglobs={"np": np, "keras": keras})
    assert not result.failed
