"""Whether one way of sampling beats another, prompt by prompt, and the best of several a baseline.

Paris 2.0's "24 of 40 prompts" is the best of several schedules: with a single one chosen beforehand
it would already give p = 0.27, and the choice makes it more.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest

Array = NDArray[np.floating]


@dataclass(frozen=True)
class Wins:
    """Prompts won, lost and tied."""

    won: int
    lost: int
    tied: int = 0

    @classmethod
    def of(cls, scores: Array, baseline: Array) -> "Wins":
        """Of scores [N] against a baseline [N], the higher the better."""
        sign = np.sign(_gaps(scores[None], baseline)[0])
        return cls(int((sign > 0).sum()), int((sign < 0).sum()), int((sign == 0).sum()))

    @property
    def p(self) -> float:
        """The exact two-sided sign test's, ties dropped; 1 where nothing is left."""
        n = self.won + self.lost
        return float(binomtest(self.won, n).pvalue) if n else 1.0


@dataclass(frozen=True, eq=False)
class Best:
    """p values [S] of schedules, two-sided: the smallest is that of the best having been chosen.

    alone: as if each had been the only one. corrected: against the largest of all the schedules'
    statistics (Westfall and Young 1993). bonferroni: S times alone, which forgets that schedules
    which share a baseline go up and down together.
    """

    alone: NDArray[np.float64]
    corrected: NDArray[np.float64]

    @property
    def bonferroni(self) -> NDArray[np.float64]:
        return np.minimum(1, len(self.alone) * self.alone)


def best_of(scores: Array, baseline: Array, seed: int, flips: int = 9999) -> Best:
    """Of S schedules' scores [S, N] against a baseline [N], by flipping signs of whole prompts.

    Exact where, no schedule mattering, a prompt's S differences are as likely as all their
    negatives: p = (1 + the flips at least as large as what was seen) / (1 + flips). The statistic
    is |sum d| / sqrt(sum d²), which no flip rescales; of np.sign(scores - baseline) against zeros
    it is that of wins. Every schedule that was tried must be among the rows.
    """
    d = _gaps(scores, baseline)
    size = np.sqrt((d**2).sum(axis=1))
    d = d / np.where(size > 0, size, 1)[:, None]
    signs = np.random.default_rng(seed).choice([-1.0, 1.0], size=(flips, d.shape[1]))
    seen = np.abs(d.sum(axis=1)) * (1 - 1e-12)  # equal sums in another order are equal
    drawn = np.abs(signs @ d.T)  # [flips, S]
    alone = (1 + (drawn >= seen).sum(axis=0)) / (1 + flips)
    largest = drawn.max(axis=1, keepdims=True)
    return Best(alone, (1 + (largest >= seen).sum(axis=0)) / (1 + flips))


def _gaps(scores: Array, baseline: Array) -> NDArray[np.float64]:
    """scores [S, N] less a baseline [N]. ValueError for other shapes, or what is not finite."""
    if scores.ndim != 2 or scores.shape[1:] != baseline.shape or scores.size == 0:
        raise ValueError(f"scores {scores.shape} do not pair with a baseline {baseline.shape}")
    d = scores.astype(np.float64) - baseline
    if not np.isfinite(d).all():
        raise ValueError("scores of prompts are missing or not finite")
    return d
