"""What an identity encoder says of all photos of a person, but the one at hand.

A generator that is told by one photo, and measured against the same photo, copies the
photo's light and glasses with the person. Measured against the person's other photos it
gains nothing by that.
"""

from __future__ import annotations

import hashlib
import io
import pathlib
from concurrent.futures import ThreadPoolExecutor

import keras
import numpy as np
from keras import ops

from facedancer.dataset.reading import pair_reader
from facedancer.dataset.shards import shard_index
from facedancer.dataset.shards.records import CorruptRecordError
from facedancer.errors import InputError
from facedancer.networks.tensors import Tensor
from facedancer.networks.vectors import normalize
from facedancer.process import progress
from facedancer.storage import files, untrusted
from facedancer.train.frozen.teachers import Teacher

_BATCH = 64


class People:
    """The sum of the identity vectors of each person's photos.

    Attributes:
        sums: `(people, d)` variable: sums of vectors of length one.
        counts: `(people,)` variable: how many there are.

    Args:
        identity: `(n,)` the person of each photo, -1 where unknown.
        vectors: `(n, d)` identity vectors of the photos.

    Raises:
        ValueError: If nobody is known.
    """

    def __init__(self, identity: np.ndarray, vectors: np.ndarray):
        known = identity >= 0
        if not known.any():
            raise ValueError("No photo says whom it shows")
        shape = (int(identity.max()) + 1, vectors.shape[1])
        sums, counts = np.zeros(shape, np.float32), np.zeros(shape[0], np.float32)
        np.add.at(sums, identity[known], normalize(vectors[known]))
        np.add.at(counts, identity[known], 1.0)
        self.sums = keras.Variable(sums, trainable=False, name="sums")
        self.counts = keras.Variable(counts, trainable=False, name="counts")

    @property
    def variables(self) -> list[keras.Variable]:
        """All variables; none is trained."""
        return [self.sums, self.counts]

    def others(self, identity: Tensor, vector: Tensor) -> Tensor:
        """Returns what stands for a person without the photo at hand.

        Args:
            identity: `(batch,)` people, -1 where unknown.
            vector: `(batch, d)` identity vectors of the photos at hand.

        Returns:
            `(batch, d)` float32: the mean direction of the person's other photos; the
            vector itself where there are none.
        """
        person = ops.maximum(ops.cast(identity, "int32"), 0)
        length = ops.maximum(ops.norm(vector, axis=1, keepdims=True), 1e-12)
        rest = ops.take(self.sums, person, axis=0) - vector / length
        several = ops.take(self.counts, person) > 1.5
        several = ops.logical_and(several, ops.cast(identity, "int32") >= 0)
        return ops.where(several[:, None], rest, vector)


def read(
    data_dir: str,
    size: int,
    teacher: Teacher,
    on_corrupt: str = "stop",
    cache_dir: pathlib.Path | None = None,
) -> People:
    """Returns what an encoder says of the people of some shards.

    Args:
        data_dir: Shards with labels.
        size: Side of the images that are looked at, pixels.
        teacher: The encoder.
        on_corrupt: See `shard_index.open_index`; a damaged record is then left out.
        cache_dir: Folder that keeps the vectors, so that a training that goes on need
            not compute them again; None: they are not kept.

    Raises:
        InputError: If the shards have no labels, or a record is damaged.
    """
    index = shard_index.open_index(data_dir, on_corrupt=on_corrupt)
    if index.identity.max(initial=-1) < 0:
        raise InputError(
            f"{data_dir}: these shards do not say who is on the photos, so no other "
            "photos of a person are known. Make them with --identities=folder"
        )
    if cache_dir is None:
        return People(*_embed(index, size, teacher, on_corrupt))
    path = cache_dir / f"{_key(index, size, teacher, on_corrupt)}.npz"
    if (kept := _kept(path, teacher.encoder.embedding_size)) is None:
        kept = _embed(index, size, teacher, on_corrupt)
        cache_dir.mkdir(parents=True, exist_ok=True)
        content = io.BytesIO()
        np.savez(content, identity=kept[0], vectors=kept[1])
        files.write_atomic(path, content.getvalue())
    return People(*kept)


def _key(
    index: shard_index.ShardIndex, size: int, teacher: Teacher, on_corrupt: str
) -> str:
    """Returns a name that changes with the shards, the encoder and what it is shown."""
    digest = hashlib.sha256()
    told = (teacher.encoder.name_with_hash, teacher.shrink, size, on_corrupt)
    shards = [(name, *_state(name)) for name in index.files]
    digest.update(repr((told, shards)).encode())
    digest.update(np.ascontiguousarray(index.identity).tobytes())
    return digest.hexdigest()[:16]


def _state(path: str) -> tuple[int, int]:
    found = pathlib.Path(path).stat()
    return found.st_size, found.st_mtime_ns


def _kept(path: pathlib.Path, width: int) -> tuple[np.ndarray, np.ndarray] | None:
    """Returns people and vectors of a file, None where there are none that fit."""
    if not path.exists():
        return None
    try:
        found = untrusted.load_arrays(path)
    except InputError:
        return None  # damaged: computed again
    identity, vectors = found.get("identity"), found.get("vectors")
    if identity is None or vectors is None or vectors.shape != (len(identity), width):
        return None
    return identity, vectors


def _embed(
    index: shard_index.ShardIndex, size: int, teacher: Teacher, on_corrupt: str
) -> tuple[np.ndarray, np.ndarray]:
    """Returns of each readable photo the person and the identity vector."""
    identity: list[int] = []
    vectors: list[np.ndarray] = []

    def image(photo: int) -> np.ndarray | None:
        try:
            return index.image(photo, size)
        except CorruptRecordError:
            if on_corrupt != "skip":
                raise
            return None

    bar = progress.bar(total=len(index), unit="photo", desc="embedding people")
    with bar, ThreadPoolExecutor(pair_reader.parallel_calls()) as pool:
        for first in range(0, len(index), _BATCH):
            photos = range(first, min(first + _BATCH, len(index)))
            found = zip(photos, pool.map(image, photos), strict=True)
            if good := {photo: one for photo, one in found if one is not None}:
                images = np.stack(list(good.values())).astype(np.float32) / 127.5 - 1.0
                vectors.append(teacher.embed(images))
                identity += [index.identity[photo] for photo in good]
            bar.update(len(photos))
    return np.array(identity), np.concatenate(vectors)
