"""What the training of a face parser is told."""

from __future__ import annotations

import dataclasses

from facedancer.flags.settings import Checked, ranged, setting


@dataclasses.dataclass(frozen=True)
class TrainParserSettings(Checked):
    """Settings of the program.

    Attributes:
        data_dir: Folder that the names in the table are relative to.
        labels: Table of where the faces lie.
        masks: Folder of the masks.
        output: Where the parser goes; must end in `.keras`.
        holdout: Photos that are measured on and never learned from.
        image_size: Side of the crops in pixels, a multiple of 16.
        steps: Number of updates, rounded up to a multiple of --save_every.
        batch_size: Crops an update.
        learning_rate: At its highest, after the warm-up; falls by a cosine to zero.
        covered: Chance that something is laid before a face.
        save_every: Updates between checkpoints.
        workers: Threads that make crops.
        seed: Of everything random.
    """

    data_dir: str = setting(essential=True)
    labels: str = setting(essential=True)
    masks: str = setting(essential=True)
    output: str = setting(essential=True, ending=".keras")
    holdout: int = ranged(60, low=1)
    image_size: int = ranged(96, low=16)
    steps: int = ranged(4000, low=1)
    batch_size: int = ranged(8, low=1)
    learning_rate: float = ranged(2e-3, low=0.0)
    covered: float = ranged(0.5, low=0.0, high=1.0)
    save_every: int = ranged(200, low=1)
    workers: int = ranged(1, low=1)
    seed: int = 0
