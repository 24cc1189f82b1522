"""Damaged shards, manifests and indices for the programs that read shards."""

from __future__ import annotations

import functools
import io
import json
import pathlib
import re
import shutil
import struct

import numpy as np

from facedancer import cli
from facedancer.dataset import dataset_sharding
from facedancer.dataset.reading import pair_reader
from facedancer.dataset.shards import records
from tests.dataset import fixtures
from tests.hostile import mutations
from tests.hostile.cases import Case
from tests.hostile.harness import library, program

PHOTOS, PEOPLE, SHARDS, SIDE = 12, 3, 3, 16
USES = ("verify", "inspect", "read_stop", "read_skip", "write")


class Shards:
    """Makes cases: a small set of shards with one damaged file.

    Args:
        folder: For files that all cases share.
    """

    name = "shards"

    def __init__(self, folder: pathlib.Path):
        self.photos, self.whole = folder / "photos", folder / "whole"
        for number in range(PHOTOS):
            path = self.photos / f"p{number % PEOPLE}" / f"{number:02d}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(fixtures.coded(20 * number, (SIDE, SIDE)))
        settings = dataset_sharding.ShardSettings(
            str(self.whole), str(self.photos), num_shards=SHARDS
        )
        dataset_sharding.write_sets(settings)

    def case(self, seed: int, places) -> Case:
        """Returns a case, its inputs written.

        Args:
            seed: Decides everything.
            places: Its folders.
        """
        random = np.random.default_rng([seed, 2])
        use = USES[seed % len(USES)]
        # `write` mends the set it is given, so that lies where it may write
        folder = places.output if use == "write" else places.inputs
        shutil.copytree(self.whole, folder / "set")
        damages = (_damage_bytes, _damage_records, _damage_manifest, _damage_index)
        shares = np.array([0.35, 0.3, 0.2, 0.15])
        damage = damages[random.choice(len(damages), p=shares)]
        what = damage(folder / "set", random)
        make = {
            "verify": self._verify,
            "inspect": self._inspect,
            "read_stop": functools.partial(self._read, on_corrupt="stop"),
            "read_skip": functools.partial(self._read, on_corrupt="skip"),
            "write": self._write,
        }[use]
        start, check = make(folder / "set", places)
        return Case(f"{use} {what}", start, check)

    def _same(self, folder, pattern):
        """Returns whether the files of a pattern are those of the whole set."""
        whole = {path.name: path.read_bytes() for path in self.whole.glob(pattern)}
        return whole == {path.name: path.read_bytes() for path in folder.glob(pattern)}

    def _not_written(self, folder):
        """Returns what is missing of a set that is said to be written.

        Damage that leaves a shard's size as it is, is for `--verify` to find.
        """
        for whole in self.whole.iterdir():
            made = folder / whole.name
            size = made.stat().st_size if made.exists() else None
            if whole.suffix == ".records" and size != whole.stat().st_size:
                return f"{whole.name} has {size} bytes and is said to be written"
        left = {path.name for path in folder.iterdir()}
        left -= {path.name for path in self.whole.iterdir()}
        return f"left over: {sorted(left)}" if left else ""

    def _verify(self, folder, places):
        words = ["--verify", f"--target_dir={folder}"]

        def check(outcome):
            if outcome.status == 0 and not self._same(folder, "*.records"):
                return "other shards are said to be as the manifest says"
            return ""

        return program("dataset_sharding", words), check

    def _inspect(self, folder, places):
        words = [f"--data_dir={folder}", f"--output={places.output}"]

        def check(outcome):
            count = f" {_count_whole(folder)} photos in "
            if outcome.status == 0 and count not in outcome.stdout:
                return f"{count}is not what it says: {outcome.stdout.splitlines()[0]}"
            return ""

        return program("shards", words), check

    def _read(self, folder, places, on_corrupt):
        start = library(functools.partial(_print_photos, folder, on_corrupt))

        def check(outcome):
            if outcome.status:
                return ""
            rows = [line.split() for line in outcome.stdout.splitlines()]
            told = re.search("Skipped|Its whole records are used", outcome.stderr)
            return _wrong_photos(rows, skipped=bool(told))

        return start, check

    def _write(self, folder, places):
        words = [f"--data_dir={self.photos}", f"--target_dir={folder}"]
        words.append(f"--num_shards={SHARDS}")

        def check(outcome):
            if outcome.status == 0:
                return self._not_written(folder)
            return ""

        return program("dataset_sharding", words), check


