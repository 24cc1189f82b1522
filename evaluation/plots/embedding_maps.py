"""Identity vectors drawn in the plane: PCA, and t-SNE or UMAP where installed."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable

import numpy as np

from facedancer.errors import InputError

METHODS = ("pca", "tsne", "umap")
_PACKAGES = {"tsne": ("sklearn", "scikit-learn"), "umap": ("umap", "umap-learn")}


def check(methods: Iterable[str]) -> None:
    """Refuses a map that cannot be drawn here, before anything is measured.

    Args:
        methods: Names of `METHODS`.

    Raises:
        InputError: If a name is unknown or its package is missing.
    """
    for method in methods:
        if method not in METHODS:
            raise InputError(
                f"--maps must be of {', '.join(METHODS)}. Received: {method}"
            )
        module, package = _PACKAGES.get(method, ("numpy", ""))
        if importlib.util.find_spec(module) is None:
            raise InputError(
                f"The map {method} needs {package}: pip install "
                f'"facedancer[evaluation]" or pip install {package}'
            )


def plane(vectors: np.ndarray, method: str, seed: int = 0) -> np.ndarray:
    """Returns vectors as points of the plane.

    Args:
        vectors: `(n, d)`, n at least 3.
        method: One of `METHODS`.
        seed: Of t-SNE and UMAP; PCA draws nothing.

    Returns:
        `(n, 2)` float64.

    Raises:
        InputError: If the method's package is missing.
    """
    check([method])
    vectors = np.asarray(vectors, np.float64)
    if method == "tsne":
        from sklearn.manifold import TSNE

        perplexity = min(30.0, (len(vectors) - 1) / 3.0)
        return TSNE(
            metric="cosine", init="random", perplexity=perplexity, random_state=seed
        ).fit_transform(vectors)
    if method == "umap":
        import umap

        neighbours = min(15, len(vectors) - 1)
        return umap.UMAP(
            n_neighbors=neighbours, metric="cosine", random_state=seed
        ).fit_transform(vectors)
    return principal(vectors)[0]


def principal(vectors: np.ndarray, count: int = 2) -> tuple[np.ndarray, np.ndarray]:
    """Returns the first principal components, and the share of variance of each.

    The sign is chosen so that the largest loading is positive.

    Args:
        vectors: `(n, d)`.
        count: Number of components.

    Returns:
        `(n, count)` float64 and `(count,)`.
    """
    centred = np.asarray(vectors, np.float64)
    centred = centred - centred.mean(axis=0)
    u, s, vt = np.linalg.svd(centred, full_matrices=False)
    largest = np.abs(vt).argmax(axis=1)
    sign = np.sign(vt[np.arange(len(vt)), largest])
    fractions = s**2 / max(float((s**2).sum()), 1e-300)
    return (u * s * sign)[:, :count], fractions[:count]
