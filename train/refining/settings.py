"""What the training of a face refiner is told."""

from __future__ import annotations

import dataclasses

from facedancer.flags.settings import Checked, ranged, setting


@dataclasses.dataclass(frozen=True)
class TrainRefinerSettings(Checked):
    """Settings of the program.

    Attributes:
        data_dir: Aligned crops of sharp photos, as `facedancer align --im_size=256`
            writes them.
        output: Where the refiner goes; must end in `.keras`.
        generator_path: Generator whose faces are refined, .onnx (by facedancer
            convert); empty: the packaged one.
        arcface_path: Its identity encoder; empty: the packaged one.
        perceptual: Weights file of the perceptual network, VGG16, SqueezeNet or
            MobileNet (.npz); none: without.
        holdout: Photos that are measured on and never learned from; at least 2.
        min_sharpness: Photos below this sharpness are left out: a refiner learns what
            it is shown.
        image_size: Side of the crops in pixels, a multiple of 4.
        patch: Side of the squares that are learned from, a multiple of 4.
        width: Channels at a quarter of the size.
        blocks: Residual blocks there.
        swaps: Faces of strangers that each photo gets before the training.
        known: Fraction of the examples whose right answer is known.
        steps: Number of updates, rounded up to a multiple of --save_every.
        batch_size: Patches an update.
        learning_rate: At its highest, after the warm-up; falls by a cosine to zero.
        adversarial: Weight of the discriminator, from --adversarial_from on.
        adversarial_from: Updates before the discriminator joins in.
        save_every: Updates between checkpoints.
        workers: Threads that make examples.
        seed: Of everything random.

    Raises:
        ValueError: If a value is out of its range, or a patch larger than a crop.
    """

    data_dir: str = setting(essential=True)
    output: str = setting(essential=True, ending=".keras")
    generator_path: str = ""
    arcface_path: str = ""
    perceptual: str = "none"
    holdout: int = ranged(60, low=2)
    min_sharpness: float = ranged(0.0, low=0.0)
    image_size: int = ranged(256, low=32)
    patch: int = ranged(128, low=32)
    width: int = ranged(48, low=4)
    blocks: int = ranged(6, low=1)
    swaps: int = ranged(3, low=1)
    known: float = ranged(0.6, low=0.0, high=1.0)
    steps: int = ranged(6000, low=1)
    batch_size: int = ranged(8, low=1)
    learning_rate: float = ranged(4e-4, low=0.0)
    adversarial: float = ranged(0.02, low=0.0)
    adversarial_from: int = ranged(400, low=0)
    save_every: int = ranged(200, low=1)
    workers: int = ranged(1, low=1)
    seed: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.patch > self.image_size or self.patch % 4 or self.image_size % 4:
            raise ValueError(
                "--patch and --image_size must be multiples of 4, a patch no larger "
                f"than a crop. Received: {self.patch} and {self.image_size}"
            )
