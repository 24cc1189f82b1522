"""What swap-them-all minimises: sums over rows of one person, and over those of two."""

from __future__ import annotations

from typing import Any

import numpy as np
from keras import ops

from facedancer.networks.tensors import Tensor
from facedancer.train.objective import losses
from facedancer.train.objective.terms import Made, Seen, Sums

_GRID = 5  # points of a warp a side


def over_same(name: str) -> Any:
    """Returns the value of a sum over the pairs of one person: its mean.

    Args:
        name: Of the sum.
    """
    return lambda sums, batch: sums[name] / ops.maximum(sums["same"], 1.0)


def over_others(name: str) -> Any:
    """Returns the value of a sum over the pairs of two people: its mean.

    Args:
        name: Of the sum.
    """
    return lambda sums, batch: sums[name] / ops.maximum(sums["others"], 1.0)


def identity_value(sums: Sums, batch: int) -> Tensor:
    """Returns the sum of both means, as the original adds two forward passes.

    Args:
        sums: Over the global batch.
        batch: Its size.
    """
    same, others = (ops.maximum(sums[name], 1.0) for name in ("same", "others"))
    return sums["identity_same"] / same + sums["identity_other"] / others


def of_others(name: str, seen: Seen, values: Tensor) -> Sums:
    """Returns the sum of values over the pairs of two people, and their number.

    Args:
        name: Of the sum.
        seen: With `others`.
        values: `(batch,)`.
    """
    others = seen["others"]
    return {name: ops.sum(others * values), "others": ops.sum(others)}


def reconstruction(seen: Seen, made: Made) -> Sums:
    """Returns how far the rebuilt faces are from their photos.

    Args:
        seen: With `target` and `same`.
        made: With `swapped`.
    """
    away = losses.absolute_difference(seen["target"], made["swapped"])
    same = seen["same"]
    return {"reconstruction": ops.sum(same * away), "same": ops.sum(same)}


def trace(seen: Seen, made: Made) -> Sums:
    """Returns how far the swapped faces are from their targets.

    Args:
        seen: With `target`.
        made: With `swapped`.
    """
    away = losses.absolute_difference(seen["target"], made["swapped"])
    return of_others("trace", seen, away)


def cycle(seen: Seen, made: Made) -> Sums:
    """Returns how far faces that were swapped back are from their photos.

    Args:
        seen: With `target`.
        made: With `cycled`.
    """
    away = losses.absolute_difference(seen["target"], made["cycled"])
    return of_others("cycle", seen, away)


def outside(seen: Seen, made: Made) -> Sums:
    """Returns how much has changed where no face is, as part of the whole picture.

    Args:
        seen: With `target` and `outside`.
        made: With `swapped`.
    """
    away = ops.abs(seen["target"] - made["swapped"]) * seen["outside"]
    return {"outside": ops.sum(ops.mean(away, axis=(1, 2, 3)))}


def warped(image: Tensor, moves: Tensor) -> Tensor:
    """Returns pictures of which the points of a coarse grid were moved.

    Between the points moves are interpolated; beyond the border its pixels repeat. A
    pixel takes its move along the rows first, then what is left across at that place.

    Args:
        image: `(batch, size, size, channels)`.
        moves: `(batch, 5, 5, 2)` from where in the picture a point is taken, rows and
            columns, as parts of the side.
    """
    size = image.shape[1]
    spread = _spread(size)
    fields = ops.einsum("yi,xj,bijk->bkyx", spread, spread, moves) * size
    grid = ops.arange(size, dtype="float32")
    rows = ops.clip(grid[None, :, None] + fields[:, 0], 0, size - 1)
    columns = ops.clip(grid[None, None, :] + fields[:, 1], 0, size - 1)
    across = ops.relu(1.0 - ops.abs(columns[..., None] - grid))  # (batch, y, x, from)
    image = ops.einsum("byxf,byfc->byxc", across, image)
    down = ops.relu(1.0 - ops.abs(rows[..., None] - grid))
    return ops.einsum("byxf,bfxc->byxc", down, image)


def _spread(size: int) -> np.ndarray:
    """Returns the matrix that interpolates between the points, `(size, 5)`."""
    place = np.linspace(0.0, _GRID - 1.0, size)[:, None]
    apart = np.abs(place - np.arange(_GRID))
    return np.maximum(0.0, 1.0 - apart).astype(np.float32)


def draw_moves(random: np.random.Generator, count: int, far: float) -> np.ndarray:
    """Returns moves for `warped`, `(count, 5, 5, 2)`.

    Args:
        random: Of this step alone.
        count: How many pictures.
        far: Deviation of a move, as a part of the side.
    """
    return random.normal(0.0, far, (count, _GRID, _GRID, 2)).astype(np.float32)
