"""Sign tests over prompts: one way of sampling against another, and the best of several.

Paris 2.0's "24 of 40 prompts" is the best of several schedules. Even for a single schedule it would
give p = 0.27, and choosing the best makes p larger.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]


@dataclass(frozen=True)
class Wins:
    """The numbers of prompts won, lost and tied."""

    won: int
    lost: int
    tied: int = 0

    @classmethod
    def of(cls, scores: Array, baseline: Array) -> "Wins":
        """The wins of scores [N] over a baseline [N]; higher is better. ValueError as `best_of`."""
        sign = np.sign(_gaps(scores[None], baseline)[0])
        return cls(int((sign > 0).sum()), int((sign < 0).sum()), int((sign == 0).sum()))

    @property
    def p(self) -> float:
        """p of the exact two-sided sign test without ties; 1 if all are ties."""
        from scipy.stats import binomtest

        n = self.won + self.lost
        return float(binomtest(self.won, n).pvalue) if n else 1.0


@dataclass(frozen=True, eq=False)
class Best:
    """Two-sided p values [S] of S schedules against one baseline.

    alone: as if each were the only schedule.  corrected: for choosing the best, by the largest
    statistic of all schedules.  (Westfall and Young 1993)
    """

    alone: NDArray[np.float64]
    corrected: NDArray[np.float64]

    @property
    def bonferroni(self) -> NDArray[np.float64]:
        """S times `alone` [S], which ignores that schedules with one baseline are correlated."""
        return np.minimum(1, len(self.alone) * self.alone)


def best_of(scores: Array, baseline: Array, seed: int, flips: int = 9999) -> Best:
    """A permutation test of S schedules' scores [S, N] against a baseline [N].

    Each permutation flips the signs of a prompt's S differences d together. The test is exact if,
    without any effect, all differences of a prompt are as likely as their negatives:
    p = (1 + permutations with a statistic at least as large) / (1 + flips).
    The statistic is |sum d| / sqrt(sum d²); for np.sign(scores - baseline) against zeros it tests
    wins. The rows must include every schedule that was tried.

    flips: random permutations. Raises ValueError for other shapes or scores that are not finite.
    """
    d = _gaps(scores, baseline)
    size = np.sqrt((d**2).sum(axis=1))
    d = d / np.where(size > 0, size, 1)[:, None]
    signs = np.random.default_rng(seed).choice([-1.0, 1.0], size=(flips, d.shape[1]))
    observed = np.abs(d.sum(axis=1)) * (1 - 1e-12)  # tolerates another order of summation
    permuted = np.abs(signs @ d.T)  # [flips, S]
    alone = (1 + (permuted >= observed).sum(axis=0)) / (1 + flips)
    largest = permuted.max(axis=1, keepdims=True)
    return Best(alone, (1 + (largest >= observed).sum(axis=0)) / (1 + flips))


def _gaps(scores: Array, baseline: Array) -> NDArray[np.float64]:
    """scores [S, N] less a baseline [N]. ValueError for other shapes or values not finite."""
    if scores.ndim != 2 or scores.shape[1:] != baseline.shape or scores.size == 0:
        raise ValueError(f"scores {scores.shape} do not pair with a baseline {baseline.shape}")
    d = scores.astype(np.float64) - baseline
    if not np.isfinite(d).all():
        raise ValueError("scores of prompts are missing or not finite")
    return d
