"""Studies that make new results: two people, feeding back, mixing identities."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import cv2
import numpy as np

from facedancer.arcface_model import cosine, cosine_matrix
from facedancer.evaluation.inputs.locating import Locator
from facedancer.evaluation.inputs.photos import Face, Photo
from facedancer.evaluation.instruments import instruments
from facedancer.evaluation.instruments.instruments import Instrument
from facedancer.evaluation.measuring.measure import SIDE
from facedancer.evaluation.measuring.studies import Study
from facedancer.evaluation.measuring.swappers import IdentitySwapper, Swapper
from facedancer.evaluation.metrics import background
from facedancer.evaluation.plots import charts
from facedancer.video_swap.swapping.swapper import mix_identities


def heat_map(
    faces_by_label: Mapping[str, Sequence[Face]],
    swapper: Swapper,
    judge: Instrument,
    locator: Locator,
    max_count: int = 6,
) -> Study:
    """Returns cosines within and between two people, real and swapped.

    Args:
        faces_by_label: Faces of exactly two people.
        swapper: With `swap(sources, targets)`.
        judge: Gives identity vectors.
        locator: Finds faces in the results.
        max_count: Photos of each.
    """
    (name_a, faces_a), (name_b, faces_b) = faces_by_label.items()
    a, b = faces_a[:max_count], faces_b[:max_count]
    made_a = _swapped(swapper, locator, a, b)
    made_b = _swapped(swapper, locator, b, a)
    parts = {
        f"A: {_short(name_a)}": a,
        "A on B's photos": made_a,
        f"B: {_short(name_b)}": b,
        "B on A's photos": made_b,
    }
    vectors = [_embed(judge, faces) for faces in parts.values()]
    matrix = cosine_matrix(np.concatenate(vectors), np.concatenate(vectors))
    groups = [(name, len(faces)) for name, faces in parts.items()]
    image = charts.heat_map(matrix, groups)
    text = (
        "Where swapping works, the squares of a person's real photos and of the "
        "results with that identity are alike, and the others are dark."
    )
    data = {"groups": groups, "mean_cosine": _block_means(matrix, groups)}
    return Study("heat_map", "Two people, real and swapped", text, image, data)


def _swapped(
    swapper: Swapper, locator: Locator, sources: Sequence[Face], targets: Sequence[Face]
) -> list[Face]:
    chosen = [sources[i % len(sources)] for i in range(len(targets))]
    made = swapper.swap(chosen, targets)
    photos = [Photo.of_pixels(f"result {i}", image) for i, image in enumerate(made)]
    return locator.nearest(photos, targets, keep=False)


def _embed(judge: Instrument, faces: Sequence[Face]) -> np.ndarray:
    crops = [judge.cut(face.photo.read(), face) for face in faces]
    return judge.run(np.stack(crops))


def _block_means(
    matrix: np.ndarray, groups: Sequence[tuple[str, int]]
) -> list[list[float | None]]:
    """Means of cosines by pair of groups, a photo with itself left out."""
    matrix = np.where(np.eye(len(matrix), dtype=bool), np.nan, matrix)
    ends = np.cumsum([0, *(count for _, count in groups)])
    spans = [slice(a, b) for a, b in zip(ends[:-1], ends[1:], strict=True)]
    return [[_mean_or_none(matrix[r, c]) for c in spans] for r in spans]


def _mean_or_none(block: np.ndarray) -> float | None:
    known = block[np.isfinite(block)]
    return round(float(known.mean()), 4) if len(known) else None


def drift(
    sources: Sequence[Face],
    targets: Sequence[Face],
    swapper: Swapper,
    judge: Instrument,
    locator: Locator,
    rounds: int = 10,
) -> Study:
    """Returns what becomes of a result that is fed back as target again and again.

    Args:
        sources: Faces, who is put in.
        targets: As many faces.
        swapper: With `swap(sources, targets)`.
        judge: Gives identity vectors.
        locator: Finds faces in the results.
        rounds: How often.
    """
    source_vectors, target_vectors = _embed(judge, sources), _embed(judge, targets)
    faces, lines, strips, first = list(targets), [], [], None
    for _ in range(rounds):
        made = swapper.swap(sources, faces)
        photos = [Photo.of_pixels("result", image) for image in made]
        faces = locator.nearest(photos, faces, keep=False)
        vectors = _embed(judge, faces)
        crops = np.stack(
            [
                instruments.wide_crop(image, target.landmarks, SIDE)
                for image, target in zip(made, targets, strict=True)
            ]
        )
        first = crops if first is None else first
        alike = [
            background.ssim_map(a, b).mean() for a, b in zip(first, crops, strict=True)
        ]
        lines.append(
            (cosine(vectors, source_vectors), cosine(vectors, target_vectors), alike)
        )
        strips.append(crops)
    return _drift_study(np.array(lines), strips, rounds)


def _drift_study(lines: np.ndarray, strips: list[np.ndarray], rounds: int) -> Study:
    names = ("cosine with the source", "cosine with the target", "SSIM, first result")
    x = np.arange(1, rounds + 1)
    curves = {name: lines[:, index].T for index, name in enumerate(names)}
    chart = images_stacked(
        charts.curves(x, curves, "times swapped", "likeness"), _strip(strips)
    )
    data = {
        name: values.mean(axis=0).round(4).tolist() for name, values in curves.items()
    }
    text = (
        f"{lines.shape[2]} results fed back as targets. Lines that stay level mean a "
        "swapper that changes nothing more once the identity is reached. Bands are "
        "quartiles; below, some results after 1, 2, ... swaps."
    )
    return Study("drift", "Fed back again and again", text, chart, data)


def _strip(
    strips: Sequence[np.ndarray | list[np.ndarray]], rows: int = 3
) -> np.ndarray:
    chosen = np.unique(
        np.linspace(0, len(strips) - 1, min(10, len(strips))).astype(int)
    )
    return np.vstack(
        [
            np.hstack([strips[i][row] for i in chosen])
            for row in range(min(rows, len(strips[0])))
        ]
    )


def images_stacked(png: bytes, strip: np.ndarray) -> bytes:
    """Returns a plot with a strip of pictures below it, as PNG.

    Args:
        png: The plot; empty: the strip alone.
        strip: `(height, width, 3)` uint8 RGB.
    """
    if not png:
        return charts.picture(strip)
    decoded = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR)
    plot = np.asarray(decoded)[..., ::-1]
    height = round(strip.shape[0] * plot.shape[1] / strip.shape[1])
    small = cv2.resize(strip, (plot.shape[1], height), interpolation=cv2.INTER_AREA)
    return charts.picture(np.ascontiguousarray(np.vstack([plot, small])))


def interpolation(
    first: Face,
    second: Face,
    targets: Sequence[Face],
    swapper: IdentitySwapper,
    judge: Instrument,
    locator: Locator,
    steps: int = 7,
) -> Study:
    """Returns results for identities on the way from one source to another.

    Args:
        first: Face of one source.
        second: Face of the other.
        targets: Faces that are changed.
        swapper: With `embed(faces)` and `swap_identities(vectors, targets)`.
        judge: Gives identity vectors.
        locator: Finds faces in the results.
        steps: Number of identities, both ends among them.
    """
    ends = swapper.embed([first, second])
    judged = _embed(judge, [first, second])
    fractions = np.linspace(0.0, 1.0, steps)
    strips, lines = [], []
    for fraction in fractions:
        vector = mix_identities(ends[0], ends[1], float(fraction))
        made = swapper.swap_identities(np.stack([vector] * len(targets)), targets)
        photos = [Photo.of_pixels("result", image) for image in made]
        vectors = _embed(judge, locator.nearest(photos, targets, keep=False))
        lines.append([cosine(vectors, judged[0]), cosine(vectors, judged[1])])
        strips.append(
            [
                instruments.wide_crop(image, target.landmarks, SIDE)
                for image, target in zip(made, targets, strict=True)
            ]
        )
    values = np.array(lines)
    curves = {"first source": values[:, 0].T, "second source": values[:, 1].T}
    chart = charts.curves(fractions, curves, "fraction of the second source", "cosine")
    data = {name: v.mean(axis=0).round(4).tolist() for name, v in curves.items()}
    text = "Smooth crossing lines mean identities that can be mixed."
    image = images_stacked(chart, _strip(strips))
    return Study("interpolation", "Between two sources", text, image, data)


def _short(label: str) -> str:
    return str(label).replace("\\", "/").rstrip("/").split("/")[-1][:24]
