"""Photos -> shards: a plan, one pure function for each shard, a manifest.

Photo number k of the order belongs to shard `k % num_shards`. A shard depends on its
own part of the plan only, so any number of workers on any engine writes the same
bytes, and a shard that exists is never written again.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import pathlib
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from facedancer.dataset.photos import image_header
from facedancer.dataset.shards import manifest, records, shard_check, shard_index
from facedancer.errors import InputError
from facedancer.face.alignment import Alignment
from facedancer.storage import files

FORMAT = 1


@dataclasses.dataclass(frozen=True)
class Plan:
    """One set of shards: what goes where.

    Attributes:
        data_dir: The photos' folder.
        target_dir: The shards' folder.
        name: `{data_name}_{data_type}`, the beginning of the files' names.
        num_shards: How many.
        paths: The photos, relative to `data_dir`, in the order of the records.
        identity: `(n,)` int32 for `identity_names`, -1 unknown.
        identity_names: Sorted.
        landmarks: `(n, 10)` float32, pixels of the photo, NaN where unknown; or None.
        alignment: How the photos are aligned, None where unknown.
        arguments: What the plan was made from, for the manifest.
        digest: SHA-256 of all that decides the bytes of the shards.
    """

    data_dir: str
    target_dir: str
    name: str
    num_shards: int
    paths: list[str]
    identity: np.ndarray
    identity_names: list[str]
    landmarks: np.ndarray | None
    alignment: Alignment | None
    arguments: dict
    digest: str

    @property
    def stem_path(self) -> str:
        """Where the set's files are, without what their names end in."""
        return os.path.join(self.target_dir, self.name)

    def file_name(self, shard: int) -> str:
        """Returns the name of a shard's file."""
        return f"{self.name}_{shard:05d}-of-{self.num_shards:05d}.records"

    def task(self, shard: int) -> dict[str, Any]:
        """Returns what `process_shard` needs for one shard."""
        part = slice(shard, None, self.num_shards)
        landmarks = None if self.landmarks is None else self.landmarks[part]
        return {
            "data_dir": self.data_dir,
            "file": os.path.join(self.target_dir, self.file_name(shard)),
            "paths": self.paths[part],
            "identity": self.identity[part].tolist(),
            "identity_names": self._names(self.identity[part]),
            "landmarks": landmarks,
        }

    def _names(self, identity: np.ndarray) -> dict[int, str]:
        return {i: self.identity_names[i] for i in set(identity.tolist()) if i >= 0}


@dataclasses.dataclass(frozen=True)
class Triplet:
    """Three photos of which the third is what swapping should give.

    Attributes:
        path: `kind/name`, for the record.
        source: Its file, relative to the photos' folder.
        target: Its file.
        truth: Its file.
        source_is_real: Whether a discriminator takes the source as real, else the
            target.
    """

    path: str
    source: str
    target: str
    truth: str
    source_is_real: bool

    def files(self) -> tuple[str, str, str]:
        """Returns the files of source, target and truth."""
        return self.source, self.target, self.truth


def plan_digest(
    paths: list[str],
    sizes: np.ndarray | Sequence[int],
    num_shards: int,
    identity: np.ndarray,
    landmarks: np.ndarray | None,
) -> str:
    """Returns a digest of the photos, their order, sizes and labels.

    Args:
        paths: In the order of the records.
        sizes: Their sizes in bytes.
        num_shards: How many shards.
        identity: Their labels.
        landmarks: Their landmarks, None if unknown.
    """
    digest = hashlib.sha256(f"{FORMAT} {num_shards}".encode())
    for path in paths:
        digest.update(path.encode(errors="surrogateescape") + b"\0")
    digest.update(np.asarray(sizes, "<i8").tobytes())
    digest.update(np.asarray(identity, "<i4").tobytes())
    if landmarks is not None:
        digest.update(np.asarray(landmarks, "<f4").tobytes())
    return digest.hexdigest()


