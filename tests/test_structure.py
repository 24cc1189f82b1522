"""Tests of the shape of the code base: who imports whom, names, docstrings."""

import ast
import doctest
import functools
import importlib
import pathlib
import sys

import keras
import numpy as np
import pytest

from tests.house import (
    FILES,
    MAY_IMPORT,
    ROOT,
    each_file,
    imports,
    module_of,
    nodes_of,
    tree_of,
)

NO_TENSORFLOW = {"facedancer", "models", "retinaface", "arcface_model", "evaluation"}
NO_TENSORFLOW |= {"ui"}
# The rooms of a folder, in their order: a room imports from earlier tuples and from
# itself. The top level of a folder holds its programs, their settings and its face.
ROOMS = {
    "facedancer": (
        ("flags", "process", "pretrained"),
        ("storage",),
        ("imaging", "face"),
        ("networks",),
        ("inference",),
    ),
    "retinaface": (("training",),),
    "models": (("layers",), ("families",), ("published",)),
    "dataset": (
        ("photos",),
        ("jobs", "shards", "augmentation", "made_faces"),
        ("reading", "edits"),
    ),
    "train": (
        ("objective", "frozen"),
        ("systems",),
        ("step",),
        ("drivers",),
        ("loop", "validation"),
        ("distillation", "parsing", "refining"),
    ),
    "video_swap": (
        ("pixels",),
        ("media", "compositing", "engines", "provenance"),
        ("swapping",),
        ("clips",),
    ),
    "evaluation": (
        ("metrics", "plots", "inputs"),
        ("instruments",),
        ("measuring",),
        ("report",),
    ),
    "ui": (("session",), ("page",)),
}
MAX_FILES = 12  # of a room, its face left out
# TensorFlow also stands in the engines of `video_swap/`, and nowhere else there.
ENGINES = pathlib.PurePath("video_swap", "engines")
IDS = [str(path.relative_to(ROOT)) for path in FILES]


@each_file
def test_imports(path):
    folder = path.relative_to(ROOT).parts[0]
    for line, name in imports(path):
        place = f"{path.relative_to(ROOT)}:{line} imports `{name}`"
        first, *rest = name.split(".")
        assert first, f"{place}: write the full name, `facedancer...`"
        assert first not in set(MAY_IMPORT) - {"facedancer"}, (
            f"{place}: write `facedancer.{name}`; the bare name loads a second copy"
        )
        swaps = folder == "video_swap" and path.relative_to(ROOT).parent != ENGINES
        assert not (folder in NO_TENSORFLOW or swaps) or first != "tensorflow", (
            f"{place}: {folder}/ uses keras.ops or NumPy"
        )
        if path.name == "__init__.py" and folder == "facedancer":
            continue  # the face of the package: names, imported when asked for
        if first == "facedancer" and rest:
            target = rest[0] if rest[0] in MAY_IMPORT else "facedancer"
            assert target == folder or target in MAY_IMPORT[folder], (
                f"{place}: {folder}/ may import {sorted(MAY_IMPORT[folder])}"
            )


def room_of(parts):
    """Returns the room a dotted or slashed path lies in, None at the top level."""
    folder, *rest = parts
    known = {room for level in ROOMS.get(folder, ()) for room in level}
    return rest[0] if rest and rest[0] in known else None


