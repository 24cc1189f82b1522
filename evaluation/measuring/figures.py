"""From measurements to figures: each with count, interval and what measured it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np

from facedancer.arcface_model import cosine
from facedancer.arcface_model.verification import balanced_pairs
from facedancer.evaluation.instruments import face_mesh
from facedancer.evaluation.measuring.measure import Measured
from facedancer.evaluation.metrics import bootstrap, expression, frechet, identity
from facedancer.evaluation.metrics.bootstrap import Estimate
from facedancer.face import pose

PERCENT = "%"


@dataclasses.dataclass(frozen=True)
class Metric:
    """One number of a report.

    Attributes:
        key: Short name, the same in every report.
        group: Heading it stands under.
        text: What it says.
        unit: `%`, `deg`, ... or empty.
        better: `"higher"`, `"lower"` or empty where neither is good.
        estimate: Value, interval and count.
        measured_by: Network or method, with the hash of its weights.
    """

    key: str
    group: str
    text: str
    unit: str
    better: str
    estimate: Estimate
    measured_by: str


class Builder:
    """Collects metrics and their values by pair.

    Args:
        seed: Of the intervals.
        draws: Of the bootstrap.

    Attributes:
        figures: What was added, in order.
        values: By key the values by pair, for those that have them.
    """

    def __init__(self, seed: int = 0, draws: int = bootstrap.DRAWS) -> None:
        self.seed, self.draws = seed, draws
        self.figures: list[Metric] = []
        self.values: dict[str, np.ndarray] = {}

    def add_mean(
        self,
        key: str,
        group: str,
        text: str,
        unit: str,
        better: str,
        values: np.ndarray,
        by: str,
    ) -> None:
        """Adds the mean of values by pair; booleans with the unit % become fractions.

        Args:
            key: See `Metric`.
            group: See `Metric`.
            text: See `Metric`.
            unit: See `Metric`.
            better: See `Metric`.
            values: `(n,)`, NaN where a pair has none.
            by: `measured_by` of `Metric`.
        """
        values = np.asarray(values, np.float64) * (100.0 if unit == PERCENT else 1.0)
        self.values[key] = values
        estimate = bootstrap.mean(values, self.seed, self.draws)
        self.figures.append(Metric(key, group, text, unit, better, estimate, by))

    def add_estimate(
        self,
        key: str,
        group: str,
        text: str,
        unit: str,
        better: str,
        estimate: bootstrap.Estimate,
        by: str,
    ) -> None:
        """Adds a metric whose value is known already, and is no mean over pairs.

        Args:
            key: See `Metric`.
            group: See `Metric`.
            text: See `Metric`.
            unit: See `Metric`.
            better: See `Metric`.
            estimate: See `Metric`; a fraction where the unit is %.
            by: `measured_by` of `Metric`.
        """
        if unit == PERCENT:
            estimate = dataclasses.replace(
                estimate,
                value=100.0 * estimate.value,
                low=100.0 * estimate.low,
                high=100.0 * estimate.high,
            )
        self.figures.append(Metric(key, group, text, unit, better, estimate, by))

    def statistic(
        self, function: Callable[[np.ndarray], float], count: int
    ) -> bootstrap.Estimate:
        """Returns the bootstrap estimate of a statistic.

        Args:
            function: From indices of examples to the value.
            count: Number of examples.
        """
        draws = min(self.draws, 200)
        return bootstrap.statistic(function, count, self.seed, draws)


def compute(
    measured: Measured,
    seed: int = 0,
    draws: int = bootstrap.DRAWS,
    official: bool = False,
) -> Builder:
    """Returns all figures that the measurements allow.

    Args:
        measured: What was measured.
        seed: Of the intervals.
        draws: Of the bootstrap.
        official: Whether the features are those of the published Frechet distance.
    """
    builder = Builder(seed, draws)
    if "identity" in measured.vectors:
        _add_identity(builder, measured)
        _add_retrieval(builder, measured)
        _add_verification(builder, measured)
        _add_judge(builder, measured)
    _add_pose(builder, measured)
    _add_expression(builder, measured)
    if "features" in measured.vectors:
        _add_frechet(builder, measured, official)
    _add_pixels(builder, measured)
    return builder


def _add_identity(builder: Builder, measured: Measured) -> None:
    vectors, by = measured.vectors["identity"], measured.names["identity"]
    source = cosine(vectors["swapped"], vectors["source"])
    target = cosine(vectors["swapped"], vectors["target"])
    before = cosine(vectors["target"], vectors["source"])
    rows = [
        ("id_source", "cosine with the source", "", "higher", source),
        ("id_target", "cosine with the target", "", "lower", target),
        ("id_before", "cosine of target and source, before", "", "", before),
        ("id_nearer", "nearer to the source than the target", "%", "higher", None),
    ]
    different = measured.labels("source") != measured.labels("target")
    nearer = np.where(different, source > target, np.nan)
    for key, text, unit, better, values in rows:
        values = nearer if values is None else values
        builder.add_mean(key, "Identity", text, unit, better, values, by)


def gallery(measured: Measured) -> tuple[np.ndarray, np.ndarray]:
    """Returns the gallery of a retrieval: every source and target photo once.

    Args:
        measured: What was measured.

    Returns:
        `(m, d)` embeddings and `(m,)` labels.
    """
    vectors = measured.vectors["identity"]
    entries: dict[object, tuple[np.ndarray, str]] = {}
    for role in ("source", "target"):
        labels = measured.labels(role)
        for row, face in enumerate(measured.faces[role]):
            entries.setdefault(face.key, (vectors[role][row], labels[row]))
    rows, names = zip(*entries.values(), strict=True)
    return np.stack(rows), np.array(names)


def _add_retrieval(builder: Builder, measured: Measured) -> None:
    queries, by = measured.vectors["identity"]["swapped"], measured.names["identity"]
    labels = measured.labels("source")
    entries, entry_labels = gallery(measured)
    means, mean_labels = identity.centres(entries, entry_labels)
    kinds = (
        ("image", "photos", entries, entry_labels, identity.retrieval_ranks),
        ("centre", "mean identities", means, mean_labels, identity.identity_ranks),
    )
    for kind, words, vectors, names, rank in kinds:
        ranks = rank(queries, labels, vectors, names)
        for top in (1, 5):
            text = f"retrieved at rank {top} among {len(vectors)} {words}"
            key = f"id_top{top}_{kind}"
            builder.add_mean(key, "Identity", text, "%", "higher", ranks < top, by)


def _add_verification(builder: Builder, measured: Measured) -> None:
    vectors, by = measured.vectors["identity"], measured.names["identity"]
    own, others = identity.verification_scores(
        vectors["swapped"], vectors["source"], measured.labels("source"), builder.seed
    )
    if np.isfinite(others).any():
        words = ("id", "Identity", "AUC, own source against other sources")
        _add_rates(builder, words, own, others, by)


def _add_rates(
    builder: Builder,
    words: tuple[str, str, str],
    own: np.ndarray,
    others: np.ndarray,
    by: str,
) -> None:
    """Adds how well cosines tell one person from two; words: key, group, text."""
    key, group, text = words
    rows: tuple[tuple[str, str, str, Callable[..., float]], ...] = (
        (f"{key}_auc", text, "", identity.area_under_curve),
        (
            f"{key}_tar",
            "verified at a false accept rate of 0.001",
            "%",
            identity.accepted_at,
        ),
    )
    for name, what, unit, function in rows:

        def resampled(
            at: np.ndarray, function: Callable[..., float] = function
        ) -> float:
            return function(own[at], others[at])

        estimate = builder.statistic(resampled, min(len(own), len(others)))
        builder.add_estimate(name, group, what, unit, "higher", estimate, by)


def _add_judge(builder: Builder, measured: Measured) -> None:
    """How well the judge itself tells the real photos of these pairs apart."""
    entries, labels = gallery(measured)
    if len(np.unique(labels)) in (1, len(labels)):
        return
    by = measured.names["identity"]
    pairs, same = balanced_pairs(labels, 6000, builder.seed)
    scores = cosine(entries[pairs[:, 0]], entries[pairs[:, 1]])
    words = ("judge", "The judge", "AUC on pairs of the real photos")
    _add_rates(builder, words, scores[same], scores[~same], by)


def _add_pose(builder: Builder, measured: Measured) -> None:
    angles = {
        role: np.stack([pose.solve_pose(p) for p in measured.landmarks(role)])
        for role in ("target", "swapped")
    }
    angles["swapped"][~measured.found] = np.nan
    _pose_figures(builder, "pnp", angles, "five landmarks by PnP")
    if "pose" in measured.vectors:
        network = measured.vectors["pose"]
        _pose_figures(builder, "net", network, measured.names["pose"])


def _pose_figures(
    builder: Builder, kind: str, angles: dict[str, np.ndarray], by: str
) -> None:
    words = "landmarks" if kind == "pnp" else "network"
    apart = pose.angle_difference(angles["target"], angles["swapped"])
    for axis, name in enumerate(("yaw", "pitch", "roll")):
        values = np.abs(apart[:, axis])
        key, text = f"pose_{kind}_{name}", f"{name} off by ({words})"
        builder.add_mean(key, "Pose", text, "deg", "lower", values, by)
    values = np.linalg.norm(apart, axis=1)
    text = f"all three, length of the difference ({words})"
    builder.add_mean(f"pose_{kind}_l2", "Pose", text, "deg", "lower", values, by)


def _add_expression(builder: Builder, measured: Measured) -> None:
    rows = [
        (
            "expr_landmarks",
            "five landmarks apart without pose (% of the eyes' distance)",
            np.where(
                measured.found,
                expression.landmark_distance(
                    measured.landmarks("swapped"), measured.landmarks("target")
                ),
                np.nan,
            ),
            "detector's landmarks",
        )
    ]
    if "mesh" in measured.vectors:
        rows += _mesh_rows(measured)
    if "expression" in measured.vectors:
        pair = measured.vectors["expression"]
        distance = expression.vector_distance(pair["swapped"], pair["target"])
        text, by = "expression embeddings apart (L2)", measured.names["expression"]
        rows.append(("expr_embedder", text, distance, by))
    for key, text, values, by in rows:
        builder.add_mean(key, "Expression", text, "", "lower", values, by)


def _mesh_rows(measured: Measured) -> list[tuple[str, str, np.ndarray, str]]:
    by, pair = measured.names["mesh"], measured.vectors["mesh"]
    mesh, shapes, _ = face_mesh.split(pair["swapped"])
    own_mesh, own_shapes, _ = face_mesh.split(pair["target"])
    mouth = expression.mouth_opening(mesh) - expression.mouth_opening(own_mesh)
    looks = expression.gaze(mesh) - expression.gaze(own_mesh)
    return [
        (
            "expr_mesh",
            "478 points apart without pose (% of the eyes' distance)",
            expression.mesh_distance(mesh, own_mesh),
            by,
        ),
        (
            "expr_blendshapes",
            "52 blendshapes apart (L2)",
            expression.vector_distance(shapes, own_shapes),
            by,
        ),
        (
            "expr_mouth",
            "mouth opening off by (% of its width)",
            np.abs(mouth),
            by,
        ),
        (
            "expr_gaze",
            "irises off by (% of an eye's width)",
            np.linalg.norm(looks, axis=1),
            by,
        ),
    ]


def _add_frechet(builder: Builder, measured: Measured, official: bool) -> None:
    vectors, by = measured.vectors["features"], measured.names["features"]
    text = "Frechet distance of results and targets"
    if not official:
        text += " (not comparable with published FID)"
        by += ", not InceptionV3"

    def distance(at: np.ndarray) -> float:
        return frechet.frechet_distance(vectors["target"][at], vectors["swapped"][at])

    count = len(measured.pairs)
    if count < 4:
        return
    estimate = bootstrap.jackknife(distance, count, seed=builder.seed)
    estimate = dataclasses.replace(estimate, low=max(estimate.low, 0.0))
    builder.add_estimate("frechet", "Realism", text, "", "lower", estimate, by)


def _add_pixels(builder: Builder, measured: Measured) -> None:
    found = measured.found
    builder.add_mean(
        "found",
        "Realism",
        "results in which a face is found",
        "%",
        "higher",
        found,
        "detector",
    )
    rows = [
        ("ssim_outside", "SSIM outside the face (background kept)", "higher"),
        ("lpips_outside", "perceptual distance outside the face", "lower"),
        ("ssim_inside", "SSIM inside the face", ""),
        ("lpips_inside", "perceptual distance inside the face", ""),
        ("unchanged", "face pixels left as they were (fraction)", ""),
    ]
    same = measured.labels("source") == measured.labels("target")
    for key, text, better in rows:
        if key in measured.pixels:
            by = measured.names.get("perception", "") if "lpips" in key else "pixels"
            values = measured.pixels[key]
            builder.add_mean(key, "Pixels", text, "", better, values, by)
            if key.endswith("_inside") and same.any():
                better = "higher" if "ssim" in key else "lower"
                kept = np.where(same, values, np.nan)
                text += ", source and target the same person"
                builder.add_mean(f"{key}_same", "Pixels", text, "", better, kept, by)
