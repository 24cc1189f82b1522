"""Model files that are not what they seem: attacks made by hand, damage made by seeds.

`DAMAGES` holds one function a kind of file: it takes the bytes of a good file and a
random generator and returns the bytes of a damaged one.
"""

from __future__ import annotations

import copy
import io
import json
import pathlib
import zipfile
from collections.abc import Callable
from typing import Any

import h5py
import numpy as np

ODD_VALUES = (
    None, True, -1, 0, 3.5, 10**12, 10**30, float("nan"), "", "no such", [], [[]], {},
    {"class_name": "Lambda", "config": {}}, [1, "a"], "\ud800", "x/y",
)  # fmt: skip


# Attacks on an `.h5` file: each takes the open file (mode "a"), the name of one of its
# arrays, and a file elsewhere that holds as many numbers.


def external_link(file: h5py.File, name: str, elsewhere: pathlib.Path) -> None:
    """Puts a link to an array of another HDF5 file in the place of an array."""
    _hdf5_elsewhere(elsewhere, file[name])
    del file[name]
    file[name] = h5py.ExternalLink(str(elsewhere.with_suffix(".other")), "/secret")


def soft_link(file: h5py.File, name: str, elsewhere: pathlib.Path) -> None:
    """Puts a link by name, over an external link, in the place of an array."""
    _hdf5_elsewhere(elsewhere, file[name])
    del file[name]
    file["out"] = h5py.ExternalLink(str(elsewhere.with_suffix(".other")), "/")
    file[name] = h5py.SoftLink("/out/secret")


def virtual(file: h5py.File, name: str, elsewhere: pathlib.Path) -> None:
    """Makes an array a virtual one, with its numbers in another file."""
    shape, dtype = file[name].shape, file[name].dtype
    _hdf5_elsewhere(elsewhere, file[name])
    del file[name]
    layout = h5py.VirtualLayout(shape, dtype)
    other = str(elsewhere.with_suffix(".other"))
    layout[...] = h5py.VirtualSource(other, "/secret", shape)
    file.create_virtual_dataset(name, layout)


def external_storage(file: h5py.File, name: str, elsewhere: pathlib.Path) -> None:
    """Lets the bytes of an array lie in any other file."""
    shape, dtype = file[name].shape, file[name].dtype
    elsewhere.write_bytes(b"\x00\x00\x80\x3f" * int(np.prod(shape)))
    del file[name]
    stored = [(str(elsewhere), 0, h5py.h5f.UNLIMITED)]
    file.create_dataset(name, shape, dtype, external=stored)


def gzip_bomb(file: h5py.File, name: str, elsewhere: pathlib.Path) -> None:
    """Makes an array gigabytes of zeros, packed to a thousandth."""
    del elsewhere, file[name]
    shape = (1 << 20, 1 << 9)  # 2 GiB of float32
    packed = file.create_dataset(
        name, shape, "f4", chunks=(1 << 13, 1 << 9), compression="gzip"
    )
    zeros = io.BytesIO()
    with h5py.File(zeros, "w") as other:  # one chunk, packed once, written 128 times
        other.create_dataset("x", data=np.zeros((1 << 13, 1 << 9), "f4"),
                             chunks=(1 << 13, 1 << 9), compression="gzip")  # fmt: skip
        _, chunk = other["x"].id.read_direct_chunk((0, 0))
    for row in range(0, shape[0], 1 << 13):
        packed.id.write_direct_chunk((row, 0), chunk)


def terabytes(file: h5py.File, name: str, elsewhere: pathlib.Path) -> None:
    """Makes an array claim 8 TiB, of which nothing is written."""
    del elsewhere, file[name]
    file.create_dataset(name, (1 << 20, 1 << 21), "f4")


def wide_chunk(file: h5py.File, name: str, elsewhere: pathlib.Path) -> None:
    """Keeps an array in a chunk of gigabytes."""
    del elsewhere, file[name]
    file.create_dataset(
        name, (2, 2), "f4", chunks=(1 << 15, 1 << 14), maxshape=(None,) * 2
    )


def plugin_filter(file: h5py.File, name: str, elsewhere: pathlib.Path) -> None:
    """Packs an array with a filter that HDF5 would look for among its plugins."""
    array = file[name][...]
    del elsewhere, file[name]
    file.create_dataset(name, data=np.atleast_1d(array), compression="lzf")


def many_texts(file: h5py.File, name: str, elsewhere: pathlib.Path) -> None:
    """Names the layers by a list of a hundred thousand texts."""
    del elsewhere
    file[name].parent.attrs["weight_names"] = ["kernel:0"] * 100_000


H5_ATTACKS = {
    made.__name__: made
    for made in (
        external_link,
        soft_link,
        virtual,
        external_storage,
        gzip_bomb,
        terabytes,
        wide_chunk,
        plugin_filter,
        many_texts,
    )
}


def _hdf5_elsewhere(elsewhere, like):
    with h5py.File(elsewhere.with_suffix(".other"), "w") as other:
        other["secret"] = np.ones(like.shape, like.dtype)


def arrays_of(file: h5py.File) -> list[str]:
    """Returns the names of all arrays of a file, in order."""
    found: list[str] = []
    file.visititems(
        lambda name, item: (
            found.append(name) if isinstance(item, h5py.Dataset) else None
        )
    )
    return found


