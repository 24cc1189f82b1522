"""Which people are in which part of a data set: a rule, not a list.

People are put in the order of SHA-256 of `"seed:name"`. The parts other than the
first named take their numbers of people from the beginning of that order, one part
after the other; the first named part, mostly `train`, gets the rest. So who is held
out depends on the names, the seed and the numbers only, and can be found again.
"""

from __future__ import annotations

import hashlib
import os
import pathlib
from collections.abc import Iterable, Sequence

from facedancer.errors import InputError
from facedancer.storage import untrusted


def hash_order(names: Iterable[str], seed: int) -> list[str]:
    """Returns names in the order of SHA-256 of `"seed:name"`.

    Args:
        names: Each is taken once.
        seed: Any integer.

    Example:

    >>> hash_order(["ann", "bob", "eve"], seed=0)
    ['ann', 'bob', 'eve']
    """

    def key(name: str) -> bytes:
        text = f"{seed}:{name}".encode(errors="surrogateescape")
        return hashlib.sha256(text).digest()

    return sorted(set(names), key=key)


def split_names(
    names: Iterable[str], sizes: dict[str, float | int], seed: int
) -> dict[str, str]:
    """Returns the part of each name.

    Args:
        names: The people.
        sizes: By part, in the order they were given: fractions below 1 of the
            people, or whole numbers of people. The first part gets the rest.
        seed: Of `hash_order`.

    Raises:
        InputError: If a part would be empty.
    """
    ordered = hash_order(names, seed)
    first, *others = sizes
    part_by_name, at = dict.fromkeys(ordered, first), 0
    for part in others:
        size = sizes[part]
        count = size if isinstance(size, int) else round(size * len(ordered))
        for name in ordered[at : at + count]:
            part_by_name[name] = part
        at += count
        if not count or at >= len(ordered):
            raise InputError(
                f"{len(ordered)} identities are too few for the split "
                f"{' '.join(f'{k}={v}' for k, v in sizes.items())}: a part is empty"
            )
    return part_by_name


def excluded(names: Sequence[str], path: str | os.PathLike) -> list[int]:
    """Returns the places of the photos whose person is named in a file.

    Args:
        names: Of each photo's person.
        path: UTF-8 text, one name a line; empty lines and those that begin with # do
            not count.

    Raises:
        InputError: If the file cannot be read, or names somebody who has no photo here.
    """
    with untrusted.faults(path, "not a text file that can be read"):
        lines = pathlib.Path(path).read_text(encoding="utf-8").splitlines()
    told = {line.strip() for line in lines if not line.lstrip().startswith("#")} - {""}
    if unknown := sorted(told - set(names)):
        raise InputError(
            f"{path} names {len(unknown)} people who have no photo here, the first "
            f"is {unknown[0]!r}. Names must be those that --identities gives"
        )
    return [row for row, name in enumerate(names) if name in told]


def parse_sizes(words: Iterable[str]) -> dict[str, float | int]:
    """Returns the shares that `train=.9 val=.1` names.

    Args:
        words: `part=fraction` each; the fractions add up to 1.

    Raises:
        InputError: If a word is of another form, or they do not add up.
    """
    sizes: dict[str, float | int] = {}
    for word in words:
        part, _, number = word.partition("=")
        try:
            sizes[part.strip()] = float(number)
        except ValueError:
            sizes[""] = 0.0
    good = len(sizes) == len(list(words)) and all(
        part.isidentifier() and 0.0 < size <= 1.0 for part, size in sizes.items()
    )
    if not good or abs(sum(sizes.values()) - 1.0) > 1e-6:
        raise InputError(
            "--split must name parts and fractions that add up to 1, such as "
            f"train=.9,val=.1. Received: {','.join(words)}"
        )
    return sizes