@each_file
def test_rooms_stand_in_their_order(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    room, levels = room_of(parts), ROOMS.get(parts[0], ())
    level = {name: i for i, names in enumerate(levels) for name in names}
    for line, name in imports(path):
        target = module_of(name) if name.startswith("facedancer.") else []
        other = room_of(target) if target[:1] == [parts[0]] else None
        if room and other and other != room:
            assert level[other] < level[room], (
                f"{path.relative_to(ROOT)}:{line}: room {room} stands before {other}"
            )


@functools.cache
def programs():
    """Returns the modules that are started, as the parts of their names."""
    return {
        path.relative_to(ROOT).with_suffix("").parts
        for path in FILES
        if '\nif __name__ == "__main__":' in path.read_text()
    }


@each_file
def test_nobody_imports_a_program(path):
    """What a program and another file need lies in a file that both import."""
    for line, name in imports(path):
        if name.startswith("facedancer."):
            assert tuple(module_of(name)) not in programs(), (
                f"{path.relative_to(ROOT)}:{line} imports the program {name}"
            )


def test_rooms_are_small_and_known():
    shared_by_all = list((ROOT / "facedancer").glob("*.py"))
    assert len(shared_by_all) <= MAX_FILES, "facedancer/: put modules into rooms"
    for folder, levels in ROOMS.items():
        known = {room for level in levels for room in level}
        faces = (ROOT / folder).glob("*/__init__.py")
        rooms = {path.parent for path in faces if not path.parent.is_symlink()}
        found = {room.name for room in rooms}
        assert found <= known, f"{folder}/: put {sorted(found - known)} into ROOMS"
        for room in found:
            files = [
                path
                for path in (ROOT / folder / room).glob("*.py")
                if path.name != "__init__.py"
            ]
            assert len(files) <= MAX_FILES, f"{folder}/{room} has {len(files)} files"


@functools.cache
def hidden_by_files():
    used = {name.split(".")[0] for p in FILES for _, name in imports(p)}
    return (set(sys.stdlib_module_names) | used) - {"facedancer", "__future__"}


@each_file
def test_file_name_hides_no_module(path):
    """`python dataset/crop_align.py` puts `dataset/` in front of `sys.path`."""
    if len(path.relative_to(ROOT).parts) > 2:
        return  # in a room, where no program lies
    assert path.stem not in hidden_by_files(), (
        f"{path.name} would hide the module {path.stem}"
    )


@each_file
def test_docstrings(path):
    assert ast.get_docstring(tree_of(path)), f"{path}: no module docstring"
    for node in nodes_of(path):
        if isinstance(node, ast.ExceptHandler):
            caught = "" if node.type is None else ast.unparse(node.type)
            assert caught not in ("", "Exception", "BaseException"), (
                f"{path.relative_to(ROOT)}:{node.lineno}: name the exception"
            )
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
            args = [*node.args.posonlyargs, *node.args.args, node.args.vararg]
            args += [*node.args.kwonlyargs, node.args.kwarg]
            real = [a.arg for a in args if a]
            real = real[1:] if real[:1] in (["self"], ["cls"]) else real
            assert named == real, f"{place}: Args says {named}, signature {real}"


@pytest.mark.parametrize("path", FILES, ids=IDS)
def test_imports_and_examples_run(path):
    """All modules load in one process, so no two define the same flag on import."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    parts = parts[1:] if parts[0] == "facedancer" else parts
    parts = [part for part in parts if part != "__init__"]
    if parts[:2] == ["ui", "page"]:
        pytest.importorskip("gradio", reason="the extra ui is not installed")
    module = importlib.import_module(".".join(["facedancer", *parts]))
    if ">>>" in path.read_text():  # looking for examples is dear where there are none
        result = doctest.testmod(module, extraglobs={"np": np, "keras": keras})
        assert not result.failed


# Methods that Keras or unittest define; the class documents them (style of Keras).
FRAMEWORK_METHODS = {
    "build",
    "call",
    "get_config",
    "from_config",
    "compute_output_shape",
    "setUp",
}
# What every program has, said once in `facedancer.cli`.
PROGRAM_FUNCTIONS = {"main"}


def public_functions(tree):
    """Yields the functions and methods without an underscore, nested ones left out."""
    for node in tree.body:
        if "typing.overload" in map(ast.unparse, getattr(node, "decorator_list", ())):
            continue  # the function itself follows
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
            yield node
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            yield node
            for method in node.body:
                if (
                    isinstance(method, ast.FunctionDef)
                    and not method.name.startswith("_")
                    and method.name not in FRAMEWORK_METHODS
                ):
                    yield method


@each_file
def test_public_names_are_documented(path):
    for node in public_functions(tree_of(path)):
        if node.name not in PROGRAM_FUNCTIONS:
            place = f"{path.relative_to(ROOT)}:{node.lineno} {node.name}"
            assert ast.get_docstring(node), f"{place}: no docstring"


@each_file
def test_sizes(path):
    """Short files and functions, so that a newcomer finds the line to change."""
    text = path.read_text()
    lines = len(text.splitlines())
    assert lines <= 400, f"{path.relative_to(ROOT)} has {lines} lines"
    for node in nodes_of(path):
        if isinstance(node, ast.FunctionDef):
            docstring = ast.get_docstring(node, clean=False) or ""
            length = node.end_lineno - node.lineno - docstring.count("\n")
            place = f"{path.relative_to(ROOT)}:{node.lineno} {node.name}"
            assert length <= 80, f"{place} has {length} lines"


def test_test_files_are_short_too():
    """One subject a file; what several build lies in a room's `made` or `fixtures`."""
    lines = {
        path.relative_to(ROOT).as_posix(): len(path.read_text().splitlines())
        for path in (ROOT / "tests").rglob("*.py")
    }
    assert not {name for name, count in lines.items() if count > 400}


def test_marks_stand_beneath_parameters():
    """absl's list of parameters takes a mark that stands above it, and loses it."""
    wrong = []
    for path in (ROOT / "tests").rglob("test_*.py"):
        text = path.read_text()
        if "pytest.mark" not in text or "parameterized." not in text:
            continue
        for node in ast.walk(ast.parse(text)):
            names = [ast.unparse(x) for x in getattr(node, "decorator_list", ())]
            listed = [k for k, x in enumerate(names) if x.startswith("parameterized.")]
            marks = [k for k, x in enumerate(names) if x.startswith("pytest.mark")]
            if listed and marks and min(marks) < max(listed):
                wrong.append(f"{path.relative_to(ROOT)}:{node.lineno}")
    assert not wrong


@each_file
def test_libraries_do_not_print(path):
    if "__name__ == " in path.read_text() or path.name == "cli.py":
        return  # a program
    for node in nodes_of(path):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "print":
            raise AssertionError(f"{path.relative_to(ROOT)}:{node.lineno} prints")
