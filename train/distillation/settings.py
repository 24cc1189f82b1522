"""Settings of the distillation; reading them needs no network library."""

from __future__ import annotations

import dataclasses

from facedancer.arcface_model.shapes import BLOCKS
from facedancer.flags.settings import Checked, ranged, setting


@dataclasses.dataclass(frozen=True)
class DistillSettings(Checked):
    """Settings of the program.

    Attributes:
        data_dir: Aligned crops to train on, at any depth.
        teacher: Encoder to agree with (`.keras`, or the published ArcFace `.h5`).
        output: Where the student goes; must end in `.keras`.
        eval_dir: Aligned crops, one folder a person, of people that are not in
            `data_dir`; empty for no evaluation.
        hints: Pairs `student_layer=teacher_layer` whose maps should agree too.
        hint_weight: Weight of each hint beside the embedding.
        image_size: Side of the student's input in pixels, a multiple of 16.
        width: Factor on the student's channels.
        blocks: Blocks of the student's three stages.
        init: Encoder of this program to start from; empty for new weights.
        frozen_norms: Fold the batch norms of `init` into the convolutions and train
            these: on CPUs nearly twice as fast.
        steps: Number of updates.
        batch_size: Faces an update.
        learning_rate: At its highest, after the warm-up; falls by a cosine to zero.
        mixup: Share of batches in which each face is mixed with another.
        degrade: Share of batches that the student sees blurred, noisy or covered.
        eval_every: Updates between evaluations and checkpoints.
        seed: Of everything random.
    """

    data_dir: str = setting(essential=True)
    teacher: str = setting(essential=True)
    output: str = setting(essential=True, ending=".keras")
    eval_dir: str = ""
    hints: tuple[str, ...] = ()
    hint_weight: float = ranged(0.25, low=0.0)
    image_size: int = ranged(112, low=16)
    width: float = ranged(1.0, above=0.0)
    blocks: tuple[int, ...] = BLOCKS
    init: str = ""
    frozen_norms: bool = False
    steps: int = ranged(20_000, low=1)
    batch_size: int = ranged(32, low=1)
    learning_rate: float = ranged(2e-3, low=0.0)
    mixup: float = ranged(0.5, low=0.0, high=1.0)
    degrade: float = ranged(0.5, low=0.0, high=1.0)
    eval_every: int = ranged(1000, low=1)
    seed: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.frozen_norms and not self.init:
            raise ValueError("`frozen_norms` needs an encoder to start from: `init`")
        for hint in self.hints:
            if hint.count("=") != 1:
                raise ValueError(
                    f"`hints` are student_layer=teacher_layer. Received: {hint!r}"
                )
