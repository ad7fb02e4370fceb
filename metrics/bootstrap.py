"""Bootstrap intervals over the judged clips: what other clips would have given.

They do not cover other training seeds, which change a Fréchet distance more than the clips do.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from metrics.frechet import frechet_distance

Array = NDArray[np.floating]
AT_ONCE = 2**16
"""As many rows are drawn in one go: a call for each mean of 20 takes 20 times as long, and 2,000
draws of 50,000 rows at once would take 800 MB."""


@dataclass(frozen=True)
class Interval:
    """A statistic's value on all rows, and the ends of its interval."""

    value: float
    low: float
    high: float


def mean_interval(x: Array, seed: int, draws: int = 2000, level: float = 0.95) -> Interval:
    """The percentile bootstrap of the mean of independent x [N].

    level: the interval's probability. Raises ValueError for fewer than two rows.
    """
    if len(x) < 2:
        raise ValueError(f"an interval needs two rows a side, not {[len(x)]}")
    g, block = np.random.default_rng(seed), max(1, AT_ONCE // len(x))
    sizes = [min(block, draws - done) for done in range(0, draws, block)]
    means = [x[g.integers(len(x), size=(size, len(x)))].mean(axis=1) for size in sizes]
    return Interval(float(np.mean(x)), *_ends(np.concatenate(means).astype(np.float64), level))


def frechet_interval(
    a: Array, b: Array, seed: int, draws: int = 200, level: float = 0.95
) -> Interval:
    """The bootstrap of frechet_distance(a, b); a [N, F] and b [M, F] are resampled independently.

    The distance of samples is biased upwards by about c/N, and resampling adds as much again, so
    plain percentiles may exclude the value. The resampled distances are therefore shifted to have
    their mean at the value. The interval still includes the bias of N and M clips: compare it only
    with numbers of as many clips. Raises ValueError for fewer than two rows.
    """
    value = frechet_distance(a, b)
    drawn = _resampled(frechet_distance, (a, b), seed, draws)
    return Interval(value, *_ends(drawn - drawn.mean() + value, level))


def _resampled(
    statistic: Callable[..., float], sides: tuple[Array, ...], seed: int, draws: int
) -> NDArray[np.float64]:
    """The statistic [draws] of rows drawn with replacement from each side [N_i, ...]."""
    if min(map(len, sides)) < 2:
        raise ValueError(f"an interval needs two rows a side, not {[len(x) for x in sides]}")
    g = np.random.default_rng(seed)
    return np.array(
        [statistic(*(x[g.integers(len(x), size=len(x))] for x in sides)) for _ in range(draws)]
    )


def _ends(drawn: NDArray[np.float64], level: float) -> tuple[float, float]:
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
