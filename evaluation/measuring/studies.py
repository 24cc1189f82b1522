"""Studies of what was measured: what the eye sees better than a mean says."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from facedancer.arcface_model import cosine_matrix
from facedancer.evaluation.inputs.photos import Face
from facedancer.evaluation.measuring import figures
from facedancer.evaluation.measuring.measure import ROLES, SIDE, Measured
from facedancer.evaluation.metrics import identity
from facedancer.evaluation.plots import charts, embedding_maps
from facedancer.imaging.contact_sheet import contact_sheet


@dataclasses.dataclass(frozen=True)
class Study:
    """One study.

    Attributes:
        key: Short name; the plot's file is called so.
        title: Heading.
        text: What is seen, in a sentence or two.
        image: PNG.
        data: The numbers, ready for JSON.
    """

    key: str
    title: str
    text: str
    image: bytes
    data: dict


def similarity(builder: figures.Builder) -> Study:
    """Returns how the cosines of identity are spread.

    Args:
        builder: With the values by pair.
    """
    values = [builder.values[key] for key in ("id_source", "id_target", "id_before")]
    text = (
        "A good swapper moves the results from the target's person (right hump of the "
        "second colour) to the source's."
    )
    means = dict(zip(("source", "target", "before"), map(_mean, values), strict=True))
    image = charts.similarity(*values)
    return Study("similarity", "Likeness", text, image, means)


def pose_spread(builder: figures.Builder, kind: str) -> Study:
    """Returns how the differences of pose are spread.

    Args:
        builder: With the values by pair.
        kind: `"pnp"` or `"net"`.
    """
    names = ("yaw", "pitch", "roll")
    values = {name: builder.values[f"pose_{kind}_{name}"] for name in names}
    image = charts.differences(values, "degrees off")
    data = {name: _mean(v) for name, v in values.items()}
    title = "Pose by the network" if kind == "net" else "Pose by five landmarks"
    text = "Differences of result and target; the last bar holds all beyond it."
    return Study(f"pose_{kind}", title, text, image, data)


def match_curves(measured: Measured) -> Study:
    """Returns the cumulative match curve of results and, as a bound, of the sources.

    Args:
        measured: What was measured.
    """
    vectors, labels = measured.vectors["identity"], measured.labels("source")
    entries, names = figures.gallery(measured)
    means, people = identity.centres(entries, names)
    size = min(len(people), 100)
    lines = {}
    for text, role in (("sources themselves", "source"), ("results", "swapped")):
        ranks = identity.identity_ranks(vectors[role], labels, means, people)
        lines[text] = identity.match_curve(ranks, size)
    text = f"How far down the list of {len(people)} people the right one stands."
    data = {name: curve.round(4).tolist() for name, curve in lines.items()}
    image = charts.match_curve(lines)
    return Study("match_curve", "Cumulative match curve", text, image, data)


def plane_map(
    measured: Measured, method: str, seed: int, max_count: int = 300
) -> Study:
    """Returns the identity vectors drawn in the plane.

    Args:
        measured: What was measured.
        method: One of `embedding_maps.METHODS`.
        seed: Of the choice of pairs and of the method.
        max_count: Pairs that are drawn.

    Raises:
        InputError: If the method's package is missing.
    """
    vectors = measured.vectors["identity"]
    count = len(measured.pairs)
    chosen = np.sort(np.random.default_rng(seed).permutation(count)[:max_count])
    points = embedding_maps.plane(
        np.concatenate([vectors[role][chosen] for role in ROLES]), method, seed
    )
    kinds = np.repeat(ROLES, len(chosen))
    title = {"pca": "PCA", "tsne": "t-SNE", "umap": "UMAP"}[method]
    text = "Identity vectors in the plane; lines tie results to their sources."
    image = charts.plane_map(points, kinds, f"{title} of identity vectors")
    data = {"method": method, "pairs": len(chosen)}
    return Study(f"map_{method}", f"Map by {title}", text, image, data)


def failures(
    measured: Measured, values: np.ndarray, key: str, title: str, max_count: int = 24
) -> Study:
    """Returns the worst results as a contact sheet, worst first.

    Args:
        measured: What was measured.
        values: `(n,)` by pair, small for bad ones; NaN comes first.
        key: Of the study.
        title: Of the study.
        max_count: Results that are shown.
    """
    order = np.argsort(np.where(np.isfinite(values), values, -np.inf), kind="stable")
    order = order[:max_count]
    gap = np.full((SIDE, 8, 3), 255, np.uint8)
    tiles = [
        (
            np.hstack([*(measured.thumbnails[role][i] for role in ROLES), gap]),
            f"pair {i + 1}: {values[i]:.2f}",
        )
        for i in order
    ]
    sheet = contact_sheet(tiles, columns=4, side=2 * SIDE)
    text = "Source, target, result; worst first."
    worst = [
        {
            "pair": int(i) + 1,
            "source": str(measured.pairs[i].source),
            "target": str(measured.pairs[i].target),
            "value": None if np.isnan(values[i]) else round(float(values[i]), 4),
        }
        for i in order
    ]
    return Study(key, title, text, charts.picture(_trimmed(sheet)), {"worst": worst})


def _trimmed(sheet: np.ndarray) -> np.ndarray:
    """Leaves out rows of pixels that are white throughout between the tiles."""
    keep = (sheet != 255).any(axis=(1, 2))
    near = np.convolve(keep, np.ones(9), mode="same") > 0
    return sheet[near]


def add_look_alikes(builder: figures.Builder, measured: Measured) -> None:
    """Adds how far results and sources agree in whom else they look like.

    The nearest other people of a source and of its result are listed; the figure is
    the fraction of the lists that agree. The source's and the target's own people are
    left out of both.

    Args:
        builder: Where the figures go.
        measured: What was measured.
    """
    vectors, by = measured.vectors["identity"], measured.names["identity"]
    people, names = identity.centres(*figures.gallery(measured))
    if len(names) < 8:
        return
    own = measured.labels("source")[:, None] == names
    own |= measured.labels("target")[:, None] == names
    lists = {}
    for role in ("source", "swapped"):
        cosines = np.where(own, -np.inf, cosine_matrix(vectors[role], people))
        lists[role] = np.argsort(-cosines, axis=1, kind="stable")
    for top in (1, 3):
        values = overlap(lists["source"][:, :top], lists["swapped"][:, :top])
        text = f"look-alikes shared with the source, first {top}"
        key = f"look_alike_top{top}"
        builder.add_mean(key, "Look-alikes", text, "%", "higher", values, by)


def overlap(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Returns the share of entries that two lists have in common, `(n,)`.

    Args:
        a: `(n, k)` ids, no id twice in a row.
        b: `(n, k)` ids.
    """
    return (a[:, :, None] == b[:, None, :]).any(axis=2).mean(axis=1)


def _mean(values: np.ndarray | Sequence[float]) -> float:
    values = np.asarray(values, np.float64)
    return float(np.nanmean(values)) if np.isfinite(values).any() else float("nan")


def most_photographed(measured: Measured, count: int = 2) -> dict[str, list[Face]]:
    """Returns the people with the most photos among the pairs.

    Args:
        measured: What was measured.
        count: Number of people.

    Returns:
        Faces by label, the same photo once.
    """
    found: dict[str, dict[str, Face]] = {}
    for role in ("source", "target"):
        for label, face in zip(
            measured.labels(role), measured.faces[role], strict=True
        ):
            found.setdefault(str(label), {}).setdefault(face.key, face)
    order = sorted(found, key=lambda label: (-len(found[label]), label))[:count]
    return {label: list(found[label].values()) for label in order}
