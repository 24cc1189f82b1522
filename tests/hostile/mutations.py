"""Seeded damage to files: their bytes, and the JSON inside them.

All of it is a function of a NumPy generator, so that a seed names a case.
"""

from __future__ import annotations

import copy
import io
import json
import struct
import zipfile
import zlib
from typing import Any

import numpy as np

_EXTREMES = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF, 2**63 - 1)


def damage(data: bytes, random: np.random.Generator, other: bytes = b"") -> bytes:
    """Returns a file with one to three kinds of damage.

    Half of the damage lies in the first 512 bytes, where the lengths and sizes stand.

    Args:
        data: A whole file.
        random: Decides everything.
        other: Another file, parts of which are put into this one.
    """
    for _ in range(int(random.integers(1, 4))):
        kind = _KINDS[random.integers(len(_KINDS))]
        data = kind(bytes(data), random, other)
    return bytes(data)


def _place(data, random):
    top = min(len(data), 512) if random.random() < 0.5 else len(data)
    return int(random.integers(0, max(top, 1)))


def _flip_bits(data, random, other):
    changed = bytearray(data)
    for _ in range(int(random.integers(1, 17)) if data else 0):
        changed[_place(data, random)] ^= 1 << int(random.integers(8))
    return changed


def _overwrite(data, random, other):
    at, size = _place(data, random), int(2 ** random.uniform(0, 8))
    return data[:at] + random.bytes(size) + data[at + size :]


def _zero(data, random, other):
    at, size = _place(data, random), int(2 ** random.uniform(0, 10))
    return data[:at] + bytes(len(data[at : at + size])) + data[at + size :]


def _cut_off(data, random, other):
    return data[: _place(data, random)]


def _leave_out(data, random, other):
    at, size = _place(data, random), int(2 ** random.uniform(0, 10))
    return data[:at] + data[at + size :]


def _repeat(data, random, other):
    at, size = _place(data, random), int(2 ** random.uniform(0, 10))
    return data[: at + size] + data[at:]


def _append(data, random, other):
    return data + random.bytes(int(2 ** random.uniform(0, 12)))


def _put_number(data, random, other):
    """Overwrites what may be a length, of either byte order."""
    width = int(random.choice([1, 2, 4, 8]))
    value = _EXTREMES[random.integers(len(_EXTREMES))] % 256**width
    at = _place(data, random)
    order = "<" if random.random() < 0.5 else ">"
    packed = struct.pack(order + {1: "B", 2: "H", 4: "I", 8: "Q"}[width], value)
    return data[:at] + packed + data[at + width :]


def _splice(data, random, other):
    other = other or data
    return data[: _place(data, random)] + other[_place(other, random) :]


_KINDS = (
    _flip_bits,
    _flip_bits,
    _overwrite,
    _zero,
    _cut_off,
    _leave_out,
    _repeat,
    _append,
    _put_number,
    _put_number,
    _splice,
)


def damage_png(data: bytes, random: np.random.Generator) -> bytes:
    """Returns a PNG with damaged chunks whose checksums are right.

    Args:
        data: A PNG.
        random: Decides everything.
    """
    chunks, at = [], 8
    while at < len(data):
        (size,) = struct.unpack(">I", data[at : at + 4])
        chunks.append((data[at + 4 : at + 8], data[at + 8 : at + 8 + size]))
        at += 12 + size
    number = int(random.integers(len(chunks)))
    name, content = chunks[number]
    chunks[number] = (name, damage(content, random))
    if random.random() < 0.2:
        chunks.insert(number, chunks[int(random.integers(len(chunks)))])
    out = [data[:8]]
    for name, content in chunks:
        crc = zlib.crc32(name + content)
        out.append(struct.pack(">I", len(content)) + name + content)
        out.append(struct.pack(">I", crc))
    return b"".join(out)


ODD_VALUES: tuple[Any, ...] = (
    None,
    True,
    -1,
    0,
    1,
    7,
    2**31,
    2**63,
    10**30,
    0.5,
    -1e308,
    "",
    "x",
    "../../etc/passwd",
    "é" * 300,
    [],
    {},
    [[]],
    [None],
    [-1, -1, -1],
    [2**31, 2**31],
    {"class_name": "Lambda", "config": {}},
)


def damage_json(value: Any, random: np.random.Generator) -> Any:
    """Returns plain data in which one to three values are replaced, lost or doubled.

    Args:
        value: What `json.loads` gave; it is left as it is.
        random: Decides everything.
    """
    value = copy.deepcopy(value)
    for _ in range(int(random.integers(1, 4))):
        nodes = list(_nodes(value))
        if not nodes:
            return ODD_VALUES[random.integers(len(ODD_VALUES))]
        # as often near the root, where there are few nodes, as anywhere
        depth = int(random.integers(1, 1 + max(len(path) for path, _, _ in nodes)))
        chosen = [node for node in nodes if len(node[0]) <= depth]
        path, holder, key = chosen[random.integers(len(chosen))]
        how = random.random()
        if how < 0.65:
            holder[key] = copy.deepcopy(ODD_VALUES[random.integers(len(ODD_VALUES))])
        elif how < 0.8:
            del holder[key]
        elif how < 0.9:
            holder[key] = copy.deepcopy(nodes[random.integers(len(nodes))][1])
        elif isinstance(holder, dict):
            holder[f"{key}_"] = holder.pop(key)
        else:
            holder.insert(key, copy.deepcopy(holder[key]))
    return value


def _nodes(value, path=()):
    """Yields `(path, what holds it, its key)` of every value below the root."""
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, inner in list(items):
        yield (*path, key), value, key
        if isinstance(inner, dict | list):
            yield from _nodes(inner, (*path, key))


def damage_archive(
    data: bytes, random: np.random.Generator, inner_damage=damage
) -> bytes:
    """Returns a zip archive one member of which is damaged, its checksum right.

    Args:
        data: An archive.
        random: Decides everything.
        inner_damage: Damages a member that is no JSON.
    """
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    names = list(members)
    chosen = names[random.integers(len(names))]
    how = random.random()
    if how < 0.1:
        del members[chosen]
    elif how < 0.15:
        members[f"{chosen}.old"] = members.pop(chosen)
    elif chosen.endswith(".json"):
        members[chosen] = _damaged_text(members[chosen], random)
    else:
        members[chosen] = inner_damage(members[chosen], random)
    packed = io.BytesIO()
    method = zipfile.ZIP_DEFLATED if random.random() < 0.3 else zipfile.ZIP_STORED
    with zipfile.ZipFile(packed, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return packed.getvalue()


def _damaged_text(text, random):
    if random.random() < 0.15:
        return damage(text, random)
    return json.dumps(damage_json(json.loads(text), random)).encode()
