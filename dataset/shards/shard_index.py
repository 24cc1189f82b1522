"""Where every record of a set of shards lies, and whose face it is.

The index is a handful of integer arrays, 28 bytes a photo, so that any record can be
read at once and a batch is a pure function of its number. It is read from the file
the sharding program leaves beside the shards, else found from the records' headers.
"""

from __future__ import annotations

import dataclasses
import glob
import os
import pathlib
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
from absl import logging

from facedancer.dataset.shards import index_file, manifest, records, shard_check
from facedancer.errors import InputError
from facedancer.face.alignment import Alignment, check_equal
from facedancer.imaging import images

_HEADER = 131_072  # bytes before which profiles and the like stand

SHARD_NAME = re.compile(r"(?P<set>.+)_(?P<number>\d{5,})-of-(?P<total>\d{5,})\.records")


@dataclasses.dataclass(frozen=True)
class ShardIndex:
    """The records of one or several sets of shards, in the order of the file names.

    Attributes:
        files: The shards.
        shard: `(n,)` int32, the position in `files`.
        number: `(n,)` int32, the record's number in its file.
        offset: `(n,)` int64, where its header begins in the file.
        size: `(n,)` int32, its bytes with header and footer.
        identity: `(n,)` int32, dense over all sets, -1 where unknown.
        folder: `(n,)` int32, the source folder: first part of the photo's path,
            counted over all sets.
        alignment: How the photos are aligned, None where no manifest says it.
        people: Names by `identity`; numbers where no manifest names them.
        folders: Names by `folder`.
    """

    files: tuple[str, ...]
    shard: np.ndarray
    number: np.ndarray
    offset: np.ndarray
    size: np.ndarray
    identity: np.ndarray
    folder: np.ndarray
    alignment: Alignment | None
    people: tuple[str, ...] = ()
    folders: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.shard)

    def location(self, photo: int) -> tuple[str, int]:
        """Returns the file of a record and its number in it."""
        return self.files[self.shard[photo]], int(self.number[photo])

    def record(self, photo: int) -> memoryview:
        """Returns one record, checked: a serialized `tf.train.Example`.

        Args:
            photo: Its position in the index.

        Raises:
            CorruptRecordError: If it cannot be read or a checksum is wrong.
        """
        file, number = self.location(photo)
        try:
            opened = os.open(file, os.O_RDONLY)
            try:
                size, offset = int(self.size[photo]), int(self.offset[photo])
                data = os.pread(opened, size, offset)
            finally:
                os.close(opened)
        except OSError as error:
            raise records.CorruptRecordError(file, number, str(error)) from None
        return records.check_frame(data, file, number)

    def features(self, photo: int) -> dict:
        """Returns the features of one record, checked.

        Args:
            photo: Its position in the index.

        Raises:
            CorruptRecordError: If it cannot be read.
        """
        record = self.record(photo)
        try:
            return records.decode_example(record)
        except InputError as error:
            raise records.CorruptRecordError(
                *self.location(photo), str(error)
            ) from None

    def image(self, photo: int, size: int, feature: str = "face") -> np.ndarray:
        """Returns a photo of a record, `(size, size, 3)` uint8 RGB.

        Args:
            photo: Its position in the index.
            size: Side in pixels; a photo of another size is resized.
            feature: The feature that holds it.

        Raises:
            CorruptRecordError: If it cannot be read.
        """
        location, record = self.location(photo), self.record(photo)
        try:
            data = records.bytes_feature(record, feature)
        except InputError as error:
            raise records.CorruptRecordError(*location, str(error)) from None
        return decode_image(data, size, location, feature)

    def landmarks(self, photo: int, size: int) -> np.ndarray | None:
        """Returns the landmarks of a record's photo, `(5, 2)` pixels, None if unknown.

        Args:
            photo: Its position in the index.
            size: Side to which the photo is resized, pixels.

        Raises:
            CorruptRecordError: If it cannot be read.
        """
        features = self.features(photo)
        if not {"landmarks", "height", "width"} <= set(features):
            return None
        sides = np.array([features["width"], features["height"]])
        if features["landmarks"].size != 10 or sides.min() < 1:
            why = "its `landmarks`, `height` or `width` cannot be right"
            raise records.CorruptRecordError(*self.location(photo), why)
        points = features["landmarks"].reshape(5, 2).astype(np.float64)
        scale = size / sides
        return (points + 0.5) * scale - 0.5


