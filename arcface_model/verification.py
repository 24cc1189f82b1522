"""Are two photos of one person? Seeded pairs, and how well an encoder decides."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from facedancer.networks.vectors import normalize


@dataclasses.dataclass(frozen=True)
class Verification:
    """How well an encoder verifies.

    Attributes:
        pairs: Number of pairs, half of them of one person.
        accuracy: Share decided rightly, mean of ten folds, each with the threshold
            that is best on the other nine.
        auc: Area under the ROC curve.
        tar_at_far_1e3: Share of same-person pairs accepted at the threshold that
            accepts one in 1,000 of the different-person pairs.
        same: Mean cosine of same-person pairs.
        different: Mean cosine of different-person pairs.
        threshold: The cosine that separates best over all pairs.
    """

    pairs: int
    accuracy: float
    auc: float
    tar_at_far_1e3: float
    same: float
    different: float
    threshold: float


def balanced_pairs(
    labels: Sequence[str] | np.ndarray, count: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Returns seeded pairs of photos, half of one person, half of two.

    Args:
        labels: `(n,)` identity of each photo, any hashable kind.
        count: Number of pairs, even. Fewer come back where there are fewer pairs of one
            person, or of two, than half of it.
        seed: Of the random choice.

    Returns:
        `(m, 2)` int64 indices of photos and `(m,)` bool, true for one person.

    Raises:
        ValueError: If no person has two photos.
    """
    random = np.random.default_rng(seed)
    _, ids = np.unique(np.asarray(labels), return_inverse=True)
    same = _same_person_pairs(ids)
    if not len(same):
        raise ValueError("Pairs need a person with two photos. Received: none")
    people = np.bincount(ids)
    possible = (len(ids) ** 2 - int((people**2).sum())) // 2  # pairs of two people
    same = random.permutation(same)[: min(count // 2, possible)]
    different = np.zeros((0, 2), np.int64)
    while len(different) < len(same):
        more = random.integers(len(ids), size=(2 * len(same), 2))
        more = np.sort(more[ids[more[:, 0]] != ids[more[:, 1]]], axis=1)
        different = np.unique(np.concatenate([different, more]), axis=0)
    different = random.permutation(different)[: len(same)]
    kinds = np.arange(2 * len(same)) < len(same)
    return np.concatenate([same, different]), kinds


def _same_person_pairs(ids: np.ndarray) -> np.ndarray:
    order = np.argsort(ids, kind="stable")
    groups = np.split(order, np.flatnonzero(np.diff(ids[order])) + 1)
    pairs = [
        (a, b) for group in groups for i, a in enumerate(group) for b in group[i + 1 :]
    ]
    return np.array(pairs, np.int64).reshape(-1, 2)


def verify(embeddings: np.ndarray, pairs: np.ndarray, same: np.ndarray) -> Verification:
    """Returns how well the cosine of embeddings tells pairs apart.

    Args:
        embeddings: `(n, d)`.
        pairs: `(m, 2)` indices into them.
        same: `(m,)` bool, true for pairs of one person.
    """
    same = np.asarray(same, bool)
    vectors = normalize(embeddings)
    scores = (vectors[pairs[:, 0]] * vectors[pairs[:, 1]]).sum(axis=1)
    strict = np.quantile(scores[~same], 0.999)
    return Verification(
        pairs=len(pairs),
        accuracy=_folded_accuracy(scores, same),
        auc=roc_auc(scores, same),
        tar_at_far_1e3=float((scores[same] > strict).mean()),
        same=float(scores[same].mean()),
        different=float(scores[~same].mean()),
        threshold=best_threshold(scores, same),
    )


def roc_auc(scores: np.ndarray, positive: np.ndarray) -> float:
    """Chance that a positive scores above a negative, ties counted half.

    Args:
        scores: `(n,)`.
        positive: `(n,)` bool.
    """
    positive = np.asarray(positive, bool)
    values, inverse, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = np.cumsum(counts) - (counts - 1) / 2.0  # mean rank of each value
    num_positive, num_negative = positive.sum(), (~positive).sum()
    wins = ranks[inverse][positive].sum() - num_positive * (num_positive + 1) / 2
    return float(wins / (num_positive * num_negative))


def best_threshold(scores: np.ndarray, positive: np.ndarray) -> float:
    """The threshold, between two scores, that decides most of them rightly.

    Args:
        scores: `(n,)`.
        positive: `(n,)` bool; a score above the threshold is taken for positive.
    """
    order = np.argsort(scores)
    scores, positive = np.asarray(scores)[order], np.asarray(positive, bool)[order]
    right = np.cumsum(~positive) + positive.sum() - np.cumsum(positive)
    cut = int(np.argmax(right))
    upper = scores[min(cut + 1, len(scores) - 1)]
    return float((scores[cut] + upper) / 2)


def _folded_accuracy(scores: np.ndarray, same: np.ndarray, folds: int = 10) -> float:
    fold = np.arange(len(scores)) % folds
    rates = []
    for index in range(min(folds, len(scores))):
        train, test = fold != index, fold == index
        threshold = best_threshold(scores[train], same[train])
        rates.append(((scores[test] > threshold) == same[test]).mean())
    return float(np.mean(rates))
