"""Measures the IFSR margins of an identity encoder from the results of a face swapper.

    python train/calibrate_margins.py --arcface_path=encoder.keras \\
        --facedancer_path=facedancer.keras --data_dir="shards/faces_test_*" \\
        --output=margins.json
    python train/calibrate_margins.py --arcface_path=encoder.keras \\
        --pairs_dir=results --output=margins.json

The swapper is a FaceDancer generator that runs on pairs of the shards, or anything
whose results lie in a folder: `target/` and `swapped/`, perhaps `source/`, with equal
file names. Train with `--margins_file=margins.json`.
"""

from __future__ import annotations

import dataclasses
import io
import pathlib
from collections.abc import Iterator

import numpy as np

from facedancer import claims, cli, files, places
from facedancer.arcface_model import load_encoder
from facedancer.errors import InputError
from facedancer.models import load_generator
from facedancer.models.families.built_network import SwapperNetwork
from facedancer.settings import Checked, ranged
from facedancer.train.frozen.teachers import Teacher
from facedancer.train.objective import ifsr
from facedancer.train.validation import calibration, validation


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


def main(config: CalibrationConfig) -> int:
    """Measures, writes and prints the margins; returns the exit status.

    Args:
        config: What the flags say.

    Raises:
        InputError: If a file cannot be used.
    """
    plot = pathlib.Path(config.output).with_suffix(".png")
    places.check_places(config, {"output": config.output, "output's plot": plot})
    with claims.claimed(config.output):
        return _calibrate(config)


def _calibrate(config: CalibrationConfig) -> int:
    encoder = load_encoder(config.arcface_path)
    taps = config.blocks or encoder.taps
    if config.pairs_dir:
        teacher = Teacher(encoder, taps, config.shrink_factor)
        size = round(encoder.contract.size / config.shrink_factor)
        triples = calibration.read_triples(config.pairs_dir, size)
    else:
        generator = load_generator(config.facedancer_path)
        teacher = Teacher(encoder, taps, generator.contract.image.shrink)
        triples = _swapped(config, generator, teacher)
    distances = calibration.measure(teacher, triples)
    return _write(config, encoder.name_with_hash, distances)


def _swapped(
    config: CalibrationConfig, generator: SwapperNetwork, teacher: Teacher
) -> Iterator[calibration.Triple]:
    """Yields batches of triples made by the generator."""
    feeding = teacher
    if config.swapper_arcface_path:
        other = load_encoder(config.swapper_arcface_path)
        feeding = Teacher(other, (), generator.contract.image.shrink)
    size = feeding.encoder.output_shape[-1]
    if generator.contract.identity.size != size:
        raise InputError(
            f"{config.facedancer_path} takes identity vectors of "
            f"{generator.contract.identity.size}, the encoder gives {size}: give "
            "--swapper_arcface_path"
        )
    found = validation.read_pairs(
        config.data_dir,
        generator.contract.image.size,
        config.count,
        config.seed,
        generator.contract.image.alignment,
    )
    vectors = validation.vectors_of(feeding, found.sources)
    for start in range(0, len(vectors), 16):
        part = slice(start, start + 16)
        targets = found.targets[part]
        feeds = {"target": targets, "identity": vectors[part]}
        swapped = np.asarray(generator.named(feeds)["swapped"])
        yield targets, swapped.clip(-1, 1), found.sources[part]


def _write(
    config: CalibrationConfig, name: str, distances: calibration.Distances
) -> int:
    margins = distances.margins(name)
    count = len(distances.values["target_swapped"])
    path = pathlib.Path(config.output)
    ifsr.write_margins(path, margins, {"pairs": count, **distances.summary()})
    picture = io.BytesIO()
    calibration.histograms(distances).savefig(picture, dpi=90, format="png")
    files.write_atomic(path.with_suffix(".png"), picture.getvalue())
    for tap, value in zip(margins.taps, margins.values, strict=True):
        print(f"{tap}  {value:.6f}")
    print(f"{count} pairs. Margins: {path}  plot: {path.with_suffix('.png')}")
    return cli.DONE


if __name__ == "__main__":
    cli.run(main, CalibrationConfig)
