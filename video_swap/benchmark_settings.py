"""Settings of the benchmark; reading them needs no network library."""

from __future__ import annotations

import dataclasses

from facedancer.flags.settings import Checked, choice, ranged, setting
from facedancer.video_swap.settings import ENGINES, PRECISIONS

SIZES = {"480p": (854, 480), "720p": (1280, 720), "1080p": (1920, 1080)}


@dataclasses.dataclass(frozen=True)
class BenchmarkSettings(Checked):
    """What is measured.

    Attributes:
        facedancer_path: Generator to measure; empty: the packaged one.
        preset_name: A preset instead, with random weights, which are as fast as trained
            ones; needs Keras.
        arcface_path: Encoder to measure; empty: the packaged one, with --preset_name
            MobileFaceNet with random weights.
        retina_path: Detector to measure; empty: the packaged one.
        engine: auto, keras, openvino or another one that is installed.
        precision: f32, bf16, f16 or int8.
        device_id: Number of the GPU, -1 for the CPU.
        sizes: Heights of the frames: 480p, 720p, 1080p.
        faces: Faces a frame: 1 to 4.
        frames: Frames for each figure.

    Raises:
        ValueError: If a size or a number is unknown.
    """

    facedancer_path: str = setting("", essential=True)
    preset_name: str = setting("", essential=True)
    arcface_path: str = ""
    retina_path: str = ""
    engine: str = choice("auto", ENGINES)
    precision: str = choice("f32", PRECISIONS)
    device_id: int = 0
    sizes: tuple[str, ...] = choice(("480p", "720p", "1080p"), SIZES, essential=True)
    faces: tuple[int, ...] = ranged((1, 4), low=1, high=4, essential=True)
    frames: int = ranged(24, low=2, essential=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.facedancer_path and self.preset_name:
            raise ValueError("Give --facedancer_path or --preset_name, not both")
