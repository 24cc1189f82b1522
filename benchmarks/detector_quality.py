"""How well detectors find faces on photos that were not used in training.

    python benchmarks/detector_quality.py --paths=ours.keras,teacher.npz \\
        --data_dir=photos --labels=labels.csv --only=heldout.txt --scenes=1000

Two tables: the photos as they are, and scenes put together from them and degraded (the
seed fixes them). "centre" is a box in the middle of the picture, for comparison.
"""

from __future__ import annotations

import dataclasses
import pathlib

import numpy as np
from tqdm import tqdm

from facedancer import cli
from facedancer.face import face_labels
from facedancer.face.faces import Faces
from facedancer.retinaface import DetectorOptions, load_detector
from facedancer.retinaface.detector import Detector
from facedancer.retinaface.training import measuring, scenes


@dataclasses.dataclass(frozen=True)
class QualitySettings:
    """What is measured.

    Attributes:
        paths: Detector files; the word `mtcnn` for the package.
        data_dir: Folders of photos, as many as tables.
        labels: Tables of labels.
        only: File with names of folders or photos that are used, one a line; empty for
            all.
        scenes: Number of scenes.
        image_size: Side of the scenes in pixels.
        seed: Of the scenes.
    """

    paths: tuple[str, ...]
    data_dir: tuple[str, ...]
    labels: tuple[str, ...]
    only: str = ""
    scenes: int = 1000
    image_size: int = 480
    seed: int = 0


class Centre(Detector):
    """Finds a face of the usual shape in the middle of every picture."""

    name = "centre"

    def _search(self, batch, min_side):
        height, width = batch.shape[1:3]
        side = 0.5 * min(height, width)
        x, y = width / 2, height / 2
        box = [x - 0.37 * side, y - side / 2, x + 0.37 * side, y + side / 2]
        points = [(-0.2, -0.1), (0.2, -0.1), (0, 0.1), (-0.15, 0.25), (0.15, 0.25)]
        landmarks = np.array(points) * side + [x, y]
        return [Faces(np.array([box]), landmarks[None], np.ones(1))] * len(batch)


def read_photos(settings: QualitySettings) -> scenes.Photos:
    """Returns the photos that are measured on.

    Args:
        settings: Name folders, tables and which photos.
    """
    wanted = face_labels.read_names(settings.only) if settings.only else None
    found = []
    for folder, table in zip(settings.data_dir, settings.labels, strict=True):
        for photo in face_labels.read_labels(table, folder):
            if wanted is None or face_labels.is_named(photo, folder, wanted):
                found.append(photo)
    return scenes.Photos(found)


def make_scenes(photos, settings: QualitySettings) -> list[scenes.Scene]:
    """Returns degraded scenes.

    Args:
        photos: What they are put together from.
        settings: How many, of which size, with which seed.
    """
    random = np.random.default_rng(settings.seed)
    kinds = scenes.SceneSettings(size=settings.image_size, smallest=20.0)
    return [scenes.make_picture(photos, kinds, random) for _ in range(settings.scenes)]


def make_detector(path: str) -> Detector:
    """Returns a detector that reports weak finds too.

    Args:
        path: A file, or `mtcnn` or `centre`.
    """
    options = DetectorOptions(score_threshold=0.02)
    if path == "centre":
        return Centre(options)
    return load_detector(path, score_threshold=0.02)


def main(settings: QualitySettings) -> int:
    photos = read_photos(settings)
    sets = {
        "photos": [photos[index] for index in range(len(photos))],
        "scenes": make_scenes(photos, settings),
    }
    print("| set | detector | faces | recall at precision .95 | AP | landmarks |")
    print("|---|---|---|---|---|---|")
    for name, pictures in sets.items():
        for path in (*settings.paths, "centre"):
            shown = tqdm(pictures, leave=False, disable=None)
            found = measuring.measure(make_detector(path), shown)
            recall = f"{found.recall:.3f} (score {found.threshold:.2f})"
            landmarks = f"{100 * found.landmark_error:.1f} %"
            print(
                f"| {name} | {pathlib.Path(path).name} | {found.faces} | {recall} "
                f"| {found.average_precision:.3f} | {landmarks} |"
            )
    return cli.DONE


if __name__ == "__main__":
    cli.run(main, QualitySettings)
