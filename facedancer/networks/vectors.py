"""Directions of vectors: length one, cosines."""

from __future__ import annotations

import numpy as np


def normalize(vectors: np.ndarray) -> np.ndarray:
    """Returns vectors of length one along the last axis; a zero vector stays zero.

    Args:
        vectors: `(..., d)`.
    """
    vectors = np.asarray(vectors, np.float32)
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return vectors / np.maximum(length, 1e-12)


def cosine(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Returns the cosine of pairs of vectors along the last axis, in [-1, 1].

    Args:
        a: `(..., d)`.
        b: `(..., d)`, broadcast against `a`.
    """
    return (normalize(a) * normalize(b)).sum(axis=-1)


def cosine_matrix(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Returns the cosine of every vector of one set with every one of another.

    Args:
        a: `(n, d)`.
        b: `(m, d)`.

    Returns:
        `(n, m)`.
    """
    return normalize(a) @ normalize(b).T
