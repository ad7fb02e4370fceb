"""Intervals from resampling the clips that were judged: what other clips would have given.

They say nothing of another training seed, which moves a Fréchet distance more than the clips do.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from metrics.frechet import frechet_distance

Array = NDArray[np.floating]


@dataclass(frozen=True)
class Interval:
    """value: of the rows as they are; low, high: the ends about it."""

    value: float
    low: float
    high: float


def mean_interval(x: Array, seed: int, draws: int = 2000, level: float = 0.95) -> Interval:
    """The percentile bootstrap of the mean of independent x [N]. ValueError for fewer than two."""
    drawn = _drawn(lambda rows: float(rows.mean()), (x,), seed, draws)
    return Interval(float(np.mean(x)), *_ends(drawn, level))


def frechet_interval(
    a: Array, b: Array, seed: int, draws: int = 200, level: float = 0.95
) -> Interval:
    """Of frechet_distance(a, b), rows [N, F] and [M, F] of both sides drawn anew, independently.

    A distance of samples lies above that of their distributions by some c/N, and one of draws from
    samples above theirs by about as much again: plain percentiles may leave the value itself out.
    The draws are therefore moved to have their mean at the value. The interval is of spread: it
    covers what other sets of N and M clips would give, the bias of that many included, so compare
    it only with numbers of as many clips.
    """
    value = frechet_distance(a, b)
    drawn = _drawn(frechet_distance, (a, b), seed, draws)
    return Interval(value, *_ends(drawn - drawn.mean() + value, level))


def _drawn(
    statistic: Callable[..., float], sides: tuple[Array, ...], seed: int, draws: int
) -> NDArray[np.float64]:
    """The statistic [draws] of rows drawn with replacement from each side."""
    if min(map(len, sides)) < 2:
        raise ValueError(f"an interval needs two rows a side, not {[len(x) for x in sides]}")
    g = np.random.default_rng(seed)
    return np.array(
        [statistic(*(x[g.integers(len(x), size=len(x))] for x in sides)) for _ in range(draws)]
    )


def _ends(drawn: NDArray[np.float64], level: float) -> tuple[float, float]:
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
