"""Tests of means over training seeds: of a difference, of equivalence, and what n seeds could find.

Everything takes values [..., n] with seeds last, so that a test can ask a thousand ledgers at once.
"""

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import nctdtrinc, stdtr, stdtrit

LEVEL = 0.05
POWER = 0.8
ROUNDING = 1e-12
"""A spread below this share of the values is rounding: the seeds agree, and no test is made."""


def student(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Student's t of the mean of [..., n], n >= 2; nan where the seeds agree in every digit."""
    spread = values.std(axis=-1, ddof=1)
    agree = spread <= ROUNDING * np.abs(values).max(axis=-1)
    error = np.where(agree, np.nan, spread) / math.sqrt(values.shape[-1])
    return np.asarray(values.mean(axis=-1) / error)


def _below(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """p of the one-sided test that the mean lies below 0, [...]; nan where no test is made."""
    return np.asarray(stdtr(values.shape[-1] - 1, student(values)))


def difference(values: ArrayLike, overlap: float = 0.0) -> NDArray[np.float64]:
    """p of the two-sided t test that a mean is not 0, [...]; 1 where the seeds agree.

    values: [..., n] with n >= 2, each a difference paired by seed (Student, 1908).  overlap: of
    seeds that divide one set anew, the held-out pictures over the training ones; the mean's
    variance is then taken for (1 / n + overlap) s^2 (Nadeau and Bengio, 2003, Eq. 12).
    """
    n = np.shape(values)[-1]
    t = np.abs(student(np.asarray(values, float))) / math.sqrt(1 + n * overlap)
    return np.nan_to_num(2 * stdtr(np.shape(values)[-1] - 1, -t), nan=1.0)


def equivalence(values: ArrayLike, margins: ArrayLike) -> NDArray[np.float64]:
    """p of two one-sided tests that a mean lies within a margin of 0 (Schuirmann, 1987), [...].

    values: [..., n] with n >= 2.  margins: [..., n], positive.  A margin that is a share of a
    measured row differs from seed to seed; the tests are of values less and plus it, seed by seed,
    so that its own spread is counted.  1 where the seeds agree.
    """
    found, within = np.asarray(values, float), np.asarray(margins, float)
    return np.nan_to_num(np.maximum(_below(found - within), _below(-found - within)), nan=1.0)


def detectable(values: ArrayLike, level: ArrayLike) -> NDArray[np.float64]:
    """The mean that n seeds of this spread find with a probability of 80 %, [...].

    Two-sided paired t at a level [...]: s / sqrt(n) times the non-centrality at which the
    non-central t exceeds its critical value in 80 % of cases (Cohen, 1988, chapter 2).
    values: [..., n] with n >= 2, whose deviation s stands for the true one.
    """
    found = np.asarray(values, float)
    n = found.shape[-1]
    centre = nctdtrinc(n - 1, 1 - POWER, stdtrit(n - 1, 1 - np.asarray(level) / 2))
    return np.asarray(centre * found.std(axis=-1, ddof=1) / math.sqrt(n))
