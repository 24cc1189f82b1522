"""IFSR margins measured from the results of a face swapper.

For triples of target, source and swapped the cosine distances of an encoder's feature
maps are taken; the margin of a map is the mean distance of target and swapped. How far
the three distributions lie apart tells which maps are worth using: one where target
and swapped differ as much as target and source carries identity.
"""

from __future__ import annotations

import dataclasses
import os
import pathlib
from collections.abc import Iterable, Iterator, Mapping, Sequence

import cv2
import numpy as np
from matplotlib.figure import Figure

from facedancer.errors import InputError
from facedancer.imaging import images
from facedancer.train.frozen.teachers import Teacher, whole_view
from facedancer.train.objective import ifsr

PAIRS = ("target_swapped", "target_source", "swapped_source")

# A batch of target, swapped and source (or None), each `(batch, height, width, 3)`
# float32 in [-1, 1].
Triple = tuple[np.ndarray, np.ndarray, np.ndarray | None]


@dataclasses.dataclass(frozen=True)
class Distances:
    """Cosine distances of feature maps, by pair and triple.

    Attributes:
        taps: Names of the maps.
        values: For each of `PAIRS` that is known `(triples, taps)` in [0, 2].
    """

    taps: tuple[str, ...]
    values: dict[str, np.ndarray]

    def margins(self, encoder_name: str) -> ifsr.Margins:
        """Returns the margins: the mean distance of target and swapped.

        Args:
            encoder_name: `name_with_hash` of the encoder.
        """
        means = self.values["target_swapped"].mean(axis=0)
        return ifsr.Margins(encoder_name, self.taps, tuple(map(float, means)))

    def summary(self) -> dict:
        """Returns the means of all pairs and the equal-error thresholds, by map."""
        found: dict[str, dict] = {
            f"mean_{pair}": dict(
                zip(self.taps, map(float, v.mean(axis=0)), strict=True)
            )
            for pair, v in self.values.items()
        }
        if "target_source" in self.values:
            columns = zip(
                self.values["target_swapped"].T,
                self.values["target_source"].T,
                strict=True,
            )
            found["equal_error"] = {
                tap: dict(zip(("threshold", "rate"), equal_error(a, b), strict=True))
                for tap, (a, b) in zip(self.taps, columns, strict=True)
            }
        return found


def equal_error(near: np.ndarray, far: np.ndarray) -> tuple[float, float]:
    """Returns the threshold that errs as often on either side, and how often it errs.

    Args:
        near: `(n,)` values that should lie below.
        far: `(m,)` values that should lie above.
    """
    thresholds = np.unique(np.concatenate([near, far]))
    missed = np.searchsorted(np.sort(near), thresholds, side="right")
    above = 1.0 - missed / len(near)
    below = np.searchsorted(np.sort(far), thresholds, side="right") / len(far)
    best = int(np.argmin(np.abs(above - below)))
    return float(thresholds[best]), float((above[best] + below[best]) / 2)


def measure(
    teacher: Teacher,
    triples: Iterable[Triple],
) -> Distances:
    """Returns the distances of all triples.

    Args:
        teacher: The encoder with the taps of interest.
        triples: Batches of them.

    Raises:
        InputError: If there is no triple.
    """
    found: dict[str, list[np.ndarray]] = {}
    for target, swapped, source in triples:
        shown = {"target": target, "swapped": swapped, "source": source}
        maps = {
            name: teacher(image, whole_view(len(image), teacher.shrink))[0]
            for name, image in shown.items()
            if image is not None
        }
        for pair in PAIRS:
            first, second = pair.split("_")
            if first in maps and second in maps:
                values = ifsr.distances(maps[first], maps[second])
                found.setdefault(pair, []).append(np.asarray(values))
    if not found:
        raise InputError("There is no pair of target and swapped to measure")
    joined = {pair: np.concatenate(values) for pair, values in found.items()}
    return Distances(teacher.taps, joined)


def read_triples(
    folder: str | os.PathLike, size: int, batch: int = 16
) -> Iterator[Triple]:
    """Yields batches of triples from `target/`, `swapped/` and perhaps `source/`.

    Args:
        folder: It holds the three folders; images of one triple have one name.
        size: Side the images are resized to, pixels.
        batch: Triples in a batch.

    Raises:
        InputError: If a folder is missing or no names match.
    """
    folder = pathlib.Path(folder)
    by_name = {
        part: {path.stem: path for path in images.list_images(folder / part)}
        for part in ("target", "swapped", "source")
        if part != "source" or (folder / part).is_dir()
    }
    names = sorted(set.intersection(*(set(paths) for paths in by_name.values())))
    if not names:
        raise InputError(
            f"{folder}: no image of target/ has the name of one in "
            f"{' and '.join(sorted(set(by_name) - {'target'}))}/"
        )
    for start in range(0, len(names), batch):
        chosen = names[start : start + batch]
        target, swapped = (
            _read(by_name[part], chosen, size) for part in ("target", "swapped")
        )
        sources = by_name.get("source")
        yield target, swapped, _read(sources, chosen, size) if sources else None


def _read(
    paths: Mapping[str, pathlib.Path], names: Sequence[str], size: int
) -> np.ndarray:
    read = (images.read_image(paths[name]) for name in names)
    return np.stack([images.signed_from_uint8(_resized(image, size)) for image in read])


def _resized(image: np.ndarray, size: int) -> np.ndarray:
    if image.shape[:2] == (size, size):
        return image
    return cv2.resize(image, (size, size), interpolation=cv2.INTER_AREA)


def histograms(distances: Distances) -> Figure:
    """Returns a plot of the distributions, one panel a map.

    Args:
        distances: From `measure`.
    """
    columns = min(4, len(distances.taps))
    rows = -(-len(distances.taps) // columns)
    figure = Figure(figsize=(4 * columns, 2.6 * rows), layout="constrained")
    for number, tap in enumerate(distances.taps):
        axes = figure.add_subplot(rows, columns, number + 1)
        top = max(values[:, number].max() for values in distances.values.values())
        bins = np.linspace(0.0, float(top) * 1.02 + 1e-6, 40).tolist()
        for pair, values in distances.values.items():
            label = pair.replace("_", " - ")
            axes.hist(values[:, number], bins, alpha=0.5, label=label, density=True)
        margin = distances.values["target_swapped"][:, number].mean()
        axes.axvline(margin, color="black", linewidth=1, linestyle="--")
        axes.set_title(f"{tap}   margin {margin:.3f}", fontsize=9)
        axes.set_yticks([])
        if number == 0:
            axes.legend(fontsize=7)
    figure.supxlabel("cosine distance", fontsize=9)
    return figure
