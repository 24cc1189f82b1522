"""Measures of the generator on a fixed, seeded set of pairs."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import keras
import numpy as np

from facedancer.dataset.reading.pair_reader import PairReader, PairSettings
from facedancer.errors import InputError
from facedancer.face.alignment import Alignment, check_equal
from facedancer.inference.batching import in_batches
from facedancer.networks import foreign
from facedancer.networks.contract import InputContract, SwapContract
from facedancer.networks.vectors import normalize
from facedancer.train.frozen.teachers import Teacher
from facedancer.train.validation import feeds
from facedancer.train.validation.feeds import Pairs

CONTRACT = SwapContract(InputContract(256, "signed"))  # target and identity


def read_pairs(
    data_dir: str,
    size: int,
    count: int,
    seed: int = 0,
    aligned: Alignment | None = None,
) -> Pairs:
    """Returns a set of pairs that depends on the shards and the seed only.

    Args:
        data_dir: Shards.
        size: Side of the images, pixels.
        count: Number of pairs; rounded up to a whole batch.
        seed: Of the choice.
        aligned: How the crops must be aligned; None: in any way.

    Raises:
        InputError: If there are no shards, or their crops are aligned otherwise.
    """
    settings = PairSettings(
        data_dir,
        batch_size=min(count, 16),
        image_size=size,
        same_ratio=0.0,
        jitter="none",
        seed=seed,
        on_corrupt="skip",
    )
    try:
        different = dataclasses.replace(settings, pairing="different")
        reader = PairReader(different)
    except InputError:  # without labels any two photos will do
        reader = PairReader(settings)
    if aligned is not None:
        found = reader.index.alignment
        check_equal(found, aligned, data_dir, "the generator needs it")
    read = []
    for number in range(-(-count // settings.batch_size)):
        target, source, _, _, person = reader.rows(number, 0, settings.batch_size)
        read.append((target, source, person))
    targets, sources, people = (
        np.concatenate(part) for part in zip(*read, strict=True)
    )
    return Pairs(_signed(targets), _signed(sources), labels=people)


def _signed(images: np.ndarray) -> np.ndarray:
    return images.astype(np.float32) / np.float32(127.5) - np.float32(1.0)


def swap(
    generator: Callable,
    pairs: Pairs,
    contract: SwapContract = CONTRACT,
    batch: int = 16,
) -> np.ndarray:
    """Returns swapped faces in [-1, 1] and a bit beyond, batch by batch.

    Args:
        generator: Called with its inputs by name, gives `swapped` by name, as
            `Network.named`.
        pairs: Targets and who they become.
        contract: Of the generator.
        batch: Images per call.

    Raises:
        InputError: If the generator takes vectors and there are none.
    """
    given = feeds.make(pairs, contract)

    def run(*arrays: np.ndarray) -> np.ndarray:
        return generator(dict(zip(given, arrays, strict=True)))["swapped"]

    found = in_batches(run, *given.values(), size=batch).astype(np.float32)
    if contract.image.value_range == "signed":
        return found
    return contract.image.to_255(found) / np.float32(127.5) - np.float32(1.0)


def vectors_of(teacher: Teacher, images: np.ndarray, batch: int = 32) -> np.ndarray:
    """Returns raw identity vectors, batch by batch.

    Args:
        teacher: The encoder.
        images: `(n, size, size, 3)` float32 in [-1, 1].
        batch: Images per call.
    """
    parts = range(0, len(images), batch)
    return np.concatenate([teacher.embed(images[k : k + batch]) for k in parts])


def top_1(queries: np.ndarray, gallery: np.ndarray) -> float:
    """Returns the share of queries whose nearest gallery entry is their own.

    Args:
        queries: `(n, d)`.
        gallery: `(n, d)`, entry i belongs to query i. Equal entries count as one.
    """
    similarity = normalize(queries) @ normalize(gallery).T
    own = np.diagonal(similarity)
    return float(np.mean(own >= similarity.max(axis=1) - 1e-6))


class Validation:
    """Measures generators on a set of pairs.

    Attributes:
        pairs: The pairs, with the vectors that the generator is told.

    Args:
        pairs: The pairs.
        teacher: The encoder that conditions the generator; None for one that takes no
            vectors.
        judge: The encoder that measures, best not the teacher; None: nothing can be
            measured.
        embedders: Further measures by name: from images in [-1, 1] to vectors whose
            distance between target and swapped is reported (pose, expression).
        contract: Of the generators.
    """

    def __init__(
        self,
        pairs: Pairs,
        teacher: Teacher | None,
        judge: Teacher | None,
        embedders: dict[str, Callable] | None = None,
        contract: SwapContract = CONTRACT,
    ) -> None:
        self.judge, self.contract = judge, contract
        self.embedders = embedders or {}
        self.pairs = pairs
        self._themselves = dataclasses.replace(pairs, sources=pairs.targets)
        if teacher is not None:
            self.pairs, self._themselves = (
                dataclasses.replace(one, vectors=vectors_of(teacher, one.sources))
                for one in (self.pairs, self._themselves)
            )
        if judge is not None:
            self._sources = vectors_of(judge, pairs.sources)
            self._targets = vectors_of(judge, pairs.targets)

    def first(self, count: int) -> Pairs:
        """Returns the first pairs, for pictures.

        Args:
            count: How many.
        """
        return self.pairs.first(count)

    def __call__(self, generator: Callable) -> dict[str, float]:
        """Returns the measures.

        Args:
            generator: See `swap`.

        Raises:
            ValueError: If there is no judge.
        """
        if self.judge is None:
            raise ValueError("Nothing can be measured without a judge")
        targets, kind = self.pairs.targets, self.contract.identity.kind
        swapped = swap(generator, self.pairs, self.contract).clip(-1, 1)
        found = normalize(vectors_of(self.judge, swapped))
        to_source = (found * normalize(self._sources)).sum(-1)
        to_target = (found * normalize(self._targets)).sum(-1)
        measures = {
            "cosine_to_source": to_source.mean(),
            "cosine_to_target": to_target.mean(),
            "closer_to_source": np.mean(to_source > to_target),
            "retrieval_top_1": top_1(found, self._sources),
            "change": np.abs(swapped - targets).mean() * 127.5,
        }
        if kind == "vector":
            again = swap(generator, self._themselves, self.contract).clip(-1, 1)
            difference = np.abs(again - targets).mean() * 127.5
            measures["self_reconstruction"] = difference
        for name, embed in self.embedders.items():
            distance = np.linalg.norm(embed(targets) - embed(swapped), axis=-1)
            measures[name] = distance.mean()
        return {name: float(value) for name, value in measures.items()}


def load_embedder(path: str, value_range: str = "unit") -> Callable:
    """Returns a function from images in [-1, 1] to vectors, from a Keras file.

    Args:
        path: A model of square RGB images; with several outputs the first counts.
        value_range: `unit` or `signed`: the range of its input.

    Raises:
        InputError: If it cannot be read.
    """
    model = foreign.load_network(path)
    size = model.input_shape[1]

    def embed(images: np.ndarray) -> np.ndarray:
        parts = []
        for k in range(0, len(images), 32):
            part = keras.ops.image.resize(images[k : k + 32], (size, size))
            part = (part + 1.0) / 2.0 if value_range == "unit" else part
            found = model(part, training=False)
            found = found[0] if isinstance(found, list | tuple) else found
            parts.append(np.asarray(found).reshape(len(part), -1))
        return np.concatenate(parts)

    return embed
