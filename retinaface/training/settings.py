"""Settings of a detector's training; reading them needs no network library."""

from __future__ import annotations

import dataclasses

from facedancer.flags.settings import Checked, ranged, setting

LANDMARK_WEIGHT = 1.0  # as retinaface trainers use it


@dataclasses.dataclass(frozen=True)
class TrainDetectorSettings(Checked):
    """Settings of the program.

    Attributes:
        data_dir: Folders of photos, as many as tables of labels.
        labels: Tables of labels, one a folder.
        output: Where the detector goes; must end in `.keras`.
        backbone_path: ImageNet weights of the MobileNet as `.npz`; empty for new ones.
        init: Detector of this program to start from; empty for new weights.
        exclude: File with names of folders or photos that are left out, one a line.
        image_size: Side of the training pictures in pixels.
        steps: Number of updates, rounded up to a multiple of --save_every.
        batch_size: Pictures an update.
        learning_rate: At its highest, after the warm-up; falls by a cosine to zero.
        landmark_weight: Weight of the landmarks' loss beside that of the classes.
        save_every: Updates between checkpoints.
        workers: Threads that make pictures.
        seed: Of everything random.
    """

    data_dir: tuple[str, ...] = setting(essential=True)
    labels: tuple[str, ...] = setting(essential=True)
    output: str = setting(essential=True, ending=".keras")
    backbone_path: str = ""
    init: str = ""
    exclude: str = ""
    image_size: int = ranged(320, low=1)
    steps: int = ranged(6000, low=1)
    batch_size: int = ranged(16, low=1)
    learning_rate: float = ranged(2e-3, low=0.0)
    landmark_weight: float = ranged(LANDMARK_WEIGHT, low=0.0)
    save_every: int = ranged(250, low=1)
    workers: int = ranged(2, low=1)
    seed: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.data_dir) != len(self.labels):
            raise ValueError(
                "--data_dir and --labels go in pairs. "
                f"Received: {len(self.data_dir)} folders, {len(self.labels)} tables"
            )
