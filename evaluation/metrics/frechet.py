"""Frechet distance between two sets of feature vectors (Heusel et al., 2017)."""

from __future__ import annotations

import numpy as np


def frechet_distance(a: np.ndarray, b: np.ndarray) -> float:
    """Returns the Frechet distance of the Gaussians fitted to two samples.

    `|mean_a - mean_b|^2 + tr(A + B - 2 sqrt(A B))` with unbiased covariances A and B.
    The trace of the root is the sum of the singular values of `X_a X_b^T` for centred
    samples X scaled by `1/sqrt(n - 1)`, so no covariance is formed where there are
    fewer examples than features.

    Args:
        a: `(n, d)` features, n at least 2.
        b: `(m, d)` features, m at least 2.

    Raises:
        ValueError: If a sample has fewer than two rows.
    """
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    if min(len(a), len(b)) < 2:
        raise ValueError(
            f"Both samples need two examples. Received: {len(a)} and {len(b)}"
        )
    centred_a = (a - a.mean(axis=0)) / np.sqrt(len(a) - 1)
    centred_b = (b - b.mean(axis=0)) / np.sqrt(len(b) - 1)
    if max(len(a), len(b)) <= a.shape[1]:
        root = np.linalg.svd(centred_a @ centred_b.T, compute_uv=False).sum()
    else:
        root = _fast_root_trace(centred_a.T @ centred_a, centred_b.T @ centred_b)
    mean = ((a.mean(axis=0) - b.mean(axis=0)) ** 2).sum()
    distance = mean + (centred_a**2).sum() + (centred_b**2).sum() - 2.0 * root
    return float(max(distance, 0.0))


def _root_trace(a: np.ndarray, b: np.ndarray) -> float:
    """Returns tr sqrt(A B) = tr sqrt(sqrt(A) B sqrt(A)), by symmetric eigenvalues."""
    values, vectors = np.linalg.eigh(a)
    half = (vectors * np.sqrt(values.clip(0.0))) @ vectors.T
    return np.sqrt(np.linalg.eigvalsh(half @ b @ half).clip(0.0)).sum()


def _fast_root_trace(a: np.ndarray, b: np.ndarray) -> float:
    """Returns the same by Cholesky factors, several times faster.

    With A = L L^T and B = M M^T it is the sum of the singular values of L^T M. Features
    that never vary in one sample add nothing and are left out.
    """
    live = (np.diagonal(a) > 0.0) & (np.diagonal(b) > 0.0)
    a, b = a[np.ix_(live, live)], b[np.ix_(live, live)]
    try:
        first, second = np.linalg.cholesky(a), np.linalg.cholesky(b)
    except np.linalg.LinAlgError:  # features that depend on each other
        return _root_trace(a, b)
    return np.linalg.svd(first.T @ second, compute_uv=False).sum()
