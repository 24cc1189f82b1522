"""The folders of the code, their files and imports: what tests of its shape ask."""

import ast
import functools
import pathlib

import pytest

ROOT = pathlib.Path(__file__).parents[1]
# Who may import whom. "facedancer" stands for the modules in that folder.
MAY_IMPORT = {
    "facedancer": set(),
    "retinaface": {"facedancer"},
    "arcface_model": {"facedancer"},
    "models": {"facedancer"},
    "dataset": {"facedancer", "retinaface", "arcface_model", "video_swap"},
    "train": {"facedancer", "dataset", "models", "arcface_model", "retinaface"},
    "video_swap": {"facedancer", "models", "retinaface", "arcface_model"},
    "evaluation": {
        "facedancer",
        "dataset",
        "models",
        "arcface_model",
        "retinaface",
        "video_swap",
    },
    "ui": {"facedancer", "video_swap"},
}
FILES = [path for name in MAY_IMPORT for path in sorted((ROOT / name).rglob("*.py"))]


@functools.cache
def tree_of(path):
    return ast.parse(path.read_text())


@functools.cache
def nodes_of(path):
    """Returns all that a file is made of; walking is dear, and many tests ask."""
    return tuple(ast.walk(tree_of(path)))


def each_file(check):
    """Returns a test for each folder that says all faults of its files at once."""

    @pytest.mark.parametrize("folder", list(MAY_IMPORT))
    def test(folder):
        faults = []
        for path in FILES:
            if path.is_relative_to(ROOT / folder):
                try:
                    check(path)
                except AssertionError as fault:
                    faults.append(str(fault))
        assert not faults, "\n".join(faults)

    test.__doc__ = check.__doc__
    return test


@functools.cache
def imports(path):
    """Returns `(line, dotted name)` of every import in a file."""
    found = []
    for node in nodes_of(path):
        if isinstance(node, ast.Import):
            found += [(node.lineno, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            module = f"{'.' * node.level}{node.module}"
            found += [(node.lineno, f"{module}.{alias.name}") for alias in node.names]
    return found


def module_of(name):
    """Returns the parts of the path, from its folder, of the module a name lies in."""
    parts = name.split(".")[1:]
    if parts and parts[0] not in MAY_IMPORT:
        parts = ["facedancer", *parts]
    while parts and not (
        (ROOT / pathlib.Path(*parts)).with_suffix(".py").is_file()
        or (ROOT / pathlib.Path(*parts) / "__init__.py").is_file()
    ):
        parts = parts[:-1]
    return parts
