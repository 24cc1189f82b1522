"""How sure is a figure? Intervals by resampling, all seeded."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np

DRAWS = 1000
LEVEL = 0.95
_NORMAL = 1.959963985  # 97.5 % point of the normal distribution


@dataclasses.dataclass(frozen=True)
class Estimate:
    """A value and where it would lie if the pairs were drawn again.

    Attributes:
        value: From all examples; NaN where there are none.
        low: Lower end of the 95 % interval.
        high: Upper end.
        count: Number of examples behind it.
        method: How the interval was made: `"bootstrap"` or `"jackknife"`.
    """

    value: float
    low: float
    high: float
    count: int
    method: str = "bootstrap"


def mean(values: np.ndarray, seed: int = 0, draws: int = DRAWS) -> Estimate:
    """Returns the mean and its percentile bootstrap interval (Efron, 1979).

    Args:
        values: `(n,)`; NaN marks an example that could not be measured, left out.
        seed: Of the draws.
        draws: How many.
    """
    values = np.asarray(values, np.float64)
    values = values[np.isfinite(values)]
    if not len(values):
        return Estimate(np.nan, np.nan, np.nan, 0)
    random = np.random.default_rng(seed)
    means = np.array([values[_draw(random, len(values))].mean() for _ in range(draws)])
    return _estimate(values.mean(), means, len(values))


def mean_of_blocks(
    values: np.ndarray, block: int = 12, seed: int = 0, draws: int = DRAWS
) -> Estimate:
    """Returns the mean of a series, and an interval that allows for its slow changes.

    Whole blocks of neighbours are drawn, since neighbours resemble each other
    (Kuensch, 1989; blocks do not overlap here).

    Args:
        values: `(n,)` in their order in time; NaN is left out.
        block: Length of a block.
        seed: Of the draws.
        draws: How many.
    """
    values = np.asarray(values, np.float64)
    blocks = [values[at : at + block] for at in range(0, len(values), block)]
    sums = np.array([np.nansum(part) for part in blocks])
    counts = np.array([np.isfinite(part).sum() for part in blocks])
    if not counts.sum():
        return Estimate(np.nan, np.nan, np.nan, 0)
    random = np.random.default_rng(seed)
    means = []
    for _ in range(draws):
        at = _draw(random, len(blocks))
        means.append(sums[at].sum() / counts[at].sum() if counts[at].sum() else np.nan)
    return _estimate(sums.sum() / counts.sum(), np.array(means), int(counts.sum()))


def statistic(
    function: Callable[[np.ndarray], float],
    count: int,
    seed: int = 0,
    draws: int = DRAWS,
) -> Estimate:
    """Returns any statistic and its percentile bootstrap interval.

    Args:
        function: From `(m,)` indices of examples, with repeats, to the value.
        count: Number of examples.
        seed: Of the draws.
        draws: How many.
    """
    if not count:
        return Estimate(np.nan, np.nan, np.nan, 0)
    random = np.random.default_rng(seed)
    values = np.array([function(_draw(random, count)) for _ in range(draws)])
    return _estimate(function(np.arange(count)), values, count)


def _draw(random: np.random.Generator, count: int) -> np.ndarray:
    return random.integers(count, size=count)


def _estimate(value: float, resampled: np.ndarray, count: int) -> Estimate:
    tail = (1.0 - LEVEL) / 2.0
    low, high = np.nanquantile(resampled, [tail, 1.0 - tail])
    return Estimate(float(value), float(low), float(high), count)


def jackknife(
    function: Callable[[np.ndarray], float], count: int, groups: int = 10, seed: int = 0
) -> Estimate:
    """Returns a statistic and an interval from leaving groups of examples out.

    For statistics that a bootstrap would bias because it repeats examples, as the
    Frechet distance. The interval is normal, with the delete-a-group standard error
    (Shao & Wu, 1989).

    Args:
        function: From `(m,)` indices of examples to the value.
        count: Number of examples.
        groups: How many; fewer where there are fewer examples.
        seed: Of the division into groups.
    """
    groups = min(groups, count)
    if groups < 2:
        value = float(function(np.arange(count))) if count else np.nan
        return Estimate(value, np.nan, np.nan, count, "jackknife")
    group = np.random.default_rng(seed).permutation(count) % groups
    values = np.array([function(np.flatnonzero(group != g)) for g in range(groups)])
    value = float(function(np.arange(count)))
    error = np.sqrt((groups - 1) / groups * ((values - values.mean()) ** 2).sum())
    half = _NORMAL * float(error)
    return Estimate(value, value - half, value + half, count, "jackknife")


def difference(
    a: np.ndarray, b: np.ndarray, seed: int = 0, draws: int = DRAWS
) -> Estimate:
    """Returns the estimate of `mean(b - a)` over the same pairs.

    Args:
        a: `(n,)` values of one report.
        b: `(n,)` values of the other, the same pairs in the same order.
        seed: Of the draws.
        draws: How many.
    """
    return mean(np.asarray(b, np.float64) - np.asarray(a, np.float64), seed, draws)


def independent_difference(a: Estimate, b: Estimate) -> Estimate:
    """Returns the estimate of `b - a` for figures without values by pair.

    The half widths are added in squares, as if the two were independent; where they
    share their pairs, the true interval is narrower.

    Args:
        a: Of one report.
        b: Of the other.
    """
    half = np.hypot((a.high - a.low) / 2.0, (b.high - b.low) / 2.0)
    value = b.value - a.value
    count = min(a.count, b.count)
    return Estimate(value, value - half, value + half, count, "independent")
