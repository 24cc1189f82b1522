"""Whose face is it? Cosines, retrieval from a gallery, verification."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from facedancer.arcface_model import cosine_matrix, normalize
from facedancer.arcface_model.verification import roc_auc


def centres(
    embeddings: np.ndarray, labels: Sequence[str] | np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Returns one vector for each identity: the mean of its unit vectors.

    Args:
        embeddings: `(n, d)`.
        labels: `(n,)` identity of each.

    Returns:
        `(k, d)` float32 of length one, and `(k,)` their labels, sorted.
    """
    names, index = np.unique(np.asarray(labels), return_inverse=True)
    sums = np.zeros((len(names), embeddings.shape[1]), np.float64)
    np.add.at(sums, index, normalize(embeddings))
    return normalize(sums / np.bincount(index)[:, None]), names


def retrieval_ranks(
    queries: np.ndarray,
    labels: Sequence[str] | np.ndarray,
    gallery: np.ndarray,
    gallery_labels: Sequence[str] | np.ndarray,
) -> np.ndarray:
    """Returns for each query how many wrong gallery entries come before a right one.

    Entries are ordered by cosine. A wrong entry that ties with the best right one is
    counted as before it, so a tie never counts as a hit.

    Args:
        queries: `(n, d)` embeddings.
        labels: `(n,)` the right identity of each.
        gallery: `(m, d)` embeddings.
        gallery_labels: `(m,)` their identities.

    Returns:
        `(n,)` int64, 0 for a hit at rank 1; m where the gallery has no right entry.
    """
    right = np.asarray(labels)[:, None] == np.asarray(gallery_labels)[None, :]
    return _ranks(cosine_matrix(queries, gallery), right)


def _ranks(cosines: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Counts wrong columns at or above the best right one, all where none is right."""
    best = np.where(right, cosines, -np.inf).max(axis=1, keepdims=True)
    ranks = ((cosines >= best) & ~right).sum(axis=1)
    return np.where(right.any(axis=1), ranks, right.shape[1]).astype(np.int64)


def identity_ranks(
    queries: np.ndarray,
    labels: Sequence[str] | np.ndarray,
    gallery: np.ndarray,
    gallery_labels: Sequence[str] | np.ndarray,
) -> np.ndarray:
    """Returns for each query how many wrong identities come before the right one.

    An identity stands where its best gallery entry stands; so the fifth rank means
    the fifth person, however many photos each has. Ties count against the query.

    Args:
        queries: `(n, d)` embeddings.
        labels: `(n,)` the right identity of each.
        gallery: `(m, d)` embeddings.
        gallery_labels: `(m,)` their identities.

    Returns:
        `(n,)` int64 from 0; the number of identities where the right one is missing.
    """
    names, index = np.unique(np.asarray(gallery_labels), return_inverse=True)
    cosines = cosine_matrix(queries, gallery)
    best = np.full((len(queries), len(names)), -np.inf, np.float32)
    for person in range(len(names)):
        best[:, person] = cosines[:, index == person].max(axis=1)
    right = np.asarray(labels)[:, None] == names[None, :]
    return _ranks(best, right)


def match_curve(ranks: np.ndarray, size: int) -> np.ndarray:
    """Returns the cumulative match curve.

    Args:
        ranks: `(n,)` from 0, what `identity_ranks` gives.
        size: Number of ranks to show.

    Returns:
        `(size,)` float64: fraction of queries whose right identity is among the first
        1, 2, ... `size`.
    """
    ranks = np.asarray(ranks)
    return np.array([(ranks <= k).mean() for k in range(size)])


def verification_scores(
    swapped: np.ndarray,
    sources: np.ndarray,
    labels: Sequence[str] | np.ndarray,
    seed: int = 0,
) -> tuple[np.ndarray, np.ndarray]:
    """Returns cosines of swapped faces with their source and with other sources.

    Args:
        swapped: `(n, d)` embeddings.
        sources: `(n, d)` embeddings of their sources.
        labels: `(n,)` identity of each source.
        seed: Of the choice of other sources.

    Returns:
        `(n,)` cosines with the own source, and `(n, m)` with up to 20 sources of other
        people each; NaN where there is no other person.
    """
    cosines = cosine_matrix(swapped, sources)
    own = np.diagonal(cosines).copy()
    labels = np.asarray(labels)
    random = np.random.default_rng(seed)
    others = np.full((len(labels), min(20, max(len(labels) - 1, 1))), np.nan)
    for row, label in enumerate(labels):
        strange = random.permutation(np.flatnonzero(labels != label))
        strange = strange[: others.shape[1]]
        others[row, : len(strange)] = cosines[row, strange]
    return own, others


def area_under_curve(own: np.ndarray, others: np.ndarray) -> float:
    """Returns the chance that a right pair scores above a wrong one.

    Args:
        own: `(n,)` cosines of right pairs.
        others: Cosines of wrong pairs, any shape; NaN is left out.
    """
    others = others[np.isfinite(others)]
    scores = np.concatenate([own, others])
    return roc_auc(scores, np.arange(len(scores)) < len(own))


def accepted_at(own: np.ndarray, others: np.ndarray, rate: float = 1e-3) -> float:
    """Returns the share of right pairs above the threshold of a false accept rate.

    Args:
        own: `(n,)` cosines of right pairs.
        others: Cosines of wrong pairs, any shape; NaN is left out.
        rate: Share of wrong pairs that may be accepted.
    """
    threshold = np.quantile(others[np.isfinite(others)], 1.0 - rate)
    return float((own > threshold).mean())
