"""Pictures of the training: what is swapped, and where the source's identity enters."""

from __future__ import annotations

from collections.abc import Callable

import keras
import numpy as np

from facedancer.imaging import images
from facedancer.models.families.built_network import SwapperNetwork
from facedancer.networks.contract import SwapContract
from facedancer.train.validation import feeds, validation
from facedancer.train.validation.feeds import Pairs

BORDER = 2


def grid(targets: np.ndarray, sources: np.ndarray, swapped: np.ndarray) -> np.ndarray:
    """Returns a picture: sources on top, targets at the left, swapped faces between.

    Args:
        targets: `(rows, size, size, 3)` in [-1, 1].
        sources: `(columns, size, size, 3)` in [-1, 1].
        swapped: `(rows, columns, size, size, 3)`, clipped to [-1, 1] here.

    Returns:
        `(height, width, 3)` uint8.
    """
    rows, columns, size = len(targets), len(sources), targets.shape[1]
    step = size + BORDER
    picture = np.full(((rows + 1) * step, (columns + 1) * step, 3), 255, np.uint8)

    def put(row: int, column: int, image: np.ndarray) -> None:
        cell = picture[row * step : row * step + size, column * step :][:, :size]
        cell[:] = images.uint8_from_signed(image)

    for row, image in enumerate(targets):
        put(row + 1, 0, image)
        for column in range(columns):
            put(row + 1, column + 1, swapped[row, column])
    for column, image in enumerate(sources):
        put(0, column + 1, image)
    return picture


def swap_grid(
    generator: Callable,
    rows: Pairs,
    columns: Pairs,
    contract: SwapContract = validation.CONTRACT,
) -> np.ndarray:
    """Returns the `grid` of every target with every source.

    Args:
        generator: See `validation.swap`.
        rows: Their targets are taken.
        columns: Their sources are taken.
        contract: Of the generator.
    """
    targets = rows.targets
    swapped = validation.swap(generator, rows.of_all(columns), contract)
    shape = (len(rows), len(columns), *targets.shape[1:])
    return grid(targets, columns.sources, swapped.reshape(shape))


def mask_maps(
    generator: SwapperNetwork,
    pairs: Pairs,
    contract: SwapContract = validation.CONTRACT,
) -> np.ndarray | None:
    """Returns a picture of the mean fusion masks of each AFFA block.

    Args:
        generator: A generator; without masks there is no picture.
        pairs: Targets and who they become.
        contract: Of the generator.

    Returns:
        `(height, width, 3)` uint8: one row a target, then its masks from the smallest
        map to the largest, white where the identity enters; or None.
    """
    if not generator.fusion_masks:
        return None
    taps = keras.Model(generator.inputs, generator.fusion_masks)
    given, targets = feeds.make(pairs, contract), pairs.targets
    maps = taps([given[name] for name in generator.feed_names], training=False)
    maps = maps if isinstance(maps, list) else [maps]
    size, shown = targets.shape[1], []
    for part in maps:
        mean = np.asarray(keras.ops.mean(keras.ops.cast(part, "float32"), axis=-1))
        factor = size // mean.shape[1]
        large = mean.repeat(factor, axis=1).repeat(factor, axis=2)
        shown.append(np.repeat(large[..., None] * 2.0 - 1.0, 3, axis=-1))
    columns = np.stack([targets, *shown], axis=1)
    return np.concatenate(
        [images.uint8_from_signed(np.concatenate(row, axis=1)) for row in columns]
    )