def process_shard(task: dict[str, Any]) -> int:
    """Writes one shard if it is not there and whole, and a note of what is in it.

    The note is a hidden file beside the shard, until the manifest is written.

    Args:
        task: From `Plan.task`.

    Returns:
        The number of its photos.

    Raises:
        InputError: If a photo cannot be read any more.
    """
    file = pathlib.Path(task["file"])
    note = _note_path(file)
    if not _is_noted(file, note):
        written = shard_check.written_before(file, task["paths"])
        if written is None:
            written = records.write_records(file, _examples(task))
        content = {"sha256": written.sha256, "offsets": written.offsets.tolist()}
        files.write_atomic(note, json.dumps(content).encode())
    return len(task["paths"])


def _is_noted(file: pathlib.Path, note: pathlib.Path) -> bool:
    """Returns whether a shard is as long as its note says."""
    if not (file.exists() and note.exists()):
        return False
    return file.stat().st_size == json.loads(note.read_text())["offsets"][-1]


def _note_path(file: pathlib.Path) -> pathlib.Path:
    return file.with_name(f".{file.name}.note")


def _examples(task: dict[str, Any]) -> Iterator[bytes]:
    if "triplets" in task:
        for triplet in task["triplets"]:
            yield records.encode_example(_triplet_features(task["data_dir"], triplet))
        return
    for row, path in enumerate(task["paths"]):
        features = _photo_features(os.path.join(task["data_dir"], path), path)
        identity = task["identity"][row]
        if identity >= 0:
            features["identity"] = identity
            features["identity_name"] = task["identity_names"][identity]
        if task["landmarks"] is not None and np.isfinite(task["landmarks"][row]).all():
            features["landmarks"] = task["landmarks"][row]
        yield records.encode_example(features)


def _photo_features(full: str, path: str) -> dict[str, Any]:
    try:
        with open(full, "rb", buffering=0) as file:
            data = file.read()
        kind, height, width = image_header.format_and_size(data)
    except OSError as error:
        raise InputError(f"{full}: {error.strerror}") from None
    except InputError as error:
        raise InputError(f"{full}: {error}") from None
    return {
        "face": data,
        "path": path,
        "format": kind,
        "height": height,
        "width": width,
        "sha256": hashlib.sha256(data).digest(),
    }


def _triplet_features(data_dir: str, triplet: Triplet) -> dict[str, Any]:
    features: dict[str, Any] = {
        "path": triplet.path,
        "source_is_real": int(triplet.source_is_real),
    }
    for role in ("source", "target", "truth"):
        full = os.path.join(data_dir, getattr(triplet, role))
        try:
            features[role] = pathlib.Path(full).read_bytes()
        except OSError as error:
            raise InputError(f"{full}: {error.strerror}") from None
    return features


def claim_target(plan: Plan, overwrite: bool) -> dict | None:
    """Prepares the target folder; returns the manifest of a set that is there whole.

    Args:
        plan: The set that is to be written.
        overwrite: Remove a set of this name that was made from another plan.

    Raises:
        InputError: If there is such a set and it is not to be removed.
    """
    folder = pathlib.Path(plan.target_dir)
    folder.mkdir(parents=True, exist_ok=True)
    digest = _found_digest(plan)
    if digest is not None and digest != plan.digest:
        if not overwrite:
            raise InputError(
                f"{folder} holds shards {plan.name}_* made from other photos or with "
                "other flags. Give another --target_dir or --data_name, or --overwrite "
                "to make them anew"
            )
        _remove_set(plan)
    found = manifest.read(plan.target_dir, plan.name)
    if found:
        found = manifest.note_alignment(
            plan.target_dir, plan.name, found, plan.alignment
        )
    if found and all(
        (folder / shard["file"]).is_file()
        and (folder / shard["file"]).stat().st_size == shard["bytes"]
        for shard in found["shards"]
    ):
        _remove_notes(plan)  # the last run may have been killed before it did
        return found
    files.write_atomic(_plan_path(plan), plan.digest.encode())
    return None


def _plan_path(plan: Plan) -> pathlib.Path:
    return pathlib.Path(plan.target_dir, f".{plan.name}.plan")


def _set_files(plan: Plan) -> list[pathlib.Path]:
    """Returns the shards of the set's name, however many they were meant to be."""
    matches = (
        (path, shard_index.SHARD_NAME.fullmatch(path.name))
        for path in pathlib.Path(plan.target_dir).glob("*.records")
    )
    return [path for path, match in matches if match and match["set"] == plan.name]


