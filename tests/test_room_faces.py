"""Tests of the faces: what one folder may see of another."""

import ast
import functools

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


@functools.cache
def face(package):
    """Returns what the `__init__.py` of a package (parts) lists in `__all__`."""
    for node in tree_of(ROOT.joinpath(*package, "__init__.py")).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return ast.literal_eval(node.value)
    return []


def visible(target, names):
    """Says whether a face lists what is imported.

    Args:
        target: Parts of the module or package that an import goes to.
        names: The rest of the dotted name, inside the module: none or one.
    """
    if any(name.startswith("_") for name in names):
        return False
    if ROOT.joinpath(*target).is_dir():
        return not names or names[0] in face(tuple(target))
    return target[-1] in face(tuple(target[:-1]))


@each_file
def test_other_folders_through_a_face(path):
    """A face lists names, and modules that are open as a whole."""
    folder = path.relative_to(ROOT).parts[0]
    for line, name in imports(path):
        target = module_of(name) if name.startswith("facedancer.") else []
        if target and target[0] in set(MAY_IMPORT) - {folder, "facedancer"}:
            names = name.split(".")[1 + len(target) :]
            assert visible(target, names), (
                f"{path.relative_to(ROOT)}:{line}: no `__all__` of {target[0]}/ "
                f"lists {name}"
            )


def test_faces_list_what_is_there_and_used():
    """A name is bound in the face; a module is one that another folder imports."""
    asked = {
        tuple(module_of(name))
        for path in FILES
        for _, name in imports(path)
        if module_of(name)[:1] != [path.relative_to(ROOT).parts[0]]
    }
    faults = []
    for path in FILES:
        package = path.relative_to(ROOT).parts[:-1]
        if path.name == "__init__.py" and package != ("facedancer",):
            bound = {name.split(".")[-1] for _, name in imports(path)}
            known = bound | {parts[-1] for parts in asked if parts[:-1] == package}
            faults += [(package, name) for name in face(package) if name not in known]
    assert not faults


@each_file
def test_private_names_stay_in_their_file(path):
    """Nothing with an underscore is taken from another module of ours."""
    ours = {name for _, name in imports(path) if name.startswith("facedancer.")}
    modules = {x.split(".")[-1] for x in ours if module_of(x)[-1:] == x.split(".")[-1:]}
    for node in nodes_of(path):
        if isinstance(node, ast.Attribute) and node.attr.startswith("_"):
            assert ast.unparse(node.value) not in modules or node.attr[:2] == "__", (
                f"{path.relative_to(ROOT)}:{node.lineno}: {ast.unparse(node)}"
            )
    for name in ours:
        assert not name.split(".")[-1].startswith("_"), f"{path}: {name}"
