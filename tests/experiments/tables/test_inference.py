"""Tests of means against scipy's, closed forms, and rates of error over simulated seeds."""

import numpy as np
import pytest
from scipy import stats

from experiments.tables.inference import LEVEL, POWER, detectable, difference, equivalence

DRAWS = 40_000
RATE = 4 * (0.25 / DRAWS) ** 0.5
"""Four standard errors of a share of the draws, at most."""


def drawn(mean, n, spread=1.0, seed=0):
    """[DRAWS, n] around a mean."""
    return mean + spread * np.random.default_rng(seed).standard_normal((DRAWS, n))


@pytest.mark.parametrize("n", [3, 10])
def test_a_difference_is_scipys_t_test(n):
    """kills: a one-sided p, the deviation with n in place of n - 1, the normal distribution."""
    values = drawn(0.4, n)[:50]
    assert difference(values) == pytest.approx(stats.ttest_1samp(values, 0, axis=-1).pvalue)
    assert difference(values) == pytest.approx(difference(-values))


def test_seeds_that_divide_one_set_anew_are_worth_fewer():
    """kills: the overlap as a share of the mean's variance, or of one value's."""
    values = drawn(1.0, 10)[:50]
    t = stats.ttest_1samp(values, 0, axis=-1).statistic * (0.1 / (0.1 + 0.5)) ** 0.5
    assert difference(values, overlap=0.5) == pytest.approx(2 * stats.t.sf(abs(t), 9))


def test_equivalence_is_the_larger_of_two_one_sided_tests():
    """kills: the smaller of the two, margins on one side alone, sides exchanged."""
    values, margin = drawn(0.2, 8)[:50], 0.9
    low = stats.ttest_1samp(values, -margin, axis=-1, alternative="greater").pvalue
    high = stats.ttest_1samp(values, margin, axis=-1, alternative="less").pvalue
    assert {bool(x) for x in low > high} == {True, False}
    assert equivalence(values, np.full(8, margin)) == pytest.approx(np.maximum(low, high))
    assert equivalence(values + 5, np.full(8, margin)).min() > 0.99


def test_a_margin_that_varies_by_seed_is_paired_with_it():
    """kills: the mean margin in place of each seed's own, whose spread then counts for nothing."""
    base = 10 + np.arange(6.0)
    exact = 0.05 * base  # a constant share, whatever the base
    assert equivalence(exact + 1e-3 * np.array([1, -1, 2, 0, -2, 1]), 0.1 * base) < 1e-3
    assert equivalence(0.05 * base, np.full(6, 0.1 * base.mean())) < LEVEL
    assert equivalence(0.11 * base, 0.1 * base) > 0.5


@pytest.mark.parametrize("n", [3, 10])
@pytest.mark.parametrize("side", [-1, 1])
def test_equivalence_errs_at_its_level_at_the_margin(n, side):
    """kills: a test of equivalence at 10 %, or one that finds it in a difference that matters: at
    the margin itself it is found in 5 % of runs, and never in more."""
    wide = 40.0  # in deviations: the other side then never fails
    rate = (equivalence(drawn(side * wide, n), np.full(n, wide)) <= LEVEL).mean()
    assert rate == pytest.approx(LEVEL, abs=RATE)
    narrow = (equivalence(drawn(side * 1.0, n), np.full(n, 1.0)) <= LEVEL).mean()
    assert narrow <= LEVEL + RATE


@pytest.mark.parametrize("level", [LEVEL, 0.005])
@pytest.mark.parametrize("n", [3, 6, 10])
def test_a_detectable_effect_is_found_at_the_stated_power(n, level):
    """kills: power of a one-sided or a z test, a factor sqrt(n), power and its complement, 5 %
    whatever the level that decides."""
    known = np.arange(n)
    effect = float(detectable(known / known.std(ddof=1), level))
    found = (difference(drawn(effect, n)) <= level).mean()
    assert found == pytest.approx(POWER, abs=RATE)
    assert (difference(drawn(0.8 * effect, n)) <= level).mean() < POWER - 0.1


def test_a_detectable_effect_is_the_textbooks():
    """kills: another convention of the effect: Cohen's d of 0.996 for ten pairs."""
    known = np.array([-1.0, 1.0] * 5) / np.std([-1.0, 1.0] * 5, ddof=1)
    assert float(detectable(known, LEVEL)) == pytest.approx(0.996, abs=5e-4)
    assert float(detectable(7 * known, 0.01)) == pytest.approx(7 * float(detectable(known, 0.01)))


def test_seeds_that_agree_are_no_evidence():
    """kills: three equal numbers, of a measure that moves in steps, taken for certainty; a division
    by a spread of rounding errors."""
    for values in ([0.0, 0.0, 0.0], [-0.005, -0.005, -0.005], [0.3 - 0.2, 0.2 - 0.1, 0.4 - 0.3]):
        assert difference(values) == 1
        assert equivalence(values, [1.0, 1.0, 1.0]) == 1