def rewrite_archive(data: bytes, name: str, change: Callable[[bytes], bytes]) -> bytes:
    """Returns a zip archive with one entry changed, everything else as it was."""
    target = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(data)) as source,
        zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as out,
    ):
        for entry in source.namelist():
            content = source.read(entry)
            out.writestr(entry, change(content) if entry == name else content)
    return target.getvalue()


def with_config(data: bytes, change: Callable[[Any], Any]) -> bytes:
    """Returns a `.keras` file whose description was changed."""
    return rewrite_archive(
        data, "config.json", lambda text: json.dumps(change(json.loads(text))).encode()
    )


def edited_h5(data: bytes, edit: Callable[[h5py.File], None]) -> bytes:
    """Returns an `.h5` file after a change in it."""
    kept = io.BytesIO(data)
    with h5py.File(kept, "a") as file:
        edit(file)
    return kept.getvalue()


def npz(**entries: bytes) -> bytes:
    """Returns an `.npz` file of entries given as bytes, packed."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries.items():
            archive.writestr(f"{name}.npy", content)
    return target.getvalue()


def npy(array: np.ndarray, shape: tuple[int, ...] | None = None) -> bytes:
    """Returns an `.npy` file; its header may claim another shape."""
    target = io.BytesIO()
    description = np.lib.format.header_data_from_array_1_0(array)
    np.lib.format.write_array_header_1_0(
        target, {**description, "shape": shape or array.shape}
    )
    return target.getvalue() + array.tobytes()


# Damage by seeds.


def damage_bytes(data: bytes, random: np.random.Generator) -> bytes:
    """Flips, zeroes, overwrites, cuts or repeats bytes somewhere."""
    kept = bytearray(data)
    place = int(random.integers(len(kept)))
    run = int(random.integers(1, 64))
    kind = random.integers(5)
    if kind == 0:
        kept[place] ^= 1 << int(random.integers(8))
    elif kind == 1:
        kept[place : place + run] = bytes(len(kept[place : place + run]))
    elif kind == 2:
        kept[place : place + run] = random.bytes(len(kept[place : place + run]))
    elif kind == 3:
        del kept[place:]
    else:
        kept[place:place] = kept[place : place + run]
    return bytes(kept)


def damage_json(value: Any, random: np.random.Generator) -> Any:
    """Returns JSON data of which one part is left out or is something odd."""
    value = copy.deepcopy(value)
    places = list(_places(value))
    holder, key = places[random.integers(len(places))]
    if random.integers(4) == 0:
        del holder[key]
    else:
        holder[key] = copy.deepcopy(ODD_VALUES[random.integers(len(ODD_VALUES))])
    return value


def _places(value):
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, part in items:
        yield value, key
        if isinstance(part, dict | list):
            yield from _places(part)


def _damage_text(text, random):
    return json.dumps(damage_json(json.loads(text), random)).encode()


def damage_keras(data: bytes, random: np.random.Generator) -> bytes:
    """Damages a `.keras` file: its bytes, its description or its weights."""
    kind = random.integers(3)
    if kind == 0:
        return damage_bytes(data, random)
    if kind == 1:
        return rewrite_archive(data, "config.json", lambda t: _damage_text(t, random))
    return rewrite_archive(
        data, "model.weights.h5", lambda weights: damage_h5(weights, random)
    )


def damage_h5(data: bytes, random: np.random.Generator) -> bytes:
    """Damages an `.h5` file: its bytes, its description, an array or an attribute."""
    kind = random.integers(3)
    if kind == 0:
        return damage_bytes(data, random)
    return edited_h5(data, lambda file: _damage_objects(file, random))


def _damage_objects(file, random):
    if "model_config" in file.attrs and random.integers(2):
        file.attrs["model_config"] = _damage_text(file.attrs["model_config"], random)
        return
    names = arrays_of(file)
    name = names[random.integers(len(names))]
    group = file[name].parent
    kind = random.integers(6)
    if kind == 5 and list(group.attrs):
        key = list(group.attrs)[0]
        group.attrs[key] = [np.int32(3), b"gone", "\u00e9"][random.integers(3)]
        return
    array = np.asarray(file[name])
    del file[name]
    if kind == 1:
        file[name] = array[..., None]
    elif kind == 2:
        file[name] = np.full(array.shape, b"text")
    elif kind == 3:
        file.create_group(name)
    elif kind == 4:
        file[name] = array.ravel()[:1]


def damage_npz(data: bytes, random: np.random.Generator) -> bytes:
    """Damages an `.npz` file: its bytes, or the bytes of an entry."""
    if random.integers(2):
        return damage_bytes(data, random)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        names = archive.namelist()
    name = names[random.integers(len(names))]
    return rewrite_archive(data, name, lambda entry: damage_bytes(entry[:200], random))


def damage_text(data: bytes, random: np.random.Generator) -> bytes:
    """Damages a JSON file: its bytes, or a part of it."""
    if random.integers(3) == 0:
        return damage_bytes(data, random)
    return _damage_text(data, random)


DAMAGES = {
    ".keras": damage_keras,
    ".h5": damage_h5,
    ".npz": damage_npz,
    ".json": damage_text,
    ".onnx": damage_bytes,
    ".tflite": damage_bytes,
}
