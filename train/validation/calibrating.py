"""The margins of an encoder from a generator or a folder of results, as files."""

from __future__ import annotations

import io
import pathlib
from collections.abc import Iterator

import numpy as np

from facedancer.arcface_model import load_encoder
from facedancer.errors import InputError
from facedancer.models import load_generator
from facedancer.models.families.built_network import SwapperNetwork
from facedancer.storage import files
from facedancer.train.frozen.teachers import Teacher
from facedancer.train.objective import ifsr
from facedancer.train.validation import calibration, validation
from facedancer.train.validation.calibration_settings import CalibrationConfig


def calibrate(config: CalibrationConfig) -> tuple[ifsr.Margins, int]:
    """Measures margins, writes them and their plot; returns them and how many pairs.

    Args:
        config: The settings.

    Raises:
        InputError: If a file cannot be used.
    """
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
) -> tuple[ifsr.Margins, int]:
    margins = distances.margins(name)
    count = len(distances.values["target_swapped"])
    path = pathlib.Path(config.output)
    ifsr.write_margins(path, margins, {"pairs": count, **distances.summary()})
    picture = io.BytesIO()
    calibration.histograms(distances).savefig(picture, dpi=90, format="png")
    files.write_atomic(path.with_suffix(".png"), picture.getvalue())
    return margins, count
