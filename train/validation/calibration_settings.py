"""Settings of the calibration of margins; reading them needs no network library."""

from __future__ import annotations

import dataclasses

from facedancer.flags.settings import Checked, ranged


@dataclasses.dataclass(frozen=True)
class CalibrationConfig(Checked):
    """Settings of the calibration.

    Attributes:
        arcface_path: File of the identity encoder whose margins are wanted.
        output: The margins file (JSON); the plot lies beside it as .png.
        facedancer_path: Generator that swaps; then --data_dir is needed.
        swapper_arcface_path: Encoder that feeds the generator. Empty: --arcface_path.
        data_dir: Shards of the photos to swap.
        pairs_dir: Folder with target/, swapped/ and perhaps source/.
        blocks: Layers of the encoder. Empty: its default.
        count: Pairs to swap.
        shrink_factor: Of the crops in --pairs_dir; the shards' is the generator's.
        seed: Of the choice of pairs.

    Raises:
        ValueError: If not one of the two ways is chosen, or a number is out of range.
    """

    arcface_path: str
    output: str = "margins.json"
    facedancer_path: str = ""
    swapper_arcface_path: str = ""
    data_dir: str = ""
    pairs_dir: str = ""
    blocks: tuple[str, ...] = ()
    count: int = ranged(500, low=1)
    shrink_factor: float = ranged(1.0, above=0.0, high=1.0)
    seed: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        given = bool(self.facedancer_path and self.data_dir), bool(self.pairs_dir)
        if sum(given) != 1:
            raise ValueError(
                "Give either --facedancer_path and --data_dir, or --pairs_dir"
            )