def find_shards(data_dir: str) -> list[str]:
    """Returns the shard files that a flag names, sorted, each once.

    Args:
        data_dir: A folder with `.records` files, a file, or a glob pattern; several
            with commas between.

    Raises:
        InputError: If one of them matches no file.
    """
    found = []
    for word in data_dir.split(","):
        word = word.strip()
        pattern = os.path.join(glob.escape(word), "*.records")
        names = glob.glob(pattern if os.path.isdir(word) else word)
        if not names:
            raise InputError(
                f"{word}: no shards there. Give a folder that holds *.records files, "
                "or a glob pattern; facedancer-dataset-sharding makes them"
            )
        found += names
    return sorted(set(found))


def alignment_of(data_dir: str) -> Alignment | None:
    """Returns how the photos of shards are aligned, None where no manifest says it.

    Args:
        data_dir: See `find_shards`.

    Raises:
        InputError: If two sets are aligned in different ways, or there is no shard.
    """
    return _common_alignment(find_shards(data_dir))


def _common_alignment(files: list[str]) -> Alignment | None:
    first = None
    for name in sorted({set_of(file) for file in files}):
        found = manifest.alignment_in(manifest.read(name.parent, name.name))
        if found is not None:
            first = first or (found, str(name))
            check_equal(found, first[0], str(name), f"those of {first[1]} are")
    return first and first[0]


def open_index(
    data_dir: str, num_threads: int = 8, on_corrupt: str = "stop"
) -> ShardIndex:
    """Returns the index of all shards a flag names.

    Args:
        data_dir: See `find_shards`.
        num_threads: Files that are looked through at the same time where no index
            file lies beside them.
        on_corrupt: stop at a shard that is lost, empty, cut or too long, or skip what
            is not whole of it, with a warning.

    Raises:
        InputError: If there is no shard or no record, or, unless that is skipped, one
            is not whole.
    """
    files = find_shards(data_dir)
    skip = on_corrupt == "skip"
    wrong = shard_check.differences(data_dir, files, {set_of(file) for file in files})
    for file, why in sorted(wrong.items() if skip else ()):
        logging.warning("%s: %s. Its whole records are used", file, why)
    if not skip:
        shard_check.refuse(wrong)
    aligned = _common_alignment(files)
    stored = _Stored(files)
    with ThreadPoolExecutor(num_threads) as pool:
        parts = list(pool.map(lambda file: stored.part(file, skip), files))
    if not sum(len(part["offset"]) for part in parts):
        raise InputError(f"{data_dir}: the shards hold no record")
    identities, folders = _Counter(), _Counter()
    for file, part in zip(files, parts, strict=True):
        family = str(set_of(file))
        part["identity"] = identities.dense(family, part["identity"])
        part["folder"] = folders.dense(family, part["folder"])
    counts = [len(part["offset"]) for part in parts]
    joined = {
        name: np.concatenate([part[name] for part in parts])
        for name in ("offset", "size", "identity", "folder")
    }
    return ShardIndex(
        tuple(files),
        np.repeat(np.arange(len(files), dtype=np.int32), counts),
        np.concatenate([np.arange(count, dtype=np.int32) for count in counts]),
        **joined,
        alignment=aligned,
        people=identities.names(manifest.people),
        folders=folders.names(lambda family: None),
    )


def set_of(file: str) -> pathlib.Path:
    """Returns folder and `{name}_{type}` of a shard; of another file its folder."""
    path = pathlib.Path(file)
    match = SHARD_NAME.fullmatch(path.name)
    return path.parent / match["set"] if match else path.parent


class _Counter:
    """Numbers labels of several sets, so that two sets never share a number."""

    def __init__(self) -> None:
        self._number: dict[tuple[str, int | str], int] = {}

    def dense(self, family: str, labels: np.ndarray) -> np.ndarray:
        known, inverse = np.unique(labels, return_inverse=True)
        numbers = [
            -1
            if isinstance(label, int) and label < 0
            else self._number.setdefault((family, label), len(self._number))
            for label in known.tolist()
        ]
        return np.array(numbers, np.int32)[inverse]

    def names(self, known: Callable[[str], list[str] | None]) -> tuple[str, ...]:
        """Returns what stands behind each number.

        Args:
            known: Names of a family's labels, None where labels are names.
        """
        tables = {family: known(family) for family, _ in self._number}
        return tuple(
            table[label]
            if (table := tables[family]) and isinstance(label, int)
            else str(label)
            for family, label in self._number
        )