def _print_photos(folder, on_corrupt):
    """Prints what a training reads: position used, identity and red of each photo."""
    settings = pair_reader.PairSettings(
        str(folder), batch_size=4, image_size=SIDE, on_corrupt=on_corrupt
    )
    reader = pair_reader.PairReader(settings)
    for number in range(len(reader.index)):
        image, used = reader.cache.get(number)
        print(used, reader.index.identity[used], image[-1, -1, 0], image.shape[0])
    return cli.DONE


def _wrong_photos(rows, skipped):
    """Returns what is wrong with the photos that were read, "" for nothing."""
    known = {(identity, int(red) // 20 % PEOPLE) for _, identity, red, _ in rows}
    if any(int(red) % 20 or int(side) != SIDE for *_, red, side in rows):
        return "a photo is none of the set's"
    if len(known) != len({identity for identity, _ in known}):
        return "one identity for several people"
    if len({red for _, _, red, _ in rows}) < PHOTOS and not skipped:
        return f"{len({r for _, _, r, _ in rows})} of {PHOTOS} photos, without a word"
    return ""


def _count_whole(folder):
    """Counts the records that are whole up to each shard's first damage."""
    count = 0
    for path in folder.glob("*.records"):
        data, at = path.read_bytes(), 0
        while at < len(data):
            size, crc = struct.unpack("<QI", data[at : at + 12].ljust(12, b"\0"))
            record = data[at + 12 : at + 12 + size]
            tail = data[at + 12 + size : at + 16 + size]
            if records.masked_crc(data[at : at + 8]) != crc or len(tail) < 4:
                break
            if struct.pack("<I", records.masked_crc(record)) != tail:
                break
            count, at = count + 1, at + 16 + size
    return count


def _chosen(folder, random):
    paths = sorted(folder.glob("*.records"))
    return paths[random.integers(len(paths))]


def _damage_bytes(folder, random):
    path = _chosen(folder, random)
    path.write_bytes(mutations.damage(path.read_bytes(), random))
    return f"bytes of {path.name}"


def _damage_records(folder, random):
    """Changes whole records; all checksums stay right."""
    path = _chosen(folder, random)
    held = list(records.read_records(path))
    how = int(random.integers(9))
    at = int(random.integers(len(held)))
    if how == 0:
        del held[at:]
    elif how == 1:
        held = []
    elif how == 2:
        held.append(held[at])
    elif how == 3:
        held[at] = mutations.damage(held[at], random)
    elif how == 4:
        held[at] = b""
    elif how == 5:
        held = held[::-1]
    elif how == 6:
        features = records.decode_example(held[at])
        features["face"] = mutations.damage(features["face"], random)
        held[at] = records.encode_example(features)
    elif how == 7:
        features = records.decode_example(held[at])
        odd = (b"\xff\xfe/" * 9, -7, 2**40, np.zeros(3), b"")
        name = sorted(features)[random.integers(len(features))]
        features[name] = odd[random.integers(len(odd))]
        held[at] = records.encode_example(features)
    data = b"".join(records.frame(record) for record in held)
    if how == 8:  # a record that claims a length nobody has
        length = struct.pack("<Q", int(random.choice([2**31, 2**40, 2**63 - 1])))
        data += length + struct.pack("<I", records.masked_crc(length)) + b"x" * 40
    path.write_bytes(data)
    return f"records of {path.name}, way {how}"


def _damage_manifest(folder, random):
    (path,) = folder.glob("*.manifest.json")
    if random.random() < 0.3:
        path.write_bytes(mutations.damage(path.read_bytes(), random))
        return "bytes of the manifest"
    damaged = mutations.damage_json(json.loads(path.read_text()), random)
    path.write_text(json.dumps(damaged))
    return "values of the manifest"


def _damage_index(folder, random):
    (path,) = folder.glob("*.index.npz")
    if random.random() < 0.4:
        path.write_bytes(mutations.damage_archive(path.read_bytes(), random))
        return "bytes of the index"
    with np.load(path) as stored:
        arrays = dict(stored)
    name = sorted(arrays)[random.integers(len(arrays))]
    array = arrays[name]
    odd = (
        array[:-1],
        array[::-1],
        array.astype(np.float32),
        array[:, None],
        array.astype(np.int64) + 2**33,
        -array - 5,
        array.astype(str),
        array * 0,
        np.array(3),
    )
    number = int(random.integers(len(odd)))
    arrays[name] = odd[number]
    packed = io.BytesIO()
    np.savez(packed, **arrays)
    path.write_bytes(packed.getvalue())
    return f"array {name} of the index, way {number}"
