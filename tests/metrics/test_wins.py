"""The sign test by its sum of binomials, and corrected p values that are uniform under the null."""

import itertools
import math

import numpy as np
import pytest
from scipy.stats import kstest

from metrics.wins import Best, Wins, best_of


def test_24_of_40_is_no_finding():
    """kills: a one-sided test, a normal approximation (0.206), ties counted as losses or halves."""
    tail = sum(math.comb(40, k) for k in range(24, 41)) / 2**40
    assert Wins(24, 16).p == pytest.approx(2 * tail, rel=1e-12)
    assert Wins(24, 16).p == pytest.approx(0.2682, abs=5e-5)
    assert Wins(16, 24, tied=9).p == pytest.approx(2 * tail, rel=1e-12)
    assert Wins(20, 20).p == 1.0 == Wins(0, 0, 5).p
    scores, baseline = np.array([3.0, 1.0, 2.0, 5.0, 7.0]), np.array([2.0, 2.0, 2.0, 1.0, 0.0])
    assert Wins.of(scores, baseline) == Wins(3, 1, 1)


def test_flips_are_all_flips():
    """kills: schedules flipped apart, the sum of the statistics in place of the largest, one side,
    an unscaled statistic that the loudest schedule always wins."""
    g = np.random.default_rng(0)
    scores, baseline = g.normal(size=(3, 8)) * [[1], [10], [0.1]] + 0.8, g.normal(size=8)
    d = scores - baseline
    t = d / np.sqrt((d**2).sum(axis=1, keepdims=True))
    every = np.array([np.abs(t @ s) for s in itertools.product([-1, 1], repeat=8)])  # [256, 3]
    seen = np.abs(t.sum(axis=1)) - 1e-12
    found = best_of(scores, baseline, seed=1, flips=20_000)
    np.testing.assert_allclose(found.alone, (every >= seen).mean(axis=0), atol=0.01)
    largest = every.max(axis=1, keepdims=True)
    np.testing.assert_allclose(found.corrected, (largest >= seen).mean(axis=0), atol=0.01)
    assert (found.corrected >= found.alone).all()


def drawn(seed, prompts=20):
    """Four schedules, two of them nearly one, against a baseline: none is better."""
    g = np.random.default_rng([3, seed])
    prompt, common = g.normal(size=(2, prompts))
    own = g.normal(size=(4, prompts))
    own[1] = own[0] + 0.3 * own[1]
    return prompt + 0.7 * common + own, prompt + g.normal(size=prompts)


def test_the_best_of_several_is_uniform_only_when_corrected():
    """kills: the best schedule's own p (below 0.1 in a fifth of such studies), a correction that
    overdoes it as Bonferroni does for schedules that depend on each other."""
    found = [best_of(*drawn(seed), seed, flips=199) for seed in range(500)]
    corrected = np.array([best.corrected.min() for best in found])
    assert kstest(corrected, "uniform").pvalue > 0.05
    assert np.mean([best.alone.min() <= 0.1 for best in found]) > 0.15
    assert (corrected <= [best.bonferroni.min() + 0.05 for best in found]).all()
    assert np.mean([best.bonferroni.min() for best in found]) > 0.55


def test_signs_give_the_test_of_wins_and_choosing_costs():
    """kills: a sign statistic other than the sign test's; 24 of 40 as the best of five schedules
    read as if it had been the only one."""
    g = np.random.default_rng(0)
    won = np.array([24, 20, 17, 22, 19])
    signs = np.stack([g.permutation(np.where(np.arange(40) < k, 1.0, -1.0)) for k in won])
    found = best_of(signs, np.zeros(40), seed=0, flips=20_000)
    expected = [Wins(k, 40 - k).p for k in won.tolist()]
    np.testing.assert_allclose(found.alone, expected, atol=0.01)
    assert found.corrected[0] > 0.6
    np.testing.assert_allclose(Best(np.array([0.2682, 0.01]), won).bonferroni, [0.5364, 0.02])


def test_a_better_schedule_is_found():
    """kills: p upside down, a statistic that has no power, an equal schedule that divides by 0."""
    scores, baseline = drawn(0, prompts=40)
    scores[2] += 1.5
    scores[3] = baseline
    found = best_of(scores, baseline, seed=0)
    assert found.corrected[2] < 0.005
    assert found.corrected[3] == found.alone[3] == 1


def test_what_does_not_pair_is_one_line():
    """kills: scores broadcast over prompts, a missing score that drops out as a tie."""
    with pytest.raises(ValueError, match=r"scores \(2, 5\) do not pair with a baseline \(4,\)"):
        best_of(np.ones((2, 5)), np.ones(4), seed=0)
    with pytest.raises(ValueError, match="missing or not finite"):
        Wins.of(np.array([1.0, np.nan]), np.zeros(2))