def _found_digest(plan: Plan) -> str | None:
    """Returns the digest of the set that is there, "" if unknown, None if none is."""
    written = manifest.read(plan.target_dir, plan.name)
    if written:
        return written["plan"]
    if _plan_path(plan).exists():
        return _plan_path(plan).read_text()
    return "" if _set_files(plan) else None


def _remove_set(plan: Plan) -> None:
    for file in _set_files(plan):
        file.unlink()
    folder = pathlib.Path(plan.target_dir)
    for name in (f"{plan.name}.manifest.json", f"{plan.name}.index.npz"):
        (folder / name).unlink(missing_ok=True)
    _remove_notes(plan)


def _remove_notes(plan: Plan) -> None:
    for note in pathlib.Path(plan.target_dir).glob(f".{plan.name}_*.records.note"):
        note.unlink()
    _plan_path(plan).unlink(missing_ok=True)


def finish(plan: Plan) -> dict:
    """Writes manifest and index of a set whose shards are all there; returns it.

    Args:
        plan: The set.
    """
    folder = pathlib.Path(plan.target_dir)
    shards, notes = [], []
    for shard in range(plan.num_shards):
        file = folder / plan.file_name(shard)
        note = json.loads(_note_path(file).read_text())
        offsets = np.array(note["offsets"], np.int64)
        notes.append(offsets)
        entry = {"file": file.name, "count": len(offsets) - 1}
        entry |= {"bytes": int(offsets[-1]), "sha256": note["sha256"]}
        shards.append(entry)
    folders = sorted({shard_index.top_folder(path) for path in plan.paths})
    _write_index(plan, notes, folders)
    counts = np.bincount(plan.identity[plan.identity >= 0])
    content = {
        "format": FORMAT,
        "plan": plan.digest,
        "arguments": plan.arguments,
        "alignment": plan.alignment and dataclasses.asdict(plan.alignment),
        "count": len(plan.paths),
        "num_identities": len(plan.identity_names),
        "identities": dict(zip(plan.identity_names, counts.tolist(), strict=True)),
        "folders": folders,
        "shards": shards,
    }
    manifest.write(plan.target_dir, plan.name, content)
    _remove_notes(plan)
    return content


def _write_index(plan: Plan, notes: list[np.ndarray], folders: list[str]) -> None:
    """Writes the arrays of `ShardIndex`, shard after shard."""
    number = {name: i for i, name in enumerate(folders)}
    top = np.array([number[shard_index.top_folder(p)] for p in plan.paths], np.int32)
    parts = [slice(shard, None, plan.num_shards) for shard in range(plan.num_shards)]
    path = pathlib.Path(plan.target_dir, f"{plan.name}.index.npz")
    with files.whole(path) as temporary, open(temporary, "wb") as file:
        np.savez(
            file,
            offset=np.concatenate([offsets[:-1] for offsets in notes]),
            size=np.concatenate([np.diff(o).astype(np.int32) for o in notes]),
            identity=np.concatenate([plan.identity[part] for part in parts]),
            folder=np.concatenate([top[part] for part in parts]),
        )


def verify(folder: str | os.PathLike, name: str) -> dict:
    """Checks a set against its manifest, record by record; returns the manifest.

    Args:
        folder: The shards' folder.
        name: `{data_name}_{data_type}`.

    Raises:
        InputError: Names the first bad shard and, where one record is at fault, the
            record.
    """
    found = manifest.read(folder, name)
    if found is None:
        raise InputError(f"{folder}: no manifest {name}.manifest.json")
    for shard in found["shards"]:
        verify_shard(pathlib.Path(folder, shard["file"]), shard)
    return found


def verify_shard(file: pathlib.Path, expected: dict) -> None:
    """Checks one shard: its records' checksums and photos, count and SHA-256.

    Args:
        file: The shard.
        expected: Its entry in the manifest.

    Raises:
        InputError: If something is wrong.
    """
    if not file.is_file():
        raise InputError(f"{file}: the shard is missing")
    count = sum(1 for _ in shard_check.photo_paths(file))
    if count != expected["count"]:
        raise InputError(f"{file}: {count} records instead of {expected['count']}")
    if files.file_hash(file) != expected["sha256"]:
        raise InputError(f"{file}: its records are whole, but not those of the set")
