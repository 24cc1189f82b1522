"""What a swapper is fed with pairs of aligned crops, by the names of its contract."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import numpy as np

from facedancer.errors import InputError
from facedancer.face import face_maps
from facedancer.models.families.face_parser.loading import load_parser
from facedancer.models.families.face_parser.parser import FaceParser
from facedancer.networks.contract import SwapContract


@dataclasses.dataclass(frozen=True)
class Pairs:
    """Pairs of target and who it becomes.

    Attributes:
        targets: `(n, size, size, 3)` float32 in [-1, 1].
        sources: The same, of who they become.
        vectors: `(n, d)` raw identity vectors of the sources; None without an encoder.
        labels: `(n,)` numbers of the sources' people, -1 unknown.
    """

    targets: np.ndarray
    sources: np.ndarray
    vectors: np.ndarray | None = None
    labels: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.targets)

    def first(self, count: int) -> Pairs:
        """Returns the first of them.

        Args:
            count: How many.
        """
        parts: dict[str, Any] = {
            k: v if v is None else v[:count] for k, v in vars(self).items()
        }
        return dataclasses.replace(self, **parts)

    def of_all(self, columns: Pairs) -> Pairs:
        """Returns every target of these with every source of others, row by row.

        Args:
            columns: Whose sources are taken.
        """
        rows, count = len(self), len(columns)

        sources: dict[str, Any] = {
            name: array if array is None else np.concatenate([array] * rows)
            for name, array in vars(columns).items()
        }
        targets = np.repeat(self.targets, count, axis=0)
        return dataclasses.replace(columns, **{**sources, "targets": targets})


def _identity(pairs: Pairs, contract: SwapContract) -> np.ndarray:
    if pairs.vectors is None:
        raise InputError("The generator takes identity vectors: give --arcface_path")
    vectors = np.asarray(pairs.vectors, np.float32)
    if contract.identity.unit:
        length = np.linalg.norm(vectors, axis=1, keepdims=True)
        vectors = vectors / np.maximum(length, 1e-12)
    return vectors


def _label(pairs: Pairs, contract: SwapContract) -> np.ndarray:
    """People that the shards do not know are shown as the first one."""
    labels = np.zeros(len(pairs), int) if pairs.labels is None else pairs.labels
    if labels.max(initial=0) >= contract.identity.size:
        raise InputError(
            f"The generator knows {contract.identity.size} people, the shards have a "
            f"person number {labels.max()}"
        )
    return np.maximum(labels, 0)[:, None].astype(np.int32)


@functools.lru_cache(maxsize=1)
def _parser() -> FaceParser:
    """Returns the packaged parser, which the training takes, too."""
    return load_parser()


def _maps(pairs: Pairs, contract: SwapContract) -> tuple[np.ndarray, np.ndarray]:
    """Returns the targets without their faces, and their semantic masks."""
    pictures = np.rint(pairs.targets * 127.5 + 127.5).clip(0, 255).astype(np.uint8)
    points = contract.image.alignment.landmarks(pairs.targets.shape[1])
    classes = _parser().classes(list(pictures))
    return face_maps.of_crops(pairs.targets, classes, [points] * len(pairs))


def _masked(pairs: Pairs, contract: SwapContract) -> np.ndarray:
    return contract.image.from_signed(_maps(pairs, contract)[0])


def _semantic(pairs: Pairs, contract: SwapContract) -> np.ndarray:
    return _maps(pairs, contract)[1]


# By the names of `contract.INPUTS`; crops lie where their alignment says.
FEEDS = {
    "target": lambda pairs, contract: contract.image.from_signed(pairs.targets),
    "identity": _identity,
    "label": _label,
    "masked_target": _masked,
    "semantic_mask": _semantic,
    "reference": lambda pairs, contract: contract.image.from_signed(pairs.sources),
}


def make(pairs: Pairs, contract: SwapContract) -> dict[str, np.ndarray]:
    """Returns what a swapper is fed, `(n, ...)` by name.

    Args:
        pairs: Targets and who they become.
        contract: Of the swapper.

    Raises:
        InputError: If it takes vectors and there are none.
    """
    return {name: FEEDS[name](pairs, contract) for name in contract.inputs}