class _Stored:
    """The index files beside the shards, each opened once."""

    def __init__(self, files: list[str]) -> None:
        self._sets = {}
        for name in {set_of(file) for file in files}:
            self._sets[name] = index_file.read(name)

    def part(self, file: str, to_damage: bool) -> dict[str, np.ndarray]:
        stored = self._sets[set_of(file)]
        entry = stored["shards"].get(os.path.basename(file)) if stored else None
        if not stored or not entry or entry["bytes"] != os.path.getsize(file):
            return index_of(file, to_damage)
        arrays = {
            name: stored[name][entry["first"] : entry["first"] + entry["count"]]
            for name in ("offset", "size", "identity", "folder")
        }
        arrays["folder"] = stored["folder_names"][arrays["folder"]]
        return arrays


def index_of(file: str, to_damage: bool = False) -> dict[str, np.ndarray]:
    """Returns the index of one shard, read from the shard itself.

    Args:
        file: The shard. When its first record names an identity or a path, all
            records are read, else only their headers.
        to_damage: See `records.scan`.

    Returns:
        `offset`, `size`, `identity` as in `ShardIndex`, and `folder` as an array of
        names, "" where unknown.
    """
    offsets = records.scan(file, to_damage)
    count = len(offsets) - 1
    identity = np.full(count, -1, np.int32)
    folder = np.full(count, "", object)
    with open(file, "rb") as opened:
        for number in range(count):
            size = int(offsets[number + 1] - offsets[number])
            data = os.pread(opened.fileno(), size, int(offsets[number]))
            features = _labels(data, file, number, to_damage)
            if not number and not features:
                break
            identity[number] = features.get("identity", -1)
            folder[number] = top_folder(os.fsdecode(features.get("path", b"")))
    return {
        "offset": offsets[:-1],
        "size": np.diff(offsets).astype(np.int32),
        "identity": identity,
        "folder": folder,
    }


def _labels(data: bytes, file: str, number: int, to_damage: bool) -> dict:
    """Returns identity and path; of a damaged record none, its reader will tell.

    What has right checksums and is no record, no reader of its photo would notice.
    """
    try:
        record = bytes(records.check_frame(data, file, number))
    except InputError:
        return {"path": b""}
    try:
        found = records.decode_example(record)
    except InputError as error:
        if not to_damage:
            raise records.CorruptRecordError(file, number, str(error)) from None
        logging.warning("%s: record %d has no labels: %s", file, number, error)
        return {"path": b""}
    return {name: found[name] for name in ("identity", "path") if name in found}


def top_folder(path: str) -> str:
    """Returns the first folder of a relative path, "" if there is none."""
    return path.split("/", 1)[0] if "/" in path else ""


def decode_image(
    data: bytes | memoryview | None,
    size: int,
    location: tuple[str, int],
    feature: str = "face",
) -> np.ndarray:
    """Returns an encoded image as `(size, size, 3)` uint8 RGB, resized only if needed.

    Args:
        data: The encoded image.
        size: Side in pixels.
        location: File and record it comes from, for the message.
        feature: Its feature, for the message.

    Raises:
        CorruptRecordError: If it cannot be decoded.
    """
    if not data:
        raise records.CorruptRecordError(*location, f"it has no feature `{feature}`")
    try:
        image: np.ndarray | None = _decoded(bytes(data))
    except (InputError, cv2.error):
        image = None
    if image is None:
        raise records.CorruptRecordError(*location, "its image cannot be decoded")
    if image.shape[:2] != (size, size):
        smaller = size < min(image.shape[:2])
        interpolation = cv2.INTER_AREA if smaller else cv2.INTER_LINEAR
        image = cv2.resize(image, (size, size), interpolation=interpolation)
    return image


def _decoded(data: bytes) -> np.ndarray | None:
    """Plain JPEG and PNG by OpenCV, which is fast; the others as any photo is read."""
    start = data[:_HEADER]
    plain = start.startswith(b"\xff\xd8\xff") and b"ICC_PROFILE" not in start
    if start.startswith(b"\x89PNG") and start[24:26] == b"\x08\x02":  # RGB of 8 bits
        before = start.partition(b"IDAT")[0]
        plain = b"tRNS" not in before and b"iCCP" not in before
    if plain:
        return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB)
    return images.read_photo(data).pixels
