"""Labels the faces of photos with a detector, for the training of another one.

    python retinaface/label_faces.py --data_dir=photos --output=labels.csv \
        --retina_path=teacher.npz

Faces of a low score are written too: the training counts them neither as faces nor as
background.
"""

from __future__ import annotations

import dataclasses
import pathlib

from facedancer import cli, places
from facedancer.face import face_labels
from facedancer.flags.settings import Checked, ranged
from facedancer.imaging import images
from facedancer.process import progress
from facedancer.retinaface.loading import load_detector
from facedancer.storage import claims


@dataclasses.dataclass(frozen=True)
class LabelSettings(Checked):
    """Settings of the program.

    Attributes:
        data_dir: Photos, at any depth.
        output: The table, a `.csv` file.
        retina_path: The detector; empty for the packaged one.
        score_threshold: Least score of a face that is written.
        working_size: The longer side at which a photo is searched, in pixels.
    """

    data_dir: str
    output: str
    retina_path: str = ""
    score_threshold: float = ranged(0.2, low=0.0, high=1.0)
    working_size: int = ranged(640, low=0)


def label(settings: LabelSettings) -> int:
    """Writes the table and returns the number of faces in it.

    Args:
        settings: All of it.

    Raises:
        InputError: If there is no photo, or one cannot be read.
    """
    folder = pathlib.Path(settings.data_dir)
    paths = images.list_images(folder)
    detector = load_detector(
        settings.retina_path or None,
        score_threshold=settings.score_threshold,
        working_size=settings.working_size,
    )
    found = {
        path.relative_to(folder).as_posix(): detector.detect(images.read_image(path))
        for path in progress.bar(paths, unit="photo")
    }
    face_labels.write_labels(settings.output, found)
    return sum(len(faces) for faces in found.values())


def main(settings: LabelSettings) -> int:
    places.check_places(settings, {"output": settings.output})
    with claims.claimed(settings.output):
        count = label(settings)
    print(f"{settings.output}: {count} faces")
    return cli.DONE


if __name__ == "__main__":
    cli.run(main, LabelSettings)
